"""The table of a map task: which pairs it has seen and how strong they are, emptied when it is full.

Ids become codes (0, 1, 2 ... in order of appearance) through a hash table whose look-ups are array arithmetic; pairs of codes
wait in buckets (`mr_als.plays.buckets`) and are summed by sorting these.

It is long because the hash table and what is put into it share their memory limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from mr_als.logs.badlines import BadLines
from mr_als.logs.logs import Filter, Layout
from mr_als.logs.numbers import runs_at
from mr_als.logs.parse import Parsed, parse_chunk
from mr_als.logs.tally import Tally
from mr_als.maths.array import Array
from mr_als.options import TASK_MEMORY
from mr_als.plays.buckets import Buckets
from mr_als.plays.grouping import Pairs, Side, by_columns, collision, in_hash_order, split_blocks
from mr_als.records.blocks import STRENGTH_UNIT, PlaysBlock
from mr_als.records.ids import Ids, by_size, hash_ids, windows, words_of

__all__ = ["Aggregator", "Grouped"]

# flushing sorts copies, so a table takes several times its capacity then
_PEAK = 8
# what a task takes before it has read anything, and the chunks that it parses
_BASE = 96 << 20


class IdTable:
    """Ids and their codes: open addressing over the hashes, at most half full."""

    def __init__(self, salt: int) -> None:
        self._salt = salt
        self._bits = 12
        self._slots = np.zeros(1 << self._bits, np.int32)  # code + 1, 0 where empty
        self._hashes = np.zeros(1 << 11, np.uint64)
        self._starts = np.zeros((1 << 11) + 1, np.int64)
        self._lengths = np.zeros(1 << 11, np.uint32)
        self._words = np.zeros(1 << 12, np.uint64)
        self.n = 0

    @property
    def n_bytes(self) -> int:
        """Bytes that the table takes."""
        return sum(a.nbytes for a in (self._slots, self._hashes, self._starts, self._lengths, self._words))

    def hashes(self, codes: Array) -> Array:
        """Look up the hashes of codes, uint64 (n,)."""
        found: Array = self._hashes[codes]
        return found

    def side(self) -> Side:
        """Return all ids in the order of their codes."""
        return Side(self._hashes[: self.n].copy(), Ids(self._lengths[: self.n].copy(), self._words[: self._starts[self.n]].copy()))

    def codes(self, ids: Ids) -> Array:
        """Encode ids as codes, int64 (n,); new ids get the next codes.

        Raises
        ------
        HashCollisionError
            If an id has the hash of another one.
        """
        hashes = hash_ids(ids, self._salt)
        codes = self._find(hashes)
        new = np.flatnonzero(codes < 0)
        if len(new):
            fresh, first, inverse = np.unique(hashes[new], return_index=True, return_inverse=True)
            in_order = np.argsort(first, kind="stable")  # codes in order of appearance
            rank = np.empty(len(fresh), np.int64)
            rank[in_order] = np.arange(len(fresh))
            codes[new] = self.n + rank[inverse]
            self._append(fresh[in_order], ids.take(new[first[in_order]]))
        self._check(ids, codes)
        return codes

    def _find(self, hashes: Array) -> Array:
        """Find the codes of known hashes, -1 for others."""
        mask = len(self._slots) - 1
        slots = (hashes >> np.uint64(64 - self._bits)).astype(np.int64)
        found = self._slots[slots].astype(np.int64) - 1
        hit = (found >= 0) & (self._hashes[found] == hashes)
        codes = np.where(hit, found, -1)
        live = np.flatnonzero(~hit & (found >= 0))
        while len(live):
            slots[live] = (slots[live] + 1) & mask
            found = self._slots[slots[live]].astype(np.int64) - 1
            hit = (found >= 0) & (self._hashes[found] == hashes[live])
            codes[live[hit]] = found[hit]
            live = live[~hit & (found >= 0)]
        return codes

    def _append(self, hashes: Array, ids: Ids) -> None:
        """Add distinct new ids."""
        n, old = self.n + len(hashes), self.n
        n_words = int(self._starts[old]) + len(ids.words)
        self._hashes, self._lengths = _room(self._hashes, n), _room(self._lengths, n)
        self._starts, self._words = _room(self._starts, n + 1), _room(self._words, n_words)
        self._hashes[old:n], self._lengths[old:n] = hashes, ids.lengths
        self._starts[old + 1 : n + 1] = self._starts[old] + ids.starts[1:]
        self._words[self._starts[old] : n_words] = ids.words
        self.n = n
        if 2 * n > len(self._slots):
            self._bits = (4 * n).bit_length()
            self._slots = np.zeros(1 << self._bits, np.int32)
            old = 0
        self._insert(np.arange(old, n))

    def _insert(self, codes: Array) -> None:
        """Assign slots to codes; where several compete for one, one gets it and the others probe further."""
        mask = len(self._slots) - 1
        slots = (self._hashes[codes] >> np.uint64(64 - self._bits)).astype(np.int64)
        while len(codes):
            empty = self._slots[slots] == 0
            self._slots[slots[empty]] = codes[empty] + 1
            lost = self._slots[slots] != codes + 1
            codes, slots = codes[lost], (slots[lost] + 1) & mask

    def _check(self, ids: Ids, codes: Array) -> None:
        """Check that ids equal the ids of their codes."""
        starts = ids.starts[:-1]
        equal = self._lengths[codes] == ids.lengths
        for n_words, group in by_size(ids.lengths, None if equal.all() else equal):
            known = words_of(windows(self._words, n_words)[self._starts[codes[group]]], n_words)
            given = words_of(windows(ids.words, n_words)[starts[group]], n_words)
            if not np.array_equal(known, given):
                equal[group] = (known == given).all(axis=1)
        if not equal.all():
            wrong = int(np.flatnonzero(~equal)[0])
            twin = self.side().ids.take(codes[wrong : wrong + 1]).to_list()[0]
            raise collision(twin, ids.take(np.array([wrong])).to_list()[0])


def _room(array: Array, n: int) -> Array:
    """Return an array with room for n entries, doubled or more if it has to grow."""
    if n <= len(array):
        return array
    grown = np.zeros(max(n, 2 * len(array)), array.dtype)
    grown[: len(array)] = array
    return grown


def ids_at(buffer: Array, starts: Array, lengths: Array) -> Ids:
    """Cut ids out of a padded chunk."""
    ids = Ids(lengths.astype(np.uint32), np.empty(int(((lengths + 7) >> 3).sum()), np.uint64))
    # what of the last word of each id reaches into the next field
    cut = (8 * (-lengths & 7)).astype(np.uint64)
    first = ids.starts[:-1]
    for n_words, group in by_size(lengths):
        words = words_of(runs_at(buffer, starts[group], n_words), n_words)
        words[:, -1] <<= cut[group]
        words[:, -1] >>= cut[group]
        windows(ids.words, n_words)[first[group]] = words.view(f"V{8 * n_words}")[:, 0]
    return ids


class Grouped(NamedTuple):
    """All that a table held: both sides in hash order, the pairs by user, and, soon, by item."""

    users: Side
    items: Side
    by_user: Pairs
    by_item: Future[Pairs]

    def blocks(self, side: str, n_blocks: int) -> Iterator[tuple[int, PlaysBlock]]:
        """Yield the blocks of one side, "users" or "items"."""
        if side == "users":
            return split_blocks(self.by_user, self.users, self.items.hashes, n_blocks)
        return split_blocks(self.by_item.result(), self.items, self.users.hashes, n_blocks)


class Aggregator:
    """Parse chunks of lines and sum their plays by pair.

    What comes of adding a chunk (two ids collide) may show only with the next one, or when the table is flushed.

    Parameters
    ----------
    layout : what the records of the next chunk mean; may be changed between two
    memory : int
        Bytes that the task may take. The table is `full` long before, as emptying it takes several times its size: that is
        when there is little to gain from summing any more.
    """

    def __init__(self, layout: Layout, wanted: Filter, salt: int = 0, memory: int = TASK_MEMORY) -> None:
        self.layout, self._filter, self._salt = layout, wanted, salt
        self._capacity = max(memory - _BASE, memory // 4) // _PEAK
        self.bad = BadLines()
        self.tally = Tally()
        # a chunk goes into the table while the next one is parsed: NumPy lets both run at once
        self._pool = ThreadPoolExecutor(1)
        self._adding: Future[bool] | None = None
        self._grown = 0
        self._clear()

    def _clear(self) -> None:
        self._users, self._items = IdTable(self._salt), IdTable(self._salt)
        self._pairs = Buckets(STRENGTH_UNIT)
        self.full = False

    def add_chunk(self, chunk: bytes, source: str, first_line: int) -> int:
        """Add the plays of a chunk of whole lines; give its number of lines.

        Raises
        ------
        HashCollisionError
            If two different ids have the same hash.
        """
        parsed = parse_chunk(chunk, self.layout, self._filter, self.bad, source, first_line)
        self._finish()
        near = self._held() + 2 * self._grown >= self._capacity
        self._adding = self._pool.submit(self._add, parsed)
        if near:  # it may be full then: nothing more is parsed before that is known
            self._finish()
        self.tally.add(parsed)
        return parsed.lines

    def _finish(self) -> None:
        """Wait until the chunk before is in the table."""
        if self._adding is not None:
            adding, self._adding = self._adding, None
            self.full = adding.result()

    def _add(self, parsed: Parsed) -> bool:
        """Add the plays of a parsed chunk; say whether the table is full then."""
        held = self._held()
        users = self._users.codes(ids_at(parsed.buffer, *parsed.users))
        items = self._items.codes(ids_at(parsed.buffer, *parsed.items))
        units = None if parsed.amounts is None else np.rint(parsed.amounts * STRENGTH_UNIT).astype(np.int64)
        self._pairs.add(self._users.hashes(users), users, items, units)
        self._grown = self._held() - held
        if self._held() < self._capacity:
            return False
        self._pairs.sum()
        return self._held() >= self._capacity // 2

    def _held(self) -> int:
        return self._pairs.n_bytes + self._users.n_bytes + self._items.n_bytes

    def flush(self) -> Grouped:
        """Return everything summed since the last flush, and start afresh."""
        self._finish()
        users, user_place = in_hash_order(self._users.side())
        items, item_place = in_hash_order(self._items.side())
        pairs = self._pairs.take(user_place, item_place)
        self._clear()
        return Grouped(users, items, pairs, self._pool.submit(by_columns, pairs, len(items.hashes)))
