"""How strongly each observation counts, and how strongly each row is held back.

Both kinds of feedback ask the same: find x that minimises, over a row's cells with scores s = x.y,

    sum_all c (p - s)^2 + lambda_row |x|^2

*Implicit* (Hu, Koren & Volinsky 2008): an observation is a strength r > 0 (plays). Its preference p is 1, that of
all other cells 0. The confidence c is 1 where nothing was observed, and where something was

    c = 1 + alpha r                     linear       section 4
    c = 1 + alpha log(1 + r / epsilon)  log          eq. 6

*Explicit* (Zhou et al. 2008): an observation is a rating r >= 0. p = r with c = 1; all other cells have c = 0.

With c_0 the confidence of a cell that was not observed, 1 or 0, and p = 0 there, the observed cells add

    sum_all c (p - s)^2 = c_0 sum_all s^2 + sum_observed [ e s^2 - 2 t s + q ],
    e = c - c_0 (excess),     t = c p (target),     q = c p^2 (square)

and that is all a solver has to know of either. A row with n observations among N fixed rows has the lambda_row

    lambda                               none         Hu et al., eq. 3
    lambda n                             count        Zhou et al. (ALS-WR), Spark
    lambda (1 + alpha) (n + N/alpha)^nu  frequency    Rendle et al. 2022, in our units: their alpha_0 is 1/alpha
    lambda n^nu                          frequency of explicit feedback: unobserved pairs do not count
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.options import WeightOptions, check, number, option

__all__ = ["Terms", "Weights"]

# strengths whose terms are held at once: some megabytes
_CHUNK = 1 << 18


class Terms(NamedTuple):
    """What observations add to the squared error at score s, excess s^2 - 2 target s + square: three float64 (n,)."""

    excess: Array
    target: Array
    square: Array

    def errors(self, score: Array) -> Array:
        """Compute what each observation adds to the squared error at these scores, float64 (n,)."""
        added: Array = (self.excess * score - 2.0 * self.target) * score + self.square
        return added


@dataclass(frozen=True)
class Weights(WeightOptions):
    """The numbers of confidence and regularization, and what they make of strengths: a weighted least-squares problem.

    The defaults of alpha and lambda are for problems worked out by hand; a training finds its own (`mr_als.maths.regularization`).

    Raises
    ------
    UsageError
        If a value is not one that the option may have.
    """

    alpha: float = option(
        10.0, "how much a play adds to the confidence", type=number, check=(lambda v: 0 < v < math.inf, "a number above 0")
    )
    regularization: float = option(0.003, "lambda", type=number, check=(lambda v: 0 <= v < math.inf, "a number of at least 0"))

    def __post_init__(self) -> None:
        check(self)

    @property
    def explicit(self) -> bool:
        """Whether observations are ratings."""
        return self.feedback == "explicit"

    @property
    def unobserved(self) -> float:
        """Confidence c_0 of a cell that was not observed."""
        return 0.0 if self.explicit else 1.0

    def terms(self, strength: Array) -> Terms:
        """Compute what observations of these strengths add to the squared error.

        >>> Weights("linear", alpha=40.0).terms(np.array([1.0, 2.0])).excess
        array([40., 80.])
        >>> Weights(feedback="explicit").terms(np.array([0.0, 4.5])).square
        array([ 0.  , 20.25])
        """
        c = self.confidence_of(strength)
        if self.explicit:
            rating = np.asarray(strength, np.float64)
            return Terms(c, rating, rating * rating)
        return Terms(c - 1.0, c, c)

    def confidence_of(self, strength: Array) -> Array:
        """Compute the confidence c, float64, of observations of these strengths, each > 0 (ratings: >= 0).

        >>> Weights("linear", alpha=40.0).confidence_of(np.array([1.0, 2.0]))
        array([41., 81.])
        >>> Weights("log", alpha=10.0).confidence_of(np.array([1.0, 2.0, 1000.0])).round(1)
        array([ 7.9, 12. , 70.1])
        """
        strength = np.asarray(strength, np.float64)
        if self.explicit:
            return np.ones(strength.shape)
        if self.confidence == "linear":
            return 1.0 + self.alpha * strength
        return 1.0 + self.alpha * _log1p(strength, self.epsilon)

    def total_excess(self, strengths: Array) -> float:
        """Compute the sum of the excess of all strengths above 0, a few at a time.

        >>> Weights("linear", alpha=40.0).total_excess(np.array([1, 0, 2]))
        120.0
        """
        total = 0.0
        # most strengths are numbers of plays of a byte or two: there are fewer of these than pairs
        small = strengths.dtype.kind == "u" and strengths.dtype.itemsize <= 2 and len(strengths) > 0
        known = self.terms(np.arange(int(strengths.max()) + 1.0)).excess if small else None
        for start in range(0, len(strengths), _CHUNK):
            part = strengths[start : start + _CHUNK]
            counted = part > 0
            part = part if counted.all() else part[counted]
            total += float((self.terms(part).excess if known is None else known[part]).sum())
        return total

    def row_regularization(self, n_observed: Array, n_fixed: int) -> Array:
        """Compute lambda_row, float64 (n_rows,), for rows with `n_observed` (n_rows,) of `n_fixed` possible pairs.

        >>> Weights(regularization=0.1, regularization_scaling="count").row_regularization(np.array([0, 2, 9]), 10)
        array([0. , 0.2, 0.9])
        """
        return self._scaled(self.regularization, n_observed, n_fixed)

    def row_lengths(self, n_observed: Array, n_fixed: int) -> Array:
        """Compute d, what lambda is multiplied by in each row: `row_regularization` at lambda 1.

        >>> Weights(alpha=4.0).row_lengths(np.array([0, 2]), 40)
        array([50., 60.])
        """
        return self._scaled(1.0, n_observed, n_fixed)

    def _scaled(self, lam: float, n_observed: Array, n_fixed: int) -> Array:
        """Multiply lambda by what it is multiplied by in each row."""
        n_observed = np.asarray(n_observed, np.float64)
        if self.regularization_scaling == "none":
            return np.full(n_observed.shape, float(lam))
        if self.regularization_scaling == "count":
            return lam * n_observed
        if self.explicit:
            scaled: Array = lam * n_observed**self.regularization_exponent
            return scaled
        # n + N/alpha: every unobserved pair counts as 1/alpha of an observed one, so rows without any count too
        frequency = (n_observed + n_fixed / self.alpha) ** self.regularization_exponent
        return lam * (1.0 + self.alpha) * frequency


def _log1p(strength: Array, epsilon: float) -> Array:
    """Compute log(1 + strength / epsilon); most strengths are small whole numbers, so their logarithms are looked up."""
    with np.errstate(invalid="ignore"):  # not a number, or too large: not equal below
        whole = strength.astype(np.int64)
    most = int(whole.max(initial=0))
    if most < whole.size and (whole == strength).all() and whole.min() >= 0:
        known: Array = np.log1p(np.arange(most + 1) / epsilon)[whole]
        return known
    return np.log1p(strength / epsilon)
