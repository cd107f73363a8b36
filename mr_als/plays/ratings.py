"""Ratings: of several ratings of one user and item one counts, where plays would add up.

    last    the one of the latest time; of several of that time, the highest
    mean    their mean, in units of 2^-16

What a map task knows is a `DatedBlock` whose `mark` is what the rule needs: the time of the rating, or for the mean the number
of ratings that were summed. Neither rule depends on the order of lines, nor on how they are split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mr_als.logs.logs import Filter, Layout
from mr_als.maths.array import Array
from mr_als.options import TASK_MEMORY
from mr_als.plays.dated import DatedBlock, DatedTable
from mr_als.plays.grouping import Side, merge_sides
from mr_als.records.blocks import PlaysBlock
from mr_als.records.csr import row_starts

__all__ = ["Rated", "RatingTable", "merge_ratings"]


def condensed(users: Side, items: Side, user: Array, item: Array, mark: Array, units: Array, rule: str) -> DatedBlock:
    """Sort rows by (user, item), and make one of those of a pair."""
    order = np.lexsort((units, mark, item, user))
    user, item, mark, units = user[order], item[order], mark[order], units[order]
    first = np.ones(len(user), bool)
    first[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
    starts = np.flatnonzero(first)
    if rule == "last":
        ends = np.append(starts[1:], len(user))[: len(starts)] - 1
        mark, units = mark[ends], units[ends]
    elif len(starts):
        mark, units = np.add.reduceat(mark, starts), np.add.reduceat(units, starts)
    return DatedBlock(users, items, user[starts], item[starts], mark, units)


class Rated(NamedTuple):
    """All that a table held: the ratings by user, and the same by item."""

    by_user: DatedBlock
    by_item: DatedBlock

    def blocks(self, side: str, n_blocks: int) -> Iterator[tuple[int, DatedBlock]]:
        """Yield the blocks of one side, "users" or "items"."""
        return (self.by_user if side == "users" else self.by_item).blocks(n_blocks)


class RatingTable(DatedTable):
    """Parse chunks of lines and collect their ratings; `rule` is "last" or "mean"."""

    def __init__(self, layout: Layout, wanted: Filter, salt: int, rule: str, memory: int = TASK_MEMORY) -> None:
        super().__init__(layout, wanted, salt, _milliseconds if rule == "last" else _one_each, memory)
        self._rule = rule

    def flush(self) -> Rated:  # type: ignore[override]  # both sides, not the users' alone
        """Return everything collected since the last flush, and start afresh."""
        one = condensed(*self.collected(), self._rule)
        other = condensed(one.items, one.users, one.item, one.user, one.mark, one.units, self._rule)
        return Rated(one, other)


def _milliseconds(seconds: Array | None, n: int) -> Array:
    assert seconds is not None  # the driver refuses logs without times
    rounded: Array = np.rint(seconds * 1000).astype(np.int64)
    return rounded


def _one_each(seconds: Array | None, n: int) -> Array:
    return np.ones(n, np.int64)


def merge_ratings(parts: Sequence[DatedBlock], rule: str) -> PlaysBlock:
    """Merge what several tasks know of the same block of one side.

    Raises
    ------
    HashCollisionError
        If two different ids have the same hash.
    """
    rows, row = merge_sides([part.users for part in parts])
    columns, column = merge_sides([part.items for part in parts])
    every = condensed(
        rows,
        columns,
        np.concatenate([place[part.user] for place, part in zip(row, parts, strict=True)]),
        np.concatenate([place[part.item] for place, part in zip(column, parts, strict=True)]),
        np.concatenate([part.mark for part in parts]),
        np.concatenate([part.units for part in parts]),
        rule,
    )
    # the nearest unit, in integers
    ratings = every.units if rule == "last" else (2 * every.units + every.mark) // (2 * every.mark)
    indptr = row_starts(every.user, len(rows.hashes))
    return PlaysBlock(rows.hashes, rows.ids, indptr, every.item, columns.hashes, ratings)
