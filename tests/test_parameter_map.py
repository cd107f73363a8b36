"""The table of options in docs/how-it-works.md: each library's own equations, written down, give our rows."""

from __future__ import annotations

import numpy as np
import pytest

from mr_als.maths.reference import reference_als
from mr_als.maths.weighing.weights import Weights

RANK, LAM = 3, 0.7


@pytest.fixture
def problem():
    rng = np.random.default_rng(3)
    plays = rng.integers(0, 4, (6, 8)).astype(float)
    plays[:, 0] = plays[0] = 1
    return plays, rng.normal(size=(8, RANK))


def ours(plays, Y, weights):
    """Compute the user vectors of the first half."""
    return reference_als(plays, Y, weights, max_iterations=0)[0]


def solve_each(plays, equations):
    return np.array([np.linalg.solve(*equations(row[row > 0], row > 0)) for row in plays])


def test_implicit_with_confidences_for_its_matrix(problem):
    """A = Y'Y + sum (c - 1) y y' + lambda I, b = sum c y, where c is what stands in the matrix."""
    plays, Y = problem

    def equations(r, played):
        c, y = 1 + 5 * r, Y[played]
        return Y.T @ Y + (y.T * (c - 1)) @ y + LAM * np.eye(RANK), y.T @ c

    expected = solve_each(plays, equations)
    np.testing.assert_allclose(ours(plays, Y, Weights("linear", 5.0, 1.0, LAM, "none")), expected, rtol=1e-10)


def test_spark_multiplies_lambda_by_the_count(problem):
    """A = Y'Y + sum c1 y y' + lambda n I, b = sum (1 + c1) y with c1 = alpha r."""
    plays, Y = problem

    def equations(r, played):
        c1, y = 5 * r, Y[played]
        return Y.T @ Y + (y.T * c1) @ y + LAM * len(r) * np.eye(RANK), y.T @ (1 + c1)

    expected = solve_each(plays, equations)
    np.testing.assert_allclose(ours(plays, Y, Weights("linear", 5.0, 1.0, LAM, "count")), expected, rtol=1e-10)


@pytest.mark.parametrize("exponent", [1.0, 0.5, 0.0])
def test_ials_has_our_vectors_divided_by_a_constant(problem, exponent):
    """IALS minimises sum_played (1 - s)^2 + alpha_0 sum_all s^2 + sum_rows lambda (n + alpha_0 N)^nu |x|^2.

    With alpha = 1 / alpha_0 and f^2 = 1 + alpha_0, ours on binary plays in f X and f Y is alpha f^2 times that, up to a constant.
    """
    plays, Y = problem
    plays, alpha = (plays > 0).astype(float), 4.0
    alpha_0, factor = 1 / alpha, np.sqrt(1 + 1 / alpha)

    def equations(r, played):
        y = Y[played] / factor
        scale = (len(r) + alpha_0 * plays.shape[1]) ** exponent
        return y.T @ y + alpha_0 * Y.T @ Y / factor**2 + LAM * scale * np.eye(RANK), y.sum(axis=0)

    weights = Weights("linear", alpha, 1.0, LAM, "frequency", exponent)
    np.testing.assert_allclose(ours(plays, Y, weights) / factor, solve_each(plays, equations), rtol=1e-10)
    if exponent == 0:
        plain = Weights("linear", alpha, 1.0, LAM * (1 + alpha), "none")
        np.testing.assert_allclose(ours(plays, Y, plain) / factor, solve_each(plays, equations), rtol=1e-10)
