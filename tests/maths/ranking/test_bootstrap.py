"""The bootstrap's draws are Poisson, paired, and independent of how users are cut; its interval is the usual one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mr_als.maths.ranking.bootstrap import draws, interval, replicate_sums


def users(n):
    """Generate hashes like those of ids."""
    return np.random.default_rng(0).integers(0, 1 << 63, n).astype(np.uint64)


def test_draws_are_distributed_like_a_poisson_variable_of_mean_one():
    counts = np.bincount(draws(users(2000)).ravel(), minlength=8) / 2e6

    np.testing.assert_allclose(counts[:6], [math.exp(-1) / math.factorial(n) for n in range(6)], atol=0.002)


def test_draws_of_two_replicates_and_of_two_users_are_independent():
    often = draws(users(3000), replicates=8).astype(float)

    correlation = np.corrcoef(often.T)
    assert np.abs(correlation - np.eye(8)).max() < 0.07
    assert abs(np.corrcoef(often[:-1].ravel(), often[1:].ravel())[0, 1]) < 0.03


def test_draws_depend_on_the_seed_and_on_the_user_alone():
    hashes = users(50)

    assert np.array_equal(draws(hashes)[7:9], draws(hashes[7:9]))
    assert not np.array_equal(draws(hashes, seed=0), draws(hashes, seed=1))


def test_sums_of_parts_add_up_to_those_of_the_whole():
    hashes, values = users(3000), np.random.default_rng(1).random((3000, 3))

    parts = replicate_sums(hashes[:1100], values[:1100]) + replicate_sums(hashes[1100:], values[1100:])

    np.testing.assert_allclose(parts, replicate_sums(hashes, values), rtol=1e-12)


def test_the_interval_is_as_wide_as_the_normal_approximation_says():
    rng = np.random.default_rng(2)
    differences = rng.normal(0.1, 1.0, 4000)
    sums = replicate_sums(users(4000), np.column_stack([differences, np.ones(4000)]))

    low, high = interval(sums[:, 0], sums[:, 1])

    error = differences.std() / math.sqrt(4000)
    assert low == pytest.approx(differences.mean() - 1.96 * error, abs=0.25 * error)
    assert high == pytest.approx(differences.mean() + 1.96 * error, abs=0.25 * error)


def test_no_users_have_no_interval():
    sums = replicate_sums(np.zeros(0, np.uint64), np.zeros((0, 2)))

    assert all(math.isnan(bound) for bound in interval(sums[:, 0], sums[:, 1]))
