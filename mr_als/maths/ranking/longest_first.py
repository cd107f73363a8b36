"""The best items of many users, looking at the longest item vectors first and at most of the others never.

By Cauchy and Schwarz an item scores at most x.y <= |x| |y|. Items come in the order of descending |y|, so once a user's
n-th best score so far is above |x| |y| of the next item, none of those that follow can be among the best n. Where a few
items are played by many, and have long vectors, that is after a few percent of the items.

Products are float32 and only propose, as in `mr_als.maths.ranking.scoring`: they are off by at most its error e, and so is an exact
score from the real one. So a user goes on as long as

    |x| |y| + e >= max(n-th best product - e, n-th best exact score among items seen elsewhere),

and the result is the exact one, whatever is computed together and whichever items come in which part.
"""

from __future__ import annotations

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.ranking.best import top_n
from mr_als.maths.ranking.scoring import SPARE, Namer, norms, rounding, settled

__all__ = ["best_longest_first"]

# items that all users see: enough to fill their lists well
_FIRST = 2048


def best_longest_first(
    users: Array, items: Array, lengths: Array, n: int, name: Namer, most: int = 1 << 20,
    left_out: tuple[Array, Array] | None = None, least: Array | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """Find the n items of highest score for each user.

    Parameters
    ----------
    users, n, name
        As of `mr_als.maths.ranking.scoring.best_items`.
    left_out : (indptr, indices), optional
        As of `best_items`.
    items : float32 (n_items, rank)
        The longest vector first.
    lengths : float64 (n_items,)
        Their `norms`, descending.
    most : int
        Scores computed at a time, unless there are more users than that.
    least : float32 (n_users,), optional
        The n-th best score among other items: what is below need not be found.

    Returns
    -------
    rows, scores : as of `best_items`

    Examples
    --------
    >>> Y = np.array([[1, 0], [1, 0], [0, 0.5]], np.float32)
    >>> best_longest_first(np.array([[2, 1]], np.float32), Y, norms(Y), 2, [b"b", b"a", b"c"].__getitem__)
    (array([[1, 0]]), array([[2., 2.]], dtype=float32))
    """
    n_users, rank = users.shape
    longest = float(lengths[0]) if len(lengths) else 0.0
    own = norms(users)
    error = rounding(rank, own, longest)
    floor = np.full(n_users, -np.inf) if least is None else least.astype(np.float64)
    rows, rough = np.full((n_users, n + SPARE), -1), np.full((n_users, n + SPARE), -np.inf, np.float32)
    none = np.zeros(0, np.int64)
    unwanted = _LeftOut(n_users, *(left_out or (none, none)))

    live, start = np.flatnonzero(own > 0), 0
    while start < len(items):
        live = live[own[live] * lengths[start] + error[live] >= floor[live]]
        if not len(live):
            break
        # as many as all before
        part = slice(start, start + max(1, min(max(_FIRST, 32 * n, start), most // len(live))))
        scores = users[live] @ items[part].T
        unwanted.remove(scores, live, part)
        found, products = top_n(scores, n + SPARE, floor=rough[live, -1])
        rows[live], rough[live] = _merged(
            np.hstack([rows[live], np.where(found >= 0, found + start, -1)]), np.hstack([rough[live], products])
        )
        floor[live] = np.maximum(floor[live], rough[live, n - 1] - error[live])
        start = part.stop

    def near(user: int, bound: float) -> Array:
        some = slice(0, int(np.count_nonzero(own[user] * lengths + error[user] >= bound)))
        scores = users[user : user + 1] @ items[some].T
        unwanted.remove(scores, np.array([user]), some)
        return np.flatnonzero(scores[0] >= bound)

    return settled(rows, rough, users, items, n, name, error, near)


def _merged(rows: Array, scores: Array) -> tuple[Array, Array]:
    """Select the better half of lists (n_users, 2 m), best first."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, : rows.shape[1] // 2]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)


class _LeftOut:
    """Items that are left out, indices[indptr[u]:indptr[u + 1]] of user u."""

    def __init__(self, n_users: int, indptr: Array, indices: Array) -> None:
        self._owners = np.repeat(np.arange(n_users), np.diff(indptr)) if len(indptr) else indptr
        self._items, self._n_users = indices, n_users

    def remove(self, scores: Array, users: Array, part: slice) -> None:
        """Set the scores (len(users), n) of the items left out to -inf: the scores of some users and of a part of the items."""
        place = np.full(self._n_users, -1)
        place[users] = np.arange(len(users))
        inside = np.flatnonzero((self._items >= part.start) & (self._items < part.stop))
        rows = place[self._owners[inside]]
        asked = rows >= 0
        scores[rows[asked], self._items[inside[asked]] - part.start] = -np.inf
