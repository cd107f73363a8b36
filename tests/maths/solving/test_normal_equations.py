"""Eq. 4, densely; the Gram matrix and its eigenbasis."""

from __future__ import annotations

import numpy as np
import pytest

from mr_als.errors import SingularSystemError
from mr_als.maths.solving.normal_equations import eigenbasis, gram_matrix, project, solve_row

N_ITEMS, RANK, LAM = 30, 5, 0.3


@pytest.fixture
def problem():
    """Return the item factors, the observed items and their confidences."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((N_ITEMS, RANK)), np.array([2, 7, 11, 28]), rng.uniform(1, 100, 4)


def test_agrees_with_the_dense_formula(problem):
    """x_u = (Y' C_u Y + lambda I)^-1 Y' C_u p(u), eq. 4, with C_u in full."""
    Y, seen, c = problem
    C, p = np.eye(N_ITEMS), np.zeros(N_ITEMS)
    C[seen, seen], p[seen] = c, 1.0
    expected = np.linalg.inv(Y.T @ C @ Y + LAM * np.eye(RANK)) @ Y.T @ C @ p

    actual = solve_row(gram_matrix(Y), Y[seen], c, LAM)

    np.testing.assert_allclose(actual, expected, rtol=1e-10)


def test_is_where_the_gradient_of_the_loss_vanishes(problem):
    """The solution minimises the loss: the argument needs no formula for x_u."""
    Y, seen, c = problem
    x = solve_row(gram_matrix(Y), Y[seen], c, LAM)

    weight, p = np.ones(N_ITEMS), np.zeros(N_ITEMS)
    weight[seen], p[seen] = c, 1.0
    gradient = 2 * Y.T @ (weight * (Y @ x - p)) + 2 * LAM * x

    np.testing.assert_allclose(gradient, 0.0, atol=1e-9)


def test_a_system_without_a_unique_solution_is_named():
    nothing = np.zeros((0, 2))

    with pytest.raises(SingularSystemError, match=r"rank 2 from 0 observations .* regularization is 0,"):
        solve_row(gram_matrix(nothing), nothing, np.zeros(0), 0.0)


def test_gram_of_the_whole_is_the_sum_of_the_grams():
    factors = np.random.default_rng(1).standard_normal((20000, 6)).astype(np.float32)

    parts = sum(gram_matrix(factors[s : s + 777]) for s in range(0, 20000, 777))

    np.testing.assert_allclose(gram_matrix(factors), parts, rtol=1e-12, atol=1e-9)
    exact = factors.astype(np.float64).T @ factors.astype(np.float64)
    np.testing.assert_allclose(gram_matrix(factors), exact, rtol=1e-12, atol=1e-9)


def test_eigenbasis_gives_the_gram_back():
    gram = gram_matrix(np.random.default_rng(2).standard_normal((50, 7)))

    spectrum, basis = eigenbasis(gram)

    np.testing.assert_allclose((basis * spectrum) @ basis.T, gram, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(basis.T @ basis, np.eye(7), atol=1e-14)


def test_spectrum_of_a_singular_gram_has_exact_zeros_and_nothing_negative():
    gram = gram_matrix(np.random.default_rng(3).standard_normal((3, 8)))

    spectrum, _ = eigenbasis(gram)

    assert np.count_nonzero(spectrum) == 3
    assert np.all(spectrum >= 0)


def test_projection_is_the_float64_product_rounded_once():
    rng = np.random.default_rng(4)
    factors = rng.standard_normal((9000, 4)).astype(np.float32)
    basis = np.linalg.qr(rng.standard_normal((4, 4)))[0]

    projected = project(factors, basis)

    assert projected.dtype == np.float32
    np.testing.assert_allclose(projected, factors.astype(np.float64) @ basis, rtol=6e-8, atol=1e-14)
