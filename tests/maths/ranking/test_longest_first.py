"""What the search by length finds is what sorting all exact scores finds, with most items never looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mr_als.maths.ranking import longest_first
from mr_als.maths.ranking.best import top_n
from mr_als.maths.ranking.longest_first import best_longest_first
from mr_als.maths.ranking.scoring import exact_scores, in_order, norms


def name(row: int) -> bytes:
    """Names in an order of their own: by the last digit first."""
    return str(row)[::-1].encode()


def by_hand(user, items, n, leave=()):
    """The definition: all exact scores, sorted by score, then by name; a zero vector gets nothing."""
    scores, left = exact_scores(items, user), set(leave)
    rows = [row for row in range(len(items)) if row not in left and user.any()]
    return sorted(rows, key=lambda row: (-scores[row], name(row)))[:n]


def longest_ordered(items):
    return items[np.argsort(-norms(items), kind="stable")]


def found(users, items, n, left=None, **given):
    """The rows found for each user, without the -1 behind."""
    if left is not None:
        indptr = np.concatenate([[0], np.cumsum([len(some) for some in left])])
        given["left_out"] = indptr, np.concatenate([np.asarray(some, np.int64) for some in left])
    rows, scores = best_longest_first(users, items, norms(items), n, name, **given)
    for user, (some, values) in enumerate(zip(rows, scores, strict=True)):
        known = some >= 0
        assert (known[:-1] >= known[1:]).all()
        assert np.isneginf(values[~known]).all()
        assert np.array_equal(values[known], exact_scores(items[some[known]], users[user]))
    return [some[some >= 0].tolist() for some in rows]


@pytest.fixture
def vectors(monkeypatch):
    """Items with lengths over three orders of magnitude, looked at 64 at first."""
    monkeypatch.setattr(longest_first, "_FIRST", 64)
    rng = np.random.default_rng(0)
    items = rng.normal(size=(2000, 8)) * rng.pareto(1.0, (2000, 1))
    return rng.normal(size=(50, 8)).astype(np.float32), longest_ordered(items.astype(np.float32))


@pytest.mark.parametrize("most", [1, 100, 7000, 1 << 20])
def test_finds_what_sorting_all_exact_scores_finds_whatever_is_computed_together(most, vectors):
    users, items = vectors
    left = [np.arange(user % 7, 2000, 2) for user in range(len(users))]

    assert found(users, items, 7, left, most=most) == [by_hand(u, items, 7, some) for u, some in zip(users, left, strict=True)]


def test_most_items_are_never_looked_at(vectors, monkeypatch):
    users, items = vectors
    sizes = []

    def counted(scores, n, **given):
        sizes.append(scores.size)
        return top_n(scores, n, **given)

    monkeypatch.setattr(longest_first, "top_n", counted)

    found(users, items, 7)

    assert sum(sizes) < len(users) * len(items) / 5


def test_equal_items_are_in_the_order_of_their_names_even_where_the_list_ends(vectors):
    users, items = vectors
    items = longest_ordered(items[np.arange(2000) % 30])

    assert found(users, items, 7) == [by_hand(user, items, 7) for user in users]


def test_near_ties_below_the_precision_of_the_product_are_told_apart(vectors):
    """All items lie in one direction within a few float32 units, so the bound by length cannot tell them apart, either."""
    users, items = vectors
    items = longest_ordered(items[0] * (1 + np.float32(2e-7) * (np.arange(2000) % 7)[:, None]))
    users[:5] = items[:5]

    assert found(users, items, 5) == [by_hand(user, items, 5) for user in users]


def test_items_elsewhere_change_nothing_but_what_cannot_be_among_the_best(vectors):
    """In three tiles, each with the n-th best score of those before it, as the job does it."""
    users, items = vectors
    left = [np.arange(user, 2000, 3) for user in range(len(users))]
    best, scores = np.full((len(users), 6), -1), np.full((len(users), 6), -np.inf, np.float32)
    for tile in range(3):
        rows = np.arange(tile, 2000, 3)
        inside = [some[some % 3 == tile] // 3 for some in left]
        indptr = np.concatenate([[0], np.cumsum([len(some) for some in inside])])
        more, values = best_longest_first(
            users, items[rows], norms(items[rows]), 6, lambda place, rows=rows: name(rows[place]),
            left_out=(indptr, np.concatenate(inside)), least=scores[:, -1],
        )  # fmt: skip
        more = np.where(more >= 0, rows[more], -1)
        best, scores = in_order(np.hstack([best, more]), np.hstack([scores, values]), 6, name)

    assert best.tolist() == [by_hand(u, items, 6, some) for u, some in zip(users, left, strict=True)]


def test_more_are_asked_for_than_there_are(vectors):
    users, items = vectors

    assert found(users[:3], items[:9], 20, [[0, 1], [], range(9)]) == [
        by_hand(users[0], items[:9], 20, [0, 1]), by_hand(users[1], items[:9], 20), [],
    ]  # fmt: skip


def test_zero_vectors_of_users_get_nothing_and_those_of_items_are_items_like_others(vectors):
    users, items = vectors
    users[3], items[-5:] = 0, 0

    rows = found(users, items, 2000)

    assert rows[3] == []
    assert rows[4] == by_hand(users[4], items, 2000)


_NUMBERS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-3, 3.0, 1 / 3, -1 / 3, 1e-20, 1e15, 0.33333334])


@given(
    users=arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.just(3)), elements=_NUMBERS.map(np.float32)),
    items=arrays.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=_NUMBERS.map(np.float32)),
    n=st.integers(1, 12),
    most=st.integers(1, 64),
    every=st.integers(1, 5),
)
def test_any_vectors_give_what_sorting_gives(users, items, n, most, every):
    items = longest_ordered(items)
    left = [np.arange(user % every, len(items), every + 1) for user in range(len(users))]
    first, longest_first._FIRST = longest_first._FIRST, 2
    try:
        rows = found(users, items, n, left, most=most)
    finally:
        longest_first._FIRST = first

    assert rows == [by_hand(user, items, n, some) for user, some in zip(users, left, strict=True)]
