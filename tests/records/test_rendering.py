"""Lines gathered all at once are those formatted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_als.records.catalogue import rendered
from mr_als.records.rendering import rendered_block


def one_by_one(users, rows, scores, name):
    return b"".join(
        rendered(user, [name(row) for row in its if row >= 0], values[its >= 0], as_json=False)
        for user, its, values in zip(users, rows, scores, strict=True)
    )


def name(row: int) -> bytes:
    """Names of different lengths, one of them with what a format could trip over."""
    return [b"", b"x", "ä ö".encode(), b"100%", b"an id of many words"][row % 5]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_any_score_is_written_as_python_formats_it(values):
    users, rows = [b"user-%d" % n for n in range(len(values))], np.arange(len(values))[:, None]
    scores = np.array(values, np.float32)[:, None]

    assert rendered_block(users, rows, scores, name) == one_by_one(users, rows, scores, name)


@pytest.mark.parametrize("values", [
    [0.0, -0.0, 1e-9, -1e-9, 4.9999e-7],
    [0.5e-6, 1.5e-6, -2.5e-6, 2**-7, 3 * 2**-7],  # ties at the seventh decimal go to the even digit
    [0.9999995, 0.99999994, 9.9999995, 999999.94, 1e8],
    [12.5, -123456.78, 0.1, 7.0, -99.0],
    [1e9, 3e38, -3e38, 1.0, 0.0],
])  # fmt: skip
def test_signs_zeros_ties_and_large_scores(values):
    rows, scores = np.arange(5)[None, :], np.array([values], np.float32)

    assert rendered_block([b"ann"], rows, scores, name) == one_by_one([b"ann"], rows, scores, name)


def test_lists_of_different_lengths_and_more_than_nine_ranks():
    rng = np.random.default_rng(0)
    rows = np.where(np.arange(12) < rng.integers(0, 13, 40)[:, None], rng.integers(0, 100, (40, 12)), -1)
    users, scores = [name(n) for n in range(40)], rng.normal(size=(40, 12)).astype(np.float32)

    assert rendered_block(users, rows, scores, name) == one_by_one(users, rows, scores, name)


def test_nobody_gets_anything():
    assert rendered_block([b"ann"], np.full((1, 3), -1), np.full((1, 3), -np.inf, np.float32), name) == b""
    assert rendered_block([], np.zeros((0, 3), int), np.zeros((0, 3), np.float32), name) == b""
