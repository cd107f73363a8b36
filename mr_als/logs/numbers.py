"""Numbers and times of many fields at once, from the bytes of a chunk.

A chunk is read as 64-bit words at any byte: eight digits are one word, and three multiplications turn it into a
number. What is neither up to sixteen digits nor such digits with a point among them (signs, exponents, mistakes) is
read one by one, by Python. Both ways give the same number, the float64 nearest to what is written.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone

import numpy as np

from mr_als.maths.array import Array

__all__ = ["PAD", "numbers", "padded", "parse_time", "runs_at", "times", "words_at"]

# zero bytes before and after a chunk, so that a word may begin before it or end behind it
PAD = 16

_NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAN = re.compile(rb"[+-]?nan", re.IGNORECASE)
_INFINITY = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# above this an epoch is in milliseconds: 1e11 seconds is the year 5138
_MILLISECONDS = 1e11
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?(?:Z|([+-])([0-9]{2}):?([0-9]{2}))?)?",
    re.IGNORECASE,
)
# 0001-01-01 in days since 1970
_DAY_ONE = -719162
_SIXES, _HIGH_HALVES = np.uint64(0x0606060606060606), np.uint64(0xF0F0F0F0F0F0F0F0)


def _form(text: str) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Encode eight characters of a form as words: the characters; 255 at each digit; 255 except at wildcards (dots)."""
    masks = bytes(255 * (c == "0") for c in text), bytes(255 * (c != ".") for c in text)
    return tuple(np.uint64(int.from_bytes(word, "little")) for word in (text.encode(), *masks))  # type: ignore[return-value]


_FORM = (_form("0000-00-"), _form("00.00:00"), _form(":00....."))


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
    if not _NUMBER.fullmatch(text):
        return 0.0, "NaN" if _NAN.fullmatch(text) else "infinity" if _INFINITY.fullmatch(text) else "not a number"
    value = float(text)
    if math.isinf(value):
        return 0.0, "infinity"
    return (0.0, "negative") if value < 0 else (value, "")


def times(buffer: Array, starts: Array, ends: Array) -> tuple[Array, dict[int, str]]:
    """Read the fields [starts, ends) as times, in seconds since 1970 UTC.

    A time is a number of seconds, or of milliseconds if above 1e11, or ISO 8601 such as 2024-03-01T12:30:00Z; see `parse_time`.

    Returns
    -------
    seconds : float64 (n,)
    bad : "not a time", by place
    """
    lengths = ends - starts
    iso = (lengths == 19) | ((lengths == 20) & (buffer[ends - 1] == ord("Z")))
    bad: dict[int, str] = {}
    if iso.all():
        seconds, iso = _iso_times(buffer, starts)
    else:
        seconds, some = np.zeros(len(starts)), np.flatnonzero(iso)
        seconds[some], iso[some] = _iso_times(buffer, starts[some])
    if iso.all():
        return seconds, bad
    rest = np.flatnonzero(~iso)
    values, wrong = numbers(buffer, starts[rest], ends[rest])
    seconds[rest] = np.where(values > _MILLISECONDS, values / 1000.0, values)
    for place in wrong:
        row = int(rest[place])
        try:
            seconds[row] = parse_time(bytes(buffer[starts[row] : ends[row]]).decode("ascii"))
        except ValueError:
            bad[row] = "not a time"
    return seconds, bad


def _iso_times(buffer: Array, starts: Array) -> tuple[Array, Array]:
    """Read YYYY-MM-DDTHH:MM:SS at each start: seconds, and which fields are of that form and in range."""
    words = runs_at(buffer, starts, 3).view("<u8").reshape(-1, 3)
    between = (words[:, 1] >> np.uint64(16)) & np.uint64(255)
    fine: Array = (between == ord("T")) | (between == ord(" "))
    pairs = []  # each byte with the next one, read as a number of two digits
    for word, (form, digits, used) in zip(words.T, _FORM, strict=True):
        # what should be a digit becomes its value, and what should be a mark zero
        values = (word ^ form) & used
        # 6 is added to digits only: it takes what is above 9 above 15
        fine &= ((values | (values + (digits & _SIXES))) & (~digits | _HIGH_HALVES)) == 0
        pairs.append(values * np.uint64(10) + (values >> np.uint64(8)))
    (century, year, month), (day, hour, minute), (second,) = (
        [(pair >> np.uint64(8 * byte)) & np.uint64(255) for byte in bytes_]
        for pair, bytes_ in zip(pairs, ((0, 2, 5), (0, 3, 6), (1,)), strict=True)
    )
    fine &= (month <= 12) & (day <= 31) & (hour < 24) & (minute < 60) & (second < 60)
    date = np.where(fine, ((century * np.uint64(100) + year) << np.uint64(9)) | (month << np.uint64(5)) | day, 0).astype(np.int64)
    days = _days_of(date)
    fine &= days >= _DAY_ONE
    seconds = (hour * np.uint64(60) + minute) * np.uint64(60) + second
    return days * 86400.0 + seconds, fine


def _days_of(dates: Array) -> Array:
    """Convert dates, int64 (n,), (year << 9) + (month << 5) + day, to days since 1970; before _DAY_ONE if not a date."""
    first = int(dates.min(initial=0))
    # there are few different dates in a log: the calendar is asked once for each
    seen = np.zeros(int(dates.max(initial=0)) - first + 1, bool)
    seen[dates - first] = True
    date = np.flatnonzero(seen) + first
    year, month, day = date >> 9, (date >> 5) & 15, date & 31
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    in_month = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0, 0, 0])[month] + (leap & (month == 2))
    # the civil calendar, years beginning in March
    shifted = year - (month <= 2)
    month_of = (month + 9) % 12
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + (153 * month_of + 2) // 5 + day - 1 - 719468
    table = np.zeros(len(seen), np.int64)
    table[seen] = np.where((year >= 1) & (day >= 1) & (day <= in_month), days, _DAY_ONE - 1)
    found: Array = table[dates - first]
    return found


def parse_time(text: str) -> float:
    """Read one time, as seconds since 1970 UTC.

    A number, or YYYY-MM-DD with an optional HH:MM, HH:MM:SS or HH:MM:SS.fraction behind a T or a blank, and then an
    optional Z or +HH:MM; without a zone it is UTC. The same on every version of Python, whose `fromisoformat` is not.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> parse_time("1970-01-02"), parse_time("1970-01-01T01:00:00+01:00")
    (86400.0, 0.0)
    """
    value = float(text) if _NUMBER.fullmatch(text.encode()) else math.nan
    if math.isfinite(value):
        return value / 1000.0 if value > _MILLISECONDS else value
    found = _ISO.fullmatch(text)
    if not found:
        msg = f"{text!r} is not a time"
        raise ValueError(msg)
    *fields, fraction, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = (int(field or 0) for field in fields)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if offset >= timedelta(days=1) or int(minutes or 0) > 59:
        msg = f"{text!r}: no zone is so far from UTC"
        raise ValueError(msg)
    seconds = (moment - _EPOCH).total_seconds() - (-1 if sign == "-" else 1) * offset.total_seconds()
    return seconds + float(f"0.{fraction or 0}")
