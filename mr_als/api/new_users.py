"""What somebody played whom the model need not know, as rows of its items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mr_als.api.ids import Side
from mr_als.errors import BadInputError, UsageError
from mr_als.maths.array import Array
from mr_als.plays.grouping import firsts

__all__ = ["plays_of"]


def plays_of(plays: Any, items: Side, *, ratings: bool) -> tuple[Array, Array, Array]:
    """Read the plays of new users, without unknown items.

    Parameters
    ----------
    plays : {item: plays}, a list of such, or a sparse matrix
        Its columns are item numbers where ids are integers, else rows of the model.
    ratings : whether they are ratings, of which a 0 counts, and of several of an item the mean; plays are added up

    Returns
    -------
    indptr int64 (n_users + 1,), rows of items int64 (n,), ascending within a user and each once, and plays float64 (n,)

    Raises
    ------
    UnknownIdError
        If there are plays, and all of their items are unknown.
    BadInputError
        If the plays of an item are negative, infinite or no number.
    UsageError
        If the plays come in another form.
    """
    names, rows, amounts, counts = _of_matrix(plays.tocsr(), items) if hasattr(plays, "tocsr") else _of_dictionaries(plays, items)
    known = rows >= 0
    if len(rows) and not known.any():
        raise items.unknown(names[0])
    wrong = np.flatnonzero(known & ~((amounts >= 0) & (amounts < np.inf)))
    if len(wrong):
        raise _no_plays(items.ids[int(rows[wrong[0]])], float(amounts[wrong[0]]))
    owners = np.repeat(np.arange(len(counts)), counts)
    keep = known & ((amounts > 0) | ratings)
    owners, rows, amounts = _merged(owners[keep], rows[keep], amounts[keep], mean=ratings)
    return np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(counts)))]), rows, amounts


def _merged(owners: Array, rows: Array, amounts: Array, *, mean: bool) -> tuple[Array, Array, Array]:
    """Sort by user and row, and make one of what is of the same user and row."""
    order = np.lexsort((rows, owners))
    owners, rows, amounts = owners[order], rows[order], amounts[order]
    first = firsts(owners) | firsts(rows)
    starts = np.flatnonzero(first)
    merged = np.add.reduceat(amounts, starts) / (np.diff(starts, append=len(rows)) if mean else 1)
    return owners[first], rows[first], merged


def _of_matrix(matrix: Any, items: Side) -> tuple[Any, Array, Array, Array]:
    """Return the ids and rows of items, plays, and number of plays of each user."""
    columns, inverse = np.unique(matrix.indices, return_inverse=True)
    rows = items.rows(columns) if items.whole else np.where(columns < len(items.hashes), columns.astype(np.int64), -1)
    return matrix.indices, rows[inverse], matrix.data.astype(np.float64), np.diff(matrix.indptr)


def _of_dictionaries(plays: Any, items: Side) -> tuple[Any, Array, Array, Array]:
    several = isinstance(plays, Iterable) and not isinstance(plays, Mapping | str)
    users = list(plays) if several else [plays]
    for user in users:
        if not isinstance(user, Mapping):
            kind = type(plays).__name__ + (f" of {type(user).__name__}" if several else "")
            forms = "a dictionary {item: plays}, a list of these or a scipy.sparse matrix, users x items"
            msg = f"plays has the type {kind}; expected {forms}"
            raise UsageError(msg)
    names = [name for user in users for name in user]
    amounts = np.array([_amount(name, value) for user in users for name, value in user.items()], np.float64)
    return names, items.rows(names), amounts, np.array([len(user) for user in users], np.int64)


def _amount(item: Any, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise _no_plays(item, value) from None


def _no_plays(item: Any, value: Any) -> BadInputError:
    return BadInputError(f"the plays of item {item!r} are {value!r}; expected a finite number of at least 0")
