"""Solve rows in padded batches: the NumPy kernel, and the exact one of rows that a fast one could not solve.

    batches          rows sorted by degree and cut so that a batch's gathered vectors stay in a core's cache
    gather           Z of the batch's observations, padded: (B, m, rank)
    solve            conjugate gradients; exactly where they do not apply or did not converge
    x = Q w          stored as float32; the loss is that of the stored factors

The arithmetic is in `mr_als.maths.solving.kernels`. Memory is a few batches, or `max_gather` bytes where a single row is
longer than a batch. Batches depend on the block and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mr_als.errors import NonFiniteError, SingularSystemError
from mr_als.maths.array import Array
from mr_als.maths.solving.kernels import cholesky, conjugate_gradient, dual_equations, equations
from mr_als.maths.solving.problem import GATHERED, Problem, Sums, not_finite
from mr_als.maths.weighing.weights import Terms

__all__ = ["multiply_padded", "solve_padded"]

# bytes of a batch's gathered vectors; measured best at 2 to 4 MB from rank 64 to 128
BATCH_BYTES = 1 << 21
# a batch is cut where rows are shorter than this part of its longest: bounds the padding
SHORTEST = 0.8


class _Batch(NamedTuple):
    """Some rows of a block with all they observed, padded to the longest.

    rows : int64 (B,), their places in the block
    gathered : float32 (B, m, rank), z of each observation
    terms : three float64 (B, m), 0 on padding
    diagonal : float64 (B, rank), D + lambda_row
    """

    rows: Array
    gathered: Array
    terms: Terms
    diagonal: Array

    def take(self, which: Array) -> _Batch:
        """Select some of the rows."""
        terms = Terms(*(term[which] for term in self.terms))
        return _Batch(self.rows[which], self.gathered[which], terms, self.diagonal[which])


def solve_padded(problem: Problem, rows: Array, factors: Array, exact: bool) -> Sums:
    """Solve some rows of a block into `factors`, and give their part of the loss."""
    sums = Sums()
    for batch in _batches(problem, rows):
        sums += _solve_rows(problem, batch, factors, exact or not problem.well_posed(batch))
    return sums


def multiply_padded(problem: Problem, rows: Array, factors: Array) -> None:
    """Sum t z over what some rows of a block observed, divide by their regularization, and write that into `factors`.

    A batch of one long row is summed in chunks.
    """
    chunk = max(1, min(BATCH_BYTES, problem.method.max_gather) // (4 * problem.rank))
    for some in _batches(problem, rows):
        start, end = int(problem.indptr[some[0]]), int(problem.indptr[some[0] + 1])
        if end - start <= chunk:
            batch = _gather(problem, some, end - start)
            sums = np.matmul(batch.terms.target.astype(np.float32)[:, None], batch.gathered)[:, 0]
        else:
            sums = np.zeros((1, problem.rank))
            for first in range(start, end, chunk):
                part = slice(first, min(first + chunk, end))
                target = problem.weights.terms(problem.strengths[part]).target.astype(np.float32)
                sums += target @ problem.gather(problem.indices[part])
        factors[some] = sums / problem.regularization[some, None]


def _batches(problem: Problem, rows: Array) -> Iterator[Array]:
    """Cut the rows that observed anything into batches of similar degree, the longest first."""
    batch_bytes = min(BATCH_BYTES, problem.method.max_gather)
    degrees = problem.indptr[rows + 1] - problem.indptr[rows]
    order = np.argsort(degrees, kind="stable")[::-1]
    lengths = degrees[order]
    end = int(np.count_nonzero(lengths))
    start = 0
    while start < end:
        longest = int(lengths[start])
        # 8: what a row of a batch needs besides its gathered vectors, as if it were so many more
        fit = start + max(1, batch_bytes // (4 * problem.rank * (longest + 8)))
        similar = int(np.searchsorted(-lengths, -SHORTEST * longest, side="right"))
        stop = min(fit, max(similar, start + 1), end)
        yield rows[order[start:stop]]
        start = stop


def _solve_rows(problem: Problem, rows: Array, factors: Array, exact: bool) -> Sums:
    """Solve the rows of one batch, the longest first, into `factors`."""
    options, vector_bytes = problem.method, 4 * problem.rank
    longest = int(problem.indptr[rows[0] + 1] - problem.indptr[rows[0]])
    batch_bytes = min(BATCH_BYTES, options.max_gather)
    # only a batch of a single row exceeds batch_bytes
    if (vector_bytes * longest > batch_bytes) if exact else ((vector_bytes + GATHERED) * longest > options.max_gather):
        return _solve_long(problem, int(rows[0]), max(1, batch_bytes // vector_bytes), factors)
    batch = _gather(problem, rows, longest)
    if exact:
        return _solve_exactly(problem, batch, factors)
    scale = (1.0 / np.sqrt(batch.diagonal)).astype(np.float32)
    excess, target = batch.terms.excess.astype(np.float32), batch.terms.target.astype(np.float32)
    w, converged = conjugate_gradient(batch.gathered, excess, target, scale, options.tolerance, options.max_steps)
    if converged.all():
        return _store_and_score(problem, batch, w, factors)
    sums = _store_and_score(problem, batch.take(converged), w[converged], factors)
    return sums + _solve_exactly(problem, batch.take(~converged), factors)


def _gather(problem: Problem, rows: Array, longest: int) -> _Batch:
    """Collect what some rows observed; a shorter row is padded with its own last observation."""
    starts = problem.indptr[rows]
    lengths = problem.indptr[rows + 1] - starts
    step = np.arange(longest)
    places = starts[:, None] + np.minimum(step, lengths[:, None] - 1)
    gathered = problem.gather(problem.indices[places.ravel()]).reshape(len(rows), longest, -1)
    present = step < lengths[:, None]
    terms = Terms(*(term * present for term in problem.weights.terms(problem.strengths[places])))
    return _Batch(rows, gathered, terms, problem.spectrum + problem.regularization[rows][:, None])


def _store_and_score(problem: Problem, batch: _Batch, w: Array, factors: Array) -> Sums:
    """Store x = Q w of a batch; give its part of the loss, from the scores of what was stored."""
    w = problem.store(batch.rows, w, factors)
    scores = np.matmul(batch.gathered, w.astype(np.float32)[:, :, None])[:, :, 0].astype(np.float64)
    squared_error = float(batch.terms.errors(scores).sum() + (w * w).sum(axis=0) @ problem.spectrum)
    return Sums(squared_error, float(batch.terms.excess.sum()), float(batch.terms.square.sum()))


def _solve_exactly(problem: Problem, batch: _Batch, factors: Array) -> Sums:
    """Solve a batch in float64, by the smaller of two equivalent systems."""
    excess, target, square = batch.terms
    if batch.gathered.shape[1] < problem.rank and problem.well_posed(batch.rows):
        scale = 1.0 / np.sqrt(batch.diagonal)
        left, right, u = dual_equations(batch.gathered, excess, target, scale)
        y = _cholesky(problem, batch.rows, left, right)
        return _store_and_score(problem, batch, scale * np.matmul(y[:, None], u)[:, 0], factors)
    left, right = equations(batch.gathered, excess, target)
    squared_error = _solve_equations(problem, batch.rows, left, right, factors)
    return Sums(squared_error + float(square.sum()), float(excess.sum()), float(square.sum()))


def _solve_long(problem: Problem, row: int, chunk: int, factors: Array) -> Sums:
    """Solve a row by equations accumulated over `chunk` observations at a time."""
    left, right = np.zeros((1, problem.rank, problem.rank)), np.zeros((1, problem.rank))
    start, end = int(problem.indptr[row]), int(problem.indptr[row + 1])
    sums = Sums()
    for first in range(start, end, chunk):
        part = slice(first, min(first + chunk, end))
        excess, target, square = problem.weights.terms(problem.strengths[None, part])
        part_left, part_right = equations(problem.gather(problem.indices[part])[None], excess, target)
        left += part_left
        right += part_right
        sums += Sums(float(square.sum()), float(excess.sum()), float(square.sum()))
    return sums + Sums(_solve_equations(problem, np.array([row]), left, right, factors))


def _solve_equations(problem: Problem, rows: Array, left: Array, right: Array, factors: Array) -> float:
    """Solve rows by the data's part of their equations, M = left (B, rank, rank) and b = right (B, rank).

    With w = Q'x of the stored x, what is left of their squared error needs the vectors no more:

        sum_observed [ e s^2 - 2 t s ] + w'D w = w'(M + D) w - 2 b'w
    """
    system = left.copy()
    places = np.arange(problem.rank)
    system[:, places, places] += problem.spectrum + problem.regularization[rows][:, None]
    w = problem.store(rows, _cholesky(problem, rows, system, right), factors)
    quadratic = np.einsum("bi,bi->b", np.matmul(left, w[:, :, None])[:, :, 0], w)
    observed = quadratic - 2.0 * np.einsum("bi,bi->b", right, w)
    return float(observed.sum() + (w * w).sum(axis=0) @ problem.spectrum)


def _cholesky(problem: Problem, rows: Array, system: Array, right: Array) -> Array:
    try:
        return cholesky(system, right)
    except np.linalg.LinAlgError:
        raise _explain(problem, rows, system, right) from None


def _explain(problem: Problem, rows: Array, system: Array, right: Array) -> SingularSystemError | NonFiniteError:
    """Make the error of a batch that has no solution, from its first row that has none."""
    if not np.isfinite(system).all():
        return not_finite()
    place = 0
    for place in range(len(rows)):
        try:
            cholesky(system[place : place + 1], right[place : place + 1])
        except np.linalg.LinAlgError:
            break
    return problem.singular(int(rows[place]))
