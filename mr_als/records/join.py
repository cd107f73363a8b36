"""The inner join of a block's columns with the fixed side's rows, and a place to keep joined vectors.

Both sides are sorted by hash, so a join is a merge of two sorted lists. A column whose row was left out
(`--min-user-plays`) finds no partner; its plays vanish.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.solving.problem import Observed
from mr_als.records.blocks import PlaysBlock
from mr_als.records.csr import looked_up, sum_rows
from mr_als.records.spill import write_all


def match(columns: Array, hashes: Array) -> tuple[Array, Array]:
    """Find sorted `columns` in sorted `hashes`: their positions (int64), and a mask of those found."""
    if not len(hashes):
        return np.zeros(len(columns), np.int64), np.zeros(len(columns), bool)
    positions = np.minimum(np.searchsorted(hashes, columns), len(hashes) - 1)
    return positions, hashes[positions] == columns


def join(plays: PlaysBlock, positions: Array | None, found: Array, zeros: bool = False) -> Observed:
    """Keep the plays whose column was `found`, and rename columns to `positions`; None: to their places among the columns.

    Whole strengths may be integers, small ones of one or two bytes; others are float64.

    A strength of 0 is kept only if `zeros` count: no plays are no observation, a rating of 0 is one.
    """
    if positions is not None and len(positions) and int(positions.max()) < 1 << 32:
        positions = positions.astype(np.uint32)  # there is one for each pair below
    indptr, indices, strengths = plays.indptr, plays.indices, plays.amounts
    kept = [plays.strengths > 0] if not zeros and plays.strengths.min(initial=1) <= 0 else []
    if not found.all():
        kept.append(looked_up(found, indices))
    if kept:
        keep = np.logical_and.reduce(kept)
        indices, strengths = indices[keep], strengths[keep]
        indptr = np.concatenate([[0], np.cumsum(sum_rows(keep, indptr, np.int64))])
    return Observed(indptr, indices if positions is None else _renamed(indices, positions), strengths)


def _renamed(indices: Array, positions: Array) -> Array:
    """Look up the positions at indices; no look is needed where a block has all columns there are, as one of many rows does."""
    if np.array_equal(positions, np.arange(len(positions))):
        return indices.astype(positions.dtype, copy=False)
    return looked_up(positions, indices)


class Scratch:
    """Vectors of a block's columns, float32 (n_columns, rank): in memory up to `budget` bytes, beyond that in a temporary file.

    The file is read and not mapped: of a mapped one, the kernel makes much more resident than what is looked at.
    """

    def __init__(self, n_columns: int, rank: int, budget: int) -> None:
        self._vector, self._file = 4 * rank, None
        if n_columns * self._vector <= budget:
            self._array = np.zeros((n_columns, rank), np.float32)
            return
        self._array = np.zeros((0, rank), np.float32)
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (closed when nobody needs it any more)
        self._file.truncate(n_columns * self._vector)

    def put(self, positions: Array, vectors: Array) -> None:
        """Store vectors at ascending positions."""
        if self._file is None:
            self._array[positions] = vectors
            return
        data = _bytes(np.ascontiguousarray(vectors, np.float32))
        for part, offset in self._runs(positions):
            self._file.seek(offset)
            write_all(self._file, data[part])

    def __getitem__(self, positions: Array) -> Array:
        """Gather vectors, float32 (len(positions), rank)."""
        if self._file is None:
            gathered: Array = self._array[positions]
            return gathered
        taken = np.empty((len(positions), self._array.shape[1]), np.float32)
        data, descriptor = _bytes(taken), self._file.fileno()
        for part, offset in self._runs(positions):
            data[part] = os.pread(descriptor, part.stop - part.start, offset)
        return taken

    def _runs(self, positions: Array) -> Iterator[tuple[slice, int]]:
        """Yield runs of neighbouring positions: the slice of their vectors' bytes, and where it begins in the file."""
        positions = positions.astype(np.int64, copy=False)
        starts = np.flatnonzero(np.diff(positions, prepend=-2) != 1)
        edges = [*(self._vector * starts).tolist(), self._vector * len(positions)]
        for (start, end), offset in zip(pairwise(edges), (self._vector * positions[starts]).tolist(), strict=True):
            yield slice(start, end), offset

    def __del__(self) -> None:
        """Close the file, which has no name."""
        if self._file is not None:
            self._file.close()


def _bytes(array: Any) -> memoryview:
    """View an array, which may be empty, as bytes."""
    return memoryview(array.reshape(-1).view(np.uint8))
