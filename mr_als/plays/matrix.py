"""The plays of a sparse matrix: each id is hashed once, and a side is a transposition, which sorts it.

Rows are taken in hash order, some blocks of them at a time: a stripe. Transposed, it has columns, with their rows in hash order;
these columns put in hash order and transposed back are the stripe's rows, with their columns in hash order, too, as blocks have to
be. What a column has in all stripes, one after the other, is its row among the blocks of the other side. Stripes do not depend on
each other, nor do the blocks of columns, so threads can share them: SciPy and NumPy work outside of Python's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.plays.grouping import Side, cut_blocks
from mr_als.records.blocks import STRENGTH_UNIT, PlaysBlock, smallest_type
from mr_als.records.ids import Ids, block_of, hash_ids
from mr_als.records.spill import PIECE, pieces

__all__ = ["Cutting", "MatrixTable", "in_units"]

# pairs from which on it is worth to cut blocks off on their own
TOGETHER = PIECE

Task = Callable[[], Iterator[tuple[int, PlaysBlock]]]


class _Axis(NamedTuple):
    """Ids in hash order, and the row or column of the matrix of each, integers (n,)."""

    numbers: Array
    side: Side

    @classmethod
    def of(cls, numbers: Array, names: Array, salt: int) -> _Axis:
        """Put rows or columns in the order of the hashes of their names."""
        ids = Ids.of_numbers(names)
        hashes = hash_ids(ids, salt)
        # not stable: no two are equal
        order = np.argsort(hashes)
        return cls(numbers[order], Side(hashes[order], ids.take(order)))

    def part(self, start: int, stop: int) -> Side:
        """Return some of the ids."""
        return Side(self.side.hashes[start:stop], self.side.ids.take(np.arange(start, stop)))

    def only(self, kept: Array) -> _Axis:
        """Keep some ids, bool (n,)."""
        return _Axis(self.numbers[kept], Side(self.side.hashes[kept], self.side.ids.take(np.flatnonzero(kept))))


class MatrixTable:
    """A sparse matrix, users x items, whose rows and columns are named by their numbers.

    Parameters
    ----------
    matrix : scipy.sparse array in CSR form, no pair twice
        Strengths, unsigned, as multiples of `unit`, which is one of 2^-16. Rows and columns without any are no ids.
    """

    def __init__(self, matrix: Any, unit: int, salt: int = 0) -> None:
        if matrix.shape[1] <= matrix.nnz:
            names, indices = np.arange(matrix.shape[1]), matrix.indices
        else:
            # most columns are empty, and there may be two billion of them
            names, indices = np.unique(matrix.indices, return_inverse=True)
        self.matrix = type(matrix)((matrix.data, indices, matrix.indptr), (matrix.shape[0], len(names)))
        self.unit = unit
        rows = np.flatnonzero(np.diff(matrix.indptr))
        self.users, self.items = _Axis.of(rows, rows, salt), _Axis.of(np.arange(len(names)), names, salt)

    @property
    def most_log_bytes(self) -> int:
        """What `log_bytes` is at most."""
        return int(self.matrix.nnz) * sum(int(axis.side.ids.lengths.max(initial=0)) + 2 for axis in (self.users, self.items))

    def log_bytes(self) -> int:
        """Compute the size of two logs of the pairs, of lines `user TAB 1 LF` and `item TAB 1 LF`."""
        listeners = np.zeros(self.matrix.shape[1], np.int64)
        for part in pieces(self.matrix.nnz):
            listeners += np.bincount(self.matrix.indices[part], minlength=len(listeners))
        played = np.diff(self.matrix.indptr)
        counted = ((self.users, played), (self.items, listeners))
        return sum(int((counts[axis.numbers] * (axis.side.ids.lengths + np.int64(2))).sum()) for axis, counts in counted)

    def blocks(self, side: str, n_blocks: int) -> Iterator[tuple[int, PlaysBlock]]:
        """Yield the blocks of one side, "users" or "items", one after the other."""
        cutting = Cutting(self, n_blocks)
        for task in cutting.of_users():
            found = task()
            if side == "users":
                yield from found
        if side == "items":
            for task in cutting.of_items(n_blocks):
                yield from task()


class Cutting:
    """Cuts a matrix into blocks: of users first, then of items.

    What is left for the items takes as much memory as the matrix, and a task as much as its stripe, some times over.

    Parameters
    ----------
    n_blocks : of users
    """

    def __init__(self, table: MatrixTable, n_blocks: int) -> None:
        self._table, self._n_blocks = table, n_blocks
        matrix, users = table.matrix, table.users
        self._starts = _starts(np.diff(matrix.indptr)[users.numbers])
        # at least as many pairs as there are columns: all stripes together have no more columns than pairs
        self._stripes = _whole_blocks(users.side.hashes, self._starts, n_blocks, max(TOGETHER, matrix.shape[1]))
        # where columns begin in a stripe; their users, by their places in hash order; and how strong they are
        index = np.int32 if matrix.nnz <= np.iinfo(np.int32).max else np.int64
        self._indptr = np.full(len(self._stripes) * matrix.shape[1] + 1, matrix.nnz, index)
        self._rows, self._strengths = np.empty(matrix.nnz, index), np.empty(matrix.nnz, matrix.data.dtype)

    def of_users(self) -> list[Task]:
        """Return the tasks, in any order, each of which makes the user blocks of a stripe."""
        return [partial(self._stripe, number, *ends) for number, ends in enumerate(self._stripes)]

    def _stripe(self, number: int, start: int, stop: int) -> Iterator[tuple[int, PlaysBlock]]:
        items, n_columns = self._table.items, self._table.matrix.shape[1]
        by_column = _narrow(self._table.matrix[self._table.users.numbers[start:stop]]).tocsc()
        part = slice(self._starts[start], self._starts[stop])
        np.add(by_column.indices, start, out=self._rows[part])
        self._strengths[part] = by_column.data
        self._indptr[number * n_columns : (number + 1) * n_columns] = by_column.indptr[:-1] + self._starts[start]
        used = np.diff(by_column.indptr)[items.numbers] > 0
        by_row = by_column.T[items.numbers[used]].tocsc()
        rows = self._table.users.part(start, stop)
        return cut_blocks(
            by_row.indptr, by_row.indices, by_row.data, rows, items.side.hashes[used], self._n_blocks, self._table.unit, every=True
        )

    def of_items(self, n_blocks: int) -> list[Task]:
        """Return the tasks, in any order, each of which makes some of the `n_blocks` blocks of items; those of users are done."""
        matrix, n_stripes = self._table.matrix, len(self._stripes)
        listeners = np.diff(self._indptr).reshape(n_stripes, -1).sum(axis=0)[self._table.items.numbers]
        items = self._table.items.only(listeners > 0)
        # a row is a column of a stripe
        shape = (n_stripes * matrix.shape[1], len(self._table.users.numbers))
        columns = type(matrix)((self._strengths, self._rows, self._indptr), shape)
        cuts = _whole_blocks(items.side.hashes, _starts(listeners[listeners > 0]), n_blocks, TOGETHER)
        return [partial(self._items, columns, items, n_blocks, *ends) for ends in cuts]

    def _items(self, columns: Any, items: _Axis, n_blocks: int, start: int, stop: int) -> Iterator[tuple[int, PlaysBlock]]:
        n_stripes, n_columns = len(self._stripes), self._table.matrix.shape[1]
        found = columns[(items.numbers[start:stop, None] + n_columns * np.arange(n_stripes)).ravel()]
        rows, users = items.part(start, stop), self._table.users.side.hashes
        return cut_blocks(found.indptr[::n_stripes], found.indices, found.data, rows, users, n_blocks, self._table.unit)


def _starts(counts: Array) -> Array:
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts


def _narrow(matrix: Any) -> Any:
    """Convert the indices of a CSR array to int32, if they fit."""
    if matrix.indices.dtype == np.int32 or matrix.nnz > np.iinfo(np.int32).max:
        return matrix
    return type(matrix)((matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)), matrix.shape)


def _whole_blocks(hashes: Array, starts: Array, n_blocks: int, least: int) -> list[tuple[int, int]]:
    """Cut rows, in hash order, into runs of whole blocks with at least so many pairs each: where each begins and ends."""
    edges = np.flatnonzero(np.diff(block_of(hashes, n_blocks), prepend=-1, append=-1)).tolist()
    cuts = edges[:1]
    for edge in edges[1:]:
        if starts[edge] - starts[cuts[-1]] >= least:
            cuts.append(edge)
    if cuts and cuts[-1] < edges[-1]:
        # what is left goes to the last
        cuts = [*(cuts[:-1] or cuts), edges[-1]]
    return list(pairwise(cuts))


def in_units(amounts: Array) -> tuple[Array, int]:
    """Convert plays (n,), each at least 0 and finite, to unsigned integers, multiples of the second value, in units of 2^-16.

    >>> in_units(np.array([3.0, 1.0])), in_units(np.array([0.5]))
    ((array([3, 1], dtype=uint8), 65536), (array([32768], dtype=uint16), 1))
    """
    found = amounts.astype(smallest_type(int(amounts.max(initial=0))))
    if amounts.dtype.kind != "f" or all((found[part] == amounts[part]).all() for part in pieces(len(amounts), 1 << 16)):
        return found, STRENGTH_UNIT
    amounts = np.rint(amounts.astype(np.float64) * STRENGTH_UNIT)
    return amounts.astype(smallest_type(int(amounts.max(initial=0)))), 1
