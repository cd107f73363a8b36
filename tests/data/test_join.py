"""The inner join of a block's columns with the fixed side's rows."""

from __future__ import annotations

import numpy as np
import pytest

from mr_als.data.blocks import STRENGTH_UNIT, PlaysBlock
from mr_als.data.ids import Ids
from mr_als.data.join import Scratch, join, match


@pytest.fixture
def plays():
    """Return two rows: 1.5 of column 10 and 0 of column 20; 3 of column 20 and 4 of column 30."""
    strengths = np.array([1.5, 0, 3, 4]) * STRENGTH_UNIT
    return PlaysBlock(
        np.array([1, 2], np.uint64), Ids.of([b"ann", b"bob"]), np.array([0, 2, 4]), np.array([0, 1, 1, 2]),
        np.array([10, 20, 30], np.uint64), strengths.astype(np.int64),
    )  # fmt: skip


def test_plays_of_a_row_that_was_left_out_vanish(plays):
    joined = join(plays, *match(plays.columns, np.array([5, 20, 30], np.uint64)))

    np.testing.assert_array_equal(joined.indptr, [0, 0, 2])
    np.testing.assert_array_equal(joined.indices, [1, 2])
    np.testing.assert_array_equal(joined.strengths, [3.0, 4.0])


@pytest.mark.parametrize(("zeros", "amounts"), [(False, [1.5, 3.0, 4.0]), (True, [1.5, 0.0, 3.0, 4.0])])
def test_a_strength_of_zero_is_kept_only_where_zeros_count(plays, zeros, amounts):
    joined = join(plays, *match(plays.columns, plays.columns), zeros=zeros)

    np.testing.assert_array_equal(joined.strengths, amounts)
    assert joined.indptr[-1] == len(amounts)


def test_nothing_matches_an_empty_side(plays):
    joined = join(plays, *match(plays.columns, np.zeros(0, np.uint64)))

    assert joined.indptr.tolist() == [0, 0, 0]


@pytest.mark.parametrize("budget", [1 << 20, 1, 10_000])
def test_scratch_gives_back_what_was_put_in_memory_or_in_a_file(budget):
    vectors = np.random.default_rng(0).standard_normal((1000, 5)).astype(np.float32)
    scratch = Scratch(1000, 5, budget)
    for first in range(0, 1000, 300):
        scratch.put(np.arange(first, min(first + 300, 1000)), vectors[first : first + 300])
    wanted = np.array([999, 0, 5, 5, 500])

    np.testing.assert_array_equal(scratch[wanted], vectors[wanted])
