"""All of implicit ALS on one page. Read this first.

Given how often each user played each item, find vectors x_u and y_i whose dot products say what each user
likes. What a user played is liked: preference p = 1, the more surely the more often, confidence c > 1. What
was not played is *perhaps* not liked: p = 0 with confidence 1. So minimise, over all users and all items,

    objective = sum_ui c_ui (p_ui - x_u.y_i)^2 + sum_u lambda_u |x_u|^2 + sum_i lambda_i |y_i|^2

(Hu, Koren & Volinsky, ICDM 2008). It is not convex in X and Y together, but with the items fixed every user
is a small ridge regression of its own, with the users fixed every item is one, and solving in turns never
raises the objective. That is the algorithm. With ratings instead of plays (explicit feedback, Zhou et al. 2008)
p is the rating, c is 1 where there is one and 0 elsewhere, and all else stays. The rest of this project computes
the same without ever visiting the pairs that were not played (`mr_als.maths.solving.normal_equations`), on as many
machines as you like.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.weighing.weights import Weights

__all__ = ["reference_als"]


def reference_als(
    plays: Array, item_factors: Array, weights: Weights, tolerance: float = 0.001, max_iterations: int = 20
) -> tuple[Array, Array, list[dict[str, Any]]]:
    """Factorise a small matrix of plays (n_users, n_items), from initial item factors (n_items, rank).

    Explicit feedback: of ratings, where NaN is no rating and 0 is one.

    Returns X (n_users, rank), Y (n_items, rank), both float64, and the history: `half`, `solved`, `wrmse` and
    `objective` of every half-iteration. Stops when the weighted RMSE of two user halves differs by less than
    `tolerance` of it, or after `max_iterations` item halves; always after a user half, so that each user's
    vector is the exact answer to the items'.
    """
    observed, preference, confidence = dense_problem(plays, weights)
    user_lambda = weights.row_regularization(observed.sum(axis=1), plays.shape[1])
    item_lambda = weights.row_regularization(observed.sum(axis=0), plays.shape[0])
    of_zero = float((confidence * preference**2).sum())  # the objective of X = Y = 0

    Y = item_factors.astype(np.float64)
    X = np.zeros((len(plays), Y.shape[1]))
    history: list[dict[str, Any]] = []
    for half in range(1, 2 * max_iterations + 2):
        if half % 2:
            X = solve_rows(preference, confidence, Y, user_lambda)
        else:
            Y = solve_rows(preference.T, confidence.T, X, item_lambda)
        squared_error = float((confidence * (preference - X @ Y.T) ** 2).sum())
        penalty = float(user_lambda @ (X**2).sum(axis=1) + item_lambda @ (Y**2).sum(axis=1))
        history.append(
            {
                "half": half,
                "solved": "users" if half % 2 else "items",
                "wrmse": float(np.sqrt(squared_error / confidence.sum())),
                "objective": squared_error + penalty,
            }
        )
        if half % 2 and half > 1 and history[-1]["objective"] <= 0.999 * of_zero:
            now, before = history[-1]["wrmse"], history[-3]["wrmse"]
            if abs(now - before) < tolerance * now:
                break
    return X, Y, history


def dense_problem(plays: Array, weights: Weights) -> tuple[Array, Array, Array]:
    """Return, for every cell, whether it was observed, its preference p and its confidence c."""
    if weights.explicit:
        observed = ~np.isnan(plays)
        return observed, np.where(observed, plays, 0.0), observed.astype(np.float64)
    observed = plays > 0
    return observed, observed.astype(np.float64), weights.confidence_of(plays)  # 1 where there are no plays


def solve_rows(preference: Array, confidence: Array, fixed: Array, regularization: Array) -> Array:
    """Solve (F' C F + lambda I) x = F' C p for each row: p, c (n_rows, n_fixed), F (n_fixed, rank), lambda (n_rows,).

    The vector of a row that observed nothing is zero.
    """
    factors = np.zeros((len(preference), fixed.shape[1]))
    for row, (p, c) in enumerate(zip(preference, confidence, strict=True)):
        if p.any():
            a = (fixed.T * c) @ fixed + regularization[row] * np.eye(fixed.shape[1])
            factors[row] = np.linalg.solve(a, fixed.T @ (c * p))
    return factors
