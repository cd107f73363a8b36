"""Confidence and regularization: each formula against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mr_als.errors import UsageError
from mr_als.maths.weighing.weights import Weights


def test_linear_confidence_is_one_plus_alpha_plays():
    actual = Weights(confidence="linear", alpha=40.0).confidence_of(np.array([0.0, 1.0, 5000.0]))

    np.testing.assert_allclose(actual, [1.0, 41.0, 200001.0], rtol=1e-15)


def test_log_confidence_is_one_plus_alpha_log():
    actual = Weights(alpha=2.0, epsilon=0.5).confidence_of(np.array([0.0, 1.0, 3.0]))

    np.testing.assert_allclose(actual, [1.0, 1 + 2 * math.log(3), 1 + 2 * math.log(7)], rtol=1e-15)


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [("none", [0.1, 0.1]), ("count", [0.0, 0.3]), ("frequency", [0.1 * 3 * 100**0.5, 0.1 * 3 * 103**0.5])],
)
def test_regularization_of_a_row(scaling, expected):
    weights = Weights(alpha=2.0, regularization=0.1, regularization_scaling=scaling, regularization_exponent=0.5)

    actual = weights.row_regularization(np.array([0, 3]), 200)

    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=1e-15)


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": "cubic"},
        {"alpha": 0.0},
        {"alpha": math.nan},
        {"epsilon": -1.0},
        {"regularization": -0.1},
        {"regularization": math.inf},
        {"regularization_scaling": "some"},
        {"regularization_exponent": math.nan},
    ],
)
def test_refuses_what_makes_no_sense_by_name(wrong):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))} must be .* got"):
        Weights(**wrong)


@pytest.mark.parametrize("confidence", ["linear", "log"])
@pytest.mark.parametrize("zeros", [True, False])
def test_the_total_excess_of_small_whole_strengths_is_that_of_any(confidence, zeros):
    """To the last bit: it is summed by another way, but in the same order."""
    strengths = np.random.default_rng(0).zipf(1.5, 600_000).clip(1, 65535) - np.arange(600_000) % 7 // 6 * zeros
    weights = Weights(confidence, alpha=3.0, epsilon=0.7)

    of_any = weights.total_excess(strengths.astype(np.float64))

    assert weights.total_excess(strengths.astype(np.uint16)) == of_any
    assert weights.total_excess(strengths.clip(max=255).astype(np.uint8)) == weights.total_excess(strengths.clip(max=255) + 0.0)
    assert weights.total_excess(np.zeros(0, np.uint8)) == 0.0
    expected = sum(float((weights.confidence_of(part) - 1.0).sum()) for part in (strengths[:300_000], strengths[300_000:]))
    assert of_any == pytest.approx(expected, rel=1e-12)
