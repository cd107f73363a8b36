"""A paired bootstrap over users: how sure is a difference of two means that come from the same users?

A replicate draws n of the n users with replacement and computes the difference again; the 2.5th and the 97.5th
percentile of the replicates bound the 95 % interval (Efron 1979). In one pass over users that lie on many machines,
each user comes in a replicate as often as a Poisson variable of mean 1 says, all independent (Chamandy et al., "Estimating
uncertainty for massive data streams", 2012), and a mean is the ratio of two sums that blocks of users add up.

How often a user comes in a replicate is a function of (seed, user, replicate): both models see the same users, which is
what makes it paired, and no result depends on how the users are cut into blocks.
"""

from __future__ import annotations

import math

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.drawing.mixing import counters, mix, seed_key

__all__ = ["REPLICATES", "draws", "interval", "replicate_sums"]

REPLICATES = 1000

# users whose draws are held at a time: 8 MB of float64
_ROWS = 1024


def _poisson_table() -> Array:
    """Tabulate the quantiles of Poisson(1) at (i + 1/2) / 2^16: uint8 (2^16,)."""
    below = np.cumsum([math.exp(-1) / math.factorial(n) for n in range(12)])
    return np.searchsorted(below, (np.arange(1 << 16) + 0.5) / (1 << 16)).astype(np.uint8)


_POISSON = _poisson_table()


def draws(hashes: Array, seed: int = 0, replicates: int = REPLICATES) -> Array:
    """Draw how often each user occurs in each replicate: uint8 (n_users, replicates).

    Parameters
    ----------
    hashes : uint64 (n_users,)
        Hashes of the users' ids.

    Examples
    --------
    >>> often = draws(np.arange(1000, dtype=np.uint64))
    >>> abs(float(often.mean()) - 1) < 0.01, abs(float(often.var()) - 1) < 0.01
    (True, True)
    """
    state = mix(hashes.astype(np.uint64) ^ seed_key(f"bootstrap/{seed}"))
    # four draws of 16 bits in a word
    words = mix(state[:, None] + counters(-(-replicates // 4)))
    bits = np.stack([(words >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48)], axis=2)
    return _POISSON[bits.reshape(len(hashes), -1)[:, :replicates]]


def replicate_sums(hashes: Array, values: Array, seed: int = 0, replicates: int = REPLICATES) -> Array:
    """Sum values (n_users, m) over the users, as often as each occurs in each replicate: float64 (replicates, m)."""
    sums = np.zeros((replicates, values.shape[1]))
    for start in range(0, len(hashes), _ROWS):
        part = slice(start, start + _ROWS)
        sums += draws(hashes[part], seed, replicates).astype(np.float64).T @ values[part]
    return sums


def interval(differences: Array, denominators: Array) -> tuple[float, float]:
    """Estimate the 95 % interval of the ratio of two replicated sums, (replicates,) each; NaN if no replicate has any user.

    >>> interval(np.arange(101.0), np.full(101, 100.0))
    (0.025, 0.975)
    """
    some = denominators > 0
    if not some.any():
        return math.nan, math.nan
    low, high = np.percentile(differences[some] / denominators[some], [2.5, 97.5])
    return float(low), float(high)
