"""Merging: what several tasks know of a block becomes the block.

Pairs are merged in pieces: neighbouring rows with about `PIECE` pairs in all, or of a longer row a range of columns. Both are in
hash order, so the pieces are, too, and each is written behind the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.plays.grouping import Side, firsts, merge_sides, sum_pairs
from mr_als.records.blocks import STRENGTH_BITS, STRENGTH_UNIT, Packed, PlaysBlock, smallest_type
from mr_als.records.csr import row_of, sum_rows
from mr_als.records.spill import PIECE, Spill, let_go, pieces

__all__ = ["at_least", "finished", "merge_blocks"]

# bytes of each array of the block that stay in memory while it is made
KEPT = 8 << 20


class _Part(NamedTuple):
    """What one task knows: its plays, and the places of its rows and columns, ascending, among those of all."""

    plays: PlaysBlock
    rows: Array
    columns: Array

    def pairs(self, rows: slice, columns: slice) -> tuple[Array, Array, Array]:
        """Select the pairs of some rows, of a single row only those in a range of columns; both are counted from their start."""
        indptr, indices = self.plays.indptr, self.plays.indices
        first, last = np.searchsorted(self.rows, [rows.start, rows.stop])
        start, end = int(indptr[first]), int(indptr[last])
        if rows.stop - rows.start == 1:
            own = indices[start:end]
            low, high = np.searchsorted(self.columns, [columns.start, columns.stop])
            start, end = start + _below(own, low), start + _below(own, high)
        part = slice(start, end)
        own, others = self.rows[row_of(indptr, part)] - rows.start, self.columns[indices[part]] - np.uint32(columns.start)
        units = self.plays.units(part)
        let_go(indices, self.plays.strengths, self.columns)
        return own, others, units


def _below(ascending: Array, bound: int) -> int:
    """Count the ascending unsigned numbers below a bound, which may be too large for their type."""
    return int(np.searchsorted(ascending, ascending.dtype.type(bound - 1), side="right")) if bound else 0


def merge_blocks(parts: Sequence[PlaysBlock]) -> PlaysBlock:
    """Merge what several tasks know of the same block.

    Raises
    ------
    HashCollisionError
        If two different ids have the same hash.
    """
    if len(parts) == 1:
        return parts[0]
    every, row = merge_sides([Side(p.hashes, p.ids) for p in parts])
    columns, n_rows = _union([p.columns for p in parts]), len(every.hashes)
    placed = [_Part(p, rows, _places(columns, p.columns, KEPT // len(parts))) for p, rows in zip(parts, row, strict=True)]
    most = sum(np.bincount(p.rows, np.diff(p.plays.indptr), n_rows) for p in placed)
    degrees = np.zeros(n_rows, np.int64)
    indices, units = Spill(KEPT), Spill(KEPT)
    index_type = smallest_type(max(len(columns) - 1, 0))
    for rows, some in _cuts(np.asarray(most), len(columns)):
        found = zip(*(p.pairs(rows, some) for p in placed), strict=True)
        own, others, strengths = (np.concatenate(arrays) for arrays in found)
        pairs = sum_pairs(own, others, strengths)
        degrees[rows] += np.bincount(pairs.rows, minlength=rows.stop - rows.start)
        indices.write((pairs.columns + some.start).astype(index_type))
        units.write(pairs.strengths)
    indptr = np.concatenate([[0], np.cumsum(degrees)])
    return PlaysBlock(every.hashes, every.ids, indptr, indices.array(index_type), columns, *_smaller(units.array("<i8")))


def _union(ascending: Sequence[Array]) -> Array:
    """Merge several ascending lists into their distinct hashes, ascending, one range of hashes at a time."""
    n_ranges = -(-sum(len(one) for one in ascending) // PIECE)
    edges = [0, *((number << 64) // n_ranges for number in range(1, n_ranges))]
    starts = [np.append(np.searchsorted(one, np.array(edges, np.uint64)), len(one)).tolist() for one in ascending]
    union = Spill(KEPT)
    for number in range(len(edges)):
        every = np.concatenate([one[at[number] : at[number + 1]] for one, at in zip(ascending, starts, strict=True)])
        every.sort()
        union.write(every[firsts(every)])
        let_go(*ascending)
    return union.array(np.uint64)


def _places(hashes: Array, some: Array, large: int) -> Array:
    """Find the places, uint32, of some of the ascending hashes; if beyond `large` bytes, in a file."""
    places = Spill(large)
    for part in pieces(len(some)):
        places.write(np.searchsorted(hashes, some[part]).astype(np.uint32))
        let_go(hashes, some)
    return places.array(np.uint32)


def _cuts(counts: Array, n_columns: int) -> Iterator[tuple[slice, slice]]:
    """Cut into rows with at most `PIECE` pairs, and longer rows, each alone, into ranges of columns with about so many."""
    ends = np.concatenate([[0], np.cumsum(counts)])
    start = 0
    while start < len(counts):
        stop = int(np.searchsorted(ends, ends[start] + PIECE, side="right")) - 1
        if stop > start:
            yield slice(start, stop), slice(0, n_columns)
        else:
            stop = start + 1
            # columns are in hash order, in which any stretch of them is as good as another
            edges = np.linspace(0, n_columns, 1 + int(-(-counts[start] // PIECE))).astype(np.int64).tolist()
            for first, last in pairwise(edges):
                yield slice(start, stop), slice(first, last)
        start = stop


def _smaller(units: Array) -> tuple[Array, int]:
    """Convert strengths (n,) to the smallest type, as multiples of the second value: whole plays, or units of 2^-16."""
    bits = top = 0
    for part in pieces(len(units)):
        bits |= int(np.bitwise_or.reduce(units[part]))
        top = max(top, int(units[part].max()))
    shift = 0 if bits & (STRENGTH_UNIT - 1) else STRENGTH_BITS
    kind, smaller = smallest_type(top >> shift), Spill(KEPT)
    for part in pieces(len(units)):
        smaller.write((units[part] >> shift).astype(kind))
        let_go(units)
    return smaller.array(kind), 1 << shift


def at_least(plays: PlaysBlock, threshold: float) -> PlaysBlock:
    """Leave out rows whose plays sum to less than `threshold`."""
    if threshold <= 0:
        return plays
    keep = sum_rows(plays.strengths, plays.indptr, np.float64) * (plays.unit / STRENGTH_UNIT) >= threshold
    if keep.all():
        return plays
    used = np.zeros(len(plays.columns), bool)
    for part in pieces(len(plays.indices)):
        used[plays.indices[part][keep[row_of(plays.indptr, part)]]] = True
    place = np.cumsum(used, dtype=np.uint32) - np.uint32(1)
    index_type = smallest_type(int(np.count_nonzero(used)))
    indices, strengths, columns = Spill(KEPT), Spill(KEPT), Spill(KEPT)
    for part in pieces(len(plays.indices)):
        kept = keep[row_of(plays.indptr, part)]
        indices.write(place[plays.indices[part][kept]].astype(index_type))
        strengths.write(plays.strengths[part][kept])
        let_go(plays.indices, plays.strengths)
    for part in pieces(len(used)):
        columns.write(plays.columns[part][used[part]])
    rows = np.flatnonzero(keep)
    indptr = np.concatenate([[0], np.cumsum(np.diff(plays.indptr)[rows])])
    return PlaysBlock(
        plays.hashes[rows], plays.ids.take(rows), indptr, indices.array(index_type), columns.array(np.uint64),
        strengths.array(plays.strengths.dtype), plays.unit,
    )  # fmt: skip


def finished(plays: PlaysBlock, threshold: float) -> tuple[Packed, list[int]]:
    """Leave out rows whose plays sum to less than `threshold`, and pack the block.

    Returns
    -------
    the packed block, and what is reported of it: rows, pairs, units, columns, pairs and units before the threshold, bytes, checksum
    """
    made_of = [len(plays.indices), plays.total_units]
    kept = at_least(plays, threshold)
    units = made_of[1] if kept is plays else kept.total_units
    packed = kept.packed()
    total = [len(kept.hashes), len(kept.indices), units, len(kept.columns), *made_of]
    return packed, [*total, packed.n_bytes, packed.crc]
