"""What the evaluate job reads and writes: blocks of users with their test items, the popularity of items, sums of a block."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.records.blocks import pack, unpack
from mr_als.records.csr import row_of
from mr_als.records.spill import Buffer

__all__ = ["HELD_OUT", "HeldOutBlock", "Popularity", "Rows"]

HELD_OUT = "heldout"


class Rows(NamedTuple):
    """Items of some users, in CSR form: indptr int64 (n_users + 1,), items int64 (nnz,), plays float64 (nnz,)."""

    indptr: Array
    items: Array
    plays: Array

    @property
    def owners(self) -> Array:
        """Each entry's user, int64 (nnz,)."""
        return row_of(self.indptr)

    def keep(self, mask: Array) -> Rows:
        """Keep some entries."""
        before = np.concatenate([[0], np.cumsum(mask)])
        return Rows(before[self.indptr], self.items[mask], self.plays[mask])

    def of(self, users: slice) -> Rows:
        """Select the rows of consecutive users."""
        indptr = self.indptr[users.start : users.stop + 1]
        return Rows(indptr - indptr[0], self.items[indptr[0] : indptr[-1]], self.plays[indptr[0] : indptr[-1]])

    def contains(self, other: Rows) -> Array:
        """Say which entries of `other`, for the same users, are among these: bool (other's nnz,)."""
        top = int(max(self.items.max(initial=0), other.items.max(initial=0))) + 1
        return np.isin(other.owners * top + other.items, self.owners * top + self.items)

    @classmethod
    def empty(cls, n_users: int) -> Rows:
        """Build rows without entries."""
        return cls(np.zeros(n_users + 1, np.int64), np.zeros(0, np.int64), np.zeros(0))


class HeldOutBlock(NamedTuple):
    """Users of a block, what they played, and what they are to be recommended.

    hashes : uint64 (n_users,), ascending
    new : uint8 (n_users,), 1 for users to be folded in
    factors : float32 (n_users, rank), zeros for users to be folded in
    played, test, candidates : Rows
    """

    hashes: Array
    new: Array
    factors: Array
    played: Rows
    test: Rows
    candidates: Rows

    def pack(self) -> bytes:
        """Encode as a packed buffer."""
        shape = np.array([self.factors.shape[1]], "<u4")
        rows = [
            array for rows in (self.played, self.test, self.candidates) for array in (np.diff(rows.indptr), rows.items, rows.plays)
        ]
        return pack([shape, self.hashes, self.new, self.factors.ravel(), *rows])

    @classmethod
    def unpack(cls, buffer: Buffer, *, checked: bool = False) -> HeldOutBlock:
        """Read what `pack` wrote."""
        shape, hashes, new, factors, *arrays = unpack(buffer, checked=checked)
        rows = [Rows(np.concatenate([[0], np.cumsum(arrays[n])]).astype(np.int64), arrays[n + 1], arrays[n + 2]) for n in (0, 3, 6)]
        return cls(hashes, new, factors.reshape(len(hashes), int(shape[0])), *rows)


class Popularity:
    """The baseline: items by their number of listeners in the training part, for everybody the same.

    listeners : int64 (n_items,)
    order : int64 (n_items,), items by descending popularity, equal ones by row
    """

    def __init__(self, listeners: Array, order: Array) -> None:
        self.listeners, self.order = listeners, order
        self._descending = -listeners[order]

    @classmethod
    def of(cls, listeners: Array) -> Popularity:
        """Order the items."""
        return cls(listeners, np.argsort(-listeners, kind="stable"))

    def pack(self) -> bytes:
        """Encode as a packed buffer."""
        return pack([self.listeners, self.order])

    @classmethod
    def unpack(cls, buffer: Buffer) -> Popularity:
        """Read what `pack` wrote."""
        return cls(*unpack(buffer))

    def places(self, played: Rows, test: Rows) -> tuple[Array, Array]:
        """Count the items more popular than each test item, and as popular, what the user played left out: int64 (n,) each."""
        from mr_als.maths.ranking.placing import places_among

        values = self.listeners[test.items]
        above = np.searchsorted(self._descending, -values, "left")
        equal = np.searchsorted(self._descending, -values, "right") - above
        played_above, played_equal = places_among(self.listeners[played.items], played.owners, values, test.owners)
        return above - played_above, equal - played_equal

    def best(self, played: Array, n: int) -> Array:
        """Select the n most popular items, excluding those played."""
        first = self.order[: n + len(played)]
        return first[~np.isin(first, played)][:n]
