"""Initial factors: normal, independent, and a function of (seed, side, id) alone.

A row's numbers come from its id's hash, never from its place or from a generator that someone else draws
from as well, so one task or a hundred, in any order, make the same factors. Number t of a row is

    state = mix(hash xor key(seed, side)),     bits_t = mix(state + (t + 1) golden)

where mix is that of `mr_als.maths.drawing.mixing`, and the two halves of bits_t
become two normal numbers by Box and Muller's sqrt(-2 log u1) (cos, sin)(2 pi u2).
"""

from __future__ import annotations

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.drawing.mixing import counters, mix, seed_key

__all__ = ["initial_factors"]

# numbers made at a time: about 30 MB of temporaries
_CHUNK = 1 << 19


def initial_factors(hashes: Array, seed: int, side: str, rank: int) -> Array:
    """Draw factors from the normal distribution with mean 0 and variance 1 / rank.

    Parameters
    ----------
    hashes : uint64 (n,)
        Hashes of the rows' ids.
    seed : int
    side : str
        "users" or "items": the same id on the other side gets other numbers.
    rank : int

    Returns
    -------
    float32 (n, rank)

    Examples
    --------
    >>> both = initial_factors(np.array([7, 8], np.uint64), 0, "items", 2)
    >>> bool((initial_factors(np.array([8], np.uint64), 0, "items", 2) == both[1:]).all())
    True
    """
    state = mix(hashes.astype(np.uint64) ^ seed_key(f"{seed}/{side}"))
    factors = np.empty((len(hashes), rank), np.float32)
    step = max(1, _CHUNK // rank)
    for start in range(0, len(hashes), step):
        factors[start : start + step] = _normal(state[start : start + step], rank) / np.sqrt(rank)
    return factors


def _normal(state: Array, rank: int) -> Array:
    """Generate standard normal numbers, float64 (n, rank), for rows with these states (n,)."""
    pairs = (rank + 1) // 2
    bits = mix(state[:, None] + counters(pairs))
    # halves of 32 bits, moved by half a step so that the logarithm never sees 0
    u1 = ((bits >> np.uint64(32)).astype(np.float64) + 0.5) / 2.0**32
    u2 = (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) / 2.0**32
    radius, angle = np.sqrt(-2.0 * np.log(u1)), 2.0 * np.pi * u2
    normal = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=2)
    return normal.reshape(len(state), 2 * pairs)[:, :rank]
