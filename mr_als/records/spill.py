"""Arrays and buffers larger than a task should hold: in a temporary file, memory-mapped, and resident only where looked at.

A row of ten million plays is in one block, and a block is in one task. What grows with such a row is worked off in pieces of
`PIECE` elements, and is kept in a `Spill`.
"""

from __future__ import annotations

import mmap
import tempfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mr_als.maths.array import Array

__all__ = ["LARGE", "PIECE", "Spill", "checksum", "file_checksum", "joined_checksum", "let_go", "pieces", "write_all"]

Buffer = bytes | memoryview

# bytes up to which something stays in memory
LARGE = 32 << 20
# elements worked off at a time
PIECE = 1 << 19


class Spill:
    """Bytes written one after the other: in memory up to `large` (`LARGE`) of them, beyond that in a temporary file."""

    def __init__(self, large: int | None = None) -> None:
        self._size, self._large = 0, LARGE if large is None else large
        self._parts: list[memoryview] = []
        self._file: IO[bytes] | None = None

    def write(self, data: Any) -> None:
        """Append bytes, or an array's, which must stay as they are; of what is mapped, little is resident at a time."""
        view = memoryview(data).cast("B") if len(data) else memoryview(b"")
        self._size += len(view)
        if self._file is None and self._size <= self._large:
            self._parts.append(view)
            return
        if self._file is None:
            # unbuffered: what is written is in the file
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (closed by `buffer`)
            for part in self._parts:
                write_all(self._file, part)
            self._parts = []
        write_all(self._file, view)

    def buffer(self) -> Buffer:
        """End writing and return all bytes."""
        if self._file is None:
            parts, self._parts = self._parts, []
            return b"".join(parts)
        with self._file:
            return memoryview(mmap.mmap(self._file.fileno(), self._size, access=mmap.ACCESS_READ))

    def __del__(self) -> None:
        """Close the file of bytes that nobody asked for."""
        if self._file is not None:
            self._file.close()

    def array(self, dtype: npt.DTypeLike) -> Array:
        """End writing and return all bytes as numbers."""
        return np.frombuffer(self.buffer(), dtype)


def write_all(file: IO[bytes], data: Buffer) -> None:
    """Write all bytes to an unbuffered file, which may take fewer at a time; of what is mapped, little is resident at a time."""
    view = memoryview(data)
    for place in pieces(len(view), LARGE):
        left = view[place]
        while left:
            left = left[file.write(left) :]
        let_go(view)


def pieces(size: int, of: int | None = None) -> Iterator[slice]:
    """Cut 0 to `size` into slices of at most `of` (`PIECE`).

    >>> list(pieces(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = of or PIECE
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def let_go(*mapped: Buffer | Array) -> None:
    """Let the kernel take back the pages of mapped arrays and buffers; they come back when they are looked at again."""
    for data in mapped:
        owner: Any = data
        while isinstance(owner, np.ndarray | memoryview):
            owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
        if isinstance(owner, mmap.mmap):
            owner.madvise(mmap.MADV_DONTNEED)


def checksum(buffer: Buffer, crc: int = 0) -> int:
    """Compute the crc32 of a buffer, continuing from the checksum `crc`; little of a mapped buffer is resident at a time."""
    view = memoryview(buffer)
    for part in pieces(len(view), LARGE):
        crc = zlib.crc32(view[part], crc)
        if len(view) > LARGE:
            let_go(view)
    return crc


def joined_checksum(one: int, other: int, length: int) -> int:
    """Compute the crc32 of a buffer and another one behind it, of `length` bytes, from the checksums of both.

    As polynomials modulo 2, it is one x^(8 length) + other, modulo that of crc32: the power is made by squaring.

    >>> joined_checksum(checksum(b"to"), checksum(b"gether"), 6) == checksum(b"together")
    True
    """
    # the highest bit is the coefficient of 1, the next that of x; then x, x^2, x^4 ...
    power, square, n = 1 << 31, 1 << 30, 8 * length
    while n:
        power = _times(power, square) if n & 1 else power
        square, n = _times(square, square), n >> 1
    return _times(power, one) ^ other


def _times(a: int, b: int) -> int:
    """Multiply two polynomials of degree below 32 modulo that of crc32."""
    product = 0
    for bit in range(31, -1, -1):
        product ^= b if a >> bit & 1 else 0
        b = b >> 1 ^ (0xEDB88320 if b & 1 else 0)
    return product


def file_checksum(path: str) -> int:
    """Compute the crc32 of a file."""
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(1 << 22):
            crc = zlib.crc32(chunk, crc)
    return crc
