"""Where given items stand among all others by score: exact, although the scores come from a float32 product.

How many candidates score higher than an item, and how many the same, is all that a ranking metric needs to know
(`mr_als.maths.ranking.metrics`); nothing is sorted. The product tells all but near ties: a score within its rounding,

    (rank + 2) 2^-24 |x| |y|,

of the item's is computed again as `mr_als.maths.ranking.scoring.exact_scores` does, so no count depends on how many scores were
computed together.
"""

from __future__ import annotations

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.ranking.scoring import exact_scores

__all__ = ["places_among", "places_in"]


def places_in(scores: Array, users: Array, items: Array, longest: float, indptr: Array, targets: Array) -> tuple[Array, Array]:
    """Count the items that score higher than each target, and the same.

    Parameters
    ----------
    scores : float32 (n_users, n_items)
        The product users @ items.T; -inf for items that are no candidates.
    users, items : float32 (n_users, rank), (n_items, rank)
    longest : float
        Length of the longest row of `items`.
    indptr, targets : int64 (n_users + 1,), float32 (n,)
        The exact scores that user u's targets indptr[u] to indptr[u + 1] have.

    Returns
    -------
    above, equal : int64 (n,)

    Examples
    --------
    >>> x, Y = np.array([[2, 1]], np.float32), np.array([[1, 0], [0, 1], [1, 0], [0, 2]], np.float32)
    >>> places_in(x @ Y.T, x, Y, 2.0, np.array([0, 2]), np.array([1, 2], np.float32))
    (array([3, 0]), array([1, 3]))
    """
    above, equal = np.zeros(len(targets), np.int64), np.zeros(len(targets), np.int64)
    lengths = np.sqrt(np.einsum("ij,ij->i", users, users, dtype=np.float64))
    error = (users.shape[1] + 2) * 2.0**-24 * lengths * longest
    for user in np.flatnonzero(np.diff(indptr)):
        row = scores[user]
        for place in range(indptr[user], indptr[user + 1]):
            target = targets[place]
            # outwards, as the bounds are rounded to float32
            low = np.nextafter(np.float32(target - error[user]), np.float32(-np.inf))
            high = np.nextafter(np.float32(target + error[user]), np.float32(np.inf))
            above[place] = np.count_nonzero(row > high)
            if np.count_nonzero(row >= low) > above[place]:
                near = exact_scores(users[user], items[np.flatnonzero((row >= low) & (row <= high))])
                above[place] += np.count_nonzero(near > target)
                equal[place] = np.count_nonzero(near == target)
    return above, equal


def places_among(values: Array, owners: Array, targets: Array, target_owners: Array) -> tuple[Array, Array]:
    """Count the values of the same owner that are higher than each target, and that are the same.

    Parameters
    ----------
    values, owners : numbers (m,), integers (m,)
    targets, target_owners : numbers (n,), integers (n,)

    Examples
    --------
    >>> places_among(np.array([1, 5, 5, 9]), np.array([0, 0, 0, 1]), np.array([5, 2]), np.array([0, 1]))
    (array([0, 1]), array([2, 0]))
    """
    # descending values, by owner
    order = np.lexsort((-values, owners))
    values, owners = values[order], owners[order]
    starts = np.searchsorted(owners, target_owners, "left")
    ends = np.searchsorted(owners, target_owners, "right")
    above, equal = np.zeros(len(targets), np.int64), np.zeros(len(targets), np.int64)
    for n, (start, end, target) in enumerate(zip(starts.tolist(), ends.tolist(), targets.tolist(), strict=True)):
        above[n] = np.searchsorted(-values[start:end], -target, "left")
        equal[n] = np.searchsorted(-values[start:end], -target, "right") - above[n]
    return above, equal
