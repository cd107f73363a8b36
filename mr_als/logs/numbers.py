"""Numbers of many fields at once, from the bytes of a chunk.

A chunk is read as 64-bit words at any byte: eight digits are one word, and three multiplications turn it into a
number. What is neither up to sixteen digits nor such digits with a point among them (signs, exponents, mistakes) is
read one by one, by Python. Both ways give the same number, the float64 nearest to what is written.
"""

from __future__ import annotations

import math
import re

import numpy as np

from mr_als.maths.array import Array

__all__ = ["NUMBER", "PAD", "numbers", "padded", "runs_at", "words_at"]

# zero bytes before and after a chunk, so that a word may begin before it or end behind it
PAD = 16

NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAN = re.compile(rb"[+-]?nan", re.IGNORECASE)
_INFINITY = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)


def padded(chunk: bytes) -> Array:
    """Copy a chunk into uint8 (PAD + len + PAD,), zeros around it."""
    buffer = np.zeros(len(chunk) + 2 * PAD, np.uint8)
    buffer[PAD : PAD + len(chunk)] = np.frombuffer(chunk, np.uint8)
    return buffer


def words_at(buffer: Array, places: Array) -> Array:
    """Read the 64-bit little-endian words that begin at the bytes `places`, uint64 (n,)."""
    every: Array = np.ndarray((len(buffer) - 7,), "<u8", buffer=buffer.data, strides=(1,))
    return every[places]


def runs_at(buffer: Array, places: Array, n_words: int) -> Array:
    """Copy the runs of `n_words` 64-bit words that begin at byte `places`; one may reach behind the buffer, into zeros."""
    size = 8 * n_words
    if len(places) and int(places.max()) + size > len(buffer):
        buffer = np.concatenate([buffer, np.zeros(size, np.uint8)])
    every: Array = np.ndarray((len(buffer) - size + 1,), f"V{size}", buffer=buffer.data, strides=(1,))
    return every[places]


def numbers(buffer: Array, starts: Array, ends: Array) -> tuple[Array, dict[int, str]]:
    """Read the fields [starts, ends) of a padded buffer as numbers.

    Returns
    -------
    values : float64 (n,), 0 where a field is no finite number of at least 0
    bad : the reason of each field that is none, by its place: "not a number", "NaN", "infinity" or "negative"
    """
    values, plain = _digits(buffer, starts, ends)
    rest = np.flatnonzero(~plain)
    if len(rest):
        values[rest], fine = _decimals(buffer, starts[rest], ends[rest])
        rest = rest[~fine]
    bad: dict[int, str] = {}
    for place in rest.tolist():
        values[place], reason = _number(bytes(buffer[starts[place] : ends[place]]))
        if reason:
            bad[place] = reason
    return values, bad


def _digits(buffer: Array, starts: Array, ends: Array) -> tuple[Array, Array]:
    """Read fields of 1 to 16 digits: their values, float64, and which fields are such."""
    lengths = ends - starts
    fine = (lengths >= 1) & (lengths <= 16)
    low, digits = _eight_digits(buffer, ends, np.minimum(lengths, 8))
    fine &= digits
    values = low.astype(np.float64)
    long = np.flatnonzero(fine & (lengths > 8))
    if len(long):
        high, digits = _eight_digits(buffer, ends[long] - 8, lengths[long] - 8)
        values[long] += high * 1e8  # both exact, so this rounds once
        fine[long] &= digits
    return values, fine


def _decimals(buffer: Array, starts: Array, ends: Array) -> tuple[Array, Array]:
    """Read fields of up to 15 digits with a point among them, such as 3.0: their values, and which fields are such."""
    lengths = ends - starts
    after = np.full(len(ends), 16)  # digits behind the last point
    for place in reversed(range(min(int(lengths.max()), 16))):
        after[buffer[ends - place - 1] == ord(".")] = place
    fine = (after >= 1) & (after < lengths - 1) & (lengths <= 16)
    whole, digits = _digits(buffer, starts, ends - after - 1)
    part, more = _digits(buffer, ends - after, ends)
    scale = 10.0 ** np.minimum(after, 15)
    # numerator and scale are exact, as they are below 2^53, so this rounds once
    return (whole * scale + part) / scale, fine & digits & more


def _eight_digits(buffer: Array, ends: Array, lengths: Array) -> tuple[Array, Array]:
    """Read the up to eight digits before each end: their values, uint64, and which are digits at all."""
    word = words_at(buffer, ends - 8)
    # the bytes before the field, which are the low ones, become the digit 0
    before = (8 * (8 - np.clip(lengths, 1, 8))).astype(np.uint64)
    mask = (np.uint64(1) << before) - np.uint64(1)
    word = (word & ~mask) | (np.uint64(0x3030303030303030) & mask)
    high_halves = np.uint64(0xF0F0F0F0F0F0F0F0)
    threes = np.uint64(0x3030303030303030)
    # a byte is a digit if its high half is 3, before and after adding 6
    fine = ((word & high_halves) == threes) & (((word + np.uint64(0x0606060606060606)) & high_halves) == threes)
    word = ((word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561)) >> np.uint64(8)
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    word = ((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
    return word, fine


def _number(text: bytes) -> tuple[float, str]:
    """Read one field: its value, or 0 and what is wrong with it."""
    if not NUMBER.fullmatch(text):
        return 0.0, "NaN" if _NAN.fullmatch(text) else "infinity" if _INFINITY.fullmatch(text) else "not a number"
    value = float(text)
    if math.isinf(value):
        return 0.0, "infinity"
    return (0.0, "negative") if value < 0 else (value, "")
