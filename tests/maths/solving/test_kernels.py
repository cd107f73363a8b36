"""The kernels on plain random batches, without what surrounds them."""

from __future__ import annotations

import numpy as np
import pytest

from mr_als.maths.solving.kernels import cholesky, conjugate_gradient, dual_equations, equations


@pytest.fixture
def batch():
    """Return gathered vectors, confidences, the mask of the present and D + lambda of 6 rows."""
    rng = np.random.default_rng(0)
    present = np.arange(9) < np.array([9, 9, 8, 7, 7, 1])[:, None]
    gathered = rng.standard_normal((6, 9, 12)).astype(np.float32)
    confidence = rng.uniform(1.5, 60, (6, 9)) * present
    return gathered, confidence, present, rng.uniform(0.5, 5, (6, 12))


def dense(batch):
    gathered, confidence, present, diagonal = batch
    rows = []
    for z, c, here, d in zip(gathered.astype(float), confidence, present, diagonal, strict=True):
        z, c = z[here], c[here]
        rows.append(np.linalg.solve(np.diag(d) + z.T @ ((c - 1)[:, None] * z), z.T @ c))
    return np.array(rows)


def test_conjugate_gradient_solves_the_whitened_system(batch):
    gathered, confidence, present, diagonal = batch
    scale = (1 / np.sqrt(diagonal)).astype(np.float32)
    f32 = np.float32

    w, converged = conjugate_gradient(gathered, (confidence - present).astype(f32), confidence.astype(f32), scale, 1e-6, 50)

    assert converged.all()
    np.testing.assert_allclose(w, dense(batch), atol=1e-5)


def test_conjugate_gradient_says_which_rows_did_not_converge(batch):
    gathered, confidence, present, diagonal = batch
    scale = (1 / np.sqrt(diagonal)).astype(np.float32)
    confidence[0] = 0.0  # a right side of zero is solved before the first step
    confidence[5] = present[5]  # c = 1: nothing but the diagonal, one step
    f32 = np.float32

    excess = np.maximum(confidence - present, 0).astype(f32)
    _, converged = conjugate_gradient(gathered, excess, confidence.astype(f32), scale, 1e-6, 1)

    np.testing.assert_array_equal(converged, [True, False, False, False, False, True])


def test_padding_takes_no_part(batch):
    gathered, confidence, present, _ = batch
    other = np.where(present[:, :, None], gathered, np.float32(1e6))

    for mine, others in zip(
        equations(gathered, confidence - present, confidence), equations(other, confidence - present, confidence), strict=True
    ):
        np.testing.assert_allclose(mine, others, rtol=1e-12)


def test_primal_and_dual_equations_have_one_solution(batch):
    gathered, confidence, present, diagonal = batch
    left, right = equations(gathered, confidence - present, confidence)
    left += diagonal[:, None] * np.eye(12)
    scale = 1 / np.sqrt(diagonal)
    dual_left, dual_right, u = dual_equations(gathered, confidence - present, confidence, scale)

    primal = cholesky(left, right)
    dual = scale * np.matmul(cholesky(dual_left, dual_right)[:, None], u)[:, 0]

    np.testing.assert_allclose(primal, dense(batch), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(dual, dense(batch), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 33, 70])
def test_cholesky_solves_systems_of_any_size(n):
    rng = np.random.default_rng(n)
    z = rng.standard_normal((5, n + 3, n))
    left, right = np.matmul(z.transpose(0, 2, 1), z) + np.eye(n), rng.standard_normal((5, n))

    expected = np.linalg.solve(left, right[:, :, None])[:, :, 0]

    np.testing.assert_allclose(cholesky(left, right), expected, rtol=1e-9, atol=1e-11)


def test_cholesky_refuses_a_matrix_that_is_singular_but_for_rounding():
    z = np.random.default_rng(0).standard_normal((1, 3, 6))
    left = np.matmul(z.transpose(0, 2, 1), z)  # of rank 3

    with pytest.raises(np.linalg.LinAlgError):
        cholesky(left + 1e-16 * np.eye(6), np.ones((1, 6)))
