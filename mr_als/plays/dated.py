"""Plays with a time: what splitting logs needs and training does not.

A row is (user, item, mark, units): plays of one pair in units of 2^-16, and a whole number with which they are marked. What that
means is the business of who asks: for a split milliseconds, the number of cut-offs before, or 0 where times do not matter;
for ratings milliseconds or a count (`mr_als.plays.ratings`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mr_als.logs.badlines import BadLines
from mr_als.logs.logs import Filter, Layout
from mr_als.logs.parse import parse_chunk
from mr_als.logs.tally import Tally
from mr_als.maths.array import Array
from mr_als.options import TASK_MEMORY
from mr_als.plays.grouping import Side, in_hash_order, merge_sides
from mr_als.plays.table import IdTable, ids_at
from mr_als.records.blocks import STRENGTH_UNIT, Packed, unpack
from mr_als.records.ids import Ids, block_of
from mr_als.records.spill import Buffer

__all__ = ["DatedBlock", "DatedTable", "merge_dated", "summed"]

# bytes of a row, and rows collected before the table is full if memory allows: more are not worth their sorting
_ROW = 32
_ROWS = 1 << 22


class DatedBlock(NamedTuple):
    """Dated plays of some users: distinct (user, item, mark), ascending.

    users, items : the ids that occur, in hash order
    user, item : int64 (n,), places among them
    mark : int64 (n,), a time or a count
    units : int64 (n,), plays in units of 2^-16
    """

    users: Side
    items: Side
    user: Array
    item: Array
    mark: Array
    units: Array

    def pack(self) -> bytes:
        """Encode as a packed buffer."""
        return b"".join(self.packed().parts)

    def packed(self) -> Packed:
        """Encode likewise, in parts."""
        sides = [array for side in (self.users, self.items) for array in (side.hashes, side.ids.lengths, side.ids.words)]
        return Packed.of([*sides, self.user.astype("<u4"), self.item.astype("<u4"), self.mark, self.units])

    @classmethod
    def unpack(cls, buffer: Buffer, *, checked: bool = False) -> DatedBlock:
        """Read what `pack` wrote."""
        a, b, c, d, e, f, user, item, mark, units = unpack(buffer, checked=checked)
        return cls(Side(a, Ids(b, c)), Side(d, Ids(e, f)), user.astype(np.int64), item.astype(np.int64), mark, units)

    def blocks(self, n_blocks: int) -> Iterator[tuple[int, DatedBlock]]:
        """Cut by blocks of users."""
        block = block_of(self.users.hashes, n_blocks)
        for number in np.unique(block).tolist():
            users = np.flatnonzero(block == number)
            lo, hi = np.searchsorted(self.user, [users[0], users[-1] + 1])
            items, item = np.unique(self.item[lo:hi], return_inverse=True)
            yield (
                number,
                DatedBlock(
                    Side(self.users.hashes[users], self.users.ids.take(users)),
                    Side(self.items.hashes[items], self.items.ids.take(items)),
                    self.user[lo:hi] - users[0],
                    item,
                    self.mark[lo:hi],
                    self.units[lo:hi],
                ),
            )


def summed(users: Side, items: Side, user: Array, item: Array, mark: Array, units: Array) -> DatedBlock:
    """Sort rows and sum those of equal (user, item, mark)."""
    order = np.lexsort((mark, item, user))
    user, item, mark, units = user[order], item[order], mark[order], units[order]
    first = np.ones(len(user), bool)
    first[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1]) | (mark[1:] != mark[:-1])
    starts = np.flatnonzero(first)
    sums = np.add.reduceat(units, starts) if len(starts) else units
    return DatedBlock(users, items, user[starts], item[starts], mark[starts], sums)


def merge_dated(parts: Sequence[DatedBlock]) -> DatedBlock:
    """Merge what several tasks know of the same users.

    Raises
    ------
    HashCollisionError
        If two different ids have the same hash.
    """
    if len(parts) == 1:
        return parts[0]
    users, user = merge_sides([part.users for part in parts])
    items, item = merge_sides([part.items for part in parts])
    return summed(
        users,
        items,
        np.concatenate([place[part.user] for place, part in zip(user, parts, strict=True)]),
        np.concatenate([place[part.item] for place, part in zip(item, parts, strict=True)]),
        np.concatenate([part.mark for part in parts]),
        np.concatenate([part.units for part in parts]),
    )


class DatedTable:
    """Parse chunks of lines and collect their plays.

    Parameters
    ----------
    layout : what the records of the next chunk mean; may be changed between two
    mark_of : function of seconds since 1970, float64 (n,), or None where lines have no time, and n, that gives int64 (n,)
    memory : bytes that the task may take; rows take an eighth of it, before they are sorted
    """

    def __init__(
        self,
        layout: Layout,
        wanted: Filter,
        salt: int,
        mark_of: Callable[[Array | None, int], Array],
        memory: int = TASK_MEMORY,
    ) -> None:
        self.layout, self._filter, self._salt, self._mark_of = layout, wanted, salt, mark_of
        self._most = min(_ROWS, memory // 8 // _ROW)
        self.bad = BadLines()
        self.tally = Tally()
        self._clear()

    def _clear(self) -> None:
        self._users, self._items = IdTable(self._salt), IdTable(self._salt)
        self._rows: list[tuple[Array, Array, Array, Array]] = []
        self._n = 0

    def add_chunk(self, chunk: bytes, source: str, first_line: int) -> int:
        """Add the plays of a chunk of whole lines; give its number of lines.

        Raises
        ------
        HashCollisionError
            If two different ids have the same hash.
        """
        parsed = parse_chunk(chunk, self.layout, self._filter, self.bad, source, first_line)
        users = self._users.codes(ids_at(parsed.buffer, *parsed.users))
        items = self._items.codes(ids_at(parsed.buffer, *parsed.items))
        n = len(users)
        amounts = np.ones(n) if parsed.amounts is None else parsed.amounts
        self._rows.append((users, items, self._mark_of(parsed.seconds, n), np.rint(amounts * STRENGTH_UNIT).astype(np.int64)))
        self._n += n
        self.tally.add(parsed)
        return parsed.lines

    @property
    def full(self) -> bool:
        """Say whether the table should be emptied before more is added."""
        return self._n >= self._most

    def flush(self) -> DatedBlock:
        """Return everything collected since the last flush, summed by pair and time, and start afresh."""
        return summed(*self.collected())

    def collected(self) -> tuple[Side, Side, Array, Array, Array, Array]:
        """Return the users and items in hash order and the rows collected since the last call, and start afresh."""
        users, user_place = in_hash_order(self._users.side())
        items, item_place = in_hash_order(self._items.side())
        user, item, mark, units = (
            np.concatenate([rows[column] for rows in self._rows] or [np.zeros(0, np.int64)]) for column in range(4)
        )
        self._clear()
        return users, items, user_place[user], item_place[item], mark, units
