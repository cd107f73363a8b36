"""Pairs that wait to be summed, in buckets by the first bits of their row's hash.

A bucket fits a core's cache and is sorted there: the random accesses of one large sort would cost more than all other
arithmetic with the pairs. Buckets follow each other in hash order, so their sums, one after the other, are sorted as a whole.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mr_als.maths.array import Array
from mr_als.plays.grouping import Pairs, sum_pairs

__all__ = ["Buckets"]

_BITS = 6
_MASK = np.uint64(0xFFFFFFFF)

# of one bucket: keys, uint64, row code << 32 | column code, and strengths; None: each is one play
Piece = tuple[Array, "Array | None"]


class Buckets:
    """Pairs of codes with their strengths.

    Parameters
    ----------
    unit : int
        Strength of a pair that comes without one.
    """

    def __init__(self, unit: int) -> None:
        self._unit = unit
        self._pieces: list[list[Piece]] = [[] for _ in range(1 << _BITS)]
        self.n = self._n_strengths = 0

    def add(self, hashes: Array, rows: Array, columns: Array, strengths: Array | None) -> None:
        """Add pairs: hashes of their rows, uint64 (n,), codes below 2^32, strengths int64 (n,)."""
        bucket = (hashes >> np.uint64(64 - _BITS)).astype(np.uint8)
        order = np.argsort(bucket, kind="stable")  # a radix sort, as these are bytes
        keys = ((rows.astype(np.uint64) << np.uint64(32)) | columns.astype(np.uint64))[order]
        strengths = None if strengths is None else strengths[order]
        end = 0
        for number, n in enumerate(np.bincount(bucket, minlength=1 << _BITS).tolist()):
            start, end = end, end + n
            if n:
                self._pieces[number].append((keys[start:end], None if strengths is None else strengths[start:end]))
        self.n += len(rows)
        self._n_strengths += 0 if strengths is None else len(rows)

    def sum(self) -> None:
        """Replace all pairs by the sums of equal ones."""
        self.n = 0
        for number, pieces in enumerate(self._pieces):
            if pieces:
                keys, strengths = self._joined(pieces)
                sums = sum_pairs(keys >> np.uint64(32), keys & _MASK, strengths, self._unit)
                keys = (sums.rows.astype(np.uint64) << np.uint64(32)) | sums.columns.astype(np.uint64)
                self._pieces[number] = [(keys, sums.strengths)]
                self.n += len(keys)
        self._n_strengths = self.n

    def take(self, row_places: Array, column_places: Array) -> Pairs:
        """Sum all pairs in the order of the places of their codes, row places being in hash order; empty the buckets."""
        rows, columns, strengths = np.empty(self.n, np.int32), np.empty(self.n, np.int32), np.empty(self.n, np.int64)
        end = 0

        def summed(number: int) -> tuple[Any, Pairs]:
            keys, given = self._joined(self._pieces[number])
            self._pieces[number] = []
            row, column = row_places[keys >> np.uint64(32)], column_places[keys & _MASK]
            first = row.min()
            return first, sum_pairs(row - first, column, given, self._unit)

        with ThreadPoolExecutor(2) as pool:
            for first, sums in pool.map(summed, [number for number, pieces in enumerate(self._pieces) if pieces]):
                start, end = end, end + len(sums.rows)
                np.add(sums.rows, first, out=rows[start:end], casting="unsafe")
                columns[start:end], strengths[start:end] = sums.columns, sums.strengths
        self.n = self._n_strengths = 0
        return Pairs(rows[:end], columns[:end], strengths[:end])

    def _joined(self, pieces: list[Piece]) -> Piece:
        keys = np.concatenate([piece[0] for piece in pieces])
        if all(piece[1] is None for piece in pieces):
            return keys, None
        return keys, np.concatenate([np.full(len(k), self._unit) if s is None else s for k, s in pieces])

    @property
    def n_bytes(self) -> int:
        """Bytes of all pairs."""
        return 8 * self.n + 8 * self._n_strengths
