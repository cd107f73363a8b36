"""The inner join of a block's columns with the fixed side's rows, and a place to keep joined vectors.

Both sides are sorted by hash, so a join is a merge of two sorted lists. A column whose row was left out
(`--min-user-plays`) finds no partner; its plays vanish.
"""

from __future__ import annotations

import mmap
import tempfile
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mr_als.data.blocks import PlaysBlock

Array = npt.NDArray[Any]


class Joined(NamedTuple):
    """Plays whose columns are positions among the fixed side's rows: CSR, strengths float64, > 0 (ratings: >= 0)."""

    indptr: Array
    indices: Array
    strengths: Array


def match(columns: Array, hashes: Array) -> tuple[Array, Array]:
    """Find sorted `columns` in sorted `hashes`: their positions (int64), and a mask of those found."""
    if not len(hashes):
        return np.zeros(len(columns), np.int64), np.zeros(len(columns), bool)
    positions = np.minimum(np.searchsorted(hashes, columns), len(hashes) - 1)
    return positions, hashes[positions] == columns


def join(plays: PlaysBlock, positions: Array, found: Array, zeros: bool = False) -> Joined:
    """Keep the plays whose column was `found`, and rename columns to `positions`.

    A strength of 0 is kept only if `zeros` count: no plays are no observation, a rating of 0 is one.
    """
    if len(positions) and int(positions.max()) < 1 << 32:
        positions = positions.astype(np.uint32)  # there is one for each pair below
    keep = np.ones(len(plays.indices), bool) if zeros else plays.strengths > 0
    if not found.all():
        keep &= found[plays.indices]
    if keep.all():
        return Joined(plays.indptr, positions[plays.indices], plays.amounts)
    kept_before = np.concatenate([[0], np.cumsum(keep)])
    return Joined(kept_before[plays.indptr], positions[plays.indices[keep]], plays.amounts[keep])


class Scratch:
    """Vectors of a block's columns, float32 (n_columns, rank): in memory while they fit, else in a temporary file.

    Of the file at most `budget` bytes are resident: pages are given back as soon as that many were touched.
    """

    def __init__(self, n_columns: int, rank: int, budget: int) -> None:
        self._budget, self._touched, self._map = budget, 0, None
        size = n_columns * rank * 4
        if size <= budget:
            self._array = np.zeros((n_columns, rank), np.float32)
            return
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)  # keeps the file, which has no name, alive
        self._array = np.frombuffer(self._map, np.float32).reshape(n_columns, rank)

    def put(self, positions: Array, vectors: Array) -> None:
        """Store vectors at ascending positions."""
        self._array[positions] = vectors
        self._account(vectors.nbytes)

    def __getitem__(self, positions: Array) -> Array:
        """Gather vectors, float32 (len(positions), rank)."""
        taken: Array = self._array[positions]
        # a page of 4 kB is touched for each vector, at worst
        self._account(min(len(positions) * 4096, self._array.nbytes))
        return taken

    def _account(self, n_bytes: int) -> None:
        if self._map is None:
            return
        self._touched += n_bytes
        if self._touched > self._budget:
            self._map.flush()
            self._map.madvise(mmap.MADV_DONTNEED)
            self._touched = 0
