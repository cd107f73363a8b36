"""Rows of CSR arrays: where they begin, whose an entry is, what they sum to; and what is to be looked up for each entry.

`indptr` is int64 (n_rows + 1,): row r has the entries from indptr[r] to indptr[r + 1]. Entries are looked at in pieces, so that
a row may be much longer than what a task should hold.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mr_als.maths.array import Array
from mr_als.records.spill import pieces

__all__ = ["CACHED", "looked_up", "row_of", "row_starts", "sum_rows"]

# elements that are looked up together: places of so many stay in a core's cache
CACHED = 1 << 16


def looked_up(values: Array, places: Array) -> Array:
    """Compute values[places] (n,), some at a time; each place is one of the values.

    >>> looked_up(np.array([5, 7]), np.array([1, 0, 1], np.uint8))
    array([7, 5, 7])
    """
    found = np.empty(len(places), values.dtype)
    for part in pieces(len(places), CACHED):
        # NumPy takes twice as long with any other type, and a copy to check what is not clipped here either
        values.take(places[part].astype(np.intp), out=found[part], mode="clip")
    return found


def row_starts(rows: Array, n_rows: int) -> Array:
    """Compute indptr, int64 (n_rows + 1,), from the ascending rows (nnz,) of entries.

    >>> row_starts(np.array([0, 0, 2]), 4)
    array([0, 2, 2, 3, 3])
    """
    first = np.flatnonzero(rows[1:] != rows[:-1]) + 1
    if len(first) == n_rows - 1:  # no row is empty
        return np.concatenate([[0], first, [len(rows)]])
    return np.searchsorted(rows, np.arange(n_rows + 1))


def row_of(indptr: Array, part: slice | None = None) -> Array:
    """Find the row of each entry in `part`, int64 (part.stop - part.start,); of all entries if there is no part.

    >>> row_of(np.array([0, 2, 2, 3]), slice(1, 3))
    array([0, 2])
    """
    rows, bounds = _clipped(indptr, slice(0, int(indptr[-1])) if part is None else part)
    return np.repeat(rows, np.diff(bounds))


def sum_rows(values: Array, indptr: Array, dtype: npt.DTypeLike) -> Array:
    """Sum the values (nnz,) of each row: `dtype` (n_rows,).

    >>> sum_rows(np.array([True, True, False]), np.array([0, 2, 2, 3]), np.int64)
    array([2, 0, 0])
    """
    sums = np.zeros(len(indptr) - 1, dtype)
    for part in pieces(len(values)):
        rows, bounds = _clipped(indptr, part)
        some = bounds[1:] > bounds[:-1]  # reduceat gives an empty run its next entry
        sums[rows[some]] += np.add.reduceat(values[part].astype(dtype), bounds[:-1][some])
    return sums


def _clipped(indptr: Array, part: slice) -> tuple[Array, Array]:
    """Find the rows that have entries in a part, where each begins in it and where the last ends."""
    first = int(np.searchsorted(indptr, part.start, side="right")) - 1
    last = int(np.searchsorted(indptr, part.stop, side="left"))
    return np.arange(first, last), np.clip(indptr[first : last + 1], part.start, part.stop) - part.start
