"""Plays out in the form in which they came in: a DataFrame of the same library, a sparse matrix of the same shape, or tuples."""

from __future__ import annotations

from typing import Any

import numpy as np

from mr_als.maths.array import Array
from mr_als.preparing.batches import is_matrix
from mr_als.records.ids import Ids

__all__ = ["ids_like", "plays_like"]


def ids_like(ids: Ids, kind: str) -> Array:
    """Return ids as they came: int64 (n,), or object (n,) of str."""
    names = ids.to_list()
    if kind == "int":
        return np.array([int(name) for name in names], np.int64)
    found = np.empty(len(names), object)
    found[:] = [name.decode() for name in names]
    return found


def plays_like(plays: Any, users: Array, items: Array, amounts: Array) -> Any:
    """Build plays, a row each, in the form of others."""
    if is_matrix(plays):
        from scipy.sparse import csr_array

        whole = plays.dtype.kind in "biu" or bool((np.floor(amounts) != amounts).any())
        dtype = np.float64 if whole and plays.dtype.kind in "biu" and (np.floor(amounts) != amounts).any() else plays.dtype
        return csr_array((amounts.astype(dtype), (users, items)), plays.shape)
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
