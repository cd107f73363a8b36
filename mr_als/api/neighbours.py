"""Who or what is like whom: the highest cosines of vectors of one side."""

from __future__ import annotations

from typing import Any

import numpy as np

from mr_als.api.ids import Side, is_one
from mr_als.api.lists import how_many
from mr_als.maths.array import Array
from mr_als.maths.ranking.scoring import best_of, cosines

__all__ = ["neighbours"]


def neighbours(side: Side, factors: Array, names: Any, n: Any, allow: Any, deny: Any) -> Any:
    """Find the n rows of `factors` (n_rows, rank) with the highest cosine to one, or to each of several.

    Returns
    -------
    list of (id, cosine) for one; for several, arrays of ids and of cosines (len(names), n), where n is at most the number of rows
    """
    n = min(how_many(n, f"{side.name} to find, an integer of at least 0"), len(factors))
    kept = np.ones(len(factors), bool) if allow is None else np.zeros(len(factors), bool)
    if allow is not None:
        kept[side.some(allow)] = True
    if deny is not None:
        kept[side.some(deny)] = False
    asked = side.known_rows(names)
    rows, found = np.full((len(asked), n), -1), np.full((len(asked), n), -np.inf, np.float32)
    for number, row in enumerate(asked.tolist() if n else []):
        scores = np.where(kept, cosines(factors, np.asarray(factors[row])), np.float32(-np.inf))
        scores[row] = -np.inf  # nobody is their own neighbour
        best, values = best_of(scores, n, side.texts.raw)
        rows[number, : len(best)], found[number, : len(best)] = best, values
    if not is_one(names):
        return side.named(rows), found
    return [(side.ids[int(row)], float(value)) for row, value in zip(rows[0], found[0], strict=True) if row >= 0]
