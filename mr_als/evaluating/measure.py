"""Measure a block of users with held-out items: where these stand for the model and for popularity, and the error.

Sums over blocks are all that leaves here; `Sums` says what they are of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.ranking.bootstrap import REPLICATES, replicate_sums
from mr_als.maths.ranking.metrics import metric_table, tie_groups
from mr_als.maths.ranking.placing import places_among, places_in
from mr_als.maths.ranking.scoring import best_scored, exact_scores, in_order
from mr_als.maths.weighing.weights import Weights
from mr_als.records.blocks import pack, unpack
from mr_als.records.catalogue import ItemsTile
from mr_als.records.held_out import HeldOutBlock, Popularity, Rows
from mr_als.records.spill import Buffer

__all__ = ["Items", "Measured", "Sums", "error_sums", "measure"]

# scores computed at a time: more would leave the cache for nothing
MOST_SCORES = 4 << 20
# numbers turned into float64 at a time: 16 MB
_CHUNK = 1 << 21


class Items:
    """All items, in tiles that are memory-mapped, each for its rows."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.tiles = [ItemsTile(path) for path in paths]
        self._firsts = np.array([tile.first for tile in self.tiles])

    def __len__(self) -> int:
        """Return the number of items."""
        return sum(len(tile) for tile in self.tiles)

    def factors_of(self, rows: Array) -> Array:
        """Look up the factors of items, float32 (len(rows), rank)."""
        factors = np.empty((len(rows), self.tiles[0].factors.shape[1]), np.float32)
        for tile in self.tiles:
            inside = (rows >= tile.first) & (rows < tile.first + len(tile))
            factors[inside] = tile.factors[tile.places[rows[inside] - tile.first]]
        return factors

    def name(self, row: int) -> bytes:
        """Look up the id of an item."""
        return self.tiles[int(np.searchsorted(self._firsts, row, "right")) - 1].name(row)


class Measured(NamedTuple):
    """What was found of the users with test items: sums, and what was recommended to them.

    values : float64 (2 n_metrics + 2,), sums over users: of the model, of popularity, number of users, weights of the
        percentile rank
    replicates : float64 (REPLICATES, n_metrics + 2), sums over the users of each replicate: of the differences, then the same two
    best, popular : int64 (n_users, k), the best items for the model and for popularity; -1 where there are no more
    """

    values: Array
    replicates: Array
    best: Array
    popular: Array


def measure(block: HeldOutBlock, items: Items, popularity: Popularity, ks: Sequence[int], seed: int, *, within: bool) -> Measured:
    """Measure the users of a block that have test items; `within` ranks the candidates of the block only."""
    users = np.flatnonzero(np.diff(block.test.indptr))
    factors, played, test, candidates = block.factors[users], *(_subset(rows, users) for rows in block[3:])
    targets, most = _scores(factors, items, test), min(max(ks), len(items))
    if within:
        n_candidates, best = np.diff(candidates.indptr), np.full((len(users), most), -1)
        ours = places_among(_scores(factors, items, candidates), candidates.owners, targets, test.owners)
        listeners = popularity.listeners
        theirs = places_among(listeners[candidates.items], candidates.owners, listeners[test.items], test.owners)
        popular = best
    else:
        n_candidates = len(items) - np.diff(played.indptr)
        above, equal, best = _rank_all(factors, items, played, test.indptr, targets, most)
        ours, theirs = (above, equal), popularity.places(played, test)
        popular = _padded([popularity.best(played.items[lo:hi], most) for lo, hi in _spans(played.indptr)], most)
    model, baseline = (metric_table(tie_groups(test.indptr, *places, n_candidates, test.plays), ks) for places in (ours, theirs))
    weights = np.bincount(test.owners, test.plays, len(users))
    shared = np.column_stack([np.ones(len(users)), weights])
    replicates = replicate_sums(block.hashes[users], np.hstack([model - baseline, shared]), seed)
    return Measured(np.hstack([model, baseline, shared]).sum(0), replicates, best, popular)


def _subset(rows: Rows, users: Array) -> Rows:
    """Select the rows of some users, ascending."""
    mask = np.zeros(len(rows.indptr) - 1, bool)
    mask[users] = True
    entries = mask[rows.owners]
    indptr = np.concatenate([[0], np.cumsum(np.diff(rows.indptr)[users])])
    return Rows(indptr, rows.items[entries], rows.plays[entries])


def _spans(indptr: Array) -> Iterator[tuple[int, int]]:
    return zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True)


def _padded(lists: list[Array], width: int) -> Array:
    """Lay lists of rows side by side, int64 (n, width), -1 where one is shorter."""
    table = np.full((len(lists), width), -1)
    for n, rows in enumerate(lists):
        table[n, : len(rows)] = rows
    return table


def _parts(n_users: int, step: int) -> Iterator[slice]:
    for start in range(0, n_users, max(1, step)):
        yield slice(start, min(start + max(1, step), n_users))


def _scores(factors: Array, items: Items, rows: Rows) -> Array:
    """Compute the exact score of each entry, float32 (nnz,)."""
    owners, scores = rows.owners, np.empty(len(rows.items), np.float32)
    for part in _parts(len(owners), _CHUNK // max(1, factors.shape[1])):
        scores[part] = exact_scores(factors[owners[part]], items.factors_of(rows.items[part]))
    return scores


def _rank_all(factors: Array, items: Items, played: Rows, indptr: Array, targets: Array, k: int) -> tuple[Array, Array, Array]:
    """Count above and equal for each target among all items not played, and find the best k items."""
    n_users = len(factors)
    above, equal = np.zeros(len(targets), np.int64), np.zeros(len(targets), np.int64)
    best, best_scores = np.full((n_users, k), -1), np.full((n_users, k), -np.inf, np.float32)
    for tile in items.tiles:
        for part in _parts(n_users, MOST_SCORES // max(1, len(tile))):
            x, own = factors[part], slice(indptr[part.start], indptr[part.stop])
            scores = x @ tile.factors.T
            of_part = played.of(part)
            inside = (of_part.items >= tile.first) & (of_part.items < tile.first + len(tile))
            scores[of_part.owners[inside], tile.places[of_part.items[inside] - tile.first]] = -np.inf
            more = places_in(scores, x, tile.factors, tile.longest, indptr[part.start : part.stop + 1] - own.start, targets[own])
            above[own] += more[0]
            equal[own] += more[1]
            found, values = best_scored(scores, x, tile.factors, k, tile.name_at, tile.longest)
            best[part], best_scores[part] = in_order(
                np.hstack([best[part], tile.rows_at(found)]), np.hstack([best_scores[part], values]), k, items.name
            )
        if len(items.tiles) > 1:
            tile.release()
    return above, equal, best


def error_sums(block: HeldOutBlock, items: Items, spectrum: Array, basis: Array, weights: Weights) -> Array:
    """Compute the terms of the held-out squared error, over all cells of the block's users except their training pairs.

    Returns
    -------
    float64 (4,): squared error, sum of confidences, squared error of the zero model, number of test pairs
    """
    score, target = (_scores64(block.factors, items, rows) for rows in (block.played, block.test))
    terms = weights.terms(block.test.plays)
    projected = block.factors.astype(np.float64) @ basis
    # x'Gx over all items, less what was seen in training
    unseen = float((projected**2 @ spectrum).sum() - (score**2).sum())
    cells = len(items) * len(block.hashes) - len(block.played.items)
    squared = float(terms.errors(target).sum()) + weights.unobserved * unseen
    confidence = float(terms.excess.sum()) + weights.unobserved * cells
    return np.array([squared, confidence, float(terms.square.sum()), float(len(target))])


def _scores64(factors: Array, items: Items, rows: Rows) -> Array:
    """Compute the score of each entry, float64 (nnz,)."""
    owners, scores = rows.owners, np.empty(len(rows.items))
    for part in _parts(len(owners), _CHUNK // max(1, factors.shape[1])):
        scores[part] = (factors[owners[part]].astype(np.float64) * items.factors_of(rows.items[part])).sum(-1)
    return scores


class Sums(NamedTuple):
    """Sums over blocks of users: `values` and `replicates` of `Measured`, `errors` of `error_sums`."""

    values: Array
    replicates: Array
    errors: Array

    def pack(self) -> bytes:
        """Encode as a packed buffer."""
        return pack([self.values, self.replicates.ravel(), self.errors])

    @classmethod
    def unpack(cls, buffer: Buffer) -> Sums:
        """Read what `pack` wrote."""
        values, replicates, errors = unpack(buffer)
        return cls(values, replicates.reshape(REPLICATES, -1), errors)

    def __add__(self, other: tuple[Any, ...]) -> Sums:
        """Add term by term; a tuple would be appended."""
        return Sums(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))
