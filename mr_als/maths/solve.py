"""Solve the rows of one block: plays and fixed factors in, factors and their statistics out.

What a row's equations are is told in `mr_als.maths.solving.normal_equations`, what its observations weigh in
`mr_als.maths.weighing.weights`, what the loss is in `mr_als.maths.weighing.loss`. How rows are solved is told in
`mr_als.maths.solving.padded` (kernel `numpy`) and `mr_als.maths.solving.flat` (kernel `numba`). With one kernel, the same block
gives the same bytes wherever it is solved; with the other it differs by the solver's tolerance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mr_als.errors import UsageError
from mr_als.maths.array import Array
from mr_als.maths.solving.flat import solve_flat
from mr_als.maths.solving.normal_equations import gram_matrix
from mr_als.maths.solving.padded import solve_padded
from mr_als.maths.solving.problem import Options, Problem, check_finite
from mr_als.maths.weighing.loss import Loss
from mr_als.maths.weighing.weights import Weights

__all__ = ["KERNELS", "SOLVERS", "Solved", "solve_block"]

SOLVERS = ("cg", "cholesky")
KERNELS = ("numpy", "numba")
# conjugate gradients take 4 to 12 steps; beyond this many an exact solution is cheaper
MAX_STEPS = 32
# bytes of a single row's observations held at once; a row with more accumulates its equations and is solved exactly
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
    kernel: str = "numpy",
    threads: int = 1,
) -> Solved:
    """Solve every row of a block for its factors.

    Parameters
    ----------
    indptr : int64 (n_rows + 1,)
        Row r observed the entries indptr[r] to indptr[r + 1] of `indices` and `strengths`.
    indices : integers (nnz,)
        Which of `vectors` each observation is with.
    strengths : float64 or integers (nnz,)
        Strength of each observation, > 0; for explicit feedback its rating, >= 0.
    vectors : array-like
        Anything whose `vectors[places]`, for one-dimensional integer `places`, is float32 (len, rank): the
        projected fixed factors Z = Y Q, an array or a store backed by a file.
    spectrum, basis : float64 (rank,) and (rank, rank)
        D and Q of the Gram matrix of *all* fixed factors, from `eigenbasis`.
    n_fixed : int
        Number of rows of the fixed side.
    weights : Weights
    solver : "cg" or "cholesky"
        Explicit feedback is always solved exactly: without a shared part there is nothing to precondition by.
    tolerance : float
        Relative residual at which conjugate gradients stop.
    max_steps : int
        Steps after which a row is solved exactly instead.
    max_gather : int
        Bytes held for one row.
    kernel : "numpy" or "numba"
        Part of the plan, never guessed: a task that was asked for numba and has none fails.
    threads : int
        Of the numba kernel; changes no result.

    Raises
    ------
    UsageError
        If solver or kernel is unknown, or numba is not installed.
    SingularSystemError
        If a row's equations have no unique solution, which takes a regularization of 0 or nearly so.
    NonFiniteError
        If a factor is not finite.
    """
    for name, value, known in (("solver", solver, SOLVERS), ("kernel", kernel, KERNELS)):
        if value not in known:
            msg = f"{name} must be one of {', '.join(known)}, got {value!r}"
            raise UsageError(msg)
    degrees = np.diff(indptr)
    exact = solver == "cholesky" or weights.explicit
    # only the cells that were not observed give the equations a shared part
    shared = weights.unobserved * spectrum
    regularization = weights.row_regularization(degrees, n_fixed)
    problem = Problem(
        indptr, indices, strengths, vectors, shared, basis, weights, regularization,
        Options(exact, tolerance, max_steps, max_gather, threads),
    )  # fmt: skip
    factors = np.zeros((len(degrees), len(spectrum)), np.float32)
    # overflow shows as a factor that is not finite, which is an error below; a warning would say less
    with np.errstate(all="ignore"):
        all_rows = np.arange(len(degrees))
        sums = solve_flat(problem, factors) if kernel == "numba" else solve_padded(problem, all_rows, factors, exact)
    check_finite(factors)
    norms = np.einsum("ij,ij->i", factors, factors, dtype=np.float64)
    loss = Loss(
        squared_error=sums.squared_error,
        penalty=float(regularization @ norms),
        confidence=weights.unobserved * len(degrees) * n_fixed + sums.excess,
        zero_error=sums.square,
        observed=len(indices),
        rows=len(degrees),
    )
    return Solved(factors, gram_matrix(factors), loss)
