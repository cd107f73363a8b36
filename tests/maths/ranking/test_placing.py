"""Counting above and equal against sorting exact scores, where the float32 product alone would be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from mr_als.maths.ranking.placing import places_among, places_in
from mr_als.maths.ranking.scoring import exact_scores, longest_norm


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_equals_counting_exact_scores_with_many_near_ties(seed, levels):
    """Items differ in the last bits only, or not at all, so the product's rounding decides wrongly."""
    rng = np.random.default_rng(seed)
    users = rng.standard_normal((5, 24)).astype(np.float32)
    base = rng.standard_normal((3, 24)).astype(np.float32)
    items = base[rng.integers(0, 3, 400)]
    items = (items * (1 + rng.integers(0, levels, (400, 1)) * np.float32(2.0**-22))).astype(np.float32)
    exact = np.array([exact_scores(x, items) for x in users])
    left_out = rng.random(exact.shape) < 0.2
    tests = [rng.choice(np.flatnonzero(~out), n, replace=False) for out, n in zip(left_out, (0, 1, 5, 30, 2), strict=True)]
    scores = np.where(left_out, -np.inf, users @ items.T).astype(np.float32)
    indptr = np.cumsum([0, *(len(test) for test in tests)])
    targets = np.concatenate([exact[u, test] for u, test in enumerate(tests)])

    above, equal = places_in(scores, users, items, longest_norm(items), indptr, targets)

    seen = np.where(left_out, -np.inf, exact)
    owners = np.repeat(np.arange(5), np.diff(indptr))
    np.testing.assert_array_equal(above, [(seen[u] > t).sum() for u, t in zip(owners, targets, strict=True)])
    np.testing.assert_array_equal(equal, [(seen[u] == t).sum() for u, t in zip(owners, targets, strict=True)])


def test_a_user_who_knows_nothing_has_all_candidates_equal():
    items = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
    x = np.zeros((1, 4), np.float32)

    above, equal = places_in(x @ items.T, x, items, longest_norm(items), np.array([0, 1]), np.zeros(1, np.float32))

    assert (above[0], equal[0]) == (0, 10)


def test_counts_among_values_of_the_same_owner_only():
    rng = np.random.default_rng(1)
    values, owners = rng.integers(0, 5, 200), rng.integers(0, 7, 200)
    targets, target_owners = rng.integers(0, 5, 50), rng.integers(0, 8, 50)

    above, equal = places_among(values, owners, targets, target_owners)

    of = [values[owners == o] for o in target_owners]
    np.testing.assert_array_equal(above, [(v > t).sum() for v, t in zip(of, targets, strict=True)])
    np.testing.assert_array_equal(equal, [(v == t).sum() for v, t in zip(of, targets, strict=True)])
