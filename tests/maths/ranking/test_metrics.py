"""Every metric against its definition, over all orders of equal scores, and against scikit-learn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from mr_als.maths.ranking import metrics
from mr_als.maths.ranking.metrics import AT_K, percentile_rank, reciprocal_rank, tie_groups


def groups_of(scores, tests, weights=None):
    """Count above and equal for each user's test items; scores is a list of arrays, tests one of lists of places."""
    above = [int((s > s[t]).sum()) for s, test in zip(scores, tests, strict=True) for t in test]
    equal = [int((s == s[t]).sum()) for s, test in zip(scores, tests, strict=True) for t in test]
    indptr = np.concatenate([[0], np.cumsum([len(test) for test in tests], dtype=int)])
    sizes = np.array([len(s) for s in scores])
    flat = None if weights is None else np.array([w for of_user in weights for w in of_user], float)
    return tie_groups(indptr, np.array(above, int), np.array(equal, int), sizes, flat)


def defined(relevant, k, weights=()):
    """Compute all metrics of one ranking from their definitions: relevant[r - 1] is 1 where rank r holds a test item."""
    T, hits = sum(relevant), sum(relevant[:k])
    ideal = sum(1 / math.log2(1 + r) for r in range(1, min(k, T) + 1))
    ranks = [r for r, rel in enumerate(relevant, 1) if rel]
    return {
        "recall": hits / T,
        "capped_recall": hits / min(k, T),
        "precision": hits / k,
        "hit_rate": float(hits > 0),
        "ndcg": sum(1 / math.log2(1 + r) for r in ranks if r <= k) / ideal,
        "map": sum(sum(relevant[:r]) / r for r in ranks if r <= k) / min(k, T),
        "mrr": 1 / ranks[0],
        "percentile_rank": sum(w * (r - 1) for w, r in weights) / max(len(relevant) - 1, 1) / sum(w for w, _ in weights),
    }


def averaged(scores, test, k, weights):
    """Average the definitions over all orders of equal scores, each as likely as the others."""
    found = []
    for order in itertools.permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            relevant = [int(j in test) for j in order]
            found.append(defined(relevant, k, [(w, order.index(t) + 1) for t, w in zip(test, weights, strict=True)]))
    return {name: sum(f[name] for f in found) / len(found) for name in found[0]}


def all_metrics(groups, k):
    """Compute everything the module has."""
    values = {name: metric(groups, k) for name, metric in AT_K.items()}
    numerator, denominator = percentile_rank(groups)
    return {**values, "mrr": reciprocal_rank(groups), "percentile_rank": numerator / np.maximum(denominator, 1e-9)}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("n_values", [1, 2, 3, 100])
def test_equals_the_average_over_all_orders_of_equal_scores(seed, n_values):
    rng = np.random.default_rng(seed)
    scores = [rng.integers(0, n_values, rng.integers(1, 7)).astype(np.float32) for _ in range(4)]
    tests = [sorted(rng.choice(len(s), rng.integers(1, len(s) + 1), replace=False).tolist()) for s in scores]
    weights = [rng.integers(1, 9, len(test)).tolist() for test in tests]

    for k in (1, 2, 3, 10):
        actual = all_metrics(groups_of(scores, tests, weights), k)

        for user in range(4):
            for name, value in averaged(scores[user].tolist(), tests[user], k, weights[user]).items():
                assert actual[name][user] == pytest.approx(value, abs=1e-12), (name, k, user)


def test_ndcg_and_average_precision_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = rng.integers(0, 8, 30).astype(np.float64)
        relevant = rng.random(30) < 0.2
        relevant[0] = True
        distinct = rng.permutation(30).astype(np.float64)

        tied = groups_of([scores], [np.flatnonzero(relevant).tolist()])
        untied = groups_of([distinct], [np.flatnonzero(relevant).tolist()])

        for k in (1, 5, 30):
            assert metrics.ndcg(tied, k)[0] == pytest.approx(ndcg_score([relevant], [scores], k=k), abs=1e-12)
        # scikit-learn takes equal scores in average precision as one threshold, hence distinct ones
        assert metrics.average_precision(untied, 30)[0] == pytest.approx(average_precision_score(relevant, distinct), abs=1e-12)


def test_many_candidates_of_one_score_are_like_random_order():
    n, T, k = 100_000, 30, 100
    groups = tie_groups(np.array([0, T]), np.zeros(T, int), np.full(T, n), np.array([n]))
    miss = math.exp(math.lgamma(n - T + 1) + math.lgamma(n - k + 1) - math.lgamma(n - T - k + 1) - math.lgamma(n + 1))

    assert metrics.recall(groups, k)[0] == pytest.approx(k / n)
    assert metrics.hit_rate(groups, k)[0] == pytest.approx(1 - miss, rel=1e-6)
    numerator, denominator = percentile_rank(groups)
    assert numerator[0] / denominator[0] == pytest.approx(0.5)


def test_a_perfect_ranking_has_the_best_value_of_every_metric():
    groups = groups_of([np.arange(20.0)], [[17, 18, 19]])

    found = all_metrics(groups, 3)

    assert {name: float(value[0]) for name, value in found.items() if name != "percentile_rank"} == dict.fromkeys(
        ["recall", "capped_recall", "precision", "ndcg", "map", "hit_rate", "mrr"], 1.0
    )


def test_the_two_recalls_differ_where_more_was_played_than_fits():
    groups = groups_of([np.arange(20.0)], [list(range(10, 20))])

    assert metrics.recall(groups, 5)[0] == 0.5
    assert metrics.capped_recall(groups, 5)[0] == 1.0


def test_a_user_without_test_items_has_no_value_and_no_weight():
    groups = groups_of([np.arange(5.0), np.arange(5.0), np.arange(5.0)], [[], [4], []])

    for metric in AT_K.values():
        np.testing.assert_array_equal(np.isnan(metric(groups, 2)), [True, False, True])
    np.testing.assert_array_equal(np.isnan(reciprocal_rank(groups)), [True, False, True])
    np.testing.assert_array_equal(percentile_rank(groups)[1], [0, 1, 0])


def test_no_users_at_all_give_empty_arrays():
    groups = tie_groups(np.array([0]), np.zeros(0, int), np.zeros(0, int), np.zeros(0, int))

    assert all(len(metric(groups, 5)) == 0 for metric in AT_K.values())
    assert len(reciprocal_rank(groups)) == 0


def test_users_do_not_influence_one_another():
    rng = np.random.default_rng(3)
    scores = [rng.integers(0, 4, 12).astype(float) for _ in range(6)]
    tests = [rng.choice(12, n, replace=False).tolist() for n in (3, 0, 1, 12, 0, 2)]

    together = all_metrics(groups_of(scores, tests), 4)

    for user in (0, 2, 3, 5):
        alone = all_metrics(groups_of([scores[user]], [tests[user]]), 4)
        for name, value in alone.items():
            assert together[name][user] == pytest.approx(value[0], abs=1e-15)


@pytest.mark.parametrize("name", sorted(AT_K))
def test_ranks_beyond_the_candidates_hold_nothing_and_take_no_memory(name):
    """At k = 10^15 a metric is what it is at the number of candidates; precision is hits / k."""
    scores = [np.array([3.0, 1.0, 2.0, 2.0]), np.array([5.0, 4.0])]
    groups = groups_of(scores, [[1, 2], [1]])

    at_all, beyond = AT_K[name](groups, 4), AT_K[name](groups, 10**15)

    np.testing.assert_allclose(beyond * 10**15 if name == "precision" else beyond, at_all * 4 if name == "precision" else at_all)
