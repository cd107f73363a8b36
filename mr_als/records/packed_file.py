"""A packed buffer (`mr_als.records.blocks`) that is written into a file, a piece at a time, in any order, by several threads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mr_als.maths.array import Array
from mr_als.records.blocks import MAGIC, head_of
from mr_als.records.spill import checksum, joined_checksum

__all__ = ["PackedFile"]

MISSING = "pieces are missing, or overlap"


class _Piece(NamedTuple):
    offset: int
    n_bytes: int
    crc: int


class PackedFile:
    """Writes one-dimensional arrays, of which only types and lengths are known yet, as `Packed.of` would pack them.

    Pieces are written and their checksums computed where they were made, so no thread has to hold an array, or go over it again.
    In a `with`; what is in the file counts once that has ended.
    """

    def __init__(self, path: str, kinds: Sequence[tuple[npt.DTypeLike, int]]) -> None:
        self._types = [np.dtype(kind).newbyteorder("<") for kind, _ in kinds]
        head = head_of([(dtype, size) for dtype, (_, size) in zip(self._types, kinds, strict=True)])
        self._begin, self._pieces = len(MAGIC) + 4, list[_Piece]()
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115  (closed by `__exit__`)
        self._starts, end = list[int](), self._begin + len(head)
        for dtype, (_, size) in zip(self._types, kinds, strict=True):
            self._starts.append(end)
            end += size * dtype.itemsize
            self._write(end, b"\0" * (-end % 8))
            end += -end % 8
        self._write(self._begin, head)
        self._end = end

    def write(self, number: int, first: int, values: Array) -> None:
        """Write the elements of an array from its `first` on."""
        dtype = self._types[number]
        data: Any = np.ascontiguousarray(values).astype(dtype, copy=False).view(np.uint8)
        self._write(self._starts[number] + first * dtype.itemsize, memoryview(data))

    def _write(self, offset: int, data: bytes | memoryview) -> None:
        if len(data):
            self._pieces.append(_Piece(offset, len(data), checksum(data)))
            left = memoryview(data)
            while left:
                written = os.pwrite(self._file.fileno(), left, offset)
                left, offset = left[written:], offset + written

    def __enter__(self) -> PackedFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Write the checksum of all pieces; without an error they must be all there are."""
        try:
            if kind is None:
                end, crc = self._begin, 0
                for piece in sorted(self._pieces):
                    assert piece.offset == end, MISSING
                    end, crc = end + piece.n_bytes, joined_checksum(crc, piece.crc, piece.n_bytes)
                assert end == self._end, MISSING
                os.pwrite(self._file.fileno(), MAGIC + np.array([crc], "<u4").tobytes(), 0)
        finally:
            self._file.close()
