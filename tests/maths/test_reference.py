"""The reference: it does what ALS promises, and the block solver does what it does."""

from __future__ import annotations

import numpy as np
import pytest

from mr_als.maths.ranking.best import top_n
from mr_als.maths.reference import reference_als
from mr_als.maths.solve import Fixed, Method, Observed, solve_block
from mr_als.maths.solving.normal_equations import eigenbasis, gram_matrix, project
from mr_als.maths.weighing.loss import weighted_rmse
from mr_als.maths.weighing.weights import Weights
from mr_als.options import CONFIDENCES, SCALINGS


def random_plays(n_users=25, n_items=18, seed=0):
    rng = np.random.default_rng(seed)
    return np.floor(rng.pareto(1.0, (n_users, n_items)) * (rng.random((n_users, n_items)) < 0.4))


def start(n_items, rank, seed=0):
    return np.random.default_rng(seed).standard_normal((n_items, rank)).astype(np.float32) / np.sqrt(rank)


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_objective_never_rises(confidence, scaling):
    weights = Weights(confidence, regularization=0.05, regularization_scaling=scaling)

    _, _, history = reference_als(random_plays(), start(18, 4), weights, tolerance=0.0, max_iterations=8)

    objective = np.array([entry["objective"] for entry in history])
    assert len(objective) == 17
    assert np.all(np.diff(objective) <= 1e-9 * objective[0])


def test_stops_after_a_user_half_once_the_change_is_small():
    _, _, history = reference_als(random_plays(), start(18, 4), Weights(), tolerance=0.01)

    wrmse = [entry["wrmse"] for entry in history if entry["solved"] == "users"]
    change = np.abs(np.diff(wrmse)) / wrmse[1:]
    assert [entry["half"] for entry in history] == list(range(1, 2 * len(wrmse)))
    assert 1 < len(wrmse) < 21
    assert change[-1] < 0.01
    assert np.all(change[:-1] >= 0.01)


def test_runs_to_the_last_iteration_while_it_is_no_better_than_nothing():
    """Regularization so large that X = Y = 0 is the best answer: that is not convergence."""
    _, _, history = reference_als(random_plays(), start(18, 4), Weights(regularization=10.0), max_iterations=5)

    assert len(history) == 11


def test_recommends_the_withheld_diagonal_of_a_checkerboard():
    """User u plays the items of u's parity, but not item u, which is what u should hear.

    . 0 1 0 1 0        item 0 is withheld from user 0,
    0 . 0 1 0 1        item 1 from user 1, ...
    1 0 . 0 1 0
    """
    n = 12
    parity = np.arange(n) % 2
    plays = (parity[:, None] == parity).astype(float) - np.eye(n)
    weights = Weights("linear", alpha=10.0, regularization=0.1, regularization_scaling="none")

    X, Y, _ = reference_als(plays, start(n, 3), weights)

    rows, columns = np.nonzero(plays)
    indptr = np.searchsorted(rows, np.arange(n + 1))
    best, _ = top_n((X @ Y.T).astype(np.float32), 1, indptr, columns)
    np.testing.assert_array_equal(best[:, 0], np.arange(n))


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_block_solver_goes_the_same_way(solver, scaling, kernel):
    """Five halves of both from the same start: the same weighted RMSE and objective at each."""
    plays, weights = random_plays(40, 30), Weights(regularization=0.02, regularization_scaling=scaling)
    fixed = start(30, 4)
    _, _, history = reference_als(plays, fixed, weights, tolerance=0.0, max_iterations=2)

    penalty = float(weights.row_regularization((plays > 0).sum(axis=0), 40) @ (fixed.astype(float) ** 2).sum(axis=1))
    for entry in history:
        r = plays if entry["solved"] == "users" else plays.T
        rows, columns = np.nonzero(r)
        gram = gram_matrix(fixed)
        spectrum, basis = eigenbasis(gram)
        csr = np.searchsorted(rows, np.arange(len(r) + 1)), columns, r[rows, columns]
        side = Fixed(project(fixed, basis), spectrum, basis, len(fixed))
        solved = solve_block(Observed(*csr), side, weights, Method(solver, kernel=kernel))

        assert weighted_rmse(solved.loss) == pytest.approx(entry["wrmse"], rel=1e-4)
        objective = solved.loss.squared_error + solved.loss.penalty + penalty
        assert objective == pytest.approx(entry["objective"], rel=1e-5)
        fixed, penalty = solved.factors, solved.loss.penalty
