"""solve_block against eq. 4 and the loss written out over all cells, for both solvers and both kernels."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from mr_als.errors import NonFiniteError, SingularSystemError, UsageError
from mr_als.maths.solve import Fixed, Method, Observed, solve_block
from mr_als.maths.solving import flat, padded
from mr_als.maths.solving.normal_equations import eigenbasis, gram_matrix, project, solve_row
from mr_als.maths.weighing.loss import Loss, weighted_rmse, zero_rmse
from mr_als.maths.weighing.weights import Weights
from mr_als.options import CONFIDENCES, SCALINGS

# what the relative residual of the normal equations may be: the solver's tolerance, or that of float32
RESIDUAL = {"cg": 1.5e-4, "cholesky": 5e-6}
SOLVERS = tuple(RESIDUAL)


@pytest.fixture(autouse=True)
def _each_test_runs_with_each_kernel(kernel, monkeypatch):
    monkeypatch.setattr(Block, "kernel", kernel)


class Block:
    """Rows of the given degrees over n_fixed random factors of a rank, with plays of 1 to `most`."""

    kernel = "numpy"

    def __init__(self, degrees, n_fixed=60, rank=8, most=20, seed=0, scale=0.4):
        rng = np.random.default_rng(seed)
        self.n_fixed = n_fixed
        self.fixed = (scale * rng.standard_normal((n_fixed, rank))).astype(np.float32)
        self.indptr = np.concatenate(([0], np.cumsum(degrees))).astype(np.int64)
        chosen = [np.sort(rng.choice(n_fixed, d, replace=False)) for d in degrees]
        self.indices = np.concatenate([*chosen, []]).astype(np.int64)
        self.strengths = np.floor(most ** rng.random(len(self.indices)))

    def solve(self, weights=None, **options):
        self.gram = gram_matrix(self.fixed)
        spectrum, basis = eigenbasis(self.gram)
        z = project(self.fixed, basis)
        csr = self.indptr, self.indices, self.strengths
        options = {"kernel": self.kernel, **options}
        return solve_block(Observed(*csr), Fixed(z, spectrum, basis, self.n_fixed), weights or Weights(), Method(**options))

    def rows(self, weights):
        """Yield (observed, confidence, lambda) for each row."""
        lam = weights.row_regularization(np.diff(self.indptr), self.n_fixed)
        for row, (start, end) in enumerate(zip(self.indptr[:-1], self.indptr[1:], strict=True)):
            seen = self.indices[start:end]
            yield seen, weights.confidence_of(self.strengths[start:end]), lam[row]

    def oracle(self, weights):
        gram = gram_matrix(self.fixed)
        return np.array([solve_row(gram, self.fixed[seen], c, lam) for seen, c, lam in self.rows(weights)])

    def largest_residual(self, factors, weights):
        """Compute max |D^-1/2 Q' (A x - b)| / |D^-1/2 Q' b| over the rows, where D is the spectrum plus lambda."""
        gram = gram_matrix(self.fixed)
        spectrum, basis = np.linalg.eigh(gram)
        worst = 0.0
        for x, (seen, c, lam) in zip(factors.astype(np.float64), self.rows(weights), strict=True):
            if len(seen):
                y = self.fixed[seen].astype(np.float64)
                b = y.T @ c
                a_x = gram @ x + y.T @ ((c - 1) * (y @ x)) + lam * x
                white = basis / np.sqrt(spectrum + lam)
                worst = max(worst, np.linalg.norm(white.T @ (a_x - b)) / np.linalg.norm(white.T @ b))
        return worst

    def brute_force_loss(self, factors, weights):
        """Compute the loss, summed over all cells one by one."""
        squared_error = penalty = confidence = zero_error = 0.0
        for x, (seen, c, lam) in zip(factors.astype(np.float64), self.rows(weights), strict=True):
            p, weight = np.zeros(self.n_fixed), np.ones(self.n_fixed)
            p[seen], weight[seen] = 1.0, c
            squared_error += float(weight @ (p - self.fixed.astype(np.float64) @ x) ** 2)
            penalty += float(lam * (x @ x))
            confidence += float(weight.sum())
            zero_error += float(weight @ p**2)
        return Loss(squared_error, penalty, confidence, zero_error, len(self.indices), len(factors))


DEGREES = [3, 1, 0, 40, 7, 7, 12, 60, 2, 1, 25]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_agrees_with_the_dense_formula(solver, confidence, scaling):
    block, weights = (
        Block(DEGREES),
        Weights(confidence=confidence, regularization=0.1, regularization_scaling=scaling),
    )

    solved = block.solve(weights, solver=solver)

    assert solved.factors.dtype == np.float32
    expected = block.oracle(weights)
    np.testing.assert_allclose(solved.factors, expected, atol=20 * RESIDUAL[solver] * np.abs(expected).max())
    assert block.largest_residual(solved.factors, weights) < RESIDUAL[solver]


@pytest.mark.parametrize("solver", SOLVERS)
def test_is_where_the_gradient_of_the_loss_vanishes(solver):
    block, weights = Block(DEGREES), Weights()
    factors = block.solve(weights, solver=solver, tolerance=1e-6).factors.astype(np.float64)

    y = block.fixed.astype(np.float64)
    for x, (seen, c, lam) in zip(factors, block.rows(weights), strict=True):
        p, weight = np.zeros(block.n_fixed), np.ones(block.n_fixed)
        p[seen], weight[seen] = 1.0, c
        gradient = y.T @ (weight * (y @ x - p)) + lam * x

        np.testing.assert_allclose(gradient, 0.0, atol=1e-5 * (1 + np.abs(y.T @ (weight * p)).max()))


@pytest.mark.parametrize("solver", SOLVERS)
def test_rows_that_observed_nothing_get_zeros(solver):
    solved = Block([0, 0, 2, 0]).solve(solver=solver)

    assert not solved.factors[[0, 1, 3]].any()
    assert solved.factors[2].any()
    assert solved.loss.rows == 4


def test_a_block_without_rows_or_plays_is_solved():
    assert Block([]).solve().factors.shape == (0, 8)
    nothing = Block([0, 0]).solve()
    assert nothing.loss == Loss(confidence=120.0, rows=2)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("tolerance", [1e-4, 1e-2])
def test_loss_is_that_of_the_stored_factors_over_all_cells(solver, tolerance):
    """Exact whatever the solver's tolerance: an inexact row has its own loss, not the optimal one."""
    block, weights = Block([*DEGREES, 30, 30, 5] * 5, n_fixed=200), Weights(alpha=40.0)

    solved = block.solve(weights, solver=solver, tolerance=tolerance)

    expected = block.brute_force_loss(solved.factors, weights)
    np.testing.assert_allclose(solved.loss, expected, rtol=1e-6)
    assert weighted_rmse(solved.loss) == pytest.approx((expected.squared_error / expected.confidence) ** 0.5, rel=1e-6)
    assert zero_rmse(solved.loss) == pytest.approx((expected.zero_error / expected.confidence) ** 0.5, rel=1e-12)


def test_gram_and_loss_of_the_whole_are_the_sums_of_the_parts():
    block, weights = Block(DEGREES * 3), Weights()
    whole = block.solve(weights)

    parts = []
    for first, last in ((0, 10), (10, 11), (11, 33)):
        part = Block([])
        part.fixed, start, end = block.fixed, block.indptr[first], block.indptr[last]
        part.indptr = block.indptr[first : last + 1] - start
        part.indices, part.strengths = block.indices[start:end], block.strengths[start:end]
        parts.append(part.solve(weights))

    np.testing.assert_allclose(sum(p.gram for p in parts), whole.gram, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(parts[0].loss + parts[1].loss + parts[2].loss, whole.loss, rtol=1e-5)
    np.testing.assert_allclose(whole.gram, gram_matrix(whole.factors), rtol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_batch_mates_change_a_row_by_rounding_only(solver, monkeypatch):
    block = Block(DEGREES * 20, seed=3)
    together = block.solve(solver=solver).factors

    monkeypatch.setattr(padded, "BATCH_BYTES", 1)  # every row a batch of its own
    monkeypatch.setattr(flat, "GROUP", 1)
    alone = block.solve(solver=solver).factors

    np.testing.assert_allclose(together, alone, atol=2e-5 * np.abs(alone).max())


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_order_of_the_rows_changes_a_row_by_rounding_only(solver):
    block = Block(DEGREES, seed=4)
    forward = block.solve(solver=solver).factors

    rows = [slice(a, b) for a, b in zip(block.indptr[:-1], block.indptr[1:], strict=True)][::-1]
    block.indices = np.concatenate([block.indices[r] for r in rows])
    block.strengths = np.concatenate([block.strengths[r] for r in rows])
    block.indptr = np.concatenate(([0], np.cumsum(np.diff(block.indptr)[::-1])))
    backward = block.solve(solver=solver).factors

    np.testing.assert_allclose(backward[::-1], forward, atol=2e-5 * np.abs(forward).max())


def test_the_same_block_gives_the_same_bytes():
    first, second = (Block(DEGREES * 50, seed=5).solve() for _ in range(2))

    assert first.factors.tobytes() == second.factors.tobytes()
    assert first.gram.tobytes() == second.gram.tobytes()
    assert first.loss == second.loss


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_observation_and_fifty_thousand_in_one_block(solver):
    block, weights = Block([1, 50_000, 2, 0, 9], n_fixed=50_000, most=500), Weights()

    solved = block.solve(weights, solver=solver)

    assert block.largest_residual(solved.factors, weights) < RESIDUAL[solver]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("limit", [1, 1000, 3000])
def test_a_row_too_long_to_gather_equals_one_gathered(solver, limit):
    block, weights = Block([300, 1, 80, 2, 0], n_fixed=300), Weights()
    whole = block.solve(weights, solver=solver, tolerance=1e-6)

    chunked = block.solve(weights, solver=solver, tolerance=1e-6, max_gather=limit)

    np.testing.assert_allclose(chunked.factors, whole.factors, atol=1e-5 * np.abs(whole.factors).max())
    np.testing.assert_allclose(chunked.loss, whole.loss, rtol=1e-5)
    np.testing.assert_allclose(chunked.loss, block.brute_force_loss(chunked.factors, weights), rtol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_huge_confidences_are_solved_to_the_tolerance(solver, scaling):
    """c to 2e5, the linear confidence of somebody's 5000 plays; lambda far below."""
    weights = Weights("linear", alpha=40.0, regularization=0.1, regularization_scaling=scaling)
    block = Block([1, 5, 30, 100, 200] * 10, n_fixed=400, rank=16, most=5000, scale=0.25)

    solved = block.solve(weights, solver=solver)

    assert block.largest_residual(solved.factors, weights) < 3e-4
    np.testing.assert_allclose(solved.loss, block.brute_force_loss(solved.factors, weights), rtol=1e-6)


@pytest.mark.parametrize("max_steps", [0, 1, 2])
def test_rows_that_hit_the_step_cap_are_solved_exactly(max_steps):
    block, weights = Block(DEGREES * 4), Weights()

    solved = block.solve(weights, max_steps=max_steps)

    assert block.largest_residual(solved.factors, weights) < RESIDUAL["cg"]
    np.testing.assert_allclose(solved.loss, block.brute_force_loss(solved.factors, weights), rtol=1e-6)
    if max_steps == 0:
        np.testing.assert_allclose(solved.factors, block.oracle(weights), rtol=1e-4, atol=1e-5)


def test_a_tolerance_of_zero_ends_without_nan():
    block, weights = Block(DEGREES), Weights()

    solved = block.solve(weights, tolerance=0.0)

    assert block.largest_residual(solved.factors, weights) < 1e-5


@pytest.mark.parametrize("solver", SOLVERS)
def test_no_regularization_is_fine_where_the_gram_has_full_rank(solver):
    block, weights = Block(DEGREES), Weights(regularization=0.0)

    solved = block.solve(weights, solver=solver)

    assert block.largest_residual(solved.factors, weights) < RESIDUAL[solver]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("degrees", [[2, 0, 3], [5, 5, 5]])
def test_a_singular_row_is_named(solver, degrees):
    """Five fixed rows cannot determine eight factors; only a regularization can."""
    block = Block(degrees, n_fixed=5)

    with pytest.raises(SingularSystemError, match=r"rank 8 from [35] observations .* regularization is 0,"):
        block.solve(Weights(regularization=0.0), solver=solver)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_regularization_makes_a_singular_gram_solvable(solver):
    block, weights = Block([2, 3, 5], n_fixed=5), Weights(regularization_scaling="none", regularization=0.1)

    solved = block.solve(weights, solver=solver)

    np.testing.assert_allclose(solved.factors, block.oracle(weights), atol=1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
def test_fixed_factors_of_zero_give_zeros(solver):
    block = Block(DEGREES)
    block.fixed[:] = 0.0

    solved = block.solve(solver=solver)

    assert not solved.factors.any()
    assert solved.loss.squared_error == pytest.approx(solved.loss.zero_error)


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_not_finite_never_leaves(solver, kernel):
    block = Block(DEGREES)
    spectrum, basis = eigenbasis(gram_matrix(block.fixed))
    z = project(block.fixed, basis)
    z[block.indices[0]] = np.nan
    csr = block.indptr, block.indices, block.strengths

    with pytest.raises(NonFiniteError, match="NaN or infinity"):
        solve_block(Observed(*csr), Fixed(z, spectrum, basis, block.n_fixed), Weights(), Method(solver, kernel=kernel))


@pytest.mark.parametrize("solver", SOLVERS)
def test_factors_too_large_to_be_stored_never_leave(solver, kernel):
    """Ratings of 1e39: all sums are finite in float64, and the factors are infinite in float32."""
    block = Block(DEGREES)
    spectrum, basis = eigenbasis(gram_matrix(block.fixed))
    csr = block.indptr, block.indices, np.full(len(block.indices), 1e39)
    weights = Weights(feedback="explicit", regularization=0.1)

    with pytest.raises(NonFiniteError, match="far too large"):
        fixed = Fixed(project(block.fixed, basis), spectrum, basis, block.n_fixed)
        solve_block(Observed(*csr), fixed, weights, Method(solver, kernel=kernel))


@pytest.mark.parametrize("max_gather", [1 << 20, 400])
def test_vectors_are_only_ever_indexed_by_places(max_gather, kernel):
    """A store backed by a file offers no more than that."""

    class Store:
        def __init__(self, array):
            self.array = array

        def __getitem__(self, places):
            assert places.ndim == 1
            assert places.dtype.kind in "iu"
            return self.array[places]

    block = Block(DEGREES)
    spectrum, basis = eigenbasis(gram_matrix(block.fixed))
    z = project(block.fixed, basis)
    csr = block.indptr, block.indices.astype(np.uint8), block.strengths

    plain, stored = (
        solve_block(
            Observed(*csr), Fixed(v, spectrum, basis, block.n_fixed), Weights(), Method(max_gather=max_gather, kernel=kernel)
        )
        for v in (z, Store(z))
    )

    assert plain.factors.tobytes() == stored.factors.tobytes()


def test_an_unknown_solver_is_refused():
    with pytest.raises(UsageError, match="solver must be one of cg, cholesky, got 'lu'"):
        Block([1]).solve(solver="lu")


def test_an_unknown_kernel_is_refused():
    with pytest.raises(UsageError, match="kernel must be one of numpy, numba, got 'fortran'"):
        Block([1]).solve(kernel="fortran")


def test_a_task_without_numba_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "mr_als.maths.solving.kernels_numba", raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)

    with pytest.raises(UsageError, match=r"numba is not installed here; pip install 'numba>=0.59'"):
        Block([1]).solve(kernel="numba")
