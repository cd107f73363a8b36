"""Initial factors: their distribution, and that nothing but seed, side and id decides them."""

from __future__ import annotations

import numpy as np
import pytest

from mr_als.maths.drawing import initial
from mr_als.maths.drawing.initial import initial_factors

HASHES = np.random.default_rng(0).integers(0, 1 << 64, 20000, dtype=np.uint64)


def test_are_normal_with_variance_one_over_rank():
    factors = initial_factors(HASHES, 0, "items", 16).astype(np.float64) * 4.0  # N(0, 1), 320000 numbers

    assert abs(factors.mean()) < 0.01
    assert factors.var() == pytest.approx(1.0, abs=0.015)
    assert (factors**4).mean() == pytest.approx(3.0, abs=0.1)
    assert (np.abs(factors) < 1.0).mean() == pytest.approx(0.6827, abs=0.005)


def test_columns_and_neighbouring_hashes_are_uncorrelated():
    factors = initial_factors(np.arange(20000, dtype=np.uint64), 0, "items", 9).astype(np.float64) * 3.0

    np.testing.assert_allclose(np.corrcoef(factors.T), np.eye(9), atol=0.03)
    assert abs((factors[1:] * factors[:-1]).mean()) < 0.02


def test_do_not_depend_on_order_or_company(monkeypatch):
    whole = initial_factors(HASHES[:500], 3, "items", 7)
    order = np.random.default_rng(1).permutation(500)

    monkeypatch.setattr(initial, "_CHUNK", 50)
    shuffled = initial_factors(HASHES[:500][order], 3, "items", 7)

    assert shuffled.tobytes() == whole[order].tobytes()


def test_seed_and_side_each_change_every_row():
    base = initial_factors(HASHES[:100], 0, "items", 4)

    assert not (base == initial_factors(HASHES[:100], 1, "items", 4)).any()
    assert not (base == initial_factors(HASHES[:100], 0, "users", 4)).any()


def test_the_numbers_stay_the_same_from_version_to_version():
    """A model trained anew with the same seed starts from the same place."""
    factors = initial_factors(np.array([0, 1, (1 << 64) - 1], np.uint64), 0, "items", 3)

    np.testing.assert_allclose(factors, EXPECTED, rtol=1e-6)


def test_no_rows_give_an_empty_array():
    assert initial_factors(HASHES[:0], 0, "items", 5).shape == (0, 5)


EXPECTED = [
    [0.3701318, 0.2706642, 0.6250846],
    [-0.0276822, -0.0782400, -0.1598690],
    [-1.6378071, 0.5770162, 0.2713541],
]
