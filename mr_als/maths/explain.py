"""Explanations: a score taken apart into the parts that the observations of its row have in it.

Hu, Koren & Volinsky (ICDM 2008), section 5. A row's vector is x = A^-1 b with b = sum_j t_j y_j over what it observed, so its
score with the fixed row y is

    x.y = sum_j t_j (y_j' A^-1 y)

where y_j' A^-1 y says how similar j and y are in the eyes of this row, and t_j how much it counts that j was observed: the
confidence c of plays, the rating r of explicit feedback.
"""

from __future__ import annotations

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.solving.normal_equations import Equations, singular
from mr_als.maths.weighing.weights import Weights

__all__ = ["parts_of_score"]


def parts_of_score(equations: Equations, observed: Array, strengths: Array, weights: Weights, fixed: Array) -> Array:
    """Compute the part of each observation of a row in its score with `fixed`, a vector of the fixed side.

    Parameters
    ----------
    equations : Equations
        Of the row, from `mr_als.maths.solving.normal_equations.row_equations`.
    observed, strengths : ndarrays of shape (n_observed, rank) and (n_observed,)
        Factors of the fixed rows this row was observed with, and how strongly.
    fixed : ndarray of shape (rank,)

    Returns
    -------
    ndarray of shape (n_observed,), float64
        They sum to the score of the exact solution, b' A^-1 y.

    Raises
    ------
    SingularSystemError
        If the row's equations have no unique solution.

    Examples
    --------
    >>> from mr_als.maths.solving.normal_equations import gram_matrix, row_equations
    >>> Y, ratings = np.array([[1.0, 0.0], [1.0, 1.0]]), Weights(regularization=0.5, feedback="explicit")
    >>> equations = row_equations(gram_matrix(Y), Y, np.array([5.0, 2.0]), ratings, 2)
    >>> parts_of_score(equations, Y, np.array([5.0, 2.0]), ratings, Y[1])
    array([1. , 1.2])
    """
    try:
        similar = observed.astype(np.float64) @ np.linalg.solve(equations.a, fixed.astype(np.float64))
    except np.linalg.LinAlgError:
        raise singular(len(fixed), len(observed), equations.regularization) from None
    parts: Array = weights.terms(strengths).target * similar
    return parts
