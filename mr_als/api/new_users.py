"""What somebody played whom the model need not know, as rows of its items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mr_als.api.ids import Side
from mr_als.maths.array import Array

__all__ = ["plays_of"]


def plays_of(plays: Any, items: Side, *, zeros: bool) -> tuple[Array, Array, Array]:
    """Read the plays of new users, without unknown items.

    Parameters
    ----------
    plays : {item: plays}, a list of such, or a sparse matrix
        Its columns are item numbers where ids are integers, else rows of the model.
    zeros : whether a 0 counts, as of ratings

    Returns
    -------
    indptr int64 (n_users + 1,), rows of items int64 (n,), ascending within a user, and plays float64 (n,)

    Raises
    ------
    UnknownIdError
        If there are plays, and all of their items are unknown.
    """
    rows, amounts, counts = _of_matrix(plays.tocsr(), items) if hasattr(plays, "tocsr") else _of_dictionaries(plays, items)
    owners = np.repeat(np.arange(len(counts)), counts)
    keep = (rows >= 0) & ((amounts > 0) | zeros)
    owners, rows, amounts = owners[keep], rows[keep], amounts[keep]
    order = np.lexsort((rows, owners))
    return np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(counts)))]), rows[order], amounts[order]


def _of_matrix(matrix: Any, items: Side) -> tuple[Array, Array, Array]:
    """Return the rows of items, plays, and number of plays of each user."""
    columns, inverse = np.unique(matrix.indices, return_inverse=True)
    rows = items.rows(columns) if items.whole else np.where(columns < len(items.hashes), columns.astype(np.int64), -1)
    return rows[inverse], matrix.data.astype(np.float64), np.diff(matrix.indptr)


def _of_dictionaries(plays: Any, items: Side) -> tuple[Array, Array, Array]:
    users = [plays] if isinstance(plays, Mapping) else list(plays)
    names = [name for user in users for name in user]
    rows = items.rows(names)
    if names and (rows < 0).all():
        raise items.unknown(names[0])
    amounts = np.array([float(value) for user in users for value in user.values()])
    return rows, amounts, np.array([len(user) for user in users], np.int64)
