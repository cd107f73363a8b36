"""One row's equations, their residual and explanations, against the formulas over all cells."""

from __future__ import annotations

import numpy as np
import pytest

from mr_als.errors import SingularSystemError
from mr_als.maths.explain import parts_of_score
from mr_als.maths.reference import dense_problem, solve_rows
from mr_als.maths.solving.normal_equations import eigenbasis, gram_matrix, relative_residual, row_equations
from mr_als.maths.weighing.weights import Weights

KINDS = [
    Weights(alpha=7.0, regularization=0.02),
    Weights("linear", alpha=40.0, regularization=0.5, regularization_scaling="none"),
    Weights(regularization=0.05, regularization_scaling="count", feedback="explicit"),
    Weights(regularization=0.05, feedback="explicit"),
]
N_FIXED, RANK = 30, 4


@pytest.fixture(params=KINDS, ids=lambda w: f"{w.feedback}-{w.regularization_scaling}")
def weights(request):
    return request.param


class Row:
    """One row that observed some of the fixed ones, with strengths of 0 where these count."""

    def __init__(self, weights, n_observed=9, seed=0):
        rng = np.random.default_rng(seed)
        self.fixed = rng.standard_normal((N_FIXED, RANK)).astype(np.float32)
        self.seen = np.sort(rng.choice(N_FIXED, n_observed, replace=False))
        self.strengths = rng.integers(0 if weights.explicit else 1, 6, n_observed).astype(float)
        row = np.full((1, N_FIXED), np.nan if weights.explicit else 0.0)
        row[0, self.seen] = self.strengths
        _, self.preference, self.confidence = dense_problem(row, weights)
        self.lam = weights.row_regularization(np.array([n_observed]), N_FIXED)
        self.x = solve_rows(self.preference, self.confidence, self.fixed.astype(np.float64), self.lam)[0]
        self.equations = row_equations(gram_matrix(self.fixed), self.fixed[self.seen], self.strengths, weights, N_FIXED)
        spectrum, basis = eigenbasis(gram_matrix(self.fixed))
        self.shared = weights.unobserved * spectrum, basis


def test_the_equations_are_those_over_all_cells(weights):
    """A = Y' C Y + lambda I and b = Y' C p, with C and p of all cells written out."""
    row = Row(weights)
    y, c = row.fixed.astype(np.float64), row.confidence[0]

    np.testing.assert_allclose(row.equations.a, (y.T * c) @ y + row.lam * np.eye(RANK), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(row.equations.b, y.T @ (c * row.preference[0]), rtol=1e-12, atol=1e-12)
    assert row.equations.regularization == row.lam[0]


def test_the_parts_sum_to_the_score_of_the_exact_solution(weights):
    row = Row(weights)

    for y in row.fixed:
        parts = parts_of_score(row.equations, row.fixed[row.seen], row.strengths, weights, y)

        assert parts.sum() == pytest.approx(float(row.x @ y), rel=1e-9, abs=1e-12)


def test_a_part_is_what_the_score_loses_without_what_its_observation_says(weights):
    """The solution is linear in the targets: with one of them 0, and all else as it was, its part is gone."""
    row = Row(weights)
    y = row.fixed[row.seen].astype(np.float64)
    target = weights.terms(row.strengths).target

    parts = parts_of_score(row.equations, row.fixed[row.seen], row.strengths, weights, row.fixed[0])

    for n in range(len(target)):
        without = np.linalg.solve(row.equations.a, y.T @ np.where(np.arange(len(target)) == n, 0.0, target))
        assert parts[n] == pytest.approx(float((row.x - without) @ row.fixed[0]), rel=1e-8, abs=1e-10)


def test_a_row_that_cannot_be_solved_is_explained_as_such():
    weights = Weights(feedback="explicit", regularization=0.0)
    row = np.ones((1, RANK), np.float32)
    equations = row_equations(gram_matrix(row), row, np.array([3.0]), weights, 1)

    with pytest.raises(SingularSystemError, match="regularization is 0"):
        parts_of_score(equations, row, np.array([3.0]), weights, row[0])


def test_the_residual_of_a_solution_is_that_of_its_rounding(weights):
    row = Row(weights)

    assert relative_residual(row.equations, row.x.astype(np.float32), *row.shared) < 1e-6


def test_the_residual_is_that_of_the_dense_formula(weights):
    """Far from the solution: |P (b - A x)| / |P b|, to the thousandth of the terms that counts as size."""
    row, x = Row(weights), np.full(RANK, 0.3, np.float32)
    spectrum, basis = row.shared
    whiten = np.diag((spectrum + row.lam) ** -0.5) @ basis.T
    left, b = whiten @ (row.equations.b - row.equations.a @ x), whiten @ row.equations.b

    found = relative_residual(row.equations, x, *row.shared)

    assert found == pytest.approx(float(np.linalg.norm(left) / np.linalg.norm(b)), rel=5e-3)


@pytest.mark.parametrize("share", [1e-2, 1e-1])
def test_a_solution_that_was_changed_is_seen(share, weights):
    row = Row(weights)
    for k in range(RANK):
        x = row.x.copy()
        x[k] += share * np.linalg.norm(x)

        assert relative_residual(row.equations, x.astype(np.float32), *row.shared) > 0.3 * share


def test_terms_that_cancel_count_as_size():
    """Two fixed vectors nearly the same, and targets that differ: x is a thousand times what it scores."""
    weights = Weights(feedback="explicit", regularization=1e-9)
    fixed = np.array([[1.0, 1.0], [1.0, 1.0005]], np.float32)
    strengths = np.array([1.0, 5.0])
    equations = row_equations(gram_matrix(fixed), fixed, strengths, weights, 2)
    x = np.linalg.solve(equations.a, equations.b).astype(np.float32)
    spectrum, basis = np.zeros(2), np.eye(2)
    plain = np.linalg.norm(equations.b - equations.a @ x) / np.linalg.norm(equations.b)
    assert plain > 1e-4  # as far as float32 reaches

    assert relative_residual(equations, x, spectrum, basis) < 0.5 * plain
    assert relative_residual(equations, (x * 1.01).astype(np.float32), spectrum, basis) > 2 * plain


@pytest.mark.parametrize("implicit", KINDS[:2], ids=lambda w: w.regularization_scaling)
def test_a_row_that_observed_nothing_is_solved_by_zero_alone(implicit):
    row = Row(implicit, n_observed=0)

    assert relative_residual(row.equations, np.zeros(RANK, np.float32), *row.shared) == 0.0
    assert relative_residual(row.equations, np.ones(RANK, np.float32), *row.shared) > 1.0
