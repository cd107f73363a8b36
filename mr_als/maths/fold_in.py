"""Fold-in: the vector of a row that was not in training, from the other side's vectors, which stay as they are.

It is the half-iteration that ends training, for one more row: the same equations (`mr_als.maths.solving.normal_equations`),
the same solver. So a user that was in training gets the stored vector again, to the solver's tolerance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.solve import Fixed, Method, Observed, solve_block
from mr_als.maths.solving.normal_equations import project
from mr_als.maths.weighing.weights import Weights

__all__ = ["fold_in"]


def fold_in(
    observed: Observed,
    factors_of: Callable[[Array], Array],
    eigenbasis: tuple[Array, Array],
    n_fixed: int,
    weights: Weights,
    solver: str = "cg",
) -> Array:
    """Solve rows for their factors, float32 (n_rows, rank); a row without observations gets zeros.

    Parameters
    ----------
    observed : Observed
    factors_of : function of fixed rows, int64 (m,), ascending, that gives their factors, float32 (m, rank)
    eigenbasis : float64 (rank,) and (rank, rank)
        Of the Gram matrix of all fixed factors, from `mr_als.maths.solving.normal_equations.eigenbasis`.
    n_fixed : int
        Number of rows of the fixed side.
    """
    used, places = np.unique(observed.indices, return_inverse=True)
    fixed = Fixed(project(factors_of(used), eigenbasis[1]), *eigenbasis, n_fixed)
    return solve_block(observed._replace(indices=places.reshape(-1)), fixed, weights, Method(solver)).factors
