"""Random numbers that are functions of names: the finalizer of splitmix64 (Steele, Lea & Flood, OOPSLA 2014).

Nothing random here comes from a generator, whose numbers would depend on who drew before. A row's numbers come from
its id's hash and a seed, so one task or a hundred, in any order, draw the same ones.
"""

from __future__ import annotations

import hashlib

import numpy as np

from mr_als.maths.array import Array

__all__ = ["GOLDEN", "MASK", "counters", "mix", "seed_key"]

GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def mix(bits: Array) -> Array:
    """Scramble 64-bit numbers, uint64 of any shape: a bijection in which every bit depends on all."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = bits ^ (bits >> np.uint64(31))
    return mixed


def counters(n: int) -> Array:
    """Generate golden, 2 golden, ..., n golden, uint64 (n,): mix(state + these) is a stream of numbers."""
    return np.array([(t + 1) * GOLDEN & MASK for t in range(n)], np.uint64)


def seed_key(name: str) -> np.uint64:
    """Hash a seed and its purpose, such as "split/0", to 64 bits."""
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little"))
