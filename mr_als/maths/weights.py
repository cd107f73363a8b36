"""How strongly each observation counts, and how strongly each row is held back.

A row observed n of the N rows of the fixed side, pair by pair with a strength r > 0 (plays). Its preference
for these is 1 and for all others 0; the confidence in a preference is 1 where nothing was observed and

    c = 1 + alpha r                     linear       Hu, Koren & Volinsky 2008, section 4
    c = 1 + alpha log(1 + r / epsilon)  log          the same, eq. 6

where something was. The regularization of a row, lambda_row, is

    lambda                              none         the same, eq. 3
    lambda n                            count        Zhou et al. 2008 (ALS-WR), Spark
    lambda (1 + alpha) (n + N/alpha)^nu frequency    Rendle et al. 2022, in our units: their alpha_0 is 1/alpha
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mr_als.errors import UsageError

__all__ = ["CONFIDENCES", "SCALINGS", "Weights"]

Array = npt.NDArray[Any]

CONFIDENCES = ("log", "linear")
SCALINGS = ("frequency", "count", "none")


@dataclass(frozen=True)
class Weights:
    """The choices that turn strengths into a weighted least-squares problem.

    Raises
    ------
    UsageError
        If a name is unknown, alpha or epsilon is not above 0, or the regularization is negative.
    """

    confidence: str = "log"
    alpha: float = 10.0
    epsilon: float = 1.0
    regularization: float = 0.003
    regularization_scaling: str = "frequency"
    regularization_exponent: float = 1.0

    def __post_init__(self) -> None:
        _check_name("confidence", self.confidence, CONFIDENCES)
        _check_name("regularization_scaling", self.regularization_scaling, SCALINGS)
        for name in ("alpha", "epsilon"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                msg = f"{name} must be a number above 0, got {value}"
                raise UsageError(msg)
        if not (math.isfinite(self.regularization) and self.regularization >= 0):
            msg = f"regularization must be a number of 0 or more, got {self.regularization}"
            raise UsageError(msg)
        if not math.isfinite(self.regularization_exponent):
            msg = f"regularization_exponent must be a finite number, got {self.regularization_exponent}"
            raise UsageError(msg)

    def confidence_of(self, strength: Array) -> Array:
        """Give the confidence c, float64, of observations of these strengths, each > 0.

        >>> Weights("linear", alpha=40.0).confidence_of(np.array([1.0, 2.0]))
        array([41., 81.])
        >>> Weights("log", alpha=10.0).confidence_of(np.array([1.0, 2.0, 1000.0])).round(1)
        array([ 7.9, 12. , 70.1])
        """
        strength = np.asarray(strength, np.float64)
        if self.confidence == "linear":
            return 1.0 + self.alpha * strength
        return 1.0 + self.alpha * np.log1p(strength / self.epsilon)

    def row_regularization(self, n_observed: Array, n_fixed: int) -> Array:
        """Give lambda_row, float64 (n_rows,), of rows with `n_observed` (n_rows,) of `n_fixed` possible pairs.

        >>> Weights(regularization=0.1, regularization_scaling="count").row_regularization(np.array([0, 2, 9]), 10)
        array([0. , 0.2, 0.9])
        """
        n_observed = np.asarray(n_observed, np.float64)
        if self.regularization_scaling == "none":
            return np.full(n_observed.shape, float(self.regularization))
        if self.regularization_scaling == "count":
            return self.regularization * n_observed
        # n + N/alpha: every unobserved pair counts as 1/alpha of an observed one, so rows without any count too
        frequency = (n_observed + n_fixed / self.alpha) ** self.regularization_exponent
        return self.regularization * (1.0 + self.alpha) * frequency


def _check_name(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        msg = f"{field} must be one of {', '.join(known)}, got {value!r}"
        raise UsageError(msg)
