"""Grouping: pairs of (row, column, strength) become blocks; `mr_als.plays.merging` makes one of those of several tasks.

One sort by (row, column) is the grouping, the order within a row and the summing of repeated pairs at once. Strengths are
integers, so no sum depends on the order in which they come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from mr_als.errors import BadInputError, HashCollisionError
from mr_als.maths.array import Array
from mr_als.records.blocks import STRENGTH_UNIT, PlaysBlock, smallest_type
from mr_als.records.csr import CACHED, looked_up, row_starts
from mr_als.records.ids import Ids, block_of
from mr_als.records.spill import pieces

__all__ = ["Pairs", "Side", "by_columns", "cut_blocks", "merge_sides", "split_blocks", "sum_pairs"]


class Side(NamedTuple):
    """The ids of one side, in any order: their hashes, uint64 (n,), and themselves."""

    hashes: Array
    ids: Ids


class Pairs(NamedTuple):
    """Distinct pairs in ascending order of (row, column): integers (n,) each, strengths int64 in units of 2^-16."""

    rows: Array
    columns: Array
    strengths: Array


def sum_pairs(rows: Array, columns: Array, strengths: Array | None, unit: int = 1) -> Pairs:
    """Sort pairs by (row, column) and sum the strengths of equal ones.

    Parameters
    ----------
    rows, columns : integers (n,), each >= 0
    strengths : int64 (n,), each >= 0; None where each is `unit`

    Raises
    ------
    BadInputError
        If a sum is beyond an int64.
    """
    n = len(rows)
    if not n:
        return Pairs(*(np.zeros(0, np.int64) for _ in range(3)))
    shift = int(columns.max()).bit_length()
    payload = 0 if strengths is None else int(strengths.max()).bit_length()
    key_bits = int(rows.max()).bit_length() + shift
    # half as wide is twice as fast
    word: type[np.unsignedinteger[Any]] = np.uint32 if strengths is None and key_bits <= 32 and shift < 32 else np.uint64
    # in place, as are all steps that can be
    key = rows.astype(word)
    key <<= word(shift)
    key |= columns.astype(word, copy=False)
    key, strengths = _sorted(key, strengths, payload if key_bits + payload <= 64 else -1)
    first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    key = key[first]
    if strengths is None:
        sums = np.diff(first, append=n).astype(np.int64) * unit
    else:
        if payload + n.bit_length() > 63:
            _check_sums(strengths, first)
        sums = strengths if len(first) == n else np.add.reduceat(strengths, first)
    found, columns = key >> word(shift), key & word((1 << shift) - 1)
    if word is np.uint64:  # below 2^63, so they are the same bits
        return Pairs(found.view(np.int64), columns.view(np.int64), sums)
    return Pairs(found.astype(np.int64), columns.astype(np.int64), sums)


def _sorted(key: Array, strengths: Array | None, payload: int) -> tuple[Array, Array | None]:
    """Sort keys, and strengths with them, whose bits are `payload` if they fit beside a key in one word, else -1."""
    if strengths is not None and payload >= 0:
        # key and strength side by side in one word: sorting words is several times as fast as sorting places
        key <<= np.uint64(payload)
        key |= strengths.view(np.uint64) if strengths.dtype == np.int64 else strengths.astype(np.uint64)
        key.sort()
        strengths = (key & np.uint64((1 << payload) - 1)).view(np.int64)
        key >>= np.uint64(payload)
    elif strengths is not None:
        # stable: a merge of sorted runs, which is what there usually is
        order = np.argsort(key, kind="stable")
        key, strengths = key[order], strengths[order]
    else:
        key.sort()
    return key, strengths


def by_columns(pairs: Pairs, n_columns: int) -> Pairs:
    """Transpose pairs to (column, row), sorted in that order; columns are below `n_columns`."""
    # rows ascend already, so stable sorts of 16 bits at a time are enough; NumPy's is linear for these
    order = np.argsort(pairs.columns.astype(np.uint16), kind="stable")
    for bits in range(16, n_columns.bit_length(), 16):
        order = order[np.argsort((pairs.columns[order] >> bits).astype(np.uint16), kind="stable")]
    return Pairs(pairs.columns[order], pairs.rows[order], pairs.strengths[order])


def _check_sums(strengths: Array, first: Array) -> None:
    """Check that sums of the runs of strengths that begin at `first` fit an int64, with room for the rounding of this check."""
    if np.add.reduceat(strengths.astype(np.float64), first).max() > 2.0**62:
        msg = (
            f"the plays of one user and item add up to more than {2.0**62 / STRENGTH_UNIT:.0f}; is that column the number of plays?"
        )
        raise BadInputError(msg)


def in_hash_order(side: Side) -> tuple[Side, Array]:
    """Sort a side by hash; give it, and the new place of each old one, int64 (n,)."""
    order = np.argsort(side.hashes, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return Side(side.hashes[order], side.ids.take(order)), place


def merge_sides(sides: Sequence[Side]) -> tuple[Side, list[Array]]:
    """Merge what several tasks know of the ids of a side; give them in hash order, and the new places of each task's, int64.

    Raises
    ------
    HashCollisionError
        If two different ids have the same hash.
    """
    every = Side(np.concatenate([side.hashes for side in sides]), Ids.join([side.ids for side in sides]))
    order = np.argsort(every.hashes, kind="stable")
    check_collisions(every, order)
    hashes = every.hashes[order]
    first, place = firsts(hashes), np.empty(len(order), np.int64)
    place[order] = np.cumsum(first) - 1
    ends = np.cumsum([len(side.hashes) for side in sides])
    return Side(hashes[first], every.ids.take(order[first])), np.split(place, ends[:-1])


def firsts(ascending: Array) -> Array:
    """Mark the first of equal neighbours, bool (n,)."""
    first = np.ones(len(ascending), bool)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    return first


def split_blocks(pairs: Pairs, rows: Side, column_hashes: Array, n_blocks: int) -> Iterator[tuple[int, PlaysBlock]]:
    """Cut pairs into blocks of rows; rows and columns are in hash order. Blocks without rows are left out."""
    return cut_blocks(row_starts(pairs.rows, len(rows.hashes)), pairs.columns, pairs.strengths, rows, column_hashes, n_blocks)


def cut_blocks(
    indptr: Array,
    columns: Array,
    strengths: Array,
    rows: Side,
    column_hashes: Array,
    n_blocks: int,
    unit: int = 1,
    *,
    every: bool = False,
) -> Iterator[tuple[int, PlaysBlock]]:
    """Cut plays in CSR form, sorted within each row, likewise; strengths are multiples of `unit`, which is one of 2^-16.

    Parameters
    ----------
    every : whether each column is known to occur
    """
    blocks = block_of(rows.hashes, n_blocks)
    edges = [*np.flatnonzero(np.diff(blocks, prepend=-1)).tolist(), len(blocks)]
    for start, end in pairwise(edges):
        part = slice(indptr[start], indptr[end])
        if every and len(edges) == 2:
            hashes, indices = column_hashes, columns.astype(smallest_type(max(len(column_hashes) - 1, 0)))
        else:
            used, indices = _dictionary(columns[part], len(column_hashes))
            hashes = column_hashes[used]
        ids = rows.ids.take(np.arange(start, end))
        own = indptr[start : end + 1] - indptr[start]
        yield int(blocks[start]), PlaysBlock(rows.hashes[start:end], ids, own, indices, hashes, strengths[part], unit)


def _dictionary(columns: Array, n_columns: int) -> tuple[Array, Array]:
    """Find the distinct columns, ascending, and each column's place among them."""
    seen = np.zeros(n_columns, bool)
    for part in pieces(len(columns), CACHED):
        # NumPy takes twice as long with any other type
        seen[columns[part].astype(np.intp)] = True
    used = np.flatnonzero(seen)
    place = np.zeros(n_columns, smallest_type(max(len(used) - 1, 0)))
    place[used] = np.arange(len(used))
    return used, looked_up(place, columns)


def check_collisions(side: Side, order: Array) -> None:
    """Check that neighbours in hash `order` with one hash have one id.

    Raises
    ------
    HashCollisionError
        If not; the message names both and the remedy.
    """
    twins = np.flatnonzero(side.hashes[order[1:]] == side.hashes[order[:-1]])
    one, other = order[twins], order[twins + 1]
    wrong = np.flatnonzero(~side.ids.same(one, other))
    if len(wrong):
        raise collision(*side.ids.take(np.array([one[wrong[0]], other[wrong[0]]])).to_list())


def collision(one: bytes, other: bytes) -> HashCollisionError:
    """Make the error of two ids with one hash."""
    both = f"{one.decode()!r} and {other.decode()!r}"
    msg = f"the ids {both} have the same 64-bit hash; give --salt 1 (or any other number) to separate them"
    return HashCollisionError(msg)
