"""Scores x.y that do not depend on how many are computed together, and the best of them.

A matrix product gives a row alone other last bits than the same row among many, and near ties then change places.
So the float32 product only proposes: its best n and some more are computed again, each by one fixed float64
sum that is rounded once, and ordered by score, then by name. Where the product's own rounding,

    |float32(x.y) - x.y| <= (rank + 1) 2^-24 |x| |y|,

could hide a better item, all items within it are computed again. So the result is exact and the same alone or among
many, for all items at once or tile by tile.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.ranking.best import top_n

__all__ = [
    "SPARE", "best_items", "best_of", "best_scored", "cosines", "exact_scores", "in_order", "longest_norm", "norms", "rounding",
    "settled",
]  # fmt: skip

Namer = Callable[[int], bytes]
Near = Callable[[int, float], Array]

# candidates beyond n: near ties at the end of a list are rarer than one row in a thousand with so many
SPARE = 6
# numbers turned into float64 at a time: 8 MB
_CHUNK = 1 << 20


def best_items(
    users: Array, items: Array, n: int, name: Namer, longest: float, indptr: Array | None = None, indices: Array | None = None
) -> tuple[Array, Array]:
    """Find the n items of highest score for each user.

    Parameters
    ----------
    users : float32 (n_users, rank)
        A user whose vector is zero knows nothing and gets nothing.
    items : float32 (n_items, rank)
    n : int
    name : function of an item's row that gives its name; equal scores are in the order of names
    longest : float
        `longest_norm(items)`.
    indptr, indices : integers (n_users + 1,) and (nnz,), optional
        Items to leave out: indices[indptr[u]:indptr[u + 1]] of user u.

    Returns
    -------
    rows : int64 (n_users, n)
        Best first; -1 where a user has no more.
    scores : float32 (n_users, n)
        Their scores; -inf where a user has no more.

    Examples
    --------
    >>> Y = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    >>> best_items(np.array([[2, 1]], np.float32), Y, 2, [b"b", b"c", b"a"].__getitem__, longest_norm(Y))
    (array([[2, 0]]), array([[2., 2.]], dtype=float32))
    """
    return best_scored(users @ items.T, users, items, n, name, longest, indptr, indices)


def best_scored(
    scores: Array,
    users: Array,
    items: Array,
    n: int,
    name: Namer,
    longest: float,
    indptr: Array | None = None,
    indices: Array | None = None,
) -> tuple[Array, Array]:
    """Do as `best_items` with the product users @ items.T that is there already; what is left out becomes -inf in it."""
    rows, rough = top_n(scores, n + SPARE, indptr, indices)
    error = rounding(users.shape[1], norms(users), longest)
    return settled(rows, rough, users, items, n, name, error, lambda user, bound: np.flatnonzero(scores[user] >= bound))


def rounding(rank: int, lengths: Array, longest: float) -> Array:
    """Bound how far a float32 product may be from the exact score, for users of these `lengths`: float64 (n_users,)."""
    # one more unit for the rounding of the exact score; numbers next to zero are rounded to multiples of 2^-149
    error: Array = (rank + 2) * (2.0**-24 * lengths * longest + 2.0**-149)
    return error


def settled(
    rows: Array, rough: Array, users: Array, items: Array, n: int, name: Namer, error: Array, near: Near
) -> tuple[Array, Array]:
    """Find the best n by exact score, given the best n + SPARE by a product that is off by at most `error`.

    Parameters
    ----------
    rows, rough : int64 and float32 (n_users, n + SPARE)
        Items and their products, best first; -1 and -inf where there are no more.
    users, items, n, name
        As of `best_items`.
    error : float64 (n_users,)
        `rounding` of the users' products.
    near : function of a user and a bound
        Gives all items to choose from whose product is at least the bound.

    Returns
    -------
    rows, scores : as of `best_items`
    """
    exact = _scores_at(users, items, rows)
    nth = -np.sort(-exact, axis=1)[:, n - 1].astype(np.float64)
    best, best_scores = in_order(rows, exact, n, name)
    known = users.any(axis=1)
    # strictly above: an equal score outside may have an earlier name
    unsure = (rough[:, -1] > -np.inf) & (nth <= rough[:, -1] + error) & known
    for user in np.flatnonzero(unsure).tolist():
        rows_near = near(user, nth[user] - error[user])[None, :]
        best[user], best_scores[user] = in_order(rows_near, _scores_at(users[user : user + 1], items, rows_near), n, name)
    best[~known], best_scores[~known] = -1, -np.inf
    return best, best_scores


def _scores_at(users: Array, items: Array, rows: Array) -> Array:
    """Compute the exact scores of the items `rows` (n_users, m), float32; -inf where a row is -1."""
    scores = np.empty(rows.shape, np.float32)
    height = max(1, _CHUNK // max(1, rows.shape[1] * users.shape[1]))
    width = max(1, _CHUNK // max(1, users.shape[1]))
    for top in range(0, rows.shape[0], height):
        for left in range(0, rows.shape[1], width):
            part = slice(top, top + height), slice(left, left + width)
            scores[part] = exact_scores(users[part[0], None], items[rows[part]])
    scores[rows < 0] = -np.inf
    return scores


def exact_scores(left: Array, right: Array) -> Array:
    """Compute the dot products of corresponding rows of `left` and `right`, (m, rank) or broadcastable: float32 (m,)."""
    products: Array = left.astype(np.float64) * right.astype(np.float64)
    scores: Array = products.sum(-1).astype(np.float32)
    return scores


def in_order(rows: Array, scores: Array, n: int, name: Namer) -> tuple[Array, Array]:
    """Select the best n of the candidates (n_users, m), by score, then by name; -1 and -inf where there are no more.

    >>> in_order(np.array([[4, 2, -1]]), np.array([[0.5, 0.5, -np.inf]], np.float32), 2, lambda row: b"%d" % row)
    (array([[2, 4]]), array([[0.5, 0.5]], dtype=float32))
    """
    order = np.lexsort((rows, -scores), axis=1)
    rows, scores = np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
    tied = (scores[:, 1:] == scores[:, :-1]) & (scores[:, 1:] > -np.inf)
    for user in np.flatnonzero(tied.any(1)):
        live = int((scores[user] > -np.inf).sum())
        by_name = sorted(range(live), key=lambda j: (-scores[user, j], name(int(rows[user, j]))))
        rows[user, :live] = rows[user, by_name]
    rows = np.where(scores > -np.inf, rows, -1)
    missing = ((0, 0), (0, max(0, n - rows.shape[1])))
    return (
        np.pad(rows[:, :n], missing, constant_values=-1),
        np.pad(scores[:, :n], missing, constant_values=-np.inf),
    )


def best_of(scores: Array, n: int, name: Namer) -> tuple[Array, Array]:
    """Find the n largest of exact scores (n_items,), by score, then by name: rows and scores, at most n; -inf is left out."""
    live = scores[scores > -np.inf]
    if not len(live):
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    bound = np.partition(live, max(0, len(live) - n))[max(0, len(live) - n)]
    near = np.flatnonzero(scores >= bound)
    rows, best = in_order(near[None, :], scores[None, near], min(n, len(near)), name)
    return rows[0], best[0]


def cosines(vectors: Array, vector: Array) -> Array:
    """Compute the cosine of each row of `vectors` (n, rank) with `vector` (rank,), float32; -inf if either is zero.

    >>> cosines(np.array([[3, 0], [1, 1], [0, 0]], np.float32), np.array([1, 0], np.float32)).round(2)
    array([1.  , 0.71, -inf], dtype=float32)
    """
    result = np.full(len(vectors), -np.inf, np.float32)
    vector = vector.astype(np.float64)
    length = np.sqrt((vector * vector).sum())
    step = max(1, _CHUNK // max(1, vectors.shape[1]))
    for start in range(0, len(vectors) if length > 0 else 0, step):
        wide = vectors[start : start + step].astype(np.float64)
        lengths = np.sqrt((wide * wide).sum(1))
        some = lengths > 0
        result[start : start + step][some] = (wide[some] * vector).sum(1) / (lengths[some] * length)
    return result


def norms(vectors: Array) -> Array:
    """Compute the length of each row of `vectors` (n, rank): float64 (n,)."""
    lengths = np.empty(len(vectors))
    step = max(1, _CHUNK // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), step):
        wide = vectors[start : start + step].astype(np.float64)
        lengths[start : start + step] = np.sqrt((wide * wide).sum(1))
    return lengths


def longest_norm(vectors: Array) -> float:
    """Compute the length of the longest row of `vectors` (n, rank); 0 if there are no rows."""
    return float(norms(vectors).max(initial=0.0))
