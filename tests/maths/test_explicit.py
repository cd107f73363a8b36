"""Explicit feedback, ALS-WR of Zhou et al. 2008: observed cells only, lambda n, a rating of 0 is data."""

from __future__ import annotations

import numpy as np
import pytest

from mr_als.errors import SingularSystemError
from mr_als.maths.reference import reference_als
from mr_als.maths.solve import Fixed, Method, Observed, solve_block
from mr_als.maths.solving.normal_equations import eigenbasis, gram_matrix, project
from mr_als.maths.weighing.loss import weighted_rmse, zero_rmse
from mr_als.maths.weighing.weights import Weights

ALS_WR = Weights(feedback="explicit", regularization=0.05, regularization_scaling="count")


def ratings_of_two_tastes(n_users=30, n_items=24, seed=0):
    """Generate ratings 0 to 5 of users of two tastes, 60 % of them NaN, with one user and one item without any."""
    rng = np.random.default_rng(seed)
    taste = rng.random((n_users, 2)) @ rng.random((2, n_items))
    ratings = np.round(10 * taste / taste.max()) / 2
    ratings[rng.random(ratings.shape) < 0.6] = np.nan
    ratings[3] = np.nan
    ratings[:, 5] = np.nan
    ratings[4, :4] = 0.0
    return ratings


def csr_of(ratings):
    rows, columns = np.nonzero(~np.isnan(ratings))
    return np.searchsorted(rows, np.arange(len(ratings) + 1)), columns, ratings[rows, columns]


def solve(ratings, fixed, weights, **options):
    spectrum, basis = eigenbasis(gram_matrix(fixed))
    side = Fixed(project(fixed, basis), spectrum, basis, len(fixed))
    return solve_block(Observed(*csr_of(ratings)), side, weights, Method(**options))


def start(n_items=24, rank=5):
    return np.random.default_rng(1).standard_normal((n_items, rank)).astype(np.float32)


@pytest.mark.parametrize("rank", [2, 5, 40])
@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_agrees_with_the_formula_of_als_wr(solver, rank, kernel):
    """x_u = (sum of y y' over the items u rated + lambda n_u I)^-1 (sum of r y)."""
    ratings, fixed = ratings_of_two_tastes(), start(rank=rank)

    factors = solve(ratings, fixed, ALS_WR, solver=solver, kernel=kernel).factors

    for row, r in enumerate(ratings):
        seen = ~np.isnan(r)
        y = fixed[seen].astype(np.float64)
        expected = np.zeros(rank)
        if seen.any():
            expected = np.linalg.inv(y.T @ y + 0.05 * seen.sum() * np.eye(rank)) @ y.T @ r[seen]
        np.testing.assert_allclose(factors[row], expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("max_gather", [1 << 20, 200])
def test_loss_is_over_the_rated_cells_only(max_gather, kernel):
    ratings, fixed = ratings_of_two_tastes(), start()

    solved = solve(ratings, fixed, ALS_WR, max_gather=max_gather, kernel=kernel)

    seen = ~np.isnan(ratings)
    error = (ratings - solved.factors.astype(float) @ fixed.T.astype(float))[seen]
    penalty = 0.05 * seen.sum(axis=1) @ (solved.factors.astype(float) ** 2).sum(axis=1)
    assert solved.loss.squared_error == pytest.approx(float(error @ error), rel=1e-5)
    assert solved.loss.penalty == pytest.approx(float(penalty), rel=1e-6)
    assert weighted_rmse(solved.loss) == pytest.approx(float(np.sqrt((error**2).mean())), rel=1e-5)
    assert zero_rmse(solved.loss) == pytest.approx(float(np.sqrt((ratings[seen] ** 2).mean())))
    assert (solved.loss.observed, solved.loss.rows) == (seen.sum(), 30)


def test_a_rating_of_zero_is_data():
    ratings, fixed = ratings_of_two_tastes(), start()
    without = np.where(ratings == 0, np.nan, ratings)

    with_zeros, without_zeros = (solve(r, fixed, ALS_WR) for r in (ratings, without))

    scores = with_zeros.factors[4] @ fixed[:4].T, without_zeros.factors[4] @ fixed[:4].T
    assert np.abs(scores[0]).sum() < np.abs(scores[1]).sum()


def test_a_row_of_zeros_only_gets_zeros(kernel):
    ratings = np.full((2, 24), np.nan)
    ratings[0, :3] = 0.0

    solved = solve(ratings, start(), ALS_WR, kernel=kernel)

    assert not solved.factors.any()
    assert weighted_rmse(solved.loss) == 0.0


def test_the_default_scaling_is_that_of_als_wr():
    counts = np.array([0, 1, 7])
    frequency = Weights(feedback="explicit", regularization=0.05)

    np.testing.assert_allclose(frequency.row_regularization(counts, 100), ALS_WR.row_regularization(counts, 100))


def test_the_block_solver_goes_the_way_of_the_reference(kernel):
    """Nine halves of both from one start: the same RMSE and objective at each, to 1e-5."""
    ratings, fixed = ratings_of_two_tastes(), start()
    _, _, history = reference_als(ratings, fixed, ALS_WR, tolerance=0.0, max_iterations=4)

    penalty = float(ALS_WR.row_regularization((~np.isnan(ratings)).sum(axis=0), 30) @ (fixed.astype(float) ** 2).sum(axis=1))
    for entry in history:
        solved = solve(ratings if entry["solved"] == "users" else ratings.T, fixed, ALS_WR, kernel=kernel)

        assert weighted_rmse(solved.loss) == pytest.approx(entry["wrmse"], rel=1e-5)
        objective = solved.loss.squared_error + solved.loss.penalty + penalty
        assert objective == pytest.approx(entry["objective"], rel=1e-5)
        fixed, penalty = solved.factors, solved.loss.penalty


def test_the_objective_of_the_reference_never_rises_and_the_ratings_are_learnt():
    ratings = ratings_of_two_tastes()

    X, Y, history = reference_als(ratings, start(), ALS_WR, tolerance=0.0, max_iterations=20)

    objective = np.array([entry["objective"] for entry in history])
    assert np.all(np.diff(objective) <= 1e-9 * objective[0])
    seen = ~np.isnan(ratings)
    assert np.sqrt(((ratings - X @ Y.T)[seen] ** 2).mean()) == pytest.approx(history[-1]["wrmse"])
    assert history[-1]["wrmse"] < 0.5 * ratings[seen].std()


def test_without_regularization_a_row_with_few_ratings_is_singular(kernel):
    weights = Weights(feedback="explicit", regularization=0.0)

    with pytest.raises(SingularSystemError, match="regularization is 0,"):
        solve(ratings_of_two_tastes(), start(rank=20), weights, kernel=kernel)
