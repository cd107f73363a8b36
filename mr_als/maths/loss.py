"""The loss of a half-iteration, as sums that rows, blocks and tasks simply add up.

With preference p (1 if observed, else 0), confidence c (1 if not observed) and score s = x.y, ALS minimises

    objective = sum over all cells of c (p - s)^2  +  sum over all rows of both sides of lambda_row |row|^2

All cells are n_rows x n_fixed, but the unobserved ones need not be visited, for over a row's cells

    sum_all c (p - s)^2 = sum_observed [ c (1 - s)^2 - s^2 ] + sum_all s^2,       sum_all s^2 = x' (Y'Y) x.

This holds for any x, not only for the exact solution. The weighted RMSE divides by the sum of all weights:

    wrmse = sqrt( sum_all c (p - s)^2 / sum_all c ),      sum_all c = n_rows n_fixed + sum_observed (c - 1).

Its size depends on how sparse the data are, so it is best read against that of the zero model X = Y = 0,
whose squared error is sum_observed c.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

__all__ = ["Loss", "weighted_rmse", "zero_rmse", "zero_squared_error"]


class Loss(NamedTuple):
    """The terms of the loss that some solved rows contribute; `+` joins those of different rows.

    squared_error : float, sum over all cells of the rows of c (p - s)^2
    penalty : float, sum over the rows of lambda_row |x|^2
    confidence : float, sum over the observed pairs of c - 1
    observed : int, number of observed pairs
    rows : int, number of rows

    >>> Loss(1.0, 0.5, 10.0, 2, 1) + Loss(2.0, 0.5, 30.0, 3, 1)
    Loss(squared_error=3.0, penalty=1.0, confidence=40.0, observed=5, rows=2)
    """

    squared_error: float = 0.0
    penalty: float = 0.0
    confidence: float = 0.0
    observed: int = 0
    rows: int = 0

    def __add__(self, other: tuple[Any, ...]) -> Loss:
        """Add term by term; a tuple would be appended."""
        return Loss(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def weighted_rmse(loss: Loss, n_rows: int, n_fixed: int) -> float:
    """Give the weighted RMSE of a half whose rows contributed `loss`: sqrt(squared_error / sum of all c)."""
    # float rounding may leave a perfect fit a hair below zero
    return math.sqrt(max(loss.squared_error, 0.0) / _all_confidence(loss, n_rows, n_fixed))


def zero_squared_error(loss: Loss) -> float:
    """Give the squared error, and the objective, of X = Y = 0: the sum of c over the observed pairs."""
    return loss.confidence + loss.observed


def zero_rmse(loss: Loss, n_rows: int, n_fixed: int) -> float:
    """Give the weighted RMSE of X = Y = 0.

    >>> zero_rmse(Loss(confidence=40.0, observed=1, rows=2), 2, 5) == (41 / (41 + 9)) ** 0.5
    True
    """
    return math.sqrt(zero_squared_error(loss) / _all_confidence(loss, n_rows, n_fixed))


def _all_confidence(loss: Loss, n_rows: int, n_fixed: int) -> float:
    return max(float(n_rows) * n_fixed + loss.confidence, 1.0)  # 1.0: an empty input has wrmse 0, not 0 / 0
