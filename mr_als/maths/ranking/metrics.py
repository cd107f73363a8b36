"""The ranking metrics, one function each, from where the test items stand among a user's candidates; a new one is added here.

A user's candidates, N of them, are in the order of descending score; T of them, the test items, are what the user
played later. With rel(r) = 1 where the item at rank r = 1 ... N is a test item, and 0 elsewhere,

    hits@k            = sum_{r <= k} rel(r)
    recall@k          = hits / T                 capped_recall@k = hits / min(k, T)
    precision@k       = hits / k                 hit_rate@k      = 1 if hits > 0 else 0
    ndcg@k            = sum_{r <= k} rel(r) / log2(1 + r)  /  sum_{r <= min(k, T)} 1 / log2(1 + r)
    map@k             = sum_{r <= k} rel(r) hits@r / r  /  min(k, T)
    mrr               = 1 / (rank of the first test item)
    percentile_rank   = sum over test items of w (r - 1) / (N - 1)  /  sum of w

where w, the plays in the test set, weights the last one (Hu, Koren & Volinsky 2008, section 6; 0 is best, random
order gives 0.5). Everything but the percentile rank is the mean over users; a user without test items is in no mean.

Items of equal score have no order, so a metric counts its *expected value* over all orders of equal scores. Nobody
lists these orders: what matters of a group of `size` equal scores, `test` of them of test items and `above` candidates
above them, is known in closed form (McSherry & Najork, ECIR 2008). Cost: O(test items), whatever N is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mr_als.maths.array import Array

__all__ = [
    "AT_K",
    "Groups",
    "average_precision",
    "capped_recall",
    "hit_rate",
    "metric_names",
    "metric_table",
    "ndcg",
    "percentile_rank",
    "precision",
    "recall",
    "reciprocal_rank",
    "tie_groups",
]


class Groups(NamedTuple):
    """The groups of equal scores that hold test items, by user, best first within a user.

    user : int64 (n_groups,), each one's user, ascending
    above : int64 (n_groups,), candidates with a higher score
    size : int64 (n_groups,), candidates with this score
    test : int64 (n_groups,), test items among them, at least 1
    before : int64 (n_groups,), test items above them
    weight : float64 (n_groups,), sum of the weights of the test items among them
    n_test : int64 (n_users,), test items of each user
    n_candidates : int64 (n_users,)
    """

    user: Array
    above: Array
    size: Array
    test: Array
    before: Array
    weight: Array
    n_test: Array
    n_candidates: Array

    def sum(self, values: Array) -> Array:
        """Sum values of groups, float64 (n_groups,), by user: float64 (n_users,)."""
        return np.bincount(self.user, values, len(self.n_test)).astype(np.float64)


def tie_groups(indptr: Array, above: Array, equal: Array, n_candidates: Array, weights: Array | None = None) -> Groups:
    """Collect test items of equal score.

    Parameters
    ----------
    indptr : int64 (n_users + 1,)
        User u has the test items indptr[u] to indptr[u + 1].
    above, equal : integers (n,)
        How many candidates have a higher score than the test item, and how many the same, itself included.
    n_candidates : integers (n_users,)
    weights : float64 (n,), optional
        Of the test items in the percentile rank; 1 each if not given.

    Examples
    --------
    One user, five candidates, scores 4 3 3 3 1; the test items are one with score 3 and the last:

    >>> groups = tie_groups(np.array([0, 2]), np.array([4, 1]), np.array([1, 3]), np.array([5]))
    >>> groups.above, groups.size
    (array([1, 4]), array([3, 1]))
    >>> recall(groups, 3).round(4)  # hits the first with probability 2/3
    array([0.3333])
    """
    n_users = len(indptr) - 1
    owner = np.repeat(np.arange(n_users), np.diff(indptr))
    weights = np.ones(len(above)) if weights is None else weights
    order = np.lexsort((above, owner))
    owner, above, equal, weights = owner[order], above[order], equal[order], weights[order]
    first = np.ones(len(owner), bool)
    first[1:] = (owner[1:] != owner[:-1]) | (above[1:] != above[:-1])
    starts = np.flatnonzero(first)
    test = np.diff(starts, append=len(owner))
    weight = np.add.reduceat(weights, starts) if len(starts) else np.zeros(0)
    before = starts - indptr[owner[starts]]
    return Groups(owner[starts], above[starts], equal[starts], test, before, weight, np.diff(indptr), np.asarray(n_candidates))


def recall(groups: Groups, k: int) -> Array:
    """Compute hits / T per user, the fraction of all test items that are found: float64 (n_users,); NaN without test items."""
    return _divided(_hits(groups, k), groups.n_test)


def capped_recall(groups: Groups, k: int) -> Array:
    """Compute hits / min(k, T) per user, float64 (n_users,); NaN without test items. A perfect list scores 1 even if T > k."""
    return _divided(_hits(groups, k), np.minimum(k, groups.n_test))


def precision(groups: Groups, k: int) -> Array:
    """Compute hits / k per user, float64 (n_users,); NaN without test items."""
    return _divided(_hits(groups, k), np.where(groups.n_test > 0, k, 0))


def _hits(groups: Groups, k: int) -> Array:
    """Compute the expected number of test items among the first k: an item is equally likely at each rank of its group."""
    return groups.sum(groups.test * _slots(groups, k) / groups.size)


def _slots(groups: Groups, k: int) -> Array:
    """Count the ranks of each group that are among the first k."""
    slots: Array = np.clip(k - groups.above, 0, groups.size)
    return slots


def _within(groups: Groups, k: int) -> int:
    """Reduce k to the most candidates that a user has: ranks beyond hold nothing, and need no memory."""
    return min(k, int(groups.n_candidates.max(initial=0)))


def ndcg(groups: Groups, k: int) -> Array:
    """Compute the normalised discounted cumulative gain per user, binary gains, float64 (n_users,); NaN without test items."""
    k = _within(groups, k)
    until = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2.0, k + 2.0)))])
    gained = until[np.minimum(groups.above + groups.size, k)] - until[np.minimum(groups.above, k)]
    return _divided(groups.sum(groups.test / groups.size * gained), until[np.minimum(groups.n_test, k)])


def average_precision(groups: Groups, k: int) -> Array:
    """Compute the average precision per user, divided by min(k, T), float64 (n_users,); NaN without test items.

    At place p of a group is a test item with probability test / size, and then on average (p - 1)(test - 1)/(size - 1)
    of the group's other ones are before it. With b = (test - 1)/(size - 1) the places that count add up to

        test / size  sum_p (before + 1 + b (p - 1)) / (above + p)
    """
    k = _within(groups, k)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1.0, k + 1.0))])
    slots = _slots(groups, k)
    slope = (groups.test - 1) / np.maximum(groups.size - 1, 1)
    start = np.minimum(groups.above, k)
    reciprocals = harmonic[start + slots] - harmonic[start]
    # a + b (p - 1) = b (above + p) + a - b (above + 1)
    gained = slope * slots + (groups.before + 1 - slope * (groups.above + 1)) * reciprocals
    return _divided(groups.sum(groups.test / groups.size * gained), np.minimum(k, groups.n_test))


def hit_rate(groups: Groups, k: int) -> Array:
    """Compute each user's probability of a test item among the first k, float64 (n_users,); NaN without test items."""
    missed = np.ones(len(groups.n_test))
    np.multiply.at(missed, groups.user, _all_missed(groups.size, groups.test, _slots(groups, k)))
    return _divided(1.0 - missed, groups.n_test > 0)


def _all_missed(size: Array, test: Array, slots: Array) -> Array:
    """Compute C(size - test, slots) / C(size, slots), the probability of no test item in `slots` of a group's places."""
    probability = np.ones(len(size))
    for drawn in range(int(slots.max(initial=0))):
        # drawn places are taken already, none by a test item
        some = (slots > drawn) & (probability > 0)
        probability[some] *= np.maximum(size - test - drawn, 0)[some] / (size - drawn)[some]
    return probability


def reciprocal_rank(groups: Groups) -> Array:
    """Compute 1 / (rank of the first test item) per user, float64 (n_users,); NaN without test items."""
    first = np.flatnonzero(groups.before == 0)
    value = np.zeros(len(groups.n_test))
    for n in first:
        value[groups.user[n]] = _first_reciprocal(int(groups.above[n]), int(groups.size[n]), int(groups.test[n]))
    return _divided(value, groups.n_test > 0)


def _first_reciprocal(above: int, size: int, test: int) -> float:
    """Compute the expected 1 / (above + place of the first of `test` items in a random order of `size`)."""
    if size == 1:
        return 1.0 / (above + 1)
    places = np.arange(size - test + 1)
    # the first place is beyond p with probability product_{q < p} (size - test - q) / (size - q)
    beyond = np.concatenate([[1.0], np.cumprod((size - test - places) / (size - places))])
    return float(((beyond[:-1] - beyond[1:]) / (above + 1.0 + places)).sum())


def percentile_rank(groups: Groups) -> tuple[Array, Array]:
    """Compute the numerator and denominator of each user's part of the percentile rank, float64 (n_users,) each.

    The sums over users of the first, divided by that of the second, is the expected percentile rank.
    """
    place = groups.above + (groups.size - 1) / 2.0  # from 0
    last = np.maximum(groups.n_candidates - 1, 1)[groups.user]
    return groups.sum(groups.weight * place / last), groups.sum(groups.weight)


def _divided(values: Array, by: Array) -> Array:
    """Compute values / by; NaN where `by` is 0."""
    quotient: Array = np.divide(values, by, out=np.full(len(values), np.nan), where=np.asarray(by) > 0)
    return quotient


# the metrics of the first k ranks, by name
AT_K: dict[str, Callable[[Groups, int], Array]] = {
    "recall": recall,
    "capped_recall": capped_recall,
    "precision": precision,
    "ndcg": ndcg,
    "map": average_precision,
    "hit_rate": hit_rate,
}


def metric_names(ks: Sequence[int]) -> list[str]:
    """List the names of all metrics, in the order of the columns of `metric_table`.

    >>> metric_names([10])[:3]
    ['recall@10', 'capped_recall@10', 'precision@10']
    """
    return [f"{name}@{k}" for k in ks for name in AT_K] + ["mrr", "percentile_rank"]


def metric_table(groups: Groups, ks: Sequence[int]) -> Array:
    """Compute all metrics for users who all have test items, float64 (n_users, n_metrics).

    The last column is the numerator of the percentile rank; each other one has the mean over users.
    """
    columns = [metric(groups, k) for k in ks for metric in AT_K.values()]
    return np.column_stack([*columns, reciprocal_rank(groups), percentile_rank(groups)[0]])
