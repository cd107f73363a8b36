"""Solve the rows of one block: plays and fixed factors in, factors and their statistics out.

What a row's equations are is told in `mr_als.maths.solving.normal_equations`, what its observations weigh in
`mr_als.maths.weighing.weights`, what the loss is in `mr_als.maths.weighing.loss`. How rows are solved is told in
`mr_als.maths.solving.padded` (kernel `numpy`) and `mr_als.maths.solving.flat` (kernel `numba`). With one kernel, the same block
gives the same bytes wherever it is solved; with the other it differs by the solver's tolerance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mr_als.errors import UsageError
from mr_als.maths.array import Array
from mr_als.maths.solving.flat import solve_flat
from mr_als.maths.solving.normal_equations import gram_matrix
from mr_als.maths.solving.padded import solve_padded
from mr_als.maths.solving.problem import Fixed, Method, Observed, Problem, check_finite
from mr_als.maths.weighing.loss import Loss
from mr_als.maths.weighing.weights import Weights

__all__ = ["KERNELS", "SOLVERS", "Fixed", "Method", "Observed", "Solved", "solve_block"]

SOLVERS = ("cg", "cholesky")
KERNELS = ("numpy", "numba")


class Solved(NamedTuple):
    """The solved rows of a block.

    factors : float32 (n_rows, rank)
    gram : float64 (rank, rank), Gram matrix of these factors
    loss : Loss
    """

    factors: Array
    gram: Array
    loss: Loss


def solve_block(observed: Observed, fixed: Fixed, weights: Weights, method: Method = Method()) -> Solved:  # noqa: B008  (immutable)
    """Solve every row of a block for its factors.

    Raises
    ------
    UsageError
        If solver or kernel is unknown, or numba is not installed.
    SingularSystemError
        If a row's equations have no unique solution, which takes a regularization of 0 or nearly so.
    NonFiniteError
        If a factor is not finite.
    """
    for name, value, known in (("solver", method.solver, SOLVERS), ("kernel", method.kernel, KERNELS)):
        if value not in known:
            msg = f"{name} must be one of {', '.join(known)}, got {value!r}"
            raise UsageError(msg)
    degrees = np.diff(observed.indptr)
    exact = method.solver == "cholesky" or weights.explicit
    # only the cells that were not observed give the equations a shared part
    shared = weights.unobserved * fixed.spectrum
    regularization = weights.row_regularization(degrees, fixed.n)
    problem = Problem(*observed, fixed.vectors, shared, fixed.basis, weights, regularization, exact, method)
    factors = np.zeros((len(degrees), problem.rank), np.float32)
    # overflow shows as a factor that is not finite, which is an error below; a warning would say less
    with np.errstate(all="ignore"):
        all_rows = np.arange(len(degrees))
        sums = solve_flat(problem, factors) if method.kernel == "numba" else solve_padded(problem, all_rows, factors, exact)
    check_finite(factors)
    norms = np.einsum("ij,ij->i", factors, factors, dtype=np.float64)
    loss = Loss(
        squared_error=sums.squared_error,
        penalty=float(regularization @ norms),
        confidence=weights.unobserved * len(degrees) * fixed.n + sums.excess,
        zero_error=sums.square,
        observed=len(observed.indices),
        rows=len(degrees),
    )
    return Solved(factors, gram_matrix(factors), loss)
