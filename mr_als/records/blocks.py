"""Blocks: many rows in one packed little-endian buffer, read back without a copy.

Cost in mrjob is per record, not per byte, so records are blocks of rows. A packed buffer is

    magic "MRB1" | crc32 of the rest | number of arrays | (dtype, length) of each | arrays, 8-byte aligned

and holds one-dimensional arrays only; the classes below know the shapes. Block b of a side holds the ids
whose hash h has floor(h * n_blocks / 2^64) = b, in hash order (`mr_als.records.ids.block_of`).

It is long because all kinds of blocks share one way to be packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mr_als.errors import DamagedDataError
from mr_als.maths.array import Array
from mr_als.records.csr import row_of
from mr_als.records.ids import Ids, block_of
from mr_als.records.spill import Buffer, Spill, checksum, joined_checksum, let_go, pieces

# kinds of the plays, by the side whose rows they are
SIDES = ("users", "items")
PLAYS = "plays"
FACTORS = "factors"
STATS = "stats"

# strengths are integers, multiples of 2^-16, until a block is solved: their sums do not depend on order
STRENGTH_BITS = 16
STRENGTH_UNIT = 1 << STRENGTH_BITS

MAGIC = b"MRB1"
_DTYPES = ("<u1", "<u2", "<u4", "<u8", "<i8", "<f4", "<f8")
_CODES = {np.dtype(name): code for code, name in enumerate(_DTYPES)}


class Packed(NamedTuple):
    """A packed buffer in parts, most of which are views of the arrays; its size, and the checksum that it begins with."""

    parts: list[Any]
    n_bytes: int
    inner: int

    @classmethod
    def of(cls, arrays: Sequence[Array]) -> Packed:
        """Pack one-dimensional arrays; they must stay as they are."""
        body, inner = _body(arrays), 0
        for piece in body:
            inner = checksum(piece, inner)
        parts = [MAGIC + np.array([inner], "<u4").tobytes(), *body]
        return cls(parts, sum(map(len, parts)), inner)

    @property
    def crc(self) -> int:
        """The checksum of the whole buffer; what is in it is not read again."""
        head = self.parts[0]
        return joined_checksum(checksum(head), self.inner, self.n_bytes - len(head))

    def buffer(self) -> Buffer:
        """Return the buffer; a large one is one of a temporary file, memory-mapped."""
        spill = Spill()
        for piece in self.parts:
            spill.write(piece)
        return spill.buffer()


def pack(arrays: Sequence[Array]) -> bytes:
    """Pack one-dimensional arrays into one checked buffer."""
    return b"".join(Packed.of(arrays).parts)


def pack_spilled(arrays: Sequence[Array]) -> Buffer:
    """Pack arrays likewise; a large buffer is one of a temporary file, memory-mapped."""
    return Packed.of(arrays).buffer()


def _body(arrays: Sequence[Array]) -> list[Any]:
    """Encode arrays as the parts of a packed buffer, behind its checksum."""
    body: list[Any] = [head_of([(a.dtype, a.size) for a in arrays])]
    for a in arrays:
        # a view: what a task holds of a block is large, so it is copied once, by whoever joins the parts
        data = np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<"), copy=False).view(np.uint8)
        body += [data, b"\0" * (-len(data) % 8)]
    return body


def head_of(kinds: Sequence[tuple[np.dtype[Any], int]]) -> bytes:
    """Encode how many arrays there are, and the type and length of each."""
    numbers = [len(kinds), *(number for dtype, size in kinds for number in (_CODES[dtype.newbyteorder("<")], size))]
    return np.array(numbers, "<u8").tobytes()


def unpack(buffer: Buffer, *, checked: bool = False) -> list[Array]:
    """Decode the arrays of a packed buffer, as views into it.

    Parameters
    ----------
    checked : whether a checksum of the whole buffer was compared already, so that its own need not be

    Raises
    ------
    DamagedDataError
        If the buffer is not one of ours, or its checksum differs.
    """
    view = memoryview(buffer)
    if len(view) < 16 or view[:4] != MAGIC:
        msg = f"a record of {len(view)} bytes does not begin with {MAGIC.decode()}: the file is damaged or not one of ours"
        raise DamagedDataError(msg)
    if not checked and checksum(view[8:]) != int(np.frombuffer(view[4:8], "<u4")[0]):
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


def smallest_type(top: int) -> str:
    """Name the smallest unsigned type that holds integers from 0 to `top`.

    >>> smallest_type(255), smallest_type(256), smallest_type(65535), smallest_type(2**32)
    ('<u1', '<u2', '<u2', '<u8')
    """
    return next((dtype for dtype in ("<u1", "<u2", "<u4") if top <= np.iinfo(dtype).max), "<u8")


def _smallest(values: Array) -> Array:
    """Cast unsigned integers to the smallest unsigned type that holds them."""
    return values.astype(smallest_type(int(values.max(initial=0))), copy=False)


class PlaysBlock(NamedTuple):
    """The plays of some rows of one side, in CSR form.

    hashes : uint64 (n_rows,), ascending; ids : their ids, in the same order
    indptr : int64 (n_rows + 1,)
    indices : unsigned (nnz,), into `columns`, ascending within a row
    columns : uint64 (n_columns,), ascending: hashes of the ids of the *other* side that occur here
    strengths : integers (nnz,), multiples of `unit`
    unit : int, in units of 2^-16: of whole plays, the strengths may be the plays themselves

    What grows with the plays may be large and memory-mapped, and takes few bytes each: see `mr_als.records.spill`.
    """

    hashes: Array
    ids: Ids
    indptr: Array
    indices: Array
    columns: Array
    strengths: Array
    unit: int = 1

    def pack(self) -> Buffer:
        """Encode as a packed buffer; whole plays and few columns take few bytes."""
        return self.packed().buffer()

    def packed(self) -> Packed:
        """Encode likewise, in parts."""
        strengths, unit = self.strengths, self.unit
        # units are a power of two, and shifts a tenth of the cost of divisions
        if unit == 1 and not int(np.bitwise_or.reduce(strengths, initial=0)) & (STRENGTH_UNIT - 1):
            strengths, unit = strengths >> STRENGTH_BITS, STRENGTH_UNIT
        degrees, indices = _smallest(np.diff(self.indptr)), _smallest(self.indices)
        head = [np.array([unit], "<i8"), self.hashes, self.ids.lengths, self.ids.words]
        return Packed.of([*head, degrees, indices, self.columns, _smallest(strengths)])

    @classmethod
    def unpack(cls, buffer: Buffer, *, checked: bool = False) -> PlaysBlock:
        """Read what `pack` wrote: views into the buffer."""
        unit, hashes, lengths, words, degrees, indices, columns, strengths = unpack(buffer, checked=checked)
        indptr = np.zeros(len(degrees) + 1, np.int64)
        np.cumsum(degrees, out=indptr[1:])
        return cls(hashes, Ids(lengths, words), indptr, indices, columns, strengths, int(unit[0]))

    def units(self, part: slice = slice(None)) -> Array:
        """Strengths as int64, in units of 2^-16."""
        return self.strengths[part].astype(np.int64) * self.unit

    @property
    def amounts(self) -> Array:
        """Strengths in plays: whole ones as they are, others as float64."""
        return self.strengths if self.unit == STRENGTH_UNIT else self.strengths * (self.unit / STRENGTH_UNIT)

    @property
    def total_units(self) -> int:
        """Sum of all strengths in units of 2^-16, which may be beyond 64 bits."""
        total = 0
        for part in pieces(len(self.strengths)):
            units = self.strengths[part]
            # by halves of their bits
            total += (int((units >> 32).sum()) << 32) + int((units & 0xFFFFFFFF).sum()) if units.itemsize > 4 else int(units.sum())
        return total * self.unit


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
        """Encode as a packed buffer."""
        return b"".join(self.packed().parts)

    def packed(self) -> Packed:
        """Encode likewise, in parts."""
        shape = np.array([self.factors.shape[1], self.routes.shape[1]], "<u4")
        return Packed.of([shape, self.hashes, self.factors.ravel(), self.routes.ravel()])

    @classmethod
    def unpack(cls, buffer: Buffer, *, checked: bool = False) -> FactorBlock:
        """Read what `pack` wrote."""
        shape, hashes, factors, routes = unpack(buffer, checked=checked)
        n = len(hashes)
        return cls(hashes, factors.reshape(n, int(shape[0])), routes.reshape(n, int(shape[1])))

    def sent_to(self, block: int) -> Array:
        """Return the mask, bool (n_rows,), of the rows that `block` of the other side needs."""
        sent: Array = (self.routes[:, block >> 3] >> (block & 7)) & 1 == 1
        return sent


def route_bits(indptr: Array, indices: Array, columns: Array, n_blocks: int) -> Array:
    """Compute the routes of rows: the blocks of the other side that contain columns of their plays.

    Parameters
    ----------
    indptr, indices : CSR of the plays, (n_rows + 1,) and (nnz,)
    columns : uint64 (n_columns,), hashes

    Returns
    -------
    uint8 (n_rows, ceil(n_blocks / 8))
    """
    n_rows = len(indptr) - 1
    block = np.empty(len(columns), smallest_type(n_blocks))
    for part in pieces(len(columns)):
        block[part] = block_of(columns[part], n_blocks)
        let_go(columns)
    hit = np.zeros((n_rows, n_blocks), bool)
    for part in pieces(len(indices)):
        hit[row_of(indptr, part), block[indices[part]]] = True
        let_go(indices)
    return np.packbits(hit, axis=1, bitorder="little")


class StatsBlock(NamedTuple):
    """What the driver must know of one block: a short record after all factor records of a task.

    rows, observed : int, rows of the block and pairs with a strength above 0
    squared_error, penalty, confidence, zero_error : float, terms of the loss (`mr_als.maths.weighing.loss`)
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
        """Encode as a packed buffer; the Gram matrix is symmetric, so half of it is enough."""
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
