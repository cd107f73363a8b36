"""What most people play: the answer for users of whom nothing is known, and the baseline that a model has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mr_als.maths.array import Array

if TYPE_CHECKING:
    from mr_als.models.model import Model

__all__ = ["listeners_of", "most_popular"]


def listeners_of(model: Model) -> Array:
    """Count the listeners of each item, int64 (n_items,)."""
    listeners = np.zeros(len(model.item_hashes), np.int64)
    for start in range(0, len(model.plays_item), 1 << 22):
        listeners += np.bincount(np.asarray(model.plays_item[start : start + (1 << 22)]), minlength=len(listeners))
    return listeners


def most_popular(model: Model, n: int, kept: Array | None = None) -> tuple[Array, Array]:
    """Find the rows of the n items with the most listeners, ties ordered by id, and their shares of all users."""
    rows = np.arange(len(model.item_hashes)) if kept is None else kept
    listeners = listeners_of(model)[rows]
    if len(rows) > n:
        bound = np.partition(listeners, len(rows) - n)[len(rows) - n]
        rows, listeners = rows[listeners >= bound], listeners[listeners >= bound]
    order = sorted(range(len(rows)), key=lambda j: (-listeners[j], model.item_ids.raw(int(rows[j]))))[:n]
    return rows[order], listeners[order] / max(1, len(model.user_hashes))
