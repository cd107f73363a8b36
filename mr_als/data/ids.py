"""Ids and their hashes: an id's place is its stable 64-bit hash, never its position and never Python's `hash`.

An id is any UTF-8 string without line ends. Many ids are two arrays, their lengths in bytes and their bytes in
64-bit little-endian words, each id padded with zero bytes, so that hashing and comparing are array arithmetic:

    state = mix(key(salt) xor length),     state = mix((state xor word) + golden)  for each word

with the finalizer of splitmix64 (Steele, Lea & Flood, OOPSLA 2014) as mix. It is a bijection, so two ids of one
length and up to eight bytes never collide; two longer ones do with probability 2^-64, which their block's reducer sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Ids", "block_of", "hash_id", "hash_ids"]

Array = npt.NDArray[Any]

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_MASK = (1 << 64) - 1


class Ids(NamedTuple):
    """Some ids, in an order.

    lengths : uint32 (n,), bytes of each
    words : uint64 (sum of ceil(lengths / 8),), their bytes, each id padded with zeros
    """

    lengths: Array
    words: Array

    @classmethod
    def of(cls, names: Iterable[bytes]) -> Ids:
        """Make ids of byte strings.

        >>> Ids.of([b"alice", b"bob"]).to_list()
        [b'alice', b'bob']
        """
        listed = list(names)
        text = b"".join(name + b"\0" * (-len(name) % 8) for name in listed)
        return cls(np.array([len(name) for name in listed], np.uint32), np.frombuffer(text, "<u8"))

    @classmethod
    def join(cls, parts: Sequence[Ids]) -> Ids:
        """Put ids one after the other."""
        if not parts:
            return cls.of([])
        return cls(np.concatenate([p.lengths for p in parts]), np.concatenate([p.words for p in parts]))

    @property
    def starts(self) -> Array:
        """Where each id's words begin, int64 (n + 1,)."""
        starts = np.zeros(len(self.lengths) + 1, np.int64)
        np.cumsum((self.lengths.astype(np.int64) + 7) >> 3, out=starts[1:])
        return starts

    def take(self, rows: Array) -> Ids:
        """Give the ids at `rows`, integers (m,), in that order."""
        starts = self.starts
        return Ids(self.lengths[rows], self.words[ragged(starts[rows], starts[np.asarray(rows) + 1])])

    def same(self, rows: Array, others: Array) -> Array:
        """Say which of the ids at `rows` equal those at `others`: bool (m,)."""
        starts, lengths = self.starts, self.lengths
        equal: Array = lengths[rows] == lengths[others]
        n_words = (lengths[rows].astype(np.int64) + 7) >> 3
        for word in range(int(n_words.max(initial=0))):
            live = np.flatnonzero(equal & (n_words > word))
            equal[live] = self.words[starts[rows[live]] + word] == self.words[starts[others[live]] + word]
        return equal

    def to_list(self) -> list[bytes]:
        """Give the ids as byte strings."""
        text = self.words.astype("<u8", copy=False).tobytes()
        starts = (8 * self.starts[:-1]).tolist()
        return [text[start : start + length] for start, length in zip(starts, self.lengths.tolist(), strict=True)]


def ragged(starts: Array, ends: Array) -> Array:
    """Give the ranges starts[i] to ends[i], one after the other: int64 (sum of ends - starts,).

    >>> ragged(np.array([0, 7]), np.array([2, 9]))
    array([0, 1, 7, 8])
    """
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    places: Array = np.repeat(starts - before, lengths)
    places += np.arange(len(places))
    return places


def hash_ids(ids: Ids, salt: int = 0) -> Array:
    """Give the hashes of ids, uint64 (n,)."""
    state = _mix(np.uint64(_key(salt)) ^ ids.lengths.astype(np.uint64))
    n_words = (ids.lengths.astype(np.int64) + 7) >> 3
    starts = ids.starts[:-1]
    most = int(n_words.max(initial=0))
    for word in range(most):
        if word < int(n_words.min(initial=most)):
            state = _mix((state ^ ids.words[starts + word]) + np.uint64(_GOLDEN))
        else:
            live = np.flatnonzero(n_words > word)
            state[live] = _mix((state[live] ^ ids.words[starts[live] + word]) + np.uint64(_GOLDEN))
    return state


def hash_id(name: bytes, salt: int = 0) -> int:
    """Give the hash of one id.

    >>> hash_id(b"alice") == int(hash_ids(Ids.of([b"bob", b"alice"]))[1])
    True
    """
    return int(hash_ids(Ids.of([name]), salt)[0])


def block_of(hashes: Array, n_blocks: int) -> Array:
    """Give each hash's block, floor(hash n_blocks / 2^64), int64 (n,); n_blocks at most 2^31.

    >>> block_of(np.array([0, 2**63, 2**64 - 1], np.uint64), 3)
    array([0, 1, 2])
    """
    # the high 64 bits of a product of 64 by 32 bits, by halves
    n = np.uint64(n_blocks)
    low = ((hashes & np.uint64(0xFFFFFFFF)) * n) >> np.uint64(32)
    blocks: Array = (((hashes >> np.uint64(32)) * n + low) >> np.uint64(32)).astype(np.int64)
    return blocks


def _key(salt: int) -> int:
    """Give the state that a salt begins with; any integer is a salt."""
    key = salt & _MASK
    for factor in (_FIRST, _SECOND):
        key = ((key ^ (key >> 31)) * factor + _GOLDEN) & _MASK
    return key


def _mix(bits: Array) -> Array:
    """Scramble 64-bit numbers: a bijection in which every bit depends on all."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(_FIRST)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(_SECOND)
    mixed: Array = bits ^ (bits >> np.uint64(31))
    return mixed
