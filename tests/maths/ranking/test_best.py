"""top_n against a full sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mr_als.maths.ranking import best as ranking
from mr_als.maths.ranking.best import normalized, top_n


def sorted_fully(scores, n, leave_out=None):
    """Find the best n of each row by sorting all by (-score, index)."""
    indices, values = np.full((len(scores), n), -1), np.full((len(scores), n), -np.inf, np.float32)
    for row, line in enumerate(scores):
        out = set() if leave_out is None else set(leave_out[row])
        best = sorted((-s, j) for j, s in enumerate(line) if j not in out and s > -np.inf)[:n]
        for place, (s, j) in enumerate(best):
            indices[row, place], values[row, place] = j, -s
    return indices, values


def assert_same(actual, expected):
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], expected[1])
    assert actual[0].dtype == np.int64
    assert actual[1].dtype == np.float32


@settings(max_examples=150)
@given(data=st.data())
def test_equals_a_full_sort_with_ties_and_left_out_columns(data):
    n_rows, n_items = data.draw(st.integers(0, 4)), data.draw(st.integers(1, 400))
    n, n_values = data.draw(st.integers(0, 12)), data.draw(st.sampled_from([1, 3, 50, 10**6]))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    scores = rng.integers(0, n_values, (n_rows, n_items)).astype(np.float32) - np.float32(n_values // 2)
    leave_out = [rng.choice(n_items, rng.integers(0, n_items + 1), replace=False) for _ in range(n_rows)]
    indptr = np.concatenate(([0], np.cumsum([len(o) for o in leave_out]))).astype(np.int64)
    indices = np.concatenate([*leave_out, []]).astype(np.int64)
    expected = sorted_fully(scores, n, leave_out)

    assert_same(top_n(scores, n, indptr, indices), expected)


@pytest.mark.parametrize("n_items", [5000, 5040, 5041])
def test_equals_a_full_sort_of_many_columns(n_items, monkeypatch):
    monkeypatch.setattr(ranking, "_SLICE", 3 * n_items)  # several slices
    scores = np.random.default_rng(0).standard_normal((20, n_items)).astype(np.float32)
    expected = sorted_fully(scores, 10)

    assert_same(top_n(scores, 10), expected)


@pytest.mark.parametrize("lowest", [-np.inf, -1.0])
def test_what_is_not_above_a_floor_is_not_found_or_below_all_that_is(lowest):
    """With a floor in all rows or in some, what is above it is found as without one."""
    scores = np.random.default_rng(0).standard_normal((20, 900)).astype(np.float32)
    scores[3] = 1.5
    floor = np.linspace(1.5, 3.5, 20).astype(np.float32)
    floor[7] = lowest
    expected = sorted_fully(np.where(scores > floor[:, None], scores, -np.inf), 10)

    indices, values = top_n(scores, 10, floor=floor)

    above = values > floor[:, None]
    assert_same((np.where(above, indices, -1), np.where(above, values, np.float32(-np.inf))), expected)


def test_equal_scores_come_in_the_order_of_their_columns():
    indices, _ = top_n(np.zeros((3, 10000), np.float32), 4)

    np.testing.assert_array_equal(indices, [[0, 1, 2, 3]] * 3)


def test_a_row_with_too_few_is_filled_up():
    indices, scores = top_n(np.array([[1.0, 2.0]], np.float32), 4, np.array([0, 1]), np.array([1]))

    np.testing.assert_array_equal(indices, [[0, -1, -1, -1]])
    np.testing.assert_array_equal(scores, [[1.0, -np.inf, -np.inf, -np.inf]])


def test_no_columns_give_nothing():
    indices, scores = top_n(np.zeros((2, 0), np.float32), 3)

    assert (indices == -1).all()
    assert (scores == -np.inf).all()


def test_normalized_rows_have_length_one_and_zero_rows_stay_zero():
    factors = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    factors[2], factors[3] = 0.0, factors[3] * np.float32(1e-30)

    unit = normalized(factors)

    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), [1, 1, 0, 1, 1], rtol=1e-6)
