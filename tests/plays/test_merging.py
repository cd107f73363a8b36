"""Merging against a table of pairs, whatever the pieces; rows below a threshold; what is large is in files."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_als.errors import HashCollisionError
from mr_als.plays import merging
from mr_als.plays.merging import at_least, merge_blocks
from mr_als.records import spill
from mr_als.records.blocks import STRENGTH_UNIT, PlaysBlock
from mr_als.records.ids import Ids, hash_ids

# a table: plays, in units of 2^-16, of pairs of numbers
TABLES = st.lists(
    st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 40)), st.integers(0, 3 << 16), max_size=60),
    min_size=1,
    max_size=4,
)
PIECES = st.sampled_from([1, 2, 7, 1 << 19])


def block_of_table(table, unit=1):
    """Make a block of a table whose strengths are multiples of `unit`."""
    rows, columns = (sorted({pair[n] for pair in table}, key=hash_of) for n in (0, 1))
    order = sorted(table, key=lambda pair: (rows.index(pair[0]), columns.index(pair[1])))
    ids = Ids.of([b"row-%d" % row for row in rows])
    indptr = np.concatenate([[0], np.cumsum([sum(pair[0] == row for pair in table) for row in rows])]).astype(np.int64)
    indices = np.array([columns.index(pair[1]) for pair in order], np.uint8)
    hashes = np.array([hash_of(column) for column in columns], np.uint64)
    return PlaysBlock(
        hash_ids(ids), ids, indptr, indices, hashes, np.array([table[pair] // unit for pair in order], np.int64), unit
    )


def hash_of(number):
    """Compute the hash by which numbers are sorted: that of a row's id."""
    return int(hash_ids(Ids.of([b"row-%d" % number]))[0])


def added(tables):
    """Add tables up."""
    total: dict[tuple[int, int], int] = {}
    for table in tables:
        for pair, units in table.items():
            total[pair] = total.get(pair, 0) + units
    return total


def in_pieces(piece):
    """Cut what is merged into pieces of so many pairs, and keep nothing in memory."""
    return patch.multiple(spill, PIECE=piece, LARGE=0), patch.multiple(merging, PIECE=piece, KEPT=0)


@given(TABLES, PIECES, st.booleans())
def test_merged_blocks_hold_the_sums_of_all_whatever_the_pieces(tables, piece, whole):
    unit = STRENGTH_UNIT if whole else 1
    tables = [{pair: units // unit * unit for pair, units in table.items()} for table in tables]
    one, other = in_pieces(piece)

    with one, other:
        merged = merge_blocks([block_of_table(table, unit) for table in tables])
        packed = bytes(merged.pack())

    assert packed == bytes(block_of_table(added(tables)).pack())


@given(TABLES, PIECES, st.integers(0, 8))
def test_rows_below_a_threshold_vanish_with_columns_that_only_they_have(tables, piece, plays):
    table = added(tables)
    sums = added([{(row, 0): units} for (row, _), units in table.items()])
    one, other = in_pieces(piece)

    with one, other:
        kept = bytes(at_least(block_of_table(table), plays / 2).pack())

    above = {pair: units for pair, units in table.items() if sums[pair[0], 0] >= plays / 2 * STRENGTH_UNIT}
    assert kept == bytes(block_of_table(above).pack())


def test_a_row_much_longer_than_a_piece_is_merged_by_ranges_of_its_columns():
    rng = np.random.default_rng(0)
    columns = np.unique(rng.integers(0, 2**64, 30_000, np.uint64))
    ids = Ids.of([b"hit", b"other"])
    ids = ids.take(np.argsort(hash_ids(ids)))
    parts, sums = [], np.zeros((2, len(columns)), np.int64)
    for _ in range(3):
        held = rng.random((2, len(columns))) < np.array([[0.6], [0.001]])
        used = np.flatnonzero(held.any(axis=0))
        rows, indices = np.nonzero(held[:, used])
        indptr = np.searchsorted(rows, [0, 1, 2])
        strengths = rng.integers(1, 9, len(indices)).astype(np.uint8)
        parts.append(PlaysBlock(hash_ids(ids), ids, indptr, indices.astype(np.uint16), columns[used], strengths, STRENGTH_UNIT))
        sums[rows, used[indices]] += strengths
    one, other = in_pieces(1000)

    with one, other:
        merged = merge_blocks(parts)

    some = np.flatnonzero(sums.any(axis=0))
    rows, indices = np.nonzero(sums[:, some])
    np.testing.assert_array_equal(merged.columns, columns[some])
    np.testing.assert_array_equal(merged.indptr, np.searchsorted(rows, [0, 1, 2]))
    np.testing.assert_array_equal(merged.indices, indices)
    np.testing.assert_array_equal(merged.units(), sums[:, some][rows, indices] * STRENGTH_UNIT)
    # nine plays take a byte, of whole ones and of their sums
    assert merged.strengths.dtype == np.uint8


def test_two_ids_with_one_hash_are_noticed():
    block = block_of_table({(0, 0): 1})

    with pytest.raises(HashCollisionError, match="--salt"):
        merge_blocks([block, block._replace(ids=Ids.of([b"twin"]))])
