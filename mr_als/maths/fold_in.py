"""Fold-in: the vector of a row that was not in training, from the other side's vectors, which stay as they are.

It is the half-iteration that ends training, for one more row: the same equations (`mr_als.maths.solving.normal_equations`),
the same solver. So a user that was in training gets the stored vector again, to the solver's tolerance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.solve import solve_block
from mr_als.maths.solving.normal_equations import project
from mr_als.maths.weighing.weights import Weights

__all__ = ["fold_in"]


def fold_in(
    indptr: Array,
    indices: Array,
    strengths: Array,
    factors_of: Callable[[Array], Array],
    spectrum: Array,
    basis: Array,
    n_fixed: int,
    weights: Weights,
    solver: str = "cg",
) -> Array:
    """Solve rows for their factors, float32 (n_rows, rank); a row without observations gets zeros.

    Parameters
    ----------
    indptr, indices, strengths : int64 (n_rows + 1,), int64 (nnz,), float64 (nnz,)
        What each row observed, and how strongly, as for `mr_als.maths.solve.solve_block`.
    factors_of : function of fixed rows, int64 (m,), ascending, that gives their factors, float32 (m, rank)
    spectrum, basis : float64 (rank,) and (rank, rank)
        Of the Gram matrix of all fixed factors, from `mr_als.maths.solving.normal_equations.eigenbasis`.
    n_fixed : int
        Number of rows of the fixed side.
    """
    used, places = np.unique(indices, return_inverse=True)
    vectors = project(factors_of(used), basis)
    return solve_block(indptr, places.reshape(-1), strengths, vectors, spectrum, basis, n_fixed, weights, solver).factors
