"""What the sections of the example share: the matrix, the choices, and the numbers that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.reference import reference_als
from mr_als.maths.weighing.weights import Weights
from mr_als.teaching.formulas import by_the_gram_trick, confidence_of, loss, preference_of, weighted_rmse
from mr_als.teaching.matrix import UtilityMatrix

# those of `mr-als train`
TOLERANCE, MAX_ITERATIONS = 0.001, 20


@dataclass(frozen=True)
class Lesson:
    """A utility matrix and how it is factorised: linear confidence, plain lambda, exact solver.

    start : float64 (n_items, rank), the item vectors to begin with
    user, item : int, the row and the column that are worked out in full
    tolerance : float, training stops when the weighted RMSE of two user halves differs by less than this share of it
    """

    matrix: UtilityMatrix
    start: Array
    alpha: float = 1.0
    regularization: float = 1.0
    user: int = 0
    item: int = 0
    tolerance: float = TOLERANCE
    max_iterations: int = MAX_ITERATIONS

    @property
    def rank(self) -> int:
        """Length of the vectors."""
        return int(self.start.shape[1])

    @property
    def weights(self) -> Weights:
        """The same choices for the code that is not for teaching."""
        return Weights("linear", self.alpha, 1.0, self.regularization, "none")

    @cached_property
    def preference(self) -> Array:
        """P, float64 (n_users, n_items)."""
        return preference_of(self.matrix.plays)

    @cached_property
    def confidence(self) -> Array:
        """C, float64 (n_users, n_items)."""
        return confidence_of(self.matrix.plays, self.alpha)

    @cached_property
    def first_users(self) -> Array:
        """X after half 1, float64 (n_users, rank)."""
        return self.solve_users(self.start)

    @cached_property
    def first_items(self) -> Array:
        """Y after half 2, float64 (n_items, rank)."""
        return Lesson.solve_users(self.transposed, self.first_users)

    @cached_property
    def transposed(self) -> Lesson:
        """The same with users and items in each other's place: both halves are one code."""
        flipped = UtilityMatrix(self.matrix.items, self.matrix.users, self.matrix.plays.T)
        return replace(self, matrix=flipped, start=self.first_users, user=self.item, item=self.user)

    def solve_users(self, Y: Array) -> Array:
        """Solve every row for its vector, the item vectors Y fixed."""
        return np.array([np.linalg.solve(*self.equations(row, Y)) for row in range(len(self.matrix.users))])

    def played(self, row: int) -> Array:
        """Find the columns a row played."""
        return np.flatnonzero(self.matrix.plays[row])

    def equations(self, row: int, Y: Array) -> tuple[Array, Array]:
        """Compute a and b of a row."""
        items = self.played(row)
        return by_the_gram_trick(Y.T @ Y, Y[items], self.confidence[row, items], self.regularization)

    @cached_property
    def trained(self) -> tuple[Array, Array, list[dict[str, Any]]]:
        """X, Y and the history of `reference_als`, until the weighted RMSE stops changing."""
        return self.train(self.matrix.plays)

    def train(self, plays: Array) -> tuple[Array, Array, list[dict[str, Any]]]:
        """Train on other plays of the same shape; return X, Y and the history of `reference_als`."""
        return reference_als(plays, self.start, self.weights, self.tolerance, self.max_iterations)

    @property
    def scores(self) -> Array:
        """X Y' of the trained factors, float64 (n_users, n_items)."""
        X, Y, _ = self.trained
        return X @ Y.T

    def losses(self, X: Array, Y: Array) -> tuple[float, float, float]:
        """Compute squared error, penalty and weighted RMSE."""
        squared_error, penalty = loss(self.preference, self.confidence, X, Y, self.regularization)
        return float(squared_error), float(penalty), weighted_rmse(squared_error, self.confidence)


class Section(NamedTuple):
    """One step of the example: what `--only NAME` prints."""

    name: str
    title: str
    write: Callable[[Lesson], Iterator[str]]


def best_new(scores: Array, plays: Array) -> Array:
    """List the columns without plays, best score first, ties in column order."""
    order: Array = np.argsort(-scores, kind="stable")
    new: Array = order[plays[order] == 0]
    return new
