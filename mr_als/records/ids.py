"""Ids and their hashes: an id's place is its stable 64-bit hash, never its position and never Python's `hash`.

An id is any UTF-8 string without line ends. Many ids are two arrays, their lengths in bytes and their bytes in
64-bit little-endian words, each id padded with zero bytes, so that hashing and comparing are array arithmetic:

    state = mix(key(salt) xor length),     state = mix((state xor word) + golden)  for each word

with the finalizer of splitmix64 (Steele, Lea & Flood, OOPSLA 2014) as mix. It is a bijection, so two ids of one
length and up to eight bytes never collide; two longer ones do with probability 2^-64, which their block's reducer sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mr_als.maths.array import Array

__all__ = ["Ids", "block_of", "hash_id", "hash_ids"]

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
    def of_numbers(cls, numbers: Array) -> Ids:
        """Make ids of whole numbers, integers (n,): their decimal digits.

        >>> Ids.of_numbers(np.array([7, -12, 1234567890])).to_list()
        [b'7', b'-12', b'1234567890']
        """
        if not len(numbers) or (numbers.min() >= 0 and numbers.max() < 10**8):
            return cls(*_digits(numbers.astype(np.uint64)))
        text = numbers.astype("S24")  # at most 20 digits, filled up with zero bytes as ids are
        lengths = np.char.str_len(text)
        words = text.view("<u8").reshape(-1, 3)
        return cls(lengths.astype(np.uint32), words[np.arange(3) < ((lengths + 7) >> 3)[:, None]])

    @classmethod
    def cut(cls, text: Array, starts: Array, ends: Array) -> Ids:
        """Make ids of pieces of a text, uint8: text[starts[i]:ends[i]] each."""
        ids = cls((ends - starts).astype(np.uint32), np.zeros(int(((ends - starts + 7) >> 3).sum()), np.uint64))
        begin = 8 * ids.starts[:-1]
        ids.words.view(np.uint8)[ragged(begin, begin + (ends - starts))] = text[ragged(starts, ends)]
        return ids

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
        """Select the ids at `rows`, integers (m,), in that order."""
        starts = self.starts
        return Ids(self.lengths[rows], self.words[ragged(starts[rows], starts[np.asarray(rows) + 1])])

    def same(self, rows: Array, others: Array) -> Array:
        """Say which of the ids at `rows` equal those at `others`: bool (m,)."""
        starts, lengths = self.starts, self.lengths
        equal: Array = lengths[rows] == lengths[others]
        for n_words, group in by_size(lengths[rows], equal):
            runs = windows(self.words, n_words)
            one, other = (words_of(runs[starts[which[group]]], n_words) for which in (rows, others))
            equal[group] = (one == other).all(axis=1)
        return equal

    def lines(self) -> tuple[Array, Array]:
        """Write each id on a line of its own: the text, uint8 (bytes,), and where each line ends in it, int64 (n,).

        >>> text, ends = Ids.of([b"alice", b"bob"]).lines()
        >>> bytes(text).split(), ends
        ([b'alice', b'bob'], array([ 6, 10]))
        """
        lengths, begin = self.lengths.astype(np.int64), 8 * self.starts[:-1]
        ends = np.cumsum(lengths + 1)
        text = np.full(int((lengths + 1).sum()), ord("\n"), np.uint8)
        text[ragged(ends - 1 - lengths, ends - 1)] = self.words.view(np.uint8)[ragged(begin, begin + lengths)]
        return text, ends

    def to_list(self) -> list[bytes]:
        """List the ids as byte strings."""
        text = self.words.astype("<u8", copy=False).tobytes()
        starts = (8 * self.starts[:-1]).tolist()
        return [text[start : start + length] for start, length in zip(starts, self.lengths.tolist(), strict=True)]


def _digits(numbers: Array) -> tuple[Array, Array]:
    """Write numbers below 10^8, uint64 (n,), in decimal: how many digits each has, uint32, and these, padded with zeros."""
    u = np.uint64
    lengths = np.searchsorted(10 ** np.arange(1, 8, dtype=u), numbers, side="right").astype(np.uint32) + np.uint32(1)
    empty = u(8) - lengths.astype(u)
    left = numbers * (u(10) ** np.arange(8, dtype=u))[empty]
    # eight digits at once: halves of a word are divided by 10^4, their halves by 10^2, and those by 10; a product is a division,
    # exact for such numbers (10486 / 2^20 is 1/100, 103 / 2^10 is 1/10). The first digit is the lowest byte
    high = left // u(10**4)
    left = high | (left - high * u(10**4)) << u(32)
    high = (left * u(10486)) >> u(20) & u(0x0000007F_0000007F)
    left = high | (left - high * u(100)) << u(16)
    high = (left * u(103)) >> u(10) & u(0x000F000F_000F000F)
    text = (high | (left - high * u(10)) << u(8)) | u(0x30303030_30303030)
    return lengths, text & (u(2**64 - 1) >> (u(8) * empty))


def ragged(starts: Array, ends: Array) -> Array:
    """Concatenate the ranges starts[i] to ends[i]: int64 (sum of ends - starts,).

    >>> ragged(np.array([0, 7]), np.array([2, 9]))
    array([0, 1, 7, 8])
    """
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    places: Array = np.repeat(starts - before, lengths)
    places += np.arange(len(places))
    return places


def by_size(lengths: Array, which: Array | None = None) -> Iterator[tuple[int, Array | slice]]:
    """Group ids by their number of words: give each number above 0, and the places of the ids with so many.

    Parameters
    ----------
    lengths : integers (n,), bytes of each id
    which : bool (n,), which ids to give; None: all
    """
    n_words = (lengths.astype(np.int64) + 7) >> 3
    if which is None and len(n_words) and n_words.min() == n_words.max():
        if n_words[0]:
            yield int(n_words[0]), slice(None)
        return
    for number in np.flatnonzero(np.bincount(n_words)).tolist():
        if number:
            yield number, np.flatnonzero(n_words == number if which is None else which & (n_words == number))


def windows(words: Array, n_words: int) -> Array:
    """View all runs of `n_words` words as the items of one array: run i begins at word i, and is copied as a whole."""
    return np.ndarray((len(words) - n_words + 1,), f"V{8 * n_words}", buffer=words.data, strides=(8,))


def words_of(runs: Array, n_words: int) -> Array:
    """Return the words of runs (n,) that were copied out of `windows`: uint64 (n, n_words)."""
    return runs.view(np.uint64).reshape(-1, n_words)


def hash_ids(ids: Ids, salt: int = 0) -> Array:
    """Compute the hashes of ids, uint64 (n,)."""
    state = _mix(np.uint64(_key(salt)) ^ ids.lengths.astype(np.uint64))
    starts = ids.starts[:-1]
    for n_words, group in by_size(ids.lengths):
        part = state[group]
        for word in words_of(windows(ids.words, n_words)[starts[group]], n_words).T:
            part = _mix((part ^ word) + np.uint64(_GOLDEN))
        state[group] = part
    return state


def hash_id(name: bytes, salt: int = 0) -> int:
    """Compute the hash of one id.

    >>> hash_id(b"alice") == int(hash_ids(Ids.of([b"bob", b"alice"]))[1])
    True
    """
    return int(hash_ids(Ids.of([name]), salt)[0])


def block_of(hashes: Array, n_blocks: int) -> Array:
    """Map each hash to its block, floor(hash n_blocks / 2^64), int64 (n,); n_blocks is at most 2^31.

    >>> block_of(np.array([0, 2**63, 2**64 - 1], np.uint64), 3)
    array([0, 1, 2])
    """
    # the high 64 bits of a product of 64 by 32 bits, by halves
    n = np.uint64(n_blocks)
    low = ((hashes & np.uint64(0xFFFFFFFF)) * n) >> np.uint64(32)
    blocks: Array = (((hashes >> np.uint64(32)) * n + low) >> np.uint64(32)).astype(np.int64)
    return blocks


def _key(salt: int) -> int:
    """Derive the initial hash state from a salt, which may be any integer."""
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
