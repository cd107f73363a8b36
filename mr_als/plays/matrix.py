"""The plays of a sparse matrix: each id is hashed once, and each side is one transposition, which sorts it.

With rows and columns named by their places in hash order, the transposed matrix is by item, and what it is transposed to is by
user; both are in hash order within a row, too, as blocks have to be. That takes about as much memory as the matrix itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from mr_als.maths.array import Array
from mr_als.plays.grouping import Side, cut_blocks, in_hash_order
from mr_als.records.blocks import STRENGTH_UNIT, PlaysBlock, smallest_type
from mr_als.records.ids import Ids, hash_ids
from mr_als.records.spill import pieces

__all__ = ["MatrixTable", "in_units"]


class MatrixTable:
    """A sparse matrix, users x items, whose rows and columns are named by their numbers.

    Parameters
    ----------
    matrix : scipy.sparse array in CSR form, no pair twice
        Strengths, unsigned, as multiples of `unit`, which is one of 2^-16. Rows and columns without any are no ids.
    """

    def __init__(self, matrix: Any, unit: int, salt: int = 0) -> None:
        self._unit = unit
        used = np.zeros(matrix.shape[1], bool)
        for part in pieces(matrix.nnz):
            used[matrix.indices[part]] = True
        rows, self.users, _ = _axis(np.diff(matrix.indptr) > 0, salt)
        _, self.items, places = _axis(used, salt)
        indices = np.empty(matrix.nnz, np.int32)
        for part in pieces(matrix.nnz):
            indices[part] = places[matrix.indices[part]]
        named = type(matrix)((matrix.data, indices, matrix.indptr), (matrix.shape[0], len(self.items.hashes)))
        self._by_item = named[rows].tocsc()

    @cached_property
    def _by_user(self) -> Any:
        # when it is asked for: by then another thread may be writing the blocks of items
        return self._by_item.tocsr()

    def blocks(self, side: str, n_blocks: int) -> Iterator[tuple[int, PlaysBlock]]:
        """Yield the blocks of one side, "users" or "items"."""
        by_user = side == "users"
        rows, columns = (self.users, self.items) if by_user else (self.items, self.users)
        plays = self._by_user if by_user else self._by_item
        return cut_blocks(plays.indptr, plays.indices, plays.data, rows, columns.hashes, n_blocks, self._unit)


def _axis(used: Array, salt: int) -> tuple[Array, Side, Array]:
    """Return the numbers that are `used` in hash order, as a side, and the place of each number in that order, int32."""
    numbers = np.flatnonzero(used)
    ids = Ids.of_numbers(numbers)
    side, order = in_hash_order(Side(hash_ids(ids, salt), ids))
    places = np.zeros(len(used), np.int32)
    places[numbers] = order
    in_order = np.empty_like(numbers)
    in_order[order] = numbers
    return in_order, side, places


def in_units(amounts: Array) -> tuple[Array, int]:
    """Convert plays (n,), each at least 0 and finite, to unsigned integers, multiples of the second value, in units of 2^-16.

    >>> in_units(np.array([3.0, 1.0])), in_units(np.array([0.5]))
    ((array([3, 1], dtype=uint8), 65536), (array([32768], dtype=uint16), 1))
    """
    whole = amounts.dtype.kind != "f" or all((np.floor(amounts[part]) == amounts[part]).all() for part in pieces(len(amounts)))
    if not whole:
        amounts = np.rint(amounts.astype(np.float64) * STRENGTH_UNIT)
    return amounts.astype(smallest_type(int(amounts.max(initial=0)))), STRENGTH_UNIT if whole else 1
