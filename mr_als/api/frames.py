"""Plays out in the form in which they came in: a DataFrame of the same library, a sparse matrix of the same shape, or tuples."""

from __future__ import annotations

from typing import Any

import numpy as np

from mr_als.maths.array import Array
from mr_als.preparing.batches import is_matrix
from mr_als.records.ids import Ids

__all__ = ["ids_like", "plays_like"]


def ids_like(ids: Ids, kind: str) -> Array:
    """Return ids as they came: int64 (n,), or uint64 or object where one does not fit; or object (n,) of str."""
    names = ids.to_list()
    if kind == "int":
        numbers = [int(name) for name in names]
        low, high = min(numbers, default=0), max(numbers, default=0)
        fitting = (dtype for dtype in (np.int64, np.uint64) if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max)
        return np.array(numbers, next(fitting, object))
    found = np.empty(len(names), object)
    found[:] = [name.decode() for name in names]
    return found


def plays_like(plays: Any, users: Array, items: Array, amounts: Array) -> Any:
    """Build plays, a row each, in the form of others."""
    if is_matrix(plays):
        from scipy.sparse import csr_array

        return csr_array((amounts.astype(_holding(amounts, plays.dtype)), (users, items)), plays.shape)
    columns = {"user": users, "item": items, "plays": amounts}
    library = type(plays).__module__.split(".")[0]
    if library == "pandas":
        import pandas

        return pandas.DataFrame(columns)
    if hasattr(plays, "__arrow_c_stream__"):
        import pyarrow

        table = pyarrow.table(columns)
        if library != "polars":
            return table
        import polars

        return polars.from_arrow(table)
    return list(zip(users.tolist(), items.tolist(), amounts.tolist(), strict=True))


def _holding(amounts: Array, dtype: Any) -> Any:
    """Return the type of a matrix, or one that holds what came of its plays: entries of a pair are summed.

    >>> [_holding(np.array([amount]), np.dtype(np.int8)).__name__ for amount in (300.0, 0.5)]
    ['int64', 'float64']
    """
    if dtype.kind not in "biuf":
        return dtype
    if dtype.kind == "f":
        return dtype if amounts.max(initial=0) <= np.finfo(dtype).max else np.float64
    if (np.floor(amounts) != amounts).any():
        return np.float64
    return dtype if amounts.max(initial=0) <= (1 if dtype.kind == "b" else np.iinfo(dtype).max) else np.int64
