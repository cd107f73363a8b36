"""The best n of many scores, exactly, without sorting them all.

Columns j, j + g, j + 2g, ... form a group. The n-th largest of a row's group maxima is a bound t: n groups
hold a score >= t each, so nothing below t is among the best n, and nearly all groups are passed over after
one look at their maximum. What is left, a few groups a row, is sorted. Equal scores are ordered by index.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from mr_als.maths.array import Array

__all__ = ["normalized", "top_n"]

# scores looked at together; bounds the temporaries, which for rows of equal scores are 30 times as large
_SLICE = 1 << 20
# columns in a group, at most: more makes fewer maxima to compare, but more columns of a good group to look at
_WIDTH = 64


def top_n(
    scores: Array, n: int, indptr: Array | None = None, indices: Array | None = None, floor: Array | None = None
) -> tuple[Array, Array]:
    """Find the n largest scores of each row.

    Parameters
    ----------
    scores : float32 (n_rows, n_items)
        Finite, or -inf for what must not be found. Overwritten: what is left out becomes -inf.
    n : int
    indptr, indices : integers (n_rows + 1,) and (nnz,), optional
        Columns to leave out: indices[indptr[r]:indptr[r + 1]] of row r.
    floor : float32 (n_rows,), optional
        Scores that are not above it need not be found.

    Returns
    -------
    indices : int64 (n_rows, n)
        Best first, ties by ascending index; -1 where a row has no more.
    scores : float32 (n_rows, n)
        Their scores; -inf where a row has no more.

    Examples
    --------
    >>> scores = np.array([[0.5, 0.9, 0.1, 0.9]], np.float32)
    >>> top_n(scores, 2, np.array([0, 1]), np.array([1]))
    (array([[3, 0]]), array([[0.9, 0.5]], dtype=float32))
    """
    n_rows, n_items = scores.shape
    if indptr is not None and indices is not None:
        scores[np.repeat(np.arange(n_rows), np.diff(indptr)), indices] = -np.inf
    best = np.full((n_rows, n), -1, np.int64)
    best_scores = np.full((n_rows, n), -np.inf, np.float32)
    step = max(1, _SLICE // max(1, n_items))
    for start in range(0, n_rows, step):
        part = slice(start, start + step)
        _sort_into(best[part], best_scores[part], *_candidates(scores[part], n, None if floor is None else floor[part, None]))
    return best, best_scores


def _candidates(scores: Array, n: int, floor: Array | None) -> tuple[Array, Array, Array]:
    """Find all scores that can be among their row's best n, as (row, column, score), in any order."""
    n_items = scores.shape[1]
    if floor is not None and (floor > -np.inf).all():
        # few are above it, so a look at each score is all
        rows, columns = np.divmod(np.flatnonzero(scores > floor), n_items)
        return rows, columns, scores[rows, columns]
    # as many maxima as columns of good groups
    width = min(_WIDTH, n_items // (4 * n), isqrt(n_items // n)) if n > 0 else 0
    if width < 2:
        rows, columns = np.nonzero(scores > -np.inf)
        return rows, columns, scores[rows, columns]
    n_groups = n_items // width
    maxima = scores[:, :n_groups].copy()
    for j in range(1, width):
        np.maximum(maxima, scores[:, j * n_groups : (j + 1) * n_groups], out=maxima)
    bound = np.partition(maxima, n_groups - n, axis=1)[:, n_groups - n, None]
    rows, groups = np.nonzero((maxima >= bound) & (maxima > -np.inf))
    columns = groups[:, None] + np.arange(width) * n_groups
    # the last columns, which fill no group, are candidates in every row
    last = np.arange(width * n_groups, n_items)
    rows = np.concatenate((np.repeat(rows, width), np.repeat(np.arange(len(scores)), len(last))))
    columns = np.concatenate((columns.ravel(), np.tile(last, len(scores))))
    values = scores[rows, columns]
    keep = (values >= bound[rows, 0]) & (values > -np.inf)
    return rows[keep], columns[keep], values[keep]


def _sort_into(best: Array, best_scores: Array, rows: Array, columns: Array, values: Array) -> None:
    """Sort candidates by row, descending score and index; write the first n of each row."""
    order = np.lexsort((columns, -values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    counts = np.bincount(rows, minlength=len(best))
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    keep = place < best.shape[1]
    best[rows[keep], place[keep]] = columns[keep]
    best_scores[rows[keep], place[keep]] = values[keep]


def normalized(factors: Array) -> Array:
    """Scale factors (n, rank) to length 1, float32, so that dot products are cosines; zero rows stay zero.

    >>> normalized(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    wide = factors.astype(np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
    unit: Array = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0).astype(np.float32)
    return unit
