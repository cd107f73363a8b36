"""Solve the rows of one block: plays and fixed factors in, factors and their statistics out.

    batches          rows sorted by degree and cut so that a batch's gathered vectors stay in a core's cache
    gather           Z of the batch's observations, padded: (B, m, rank)
    solve            conjugate gradients; exactly where they do not apply or did not converge
    x = Q w          stored as float32; loss and Gram matrix are those of the stored factors

What a row's equations are is told in `mr_als.maths.normal_equations`, how they are solved in
`mr_als.maths.kernels`, what the loss is in `mr_als.maths.loss`. Memory beyond the arguments and the result is
a few batches, or `max_gather` bytes where a single row is longer than a batch. Batches depend on the block
and nothing else, so the same block gives the same bytes wherever it is solved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mr_als.errors import NonFiniteError, SingularSystemError, UsageError
from mr_als.maths.kernels import cholesky, conjugate_gradient, dual_equations, equations
from mr_als.maths.loss import Loss
from mr_als.maths.normal_equations import gram_matrix, singular
from mr_als.maths.weights import Weights

__all__ = ["SOLVERS", "Solved", "solve_block"]

Array = npt.NDArray[Any]

SOLVERS = ("cg", "cholesky")
# bytes of a batch's gathered vectors; measured best at 2 to 4 MB from rank 64 to 128
BATCH_BYTES = 1 << 21
# a batch is cut where rows are shorter than this part of its longest: bounds the padding
SHORTEST = 0.8
# conjugate gradients take 4 to 12 steps; beyond this many an exact solution is cheaper
MAX_STEPS = 32
# vectors of a single row held at once; a row with more accumulates its equations and is solved exactly
MAX_GATHER = 64 << 20


class Solved(NamedTuple):
    """The solved rows of a block.

    factors : float32 (n_rows, rank)
    gram : float64 (rank, rank), Gram matrix of these factors
    loss : Loss
    """

    factors: Array
    gram: Array
    loss: Loss


class _Batch(NamedTuple):
    """Some rows of a block with all they observed, padded to the longest.

    rows : int64 (B,), their places in the block
    gathered : float32 (B, m, rank), z of each observation
    confidence : float64 (B, m), 0 on padding
    present : bool (B, m), False on padding
    diagonal : float64 (B, rank), D + lambda_row
    """

    rows: Array
    gathered: Array
    confidence: Array
    present: Array
    diagonal: Array


class _Options(NamedTuple):
    """How to solve: the last arguments of `solve_block`."""

    solver: str
    tolerance: float
    max_steps: int
    max_gather: int


class _Problem(NamedTuple):
    """A block whose rows are to be solved: the arguments of `solve_block` and what follows from them."""

    indptr: Array
    indices: Array
    confidence: Array  # float64 (nnz,)
    vectors: Any
    spectrum: Array  # float64 (rank,)
    basis: Array  # float64 (rank, rank)
    regularization: Array  # float64 (n_rows,)
    options: _Options


def solve_block(
    indptr: Array,
    indices: Array,
    strengths: Array,
    vectors: Any,
    spectrum: Array,
    basis: Array,
    n_fixed: int,
    weights: Weights,
    solver: str = "cg",
    tolerance: float = 1e-4,
    max_steps: int = MAX_STEPS,
    max_gather: int = MAX_GATHER,
) -> Solved:
    """Solve every row of a block for its factors.

    Parameters
    ----------
    indptr : int64 (n_rows + 1,)
        Row r observed the entries indptr[r] to indptr[r + 1] of `indices` and `strengths`.
    indices : integers (nnz,)
        Which of `vectors` each observation is with.
    strengths : float64 (nnz,)
        Strength of each observation, > 0.
    vectors : array-like
        Anything whose `vectors[places]`, for one-dimensional integer `places`, is float32 (len, rank): the
        projected fixed factors Z = Y Q, an array or a store backed by a file.
    spectrum, basis : float64 (rank,) and (rank, rank)
        D and Q of the Gram matrix of *all* fixed factors, from `eigenbasis`.
    n_fixed : int
        Number of rows of the fixed side.
    solver : "cg" or "cholesky"
    tolerance : float
        Relative residual at which conjugate gradients stop.
    max_steps : int
        Steps after which a row is solved exactly instead.
    max_gather : int
        Bytes of vectors held for one row.

    Raises
    ------
    SingularSystemError
        If a row's equations have no unique solution, which takes a regularization of 0 or nearly so.
    NonFiniteError
        If a factor is not finite.
    """
    if solver not in SOLVERS:
        msg = f"solver must be one of {', '.join(SOLVERS)}, got {solver!r}"
        raise UsageError(msg)
    degrees = np.diff(indptr)
    problem = _Problem(
        indptr,
        indices,
        weights.confidence_of(strengths),
        vectors,
        spectrum,
        basis,
        weights.row_regularization(degrees, n_fixed),
        _Options(solver, tolerance, max_steps, max_gather),
    )
    factors = np.zeros((len(degrees), len(spectrum)), np.float32)
    squared_error = 0.0
    # overflow shows as a factor that is not finite, which is an error below; a warning would say less
    with np.errstate(all="ignore"):
        for rows in _batches(degrees, 4 * len(spectrum), min(BATCH_BYTES, max_gather)):
            squared_error += _solve_rows(problem, rows, factors)
    _check_finite(factors)
    norms = np.einsum("ij,ij->i", factors, factors, dtype=np.float64)
    loss = Loss(
        squared_error=squared_error,
        penalty=float(problem.regularization @ norms),
        confidence=float(problem.confidence.sum() - len(indices)),
        observed=len(indices),
        rows=len(degrees),
    )
    return Solved(factors, gram_matrix(factors), loss)


def _batches(degrees: Array, vector_bytes: int, batch_bytes: int) -> Iterator[Array]:
    """Cut the rows that observed anything into batches of similar degree, the longest first."""
    order = np.argsort(degrees, kind="stable")[::-1]
    lengths = degrees[order]
    end = int(np.count_nonzero(lengths))
    start = 0
    while start < end:
        longest = int(lengths[start])
        # 8: what a row of a batch needs besides its gathered vectors, as if it were so many more
        fit = start + max(1, batch_bytes // (vector_bytes * (longest + 8)))
        similar = int(np.searchsorted(-lengths, -SHORTEST * longest, side="right"))
        stop = min(fit, max(similar, start + 1), end)
        yield order[start:stop]
        start = stop


def _solve_rows(problem: _Problem, rows: Array, factors: Array) -> float:
    """Solve the rows of one batch into `factors`; give their squared error over all cells."""
    options, vector_bytes = problem.options, 4 * len(problem.spectrum)
    longest = int(problem.indptr[rows[0] + 1] - problem.indptr[rows[0]])
    exact = options.solver == "cholesky" or not _well_posed(problem, rows)
    batch_bytes = min(BATCH_BYTES, options.max_gather)
    # only a batch of a single row exceeds batch_bytes
    if vector_bytes * longest > (batch_bytes if exact else options.max_gather):
        return _solve_long(problem, int(rows[0]), max(1, batch_bytes // vector_bytes), factors)
    batch = _gather(problem, rows, longest)
    if exact:
        return _solve_exactly(problem, batch, factors)
    scale = (1.0 / np.sqrt(batch.diagonal)).astype(np.float32)
    excess = (batch.confidence - batch.present).astype(np.float32)
    confidence = batch.confidence.astype(np.float32)
    w, converged = conjugate_gradient(batch.gathered, excess, confidence, scale, options.tolerance, options.max_steps)
    if converged.all():
        return _store_and_score(problem, batch, w, factors)
    left_over = _Batch(*(field[~converged] for field in batch))
    batch = _Batch(*(field[converged] for field in batch))
    error = _store_and_score(problem, batch, w[converged], factors)
    return error + _solve_exactly(problem, left_over, factors)


def _well_posed(problem: _Problem, rows: Array) -> bool:
    """Say whether D + lambda of all these rows is safely above 0, as a preconditioner must be."""
    spectrum = problem.spectrum
    rounding = len(spectrum) * np.finfo(np.float64).eps * spectrum.max()
    return bool(spectrum.min() + problem.regularization[rows].min() > rounding)


def _gather(problem: _Problem, rows: Array, longest: int) -> _Batch:
    """Collect what some rows observed; a shorter row is padded with its own last observation."""
    starts = problem.indptr[rows]
    lengths = problem.indptr[rows + 1] - starts
    step = np.arange(longest)
    places = starts[:, None] + np.minimum(step, lengths[:, None] - 1)
    present = step < lengths[:, None]
    wanted = problem.indices[places.ravel()]
    gathered = _vectors(problem.vectors, wanted).reshape(len(rows), longest, -1)
    diagonal = problem.spectrum + problem.regularization[rows][:, None]
    return _Batch(rows, gathered, problem.confidence[places] * present, present, diagonal)


def _vectors(vectors: Any, places: Array) -> Array:
    if isinstance(vectors, np.ndarray):
        gathered: Array = vectors.take(places.astype(np.intp), axis=0)  # twice as fast as vectors[places]
    else:
        gathered = vectors[places]
    return gathered


def _store_and_score(problem: _Problem, batch: _Batch, w: Array, factors: Array) -> float:
    """Store x = Q w of a batch; give its squared error, from the scores of what was stored."""
    w = _store(problem, batch.rows, w, factors)
    scores = np.matmul(batch.gathered, w.astype(np.float32)[:, :, None])[:, :, 0].astype(np.float64)
    scores *= batch.present
    observed = batch.confidence * (1.0 - scores) ** 2 - scores**2
    return float(observed.sum() + (w * w).sum(axis=0) @ problem.spectrum)


def _store(problem: _Problem, rows: Array, w: Array, factors: Array) -> Array:
    """Store x = Q w, rounded to float32; give w = Q'x of the rounded x, float64."""
    factors[rows] = w.astype(np.float64) @ problem.basis.T
    stored: Array = factors[rows].astype(np.float64) @ problem.basis
    return stored


def _solve_exactly(problem: _Problem, batch: _Batch, factors: Array) -> float:
    """Solve a batch in float64, by the smaller of two equivalent systems; give its squared error."""
    if batch.gathered.shape[1] < len(problem.spectrum) and _well_posed(problem, batch.rows):
        scale = 1.0 / np.sqrt(batch.diagonal)
        left, right, u = dual_equations(batch.gathered, batch.confidence, batch.present, scale)
        y = _cholesky(problem, batch.rows, left, right)
        return _store_and_score(problem, batch, scale * np.matmul(y[:, None], u)[:, 0], factors)
    left, right = equations(batch.gathered, batch.confidence, batch.present)
    return _solve_equations(problem, batch.rows, left, right, batch.confidence.sum(axis=1), factors)


def _solve_long(problem: _Problem, row: int, chunk: int, factors: Array) -> float:
    """Solve a row by equations accumulated over `chunk` observations at a time; give its squared error."""
    rank = len(problem.spectrum)
    left, right = np.zeros((1, rank, rank)), np.zeros((1, rank))
    start, end = int(problem.indptr[row]), int(problem.indptr[row + 1])
    for first in range(start, end, chunk):
        part = slice(first, min(first + chunk, end))
        confidence = problem.confidence[None, part]
        gathered = _vectors(problem.vectors, problem.indices[part])[None]
        part_left, part_right = equations(gathered, confidence, np.ones(confidence.shape, bool))
        left += part_left
        right += part_right
    confidence = problem.confidence[None, start:end].sum(axis=1)
    return _solve_equations(problem, np.array([row]), left, right, confidence, factors)


def _solve_equations(problem: _Problem, rows: Array, left: Array, right: Array, confidence: Array, factors: Array) -> float:
    """Solve rows by the data's part of their equations, left (B, rank, rank) and right (B, rank).

    `confidence` (B,) is the sum of c over each row's observations. With M = Z'(C - I) Z, b = Z'c and
    w = Q'x of the stored x, the squared error needs the vectors no more:

        sum_observed [ c (1 - s)^2 - s^2 ] = sum_observed c  -  2 b'w  +  w'M w
    """
    diagonal = problem.spectrum + problem.regularization[rows][:, None]
    system = left.copy()
    system[:, np.arange(left.shape[1]), np.arange(left.shape[1])] += diagonal
    w = _store(problem, rows, _cholesky(problem, rows, system, right), factors)
    quadratic = np.einsum("bi,bi->b", np.matmul(left, w[:, :, None])[:, :, 0], w)
    observed = confidence - 2.0 * np.einsum("bi,bi->b", right, w) + quadratic
    return float(observed.sum() + (w * w).sum(axis=0) @ problem.spectrum)


def _cholesky(problem: _Problem, rows: Array, system: Array, right: Array) -> Array:
    try:
        return cholesky(system, right)
    except np.linalg.LinAlgError:
        raise _explain(problem, rows, system, right) from None


def _explain(problem: _Problem, rows: Array, system: Array, right: Array) -> SingularSystemError | NonFiniteError:
    """Make the error of a batch that has no solution, from its first row that has none."""
    if not np.isfinite(system).all():
        return _not_finite()
    place = 0
    for place in range(len(rows)):
        try:
            cholesky(system[place : place + 1], right[place : place + 1])
        except np.linalg.LinAlgError:
            break
    row = rows[place]
    n_observed = int(problem.indptr[row + 1] - problem.indptr[row])
    return singular(len(problem.spectrum), n_observed, float(problem.regularization[row]))


def _check_finite(factors: Array) -> None:
    if not np.isfinite(factors).all():
        raise _not_finite()


def _not_finite() -> NonFiniteError:
    msg = "a row's factors came out as NaN or infinity: a strength or a fixed factor is not finite, or far too large"
    return NonFiniteError(msg)
