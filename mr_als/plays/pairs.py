"""Pairs that come with codes of their ids, from a program rather than from the bytes of a log: collected, summed, and grouped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from heapq import merge
from itertools import groupby
from typing import NamedTuple, Protocol

import numpy as np

from mr_als.maths.array import Array
from mr_als.plays.buckets import Buckets
from mr_als.plays.dated import DatedBlock
from mr_als.plays.grouping import Pairs, Side, by_columns, in_hash_order
from mr_als.plays.merging import merge_blocks
from mr_als.plays.ratings import Rated, condensed, merge_ratings
from mr_als.plays.table import Grouped, IdTable
from mr_als.records.blocks import STRENGTH_UNIT, PlaysBlock, pack_spilled, unpack
from mr_als.records.ids import Ids

__all__ = ["Coded", "PairTable", "Table", "merged_blocks"]

# rows of ratings, which are not summed before they are grouped
_ROWS = 1 << 22


class Coded(NamedTuple):
    """Ids of some rows: distinct ones, and of each row which, integers (n,)."""

    ids: Ids
    codes: Array

    def only(self, kept: Array) -> Coded:
        """Keep some rows, bool (n,), and the ids that occur in them."""
        codes = self.codes[kept]
        used = np.zeros(len(self.ids.lengths), bool)
        used[codes] = True
        if used.all():
            return Coded(self.ids, codes)
        return Coded(self.ids.take(np.flatnonzero(used)), (np.cumsum(used) - 1)[codes])


class Table(Protocol):
    """Plays that can be cut into blocks of either side: PlaysBlock, or DatedBlock of ratings."""

    def blocks(self, side: str, n_blocks: int) -> Iterator[tuple[int, PlaysBlock | DatedBlock]]:
        """Yield the blocks of one side, "users" or "items"."""


class PairTable:
    """Collects rows; what was collected is a `Table`.

    Parameters
    ----------
    rule : "sum" of plays, or of ratings "last" or "mean"
    capacity : bytes, from which on it is `full`
    """

    def __init__(self, salt: int, rule: str, capacity: int) -> None:
        self._salt, self._rule, self._capacity = salt, rule, capacity
        self._clear()

    def _clear(self) -> None:
        self._users, self._items = IdTable(self._salt), IdTable(self._salt)
        self._pairs = Buckets(STRENGTH_UNIT)
        self._rated: list[tuple[Array, Array, Array, Array]] = []
        self._n = 0

    def add(self, users: Coded, items: Coded, amounts: Array | None, seconds: Array | None) -> None:
        """Add rows: plays or ratings float64 (n,), None where each is one play, and their times, if the rule needs them."""
        user = self._users.codes(users.ids)[users.codes]
        item = self._items.codes(items.ids)[items.codes]
        units = None if amounts is None else np.rint(amounts * STRENGTH_UNIT).astype(np.int64)
        if self._rule == "sum":
            self._pairs.add(self._users.hashes(user), user, item, units)
            return
        when = np.ones(len(user), np.int64) if self._rule == "mean" or seconds is None else np.rint(seconds * 1000).astype(np.int64)
        self._rated.append((user, item, when, np.full(len(user), STRENGTH_UNIT) if units is None else units))
        self._n += len(user)

    @property
    def full(self) -> bool:
        """Say whether the table should be emptied before more is added."""
        if self._n >= _ROWS:
            return True
        if self._held() < self._capacity:
            return False
        self._pairs.sum()
        return self._held() >= self._capacity // 2

    def _held(self) -> int:
        return self._pairs.n_bytes + self._users.n_bytes + self._items.n_bytes

    def flush(self) -> Grouped | Rated:
        """Return everything collected since the last flush, and start afresh."""
        users, user_place = in_hash_order(self._users.side())
        items, item_place = in_hash_order(self._items.side())
        found: Grouped | Rated
        if self._rule == "sum":
            pairs = self._pairs.take(user_place, item_place)
            found = Grouped(users, items, pairs, done(by_columns(pairs, len(items.hashes))))
        else:
            user, item, when, units = (np.concatenate(column) for column in zip(*self._rated, strict=True))
            one = condensed(users, items, user_place[user], item_place[item], when, units, self._rule)
            found = Rated(one, condensed(items, users, one.item, one.user, one.mark, one.units, self._rule))
        self._clear()
        return found


def done(pairs: Pairs) -> Future[Pairs]:
    """Return what is there already as a future."""
    future: Future[Pairs] = Future()
    future.set_result(pairs)
    return future


def spilled(table: Grouped | Rated) -> Grouped | Rated:
    """Move a table to a temporary file, if it is large."""
    if isinstance(table, Rated):
        return Rated(*(DatedBlock.unpack(block.pack()) for block in table))
    sides = [array for side in table[:2] for array in (side.hashes, side.ids.lengths, side.ids.words)]
    pairs = [a.astype("<u4") if a.itemsize == 4 else a for group in (table.by_user, table.by_item.result()) for a in group]
    a, b, c, d, e, f, *arrays = unpack(pack_spilled([*sides, *pairs]), checked=True)
    return Grouped(Side(a, Ids(b, c)), Side(d, Ids(e, f)), Pairs(*arrays[:3]), done(Pairs(*arrays[3:])))


def merged_blocks(tables: Sequence[Table], side: str, n_blocks: int, rule: str = "sum") -> Iterator[tuple[int, PlaysBlock]]:
    """Yield the blocks of one side of all tables together; `rule` is what several rows of one pair make."""
    streams = [table.blocks(side, n_blocks) for table in tables]
    for block, found in groupby(merge(*streams, key=lambda pair: pair[0]), key=lambda pair: pair[0]):
        parts = [plays for _, plays in found]
        if rule == "sum":
            yield block, merge_blocks([part for part in parts if isinstance(part, PlaysBlock)])
        else:
            yield block, merge_ratings([part for part in parts if isinstance(part, DatedBlock)], rule)
