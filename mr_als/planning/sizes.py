"""How large the data are: counted in prepared plays, or guessed from the numbers of users, items and pairs.

A guess assumes the usual long tails of popularity and activity; the constants say how long.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from mr_als.maths.array import Array

# the n-th most popular item is played in proportion to 1 / n^0.8; the logarithm of a user's activity has this deviation
POPULARITY, ACTIVITY = 0.8, 1.1
# an id of 9 to 16 bytes takes two words
ID_BYTES = 16


class Sizes(NamedTuple):
    """How large the data are, and how they are cut.

    rows, blocks : of users, of items
    play_bytes : prepared plays of the user side, of the item side
    vectors : what all user blocks together need of item vectors, and item blocks of user vectors
    excess : pairs by which the largest user block, item block is above the average
    """

    rows: tuple[int, int]
    pairs: int
    blocks: tuple[int, int]
    rank: int
    play_bytes: tuple[float, float]
    vectors: tuple[float, float]
    excess: tuple[float, float] = (0.0, 0.0)


def vector_bytes(n: float, rank: int) -> float:
    """Compute the bytes of n vectors as tasks get them: a hash and `rank` numbers each."""
    return n * (8 + 4 * rank)


def guess_sizes(users: int, items: int, pairs: int, blocks: tuple[int, int], rank: int) -> Sizes:
    """Estimate the sizes of unseen plays, assuming that they are spread as plays usually are."""
    rows = (users, items)
    vectors, play_bytes = [], []
    for side in (0, 1):
        n_rows, n_columns = rows[side] / blocks[side], rows[1 - side]
        columns = distinct(n_columns, n_rows, pairs / blocks[side], 1 - side)
        most = min(n_columns, pairs * float(spread(rows[side], side)[1][0]))
        a_row = 8 + 4 + ID_BYTES + (1 if most < 256 else 2 if most < 65536 else 4)
        # counts of plays: two bytes, as soon as one of a block is above 255
        a_pair = 2 + (1 if columns <= 256 else 2 if columns <= 65536 else 4)
        vectors.append(blocks[side] * columns)
        play_bytes.append(blocks[side] * (152 + 8 * columns) + rows[side] * a_row + pairs * a_pair)
    return Sizes(rows, pairs, blocks, rank, (play_bytes[0], play_bytes[1]), (vectors[0], vectors[1]))


def spread(n: int, side: int) -> tuple[Array, Array]:
    """Estimate how plays spread over n users (side 0) or items (side 1): counts and their shares of the pairs, most first."""
    # neighbours by rank are alike: a few hundred steps stand for all of them
    edges = np.unique(np.geomspace(1, n + 1, 400).astype(np.int64))
    ranks, counts = (edges[:-1] + edges[1:] - 1) / 2, np.diff(edges)
    if side:
        shares = ranks**-POPULARITY
    else:
        shares = np.exp([-ACTIVITY * NormalDist().inv_cdf(place) for place in ((ranks - 0.5) / n).tolist()])
    return counts, shares / (counts @ shares)


def distinct(n_columns: int, n_rows: float, pairs: float, side: int) -> float:
    """Estimate how many of all `n_columns` users (side 0) or items (side 1) occur in a block of the other side.

    >>> distinct(1000, 100, 1e9, 1)
    1000.0
    >>> round(distinct(10_000, 625, 31_250, 1))
    7444
    """
    counts, shares = spread(n_columns, side)
    chance = np.minimum(pairs / n_rows * shares, 1 - 1e-12)
    return float(np.sum(counts * -np.expm1(n_rows * np.log1p(-chance))))


def counted(info: dict[str, Any], rank: int) -> Sizes:
    """Estimate the sizes of plays when only their `plays.json` is known."""
    blocks, pairs = info["blocks"], info["pairs"]
    guessed = guess_sizes(info["n_users"], info["n_items"], pairs, (blocks[0], blocks[1]), rank)
    # plays that an older version prepared do not say what their blocks need
    users, items = info.get("vectors", guessed.vectors)
    most = info.get("most_pairs", (0, 0))
    excess = (max(0.0, most[0] - pairs / blocks[0]), max(0.0, most[1] - pairs / blocks[1]))
    return guessed._replace(vectors=(users, items), excess=excess)
