"""Blocks: many rows in one packed little-endian buffer, read back without a copy.

Cost in mrjob is per record, not per byte, so records are blocks of rows. A packed buffer is

    magic "MRB1" | crc32 of the rest | number of arrays | (dtype, length) of each | arrays, 8-byte aligned

and holds one-dimensional arrays only; the classes below know the shapes. Block b of a side holds the ids
whose hash h has floor(h * n_blocks / 2^64) = b, in hash order (`mr_als.data.ids.block_of`).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mr_als.data.ids import Ids
from mr_als.errors import DamagedDataError

Array = npt.NDArray[Any]
Buffer = bytes | memoryview

PLAYS = "plays"
FACTORS = "factors"
STATS = "stats"

# strengths are integers, multiples of 2^-16, until a block is solved: their sums do not depend on order
STRENGTH_UNIT = 65536

_MAGIC = b"MRB1"
_DTYPES = ("<u1", "<u2", "<u4", "<u8", "<i8", "<f4", "<f8")
_CODES = {np.dtype(name): code for code, name in enumerate(_DTYPES)}


def pack(arrays: Sequence[Array]) -> bytes:
    """Pack one-dimensional arrays into one checked buffer."""
    heads = np.array([(_CODES[a.dtype.newbyteorder("<")], a.size) for a in arrays], "<u8").reshape(-1, 2)
    body: list[Any] = [np.array([len(arrays)], "<u8").tobytes(), heads.tobytes()]
    for a in arrays:
        # a view: a block's factors are the largest that a task holds, so they are copied once, by the join below
        data = np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<"), copy=False).view(np.uint8)
        body += [data, b"\0" * (-len(data) % 8)]
    crc = 0
    for piece in body:
        crc = zlib.crc32(piece, crc)
    return b"".join((_MAGIC, np.array([crc], "<u4").tobytes(), *body))


def unpack(buffer: Buffer, *, checked: bool = False) -> list[Array]:
    """Give the arrays of a packed buffer, as views into it.

    Parameters
    ----------
    checked : whether a checksum of the whole buffer was compared already, so that its own need not be

    Raises
    ------
    DamagedDataError
        If the buffer is not one of ours, or its checksum differs.
    """
    view = memoryview(buffer)
    if len(view) < 16 or view[:4] != _MAGIC:
        msg = f"a record of {len(view)} bytes does not begin with {_MAGIC.decode()}: the file is not ours or damaged"
        raise DamagedDataError(msg)
    if not checked and zlib.crc32(view[8:]) != int(np.frombuffer(view[4:8], "<u4")[0]):
        msg = f"a record of {len(view)} bytes fails its checksum: the file is damaged"
        raise DamagedDataError(msg)
    count = int(np.frombuffer(view[8:16], "<u8")[0])
    heads = np.frombuffer(view[16 : 16 + 16 * count], "<u8").reshape(-1, 2)
    arrays, at = [], 16 + 16 * count
    for code, size in heads:
        dtype = np.dtype(_DTYPES[int(code)])
        n_bytes = int(size) * dtype.itemsize
        arrays.append(np.frombuffer(view[at : at + n_bytes], dtype))
        at += n_bytes + -n_bytes % 8
    return arrays


def _smallest(values: Array) -> Array:
    """Copy unsigned integers into the smallest unsigned type that holds them."""
    top = int(values.max()) if values.size else 0
    for dtype in ("<u1", "<u2", "<u4"):
        if top <= np.iinfo(dtype).max:
            return values.astype(dtype)
    return values.astype("<u8")


class PlaysBlock(NamedTuple):
    """The plays of some rows of one side, in CSR form.

    hashes : uint64 (n_rows,), ascending; ids : their ids, in the same order
    indptr : int64 (n_rows + 1,)
    indices : unsigned (nnz,), into `columns`, ascending within a row
    columns : uint64 (n_columns,), ascending: hashes of the ids of the *other* side that occur here
    strengths : int64 (nnz,), in units of 2^-16
    """

    hashes: Array
    ids: Ids
    indptr: Array
    indices: Array
    columns: Array
    strengths: Array

    def pack(self) -> bytes:
        """Give the packed buffer; whole plays and few columns take few bytes."""
        # units are a power of two, and shifts a tenth of the cost of divisions
        whole = not np.bitwise_or.reduce(self.strengths, initial=0) & (STRENGTH_UNIT - 1)
        unit, shift = (STRENGTH_UNIT, STRENGTH_UNIT.bit_length() - 1) if whole else (1, 0)
        return pack(
            [
                np.array([unit], "<i8"),
                self.hashes,
                self.ids.lengths,
                self.ids.words,
                _smallest(np.diff(self.indptr)),
                _smallest(self.indices),
                self.columns,
                _smallest(self.strengths >> shift),
            ]
        )

    @classmethod
    def unpack(cls, buffer: Buffer, *, checked: bool = False) -> PlaysBlock:
        """Read what `pack` wrote."""
        unit, hashes, lengths, words, degrees, indices, columns, strengths = unpack(buffer, checked=checked)
        indptr = np.zeros(len(degrees) + 1, np.int64)
        np.cumsum(degrees, out=indptr[1:])
        return cls(hashes, Ids(lengths, words), indptr, indices, columns, strengths.astype(np.int64) * unit[0])

    @property
    def amounts(self) -> Array:
        """Strengths as float64, in plays."""
        return self.strengths / STRENGTH_UNIT


class FactorBlock(NamedTuple):
    """The factors of the rows of one block.

    hashes : uint64 (n_rows,), ascending
    factors : float32 (n_rows, rank)
    routes : uint8 (n_rows, ceil(n_blocks_of_the_other_side / 8)), bits in little order: bit b of a row is set
        where block b of the other side has this row among its columns, so a shuffle sends it there only
    """

    hashes: Array
    factors: Array
    routes: Array

    def pack(self) -> bytes:
        """Give the packed buffer."""
        shape = np.array([self.factors.shape[1], self.routes.shape[1]], "<u4")
        return pack([shape, self.hashes, self.factors.ravel(), self.routes.ravel()])

    @classmethod
    def unpack(cls, buffer: Buffer, *, checked: bool = False) -> FactorBlock:
        """Read what `pack` wrote."""
        shape, hashes, factors, routes = unpack(buffer, checked=checked)
        n = len(hashes)
        return cls(hashes, factors.reshape(n, int(shape[0])), routes.reshape(n, int(shape[1])))

    def sent_to(self, block: int) -> Array:
        """Give the mask, bool (n_rows,), of the rows that `block` of the other side needs."""
        sent: Array = (self.routes[:, block >> 3] >> (block & 7)) & 1 == 1
        return sent


def route_bits(indptr: Array, blocks: Array, n_blocks: int) -> Array:
    """Give the routes of rows whose plays lie in the other side's `blocks`.

    Parameters
    ----------
    indptr : int64 (n_rows + 1,)
    blocks : integers (nnz,), the block of each play's column

    Returns
    -------
    uint8 (n_rows, ceil(n_blocks / 8))
    """
    n_rows = len(indptr) - 1
    hit = np.zeros((n_rows, n_blocks), bool)
    hit[np.repeat(np.arange(n_rows), np.diff(indptr)), blocks] = True
    return np.packbits(hit, axis=1, bitorder="little")


class StatsBlock(NamedTuple):
    """What the driver must know of one block: a short record after all factor records of a task.

    rows, observed : int, rows of the block and pairs with a strength above 0
    squared_error, penalty, confidence, zero_error : float, terms of the loss (`mr_als.maths.loss`)
    n_bytes, crc : int, size and checksum of the block's factor buffer
    gram : float64 (rank, rank), Gram matrix of the block's factors
    """

    rows: int
    observed: int
    squared_error: float
    penalty: float
    confidence: float
    zero_error: float
    n_bytes: int
    crc: int
    gram: Array

    def pack(self) -> bytes:
        """Give the packed buffer; the Gram matrix is symmetric, so half of it is enough."""
        integers = np.array([self.rows, self.observed, self.n_bytes, self.crc], "<i8")
        reals = np.array([self.squared_error, self.penalty, self.confidence, self.zero_error], "<f8")
        return pack([integers, reals, self.gram[np.triu_indices(len(self.gram))].astype("<f8")])

    @classmethod
    def unpack(cls, buffer: Buffer) -> StatsBlock:
        """Read what `pack` wrote."""
        integers, reals, upper = unpack(buffer)
        rank = int((np.sqrt(8 * len(upper) + 1) - 1) / 2)
        gram = np.zeros((rank, rank))
        gram[np.triu_indices(rank)] = upper
        gram = gram + np.triu(gram, 1).T
        rows, observed, n_bytes, crc = (int(i) for i in integers)
        squared_error, penalty, confidence, zero_error = (float(r) for r in reals)
        return cls(rows, observed, squared_error, penalty, confidence, zero_error, n_bytes, crc, gram)
