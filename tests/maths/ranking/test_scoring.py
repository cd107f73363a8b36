"""Scores and their order do not depend on what is computed together."""

from __future__ import annotations

import numpy as np
import pytest

from mr_als.maths.ranking.scoring import best_items, best_of, cosines, exact_scores, in_order, longest_norm


def name(row: int) -> bytes:
    """Names in an order of their own: by the last digit first."""
    return str(row)[::-1].encode()


def by_hand(user, items, n, leave=()):
    """The definition: all exact scores, sorted by score, then by name."""
    scores = exact_scores(items, user)
    rows = [row for row in range(len(items)) if row not in set(leave)]
    return sorted(rows, key=lambda row: (-scores[row], name(row)))[:n]


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 16)).astype(np.float32), rng.normal(size=(900, 16)).astype(np.float32)


def test_finds_what_sorting_all_exact_scores_finds(vectors):
    users, items = vectors

    rows, scores = best_items(users, items, 7, name, longest_norm(items))

    for user in range(len(users)):
        assert rows[user].tolist() == by_hand(users[user], items, 7)
        assert np.array_equal(scores[user], exact_scores(items[rows[user]], users[user]))


def test_equal_items_are_in_the_order_of_their_names_even_where_the_list_ends(vectors):
    users, items = vectors
    items[:] = items[np.arange(900) % 30]  # thirty of each, so that every list ends in the middle of a tie

    rows, _ = best_items(users, items, 7, name, longest_norm(items))

    assert [row.tolist() for row in rows] == [by_hand(user, items, 7) for user in users]


def test_near_ties_below_the_precision_of_the_product_are_told_apart(vectors):
    """900 items within a few float32 units: the rough product cannot order them, the exact scores must."""
    users, items = vectors
    items[:] = items[0] * (1 + np.float32(2e-7) * (np.arange(900) % 7)[:, None])

    rows, _ = best_items(users, items, 5, name, longest_norm(items))

    assert [row.tolist() for row in rows] == [by_hand(user, items, 5) for user in users]


def test_a_user_alone_gets_what_the_same_user_gets_among_many(vectors):
    users, items = vectors
    together = best_items(users, items, 10, name, longest_norm(items))

    alone = [best_items(users[u : u + 1], items, 10, name, longest_norm(items)) for u in range(len(users))]

    assert np.array_equal(together[0], np.vstack([rows for rows, _ in alone]))
    assert np.array_equal(together[1], np.vstack([scores for _, scores in alone]))


def test_leaves_out_what_it_is_told_to_and_says_when_there_is_no_more(vectors):
    users, items = vectors[0][:2], vectors[1][:5]
    indptr, indices = np.array([0, 3, 5]), np.array([0, 2, 4, 1, 3])

    rows, scores = best_items(users, items, 4, name, longest_norm(items), indptr, indices)

    assert rows[0].tolist() == [*by_hand(users[0], items, 4, [0, 2, 4]), -1, -1]
    assert rows[1].tolist() == [*by_hand(users[1], items, 4, [1, 3]), -1]
    assert np.isneginf(scores[0, 2:]).all()


def test_a_zero_vector_gets_nothing(vectors):
    users, items = vectors
    users[3] = 0

    rows, _ = best_items(users, items, 4, name, longest_norm(items))

    assert (rows[3] == -1).all()
    assert (rows[4] >= 0).all()


def test_best_of_orders_ties_by_name_and_leaves_out_minus_infinity():
    scores = np.array([0.5, -np.inf, 0.9, 0.5, 0.5], np.float32)

    rows, best = best_of(scores, 3, lambda row: [b"z", b"", b"", b"y", b"x"][row])

    assert rows.tolist() == [2, 4, 3]
    assert best.tolist() == pytest.approx([0.9, 0.5, 0.5])


def test_cosines_are_those_of_the_formula_and_zero_vectors_have_none(vectors):
    _, items = vectors
    items[5] = 0

    found = cosines(items, items[0])

    expected = items @ items[0] / np.maximum(np.linalg.norm(items, axis=1) * np.linalg.norm(items[0]), 1e-9)
    assert found[5] == -np.inf
    np.testing.assert_allclose(np.delete(found, 5), np.delete(expected, 5), atol=1e-6)


def test_in_order_pads_when_there_are_fewer_than_asked_for():
    rows, scores = in_order(np.array([[3]]), np.array([[1.0]], np.float32), 3, name)

    assert rows.tolist() == [[3, -1, -1]]
    assert scores.tolist() == [[1.0, -np.inf, -np.inf]]
