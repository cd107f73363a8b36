"""The join of columns with rows against dictionaries; the scratch file against memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_als.records.blocks import STRENGTH_UNIT, PlaysBlock
from mr_als.records.ids import Ids
from mr_als.records.join import Scratch, join, match

HASHES = st.lists(st.integers(0, 30), unique=True).map(sorted)


@given(HASHES, HASHES)
def test_match_finds_the_columns_that_are_there(columns, hashes):
    positions, found = match(np.array(columns, np.uint64), np.array(hashes, np.uint64))

    assert found.tolist() == [column in hashes for column in columns]
    assert [hashes[place] for place in positions[found]] == [column for column in columns if column in hashes]


@given(st.lists(st.dictionaries(st.integers(0, 9), st.integers(0, 3)), max_size=6), HASHES)
def test_join_keeps_what_has_a_partner_and_was_played(rows, hashes):
    columns = sorted({column for row in rows for column in row})
    indices = [columns.index(column) for row in rows for column in sorted(row)]
    strengths = [row[column] * STRENGTH_UNIT for row in rows for column in sorted(row)]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    named = np.array(columns, np.uint64)
    plays = PlaysBlock(
        np.arange(len(rows), dtype=np.uint64), Ids.of([b"x"] * len(rows)), indptr, np.array(indices, np.int64), named,
        np.array(strengths, np.int64),
    )  # fmt: skip

    joined = join(plays, *match(named, np.array(hashes, np.uint64)))

    for n, row in enumerate(rows):
        part = slice(joined.indptr[n], joined.indptr[n + 1])
        found = [(hashes[place], strength) for place, strength in zip(joined.indices[part], joined.strengths[part], strict=True)]
        assert found == [(column, float(row[column])) for column in sorted(row) if row[column] and column in hashes]


@pytest.mark.parametrize("hashes", [[5, 7, 9], [5, 6, 7, 9], [1, 5, 7, 9], [5, 7, 9, 12], [5, 9, 12]])
def test_join_names_rows_by_their_places_among_all(hashes):
    """Also where a block has all of them, and nothing has to be renamed."""
    columns = np.array([5, 7, 9], np.uint64)
    plays = PlaysBlock(
        np.arange(1, dtype=np.uint64), Ids.of([b"x"]), np.array([0, 3]), np.arange(3, dtype=np.uint16), columns,
        np.ones(3, np.uint8), STRENGTH_UNIT,
    )  # fmt: skip

    joined = join(plays, *match(columns, np.array(hashes, np.uint64)))

    assert joined.indices.dtype == np.uint32
    assert joined.indices.tolist() == [hashes.index(column) for column in (5, 7, 9) if column in hashes]


@pytest.mark.parametrize("budget", [0, 1, 4096, 20_000])
def test_a_scratch_file_gives_what_memory_would(budget):
    rng = np.random.default_rng(0)
    n, rank = 2000, 3
    vectors = rng.normal(size=(n, rank)).astype(np.float32)
    memory, file = Scratch(n, rank, n * rank * 4), Scratch(n, rank, budget)

    for part in np.array_split(np.arange(0, n, 2), 13):  # every second one stays zero
        memory.put(part, vectors[part])
        file.put(part, vectors[part])
        some = rng.integers(0, n, 50)
        some = np.concatenate([some, part])
        np.testing.assert_array_equal(file[some], memory[some])

    byte = np.array([254, 255, 0, 1], np.uint8)
    np.testing.assert_array_equal(file[byte], memory[byte])
    everything = memory[np.arange(n)]
    np.testing.assert_array_equal(file[np.arange(n)], everything)
    np.testing.assert_array_equal(everything[::2], vectors[::2])
    assert not everything[1::2].any()


def test_a_scratch_of_no_columns_is_empty():
    assert Scratch(0, 4, 0)[np.zeros(0, np.int64)].shape == (0, 4)
