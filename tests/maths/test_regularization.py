"""The theory of lambda, against dense matrices: what a pass computes, what it estimates, and when the model vanishes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mr_als.errors import UsageError
from mr_als.maths.drawing.initial import initial_factors
from mr_als.maths.reference import dense_problem, reference_als
from mr_als.maths.regularization import (
    BOUNDS,
    PASSES,
    SHARE,
    WEIGHT,
    choose_alpha,
    choose_lambda,
    multiply_block,
    orthonormal_basis,
    singular_values,
)
from mr_als.maths.solve import Fixed, Method, Observed, solve_block
from mr_als.maths.solving import flat
from mr_als.maths.solving.normal_equations import eigenbasis, gram_matrix, project
from mr_als.maths.weighing.weights import Weights
from mr_als.options import CONFIDENCES, SCALINGS

RANK = 6


def random_plays(n_users=90, n_items=40, density=0.15, seed=0):
    """Draw a matrix of plays in which every row and every column has at least one."""
    rng = np.random.default_rng(seed)
    plays = np.where(rng.random((n_users, n_items)) < density, 1.0 + rng.poisson(3.0, (n_users, n_items)), 0.0)
    places = np.arange(max(n_users, n_items))
    plays[places % n_users, places % n_items] += 1.0
    return plays


def csr(plays):
    rows, columns = np.nonzero(plays)
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(plays)))]), columns, plays[rows, columns]


def scaled(plays, weights):
    """Build M = D_u^-1/2 W D_i^-1/2, dense."""
    observed, preference, confidence = dense_problem(plays, weights)
    d_users = weights.row_lengths(observed.sum(axis=1), plays.shape[1])
    d_items = weights.row_lengths(observed.sum(axis=0), plays.shape[0])
    return confidence * preference / np.sqrt(d_users[:, None] * d_items)


def passes(plays, weights, start, n, **how):
    """Multiply users and items in turn, orthonormal vectors each time, as a training does; give the last Gram matrix."""
    vectors, basis = start, np.eye(start.shape[1])
    for number in range(n):
        side = plays if number % 2 == 0 else plays.T
        done = multiply_block(Observed(*csr(side)), project(vectors, basis), RANK, side.shape[1], weights, Method(**how))
        vectors, basis, gram = done.factors, orthonormal_basis(done.gram), done.gram
    return gram


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_pass_multiplies_by_the_scaled_matrix(confidence, scaling, kernel):
    plays, weights = random_plays(), Weights(confidence, 3.0, 2.0, 7.0, scaling)
    vectors = np.random.default_rng(1).normal(size=(40, RANK)).astype(np.float32)

    done = multiply_block(Observed(*csr(plays)), vectors, RANK, 40, weights, Method(kernel=kernel))

    d_users, d_items = (weights.row_lengths((plays > 0).sum(axis=axis), plays.shape[axis]) for axis in (1, 0))
    expected = scaled(plays, weights) @ (np.sqrt(d_items)[:, None] * vectors)
    np.testing.assert_allclose(np.sqrt(d_users)[:, None] * done.factors, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    np.testing.assert_allclose(done.gram, expected.T @ expected, rtol=1e-5, atol=1e-6 * np.abs(done.gram).max())
    assert (done.loss.rows, done.loss.observed) == (90, np.count_nonzero(plays))


@pytest.mark.parametrize("group", [1, 20, flat.LARGE_GROUP])
def test_rows_of_any_length_are_multiplied(group, kernel, monkeypatch):
    """Small whole numbers, whose sums are exact: the observations are added up in fours, and then what is left."""
    monkeypatch.setattr(flat, "LARGE_GROUP", group)
    plays = np.tril(np.ones((14, 13)), -1)
    vectors = np.arange(13 * RANK, dtype=np.float32).reshape(13, RANK)
    weights = Weights("linear", 1.0, regularization_scaling="none")

    done = multiply_block(Observed(*csr(plays)), vectors, RANK, 13, weights, Method(kernel=kernel, threads=2))

    np.testing.assert_array_equal(done.factors, 2.0 * plays @ vectors)


def test_a_pass_is_a_half_near_zero(kernel):
    """What a half solves, over what a pass gives, is 1 / lambda as the fixed vectors go to zero."""
    plays, weights = random_plays(), Weights(alpha=4.0, regularization=0.05)
    fixed = 1e-3 * np.random.default_rng(1).normal(size=(40, RANK)).astype(np.float32)
    spectrum, basis = eigenbasis(gram_matrix(fixed))

    side, method = Fixed(project(fixed, basis), spectrum, basis, 40), Method(kernel=kernel)
    half = solve_block(Observed(*csr(plays)), side, weights, method).factors
    done = multiply_block(Observed(*csr(plays)), fixed, RANK, 40, weights, method).factors

    np.testing.assert_allclose(0.05 * half, done, atol=1e-3 * np.abs(done).max())


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("n", [1, PASSES, 60])
def test_passes_are_subspace_iteration(scaling, n, kernel):
    """Dense subspace iteration in float64 gives the same Ritz values; after many passes they are the singular values."""
    plays, weights = random_plays(), Weights("log", 5.0, 1.0, 1.0, scaling)
    start = initial_factors(np.arange(40, dtype=np.uint64), 0, "items", RANK)
    m = scaled(plays, weights)

    found = singular_values(passes(plays, weights, start, n, kernel=kernel))

    span = np.sqrt(weights.row_lengths((plays > 0).sum(axis=0), 90))[:, None] * start
    if n == 1:  # the first pass is over random vectors, whose lengths are in what comes out
        np.testing.assert_allclose(found, np.linalg.svd(m @ span, compute_uv=False), rtol=1e-6)
        return
    for number in range(n - 1):
        span, _ = np.linalg.qr((m if number % 2 == 0 else m.T) @ span)
    expected = np.linalg.svd((m if n % 2 else m.T) @ span, compute_uv=False)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    true = np.linalg.svd(m, compute_uv=False)[:RANK]
    assert (found <= true * (1 + 1e-6)).all()
    if n == 60:
        np.testing.assert_allclose(found, true, rtol=0.02)


def test_cutting_rows_of_many_observations_changes_nothing_but_rounding(kernel):
    plays = random_plays(5, 3000, density=0.7)
    vectors = np.random.default_rng(1).normal(size=(3000, RANK)).astype(np.float32)

    whole, cut = (
        multiply_block(Observed(*csr(plays)), vectors, RANK, 3000, Weights(), Method(kernel=kernel, max_gather=n))
        for n in (1 << 20, 4096)
    )

    np.testing.assert_allclose(cut.factors, whole.factors, rtol=1e-4, atol=1e-6 * np.abs(whole.factors).max())


def test_threads_change_no_byte(kernel):
    plays = random_plays(400, 300)
    vectors = np.random.default_rng(1).normal(size=(300, RANK)).astype(np.float32)

    one, three = (
        multiply_block(Observed(*csr(plays)), vectors, RANK, 300, Weights(), Method(kernel=kernel, threads=n)).factors
        for n in (1, 3)
    )

    assert one.tobytes() == three.tobytes()


def test_rows_without_observations_stay_zero(kernel):
    done = multiply_block(
        Observed(np.array([0, 0, 2, 2]), np.array([0, 2]), np.array([1, 4])), np.ones((3, 2), np.float32), 2, 3,
        Weights(regularization_scaling="count"), Method(kernel=kernel),
    )  # fmt: skip

    assert not done.factors[[0, 2]].any()
    assert done.factors[1].all()
    assert np.isfinite(done.gram).all()


@settings(max_examples=15)
@given(
    st.integers(0, 10**6), st.integers(3, 12), st.integers(3, 12), st.integers(1, 3),
    st.sampled_from(CONFIDENCES), st.sampled_from(SCALINGS), st.sampled_from((1.0, 10.0, 90.0)), st.sampled_from((0.2, 0.6)),
)  # fmt: skip
def test_the_model_vanishes_from_the_first_singular_value_on(seed, n_users, n_items, rank, confidence, scaling, alpha, density):
    """Lambda 5 % above sigma_1: every start ends at zero. 5 % below: something is learnt, and the objective is below zero's."""
    plays = random_plays(n_users, n_items, density, seed)
    weights = Weights(confidence, alpha, 1.0, 1.0, scaling)
    first = np.linalg.svd(scaled(plays, weights), compute_uv=False)[0]
    start = np.random.default_rng(seed).normal(size=(n_items, rank))
    of_zero = float(dense_problem(plays, weights)[2][plays > 0].sum())
    for share, vanishes in ((1.05, True), (0.95, False)):
        chosen = Weights(confidence, alpha, 1.0, share * first, scaling)
        X, Y, history = reference_als(plays, start, chosen, tolerance=0.0, max_iterations=100)
        sizes = [float(np.linalg.norm(factors)) for factors in (X, Y)]
        if vanishes:
            assert max(sizes) < 3e-2 * np.linalg.norm(start)
            assert history[-1]["objective"] >= of_zero * (1 - 1e-12)
        else:
            assert history[-1]["objective"] < of_zero


def test_no_factors_are_better_than_none_at_lambda_above_the_first_singular_value():
    """The theorem is about all factors: what a training that works (a tenth of lambda) finds is worse than zero there."""
    plays, weights = random_plays(), Weights(alpha=5.0)
    first = np.linalg.svd(scaled(plays, weights), compute_uv=False)[0]
    X, Y, _ = reference_als(plays, np.random.default_rng(0).normal(size=(40, RANK)), Weights(alpha=5.0, regularization=first / 10))
    observed, preference, confidence = dense_problem(plays, weights)
    d_users, d_items = (weights.row_lengths(observed.sum(axis=axis), plays.shape[axis]) for axis in (1, 0))

    def objective(scale, lam):
        squared_error = (confidence * (preference - scale * X @ Y.T) ** 2).sum()
        return squared_error + lam * scale * (d_users @ (X**2).sum(axis=1) + d_items @ (Y**2).sum(axis=1))

    scales = np.geomspace(1e-6, 2.0, 40)
    assert min(objective(scale, first) for scale in scales) >= objective(0.0, first)
    assert min(objective(scale, first / 2) for scale in scales) < objective(0.0, first / 2)


def test_a_dimension_dies_between_its_singular_value_and_the_next():
    """Two groups of users, each with an item group of its own: one dimension each, the weaker one dies first."""
    plays = np.zeros((12, 10))
    plays[:8, :7], plays[8:, 7:] = 1.0, 1.0
    weights = Weights("linear", 1.0, 1.0, 1.0, "none")
    first, second = np.linalg.svd(scaled(plays, weights), compute_uv=False)[:2]
    start = np.random.default_rng(3).normal(size=(10, 2))

    alive = []
    for lam in (0.9 * second, 1.1 * second, 0.9 * first, 1.1 * first):
        X, _, _ = reference_als(plays, start, Weights("linear", 1.0, 1.0, lam, "none"), tolerance=0.0, max_iterations=200)
        alive.append(int((np.linalg.svd(X, compute_uv=False) > 1e-3).sum()))

    assert alive == [2, 1, 1, 0]


def test_a_basis_leaves_out_directions_that_are_not_there():
    x = np.random.default_rng(0).normal(size=(3, 5))  # five vectors of length three

    found = x @ orthonormal_basis(gram_matrix(x))

    np.testing.assert_allclose(found.T @ found, np.diag([1.0, 1.0, 1.0, 0.0, 0.0]), atol=1e-9)


def test_lambda_is_a_share_of_the_last_singular_value_there_is():
    plays = np.zeros((30, 20))
    plays[:10, :8], plays[10:20, 8:13], plays[20:, 13:] = 5.0, 3.0, 2.0  # three groups: rank 3
    weights = Weights(alpha=2.0)
    start = initial_factors(np.arange(20, dtype=np.uint64), 0, "items", RANK)
    true = np.linalg.svd(scaled(plays, weights), compute_uv=False)

    lam, last = choose_lambda(singular_values(passes(plays, weights, start, PASSES)))

    assert last == 3
    assert lam == pytest.approx(SHARE * true[2], rel=5e-3)  # three digits


@pytest.mark.parametrize(("density", "expected"), [(1e-5, BOUNDS[1]), (0.01, WEIGHT / 0.01), (0.5, BOUNDS[0])])
def test_alpha_makes_the_mean_excess_that_the_density_asks_for(density, expected):
    rng = np.random.default_rng(0)
    strengths = rng.integers(1, 50, 1000).astype(float)
    unit = Weights(alpha=1.0)

    alpha = choose_alpha(density, float(unit.terms(strengths).excess.mean()))

    assert Weights(alpha=alpha).terms(strengths).excess.mean() == pytest.approx(expected, rel=5e-3)


def test_a_kernel_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "mr_als.maths.solving.kernels_numba", None)

    with pytest.raises(UsageError, match="pip install"):
        multiply_block(Observed(*csr(random_plays())), np.ones((40, 2), np.float32), 2, 40, Weights(), Method(kernel="numba"))
