"""The best items of many users, as arrays: the maths of the recommend job, on threads of this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from mr_als.api.ids import is_whole
from mr_als.errors import UsageError
from mr_als.maths.array import Array
from mr_als.maths.ranking.longest_first import best_longest_first
from mr_als.maths.ranking.scoring import Namer

__all__ = ["Catalogue", "LeftOut", "and_denied", "best_lists", "csr_rows", "how_many", "nothing"]

# of a slice of the users, the rows of the items that are left out of their lists, as CSR: indptr, indices
LeftOut = Callable[[slice], tuple[Array, Array]]

# users that are scored together: more would leave the cache for nothing
TOGETHER = 256


class Catalogue(NamedTuple):
    """Items to choose from, the longest vector first.

    factors : float32 (n_items, rank)
    lengths : float64 (n_items,)
    rows : int64 (n_items,), the row of each in the model
    places : int64 (rows of the model,), and back; -1 for others
    """

    factors: Array
    lengths: Array
    rows: Array
    places: Array

    @classmethod
    def of(cls, factors: Array, lengths: Array, rows: Array | None = None) -> Catalogue:
        """Make a catalogue of the items `rows`; None: of all."""
        rows = np.arange(len(lengths)) if rows is None else rows
        rows = rows[np.argsort(-lengths[rows], kind="stable")]
        places = np.full(len(lengths), -1)
        places[rows] = np.arange(len(rows))
        return cls(np.asarray(factors[rows]), lengths[rows], rows, places)


def how_many(n: Any, wanted: str) -> int:
    """Return the length of lists that is asked for.

    Parameters
    ----------
    wanted : what the message says that it is the number of

    Raises
    ------
    UsageError
        If it is no integer, or negative.
    """
    if not is_whole(n) or n < 0:
        msg = f"n is {n if is_whole(n) else f'a {type(n).__name__}'}; expected how many {wanted}"
        raise UsageError(msg)
    return int(n)


def best_lists(users: Array, left_out: LeftOut, items: Catalogue, n: int, name: Namer) -> tuple[Array, Array]:
    """Find the best n items of each user.

    Parameters
    ----------
    users : float32 (n_users, rank)
    name : function of a row of the model that gives the item's id; equal scores are in the order of ids

    Returns
    -------
    rows : int64 (n_users, n), of the model; -1 where there are no more
    scores : float32 (n_users, n), best first; -inf where there are no more
    """
    rows, scores = np.full((len(users), n), -1), np.full((len(users), n), -np.inf, np.float32)

    def find(part: slice) -> None:
        indptr, indices = left_out(part)
        places = items.places[indices]
        known = places >= 0
        before = np.concatenate([[0], np.cumsum(known)])
        found, values = best_longest_first(
            np.asarray(users[part]), items.factors, items.lengths, n, lambda place: name(int(items.rows[place])),
            left_out=(before[indptr], places[known]),
        )  # fmt: skip
        rows[part], scores[part] = np.where(found >= 0, items.rows[found], -1), values

    parts = [slice(start, min(start + TOGETHER, len(users))) for start in range(0, len(users), TOGETHER)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for _ in pool.map(find, parts):
            pass  # raises what a thread raised
    return rows, scores


def nothing(part: slice) -> tuple[Array, Array]:
    """Leave nothing out."""
    return np.zeros(part.stop - part.start + 1, np.int64), np.zeros(0, np.int64)


def csr_rows(indptr: Array, indices: Array) -> LeftOut:
    """Leave out the items of a CSR."""

    def left_out(part: slice) -> tuple[Array, Array]:
        bounds = indptr[part.start : part.stop + 1]
        return bounds - bounds[0], indices[bounds[0] : bounds[-1]]

    return left_out


def and_denied(left_out: LeftOut, denied: Array) -> LeftOut:
    """Leave the items `denied` out for all users, too."""

    def both(part: slice) -> tuple[Array, Array]:
        indptr, indices = left_out(part)
        n = len(indptr) - 1
        owners = np.concatenate([np.repeat(np.arange(n), np.diff(indptr)), np.repeat(np.arange(n), len(denied))])
        order = np.argsort(owners, kind="stable")
        return indptr + len(denied) * np.arange(n + 1), np.concatenate([indices, np.tile(denied, n)])[order]

    return both if len(denied) else left_out
