"""The loss of a half-iteration, as sums that rows, blocks and tasks simply add up.

With preference p, confidence c and score s = x.y (`mr_als.maths.weighing.weights`), ALS minimises

    objective = sum over all cells of c (p - s)^2  +  sum over all rows of both sides of lambda_row |row|^2

All cells are n_rows x n_fixed, but the unobserved ones need not be visited, for over a row's cells

    sum_all c (p - s)^2 = sum_observed [ e s^2 - 2 t s + q ] + c_0 sum_all s^2,       sum_all s^2 = x' (Y'Y) x

(implicit feedback: sum_observed [ c (1 - s)^2 - s^2 ] + x' Y'Y x; explicit: c_0 = 0, sum_observed (r - s)^2).
This holds for any x, not only for the exact solution. The weighted RMSE divides by the sum of all confidences:

    wrmse = sqrt( sum_all c (p - s)^2 / sum_all c ),      sum_all c = c_0 n_rows n_fixed + sum_observed e

For explicit feedback it is the plain RMSE of the ratings. Its size depends on how sparse the data are, so it is
best read against that of the zero model X = Y = 0, whose squared error is sum_observed q.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

__all__ = ["Loss", "weighted_rmse", "zero_rmse"]


class Loss(NamedTuple):
    """The terms of the loss that some solved rows contribute; `+` joins those of different rows.

    squared_error : float, sum over all cells of the rows of c (p - s)^2
    penalty : float, sum over the rows of lambda_row |x|^2
    confidence : float, sum over all cells of the rows of c
    zero_error : float, what squared_error is for x = 0
    observed : int, number of observed pairs
    rows : int, number of rows

    >>> Loss(1.0, 0.5, 10.0, 4.0, 2, 1) + Loss(2.0, 0.5, 30.0, 6.0, 3, 1)
    Loss(squared_error=3.0, penalty=1.0, confidence=40.0, zero_error=10.0, observed=5, rows=2)
    """

    squared_error: float = 0.0
    penalty: float = 0.0
    confidence: float = 0.0
    zero_error: float = 0.0
    observed: int = 0
    rows: int = 0

    def __add__(self, other: tuple[Any, ...]) -> Loss:
        """Add term by term; a tuple would be appended."""
        return Loss(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def weighted_rmse(loss: Loss) -> float:
    """Compute the weighted RMSE of a half from the `loss` of its rows; 0 for no rows.

    >>> weighted_rmse(Loss(squared_error=3.0, confidence=12.0))
    0.5
    """
    # float rounding may leave a perfect fit a hair below zero
    return math.sqrt(max(loss.squared_error, 0.0) / loss.confidence) if loss.confidence > 0 else 0.0


def zero_rmse(loss: Loss) -> float:
    """Compute the weighted RMSE of X = Y = 0.

    >>> zero_rmse(Loss(confidence=90.0, zero_error=40.0)) == (40 / 90) ** 0.5
    True
    """
    return weighted_rmse(loss._replace(squared_error=loss.zero_error))
