"""What the recommend job reads and writes: blocks of users, tiles of items, lines of recommendations."""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mr_als.maths.array import Array
from mr_als.maths.ranking.scoring import norms
from mr_als.records.blocks import pack, unpack
from mr_als.records.ids import Ids
from mr_als.records.spill import Buffer

USERS = "users"
# users of a block of those that a job recommends to or measures
USERS_PER_BLOCK = 2048


class UsersBlock(NamedTuple):
    """Users to recommend to.

    ids : their ids
    factors : float32 (n_users, rank)
    indptr : int64 (n_users + 1,)
    played : int64 (nnz,), rows of the items each user played, ascending within a user
    """

    ids: Ids
    factors: Array
    indptr: Array
    played: Array

    def pack(self) -> bytes:
        """Encode as a packed buffer."""
        shape = np.array([self.factors.shape[1]], "<u4")
        return pack([shape, self.ids.lengths, self.ids.words, self.factors.ravel(), np.diff(self.indptr), self.played])

    @classmethod
    def unpack(cls, buffer: Buffer, *, checked: bool = False) -> UsersBlock:
        """Read what `pack` wrote."""
        shape, lengths, words, factors, degrees, played = unpack(buffer, checked=checked)
        indptr = np.concatenate([[0], np.cumsum(degrees)])
        return cls(Ids(lengths, words), factors.reshape(-1, int(shape[0])), indptr, played)

    def played_in(self, users: slice, first: int, n_items: int) -> tuple[Array, Array]:
        """Return the CSR (indptr, indices) of what some users played of the items first, first + 1, ..., counted from first."""
        lo, hi = self.indptr[users.start], self.indptr[users.stop]
        rows = self.played[lo:hi] - first
        inside = (rows >= 0) & (rows < n_items)
        before = np.concatenate([[0], np.cumsum(inside)])
        return before[self.indptr[users.start : users.stop + 1] - lo], rows[inside]


class ItemsTile:
    """Some consecutive items, in a file that a task memory-maps: the longest vector first, so that few pages are read.

    first : int, row of the first item
    factors : float32 (n_items, rank), longest first; an item has a *place* in this order and a *row* in that of the model
    lengths : float64 (n_items,), their lengths
    rows : int64 (n_items,), the row at each place
    places : int64 (n_items,), the place of each row, which is counted from the first
    """

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        shape, self.lengths, order, factors, self._starts, self._text = unpack(memoryview(self._map))
        self.first, rank = int(shape[0]), int(shape[1])
        self.factors = factors.reshape(-1, rank)
        self.rows = order + self.first
        self.places = np.empty(len(order), np.int64)
        self.places[order] = np.arange(len(order))

    @staticmethod
    def write(path: str, first: int, factors: Array, starts: Array, text: Array) -> None:
        """Write a tile; the name of item i is text[starts[i]:starts[i + 1] - 1], uint8, as it ends with a newline."""
        shape = np.array([first, factors.shape[1]], "<i8")
        lengths = norms(factors)
        order = np.argsort(-lengths, kind="stable")
        with open(path, "wb") as file:
            file.write(pack([shape, lengths[order], order, factors[order].ravel(), starts - starts[0], text]))

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.factors)

    def name(self, row: int) -> bytes:
        """Look up the id of the item `row`, counted from the first item of the first tile."""
        lo, hi = self._starts[row - self.first], self._starts[row - self.first + 1]
        return bytes(self._text[lo : hi - 1])

    def name_at(self, place: int) -> bytes:
        """Look up the id of the item at a place in this tile."""
        return self.name(int(self.rows[place]))

    @property
    def longest(self) -> float:
        """The length of the longest vector."""
        return float(self.lengths[0]) if len(self) else 0.0

    def rows_at(self, places: Array) -> Array:
        """Map `places` to the rows of their items; -1 stays -1."""
        rows: Array = np.where(places >= 0, self.rows[places], -1)
        return rows

    def release(self) -> None:
        """Release the memory of the mapped pages; they are read again when needed."""
        self._map.madvise(mmap.MADV_DONTNEED)


def rendered(user: bytes, items: Sequence[bytes], scores: npt.NDArray[Any], *, as_json: bool, fallback: str = "") -> bytes:
    r"""Format one user's recommendations as lines, line ends included; a `fallback` is marked in a fifth column.

    >>> rendered(b"ann", [b"jazz", b"folk"], np.array([0.9, 0.5]), as_json=False)
    b'ann\t1\tjazz\t0.900000\nann\t2\tfolk\t0.500000\n'
    """
    if not as_json:
        mark = b"\t" + fallback.encode() if fallback else b""
        return b"".join(
            b"%s\t%d\t%s\t%.6f%s\n" % (user, rank, item, score, mark)
            for rank, (item, score) in enumerate(zip(items, scores, strict=True), 1)
        )
    found = [
        {"rank": rank, "item": item.decode(), "score": round(float(score), 6)}
        for rank, (item, score) in enumerate(zip(items, scores, strict=True), 1)
    ]
    marked = {"fallback": fallback} if fallback else {}
    return json.dumps({"user": user.decode(), **marked, "recommendations": found}, ensure_ascii=False).encode() + b"\n"
