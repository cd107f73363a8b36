"""Times of many fields at once, from the bytes of a chunk: ISO 8601, numbers of a unit, and what else exports have.

ISO times are read as 64-bit words, eight characters each; numbers are those of `mr_als.logs.numbers`, scaled. What is
neither is read one by one, by Python.

It is long because every form of time has its own arithmetic.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone

import numpy as np

from mr_als.logs.numbers import NUMBER, numbers, runs_at
from mr_als.maths.array import Array

__all__ = ["RECENT", "UNITS", "in_words", "parse_moment", "parse_time", "times", "unit_of"]

_NUMBER = re.compile(NUMBER.pattern.decode())
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# 1995 to 2100, in seconds since 1970: a number outside is hardly the time of a play, in whatever unit
RECENT = (788918400.0, 4133980800.0)
# what a number may mean that is a time, and how many of it are a second; a date is eight digits, YYYYMMDD
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "date": 0.0}
# above these an epoch is in milliseconds, and microseconds: 1e11 seconds is the year 5138
_MILLISECONDS, _MICROSECONDS = 1e11, 1e14
_DATES = (19950101, 21001231)
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?(?:Z| ?UTC| ?GMT|([+-])([0-9]{2})(?::?([0-9]{2}))?)?)?",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Last.fm: 24 Jan 2023, 09:42
_IN_WORDS = re.compile(
    rf"([0-9]{{1,2}}) ({'|'.join(_MONTHS)})[a-z]* ([0-9]{{4}})(?:,? ([0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}})?))?", re.IGNORECASE
)
_YEAR_OR_MONTH = re.compile("([0-9]{4})(?:-([0-9]{2}))?")
# 0001-01-01 in days since 1970
_DAY_ONE = -719162
_SIXES, _HIGH_HALVES = np.uint64(0x0606060606060606), np.uint64(0xF0F0F0F0F0F0F0F0)


def _form(text: str) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Encode eight characters of a form as words: the characters; 255 at each digit; 255 except at wildcards (dots)."""
    masks = bytes(255 * (c == "0") for c in text), bytes(255 * (c != ".") for c in text)
    return tuple(np.uint64(int.from_bytes(word, "little")) for word in (text.encode(), *masks))  # type: ignore[return-value]


_FORM = (_form("0000-00-"), _form("00.00:00"), _form(":00....."))


def times(buffer: Array, starts: Array, ends: Array, unit: str = "") -> tuple[Array, dict[int, str]]:
    """Read the fields [starts, ends) as times, in seconds since 1970 UTC.

    A time is a number, or ISO 8601 such as 2024-03-01T12:30:00Z, or what else `parse_time` reads.

    Parameters
    ----------
    unit : what a number means, a key of `UNITS`; empty: by its size, see `parse_time`

    Returns
    -------
    seconds : float64 (n,)
    bad : "not a time", by place
    """
    iso = _iso_like(buffer, starts, ends)
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
    seconds[rest] = _scaled(values, unit)
    for place in [*np.flatnonzero(np.isnan(seconds[rest])).tolist(), *wrong]:
        row = int(rest[place])
        try:
            seconds[row] = parse_time(bytes(buffer[starts[row] : ends[row]]).decode("ascii"), unit)
        except ValueError:
            seconds[row], bad[row] = 0.0, "not a time"
    return seconds, bad


def _iso_like(buffer: Array, starts: Array, ends: Array) -> Array:
    """Say which fields are as long as YYYY-MM-DDTHH:MM:SS, with nothing behind it but what means UTC, bool (n,)."""
    lengths = ends - starts
    iso: Array = (lengths == 19) | ((lengths == 20) & (buffer[ends - 1] == ord("Z")))
    if iso.all():
        return iso
    for zone in (b" UTC", b"+00", b"+00:00", b"+0000"):
        longer = np.flatnonzero(~iso & (lengths == 19 + len(zone)))
        if len(longer):
            iso[longer] = (buffer[ends[longer][:, None] - len(zone) + np.arange(len(zone))] == np.frombuffer(zone, np.uint8)).all(
                axis=1
            )
    return iso


def _scaled(values: Array, unit: str) -> Array:
    """Convert numbers of a unit to seconds, float64 (n,); NaN for dates that do not exist."""
    if unit == "date":
        return _dates(values)
    if unit:
        return values / UNITS[unit]
    seconds = np.where(values > _MILLISECONDS, values / np.where(values > _MICROSECONDS, 1e6, 1e3), values)
    dates = np.flatnonzero((values >= _DATES[0]) & (values <= _DATES[1]))
    seconds[dates] = _dates(values[dates])
    return seconds


def _unit_by_size(value: float) -> str:
    """Say what a number is that is a time."""
    if _DATES[0] <= value <= _DATES[1]:
        return "date"
    return "us" if value > _MICROSECONDS else "ms" if value > _MILLISECONDS else "s"


def _one_scaled(value: float, unit: str) -> float:
    """Convert one number as `_scaled` does many."""
    unit = unit or _unit_by_size(value)
    return float(_dates(np.array([value]))[0]) if unit == "date" else value / UNITS[unit]


def _dates(values: Array) -> Array:
    """Convert numbers YYYYMMDD to seconds; NaN for what is none."""
    whole = np.where((values >= 10101) & (values <= 99991231), values, 0).astype(np.int64)
    year, month, day = whole // 10000, whole // 100 % 100, whole % 100
    fine = (whole == values) & (month <= 12) & (day <= 31)
    days = _days_of(np.where(fine, (year << 9) | (month << 5) | day, 0))
    return np.where(days >= _DAY_ONE, days * 86400.0, np.nan)


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


def parse_time(text: str, unit: str = "") -> float:
    """Read one time, as seconds since 1970 UTC.

    YYYY-MM-DD with an optional HH:MM, HH:MM:SS or HH:MM:SS.fraction behind a T or a blank, and then an optional Z, UTC, +HH or
    +HH:MM; without a zone it is UTC. Or 24 Jan 2023, 09:42. Or a number of `unit`; without one it is YYYYMMDD from 1995 to 2100,
    microseconds if above 1e14, milliseconds if above 1e11, else seconds. The same on every version of Python, whose
    `fromisoformat` is not.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> parse_time("1970-01-02"), parse_time("1970-01-01T01:00:00+01:00"), parse_time("20240301") == parse_time("1 Mar 2024")
    (86400.0, 0.0, True)
    """
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if math.isfinite(number) and not math.isnan(seconds := _one_scaled(number, unit)):
        return seconds
    if found := _IN_WORDS.fullmatch(text):
        day, name, year, clock = found.groups()
        text = f"{year}-{_MONTHS.index(name.lower()) + 1:02d}-{int(day):02d}{f' {clock}' if clock else ''}"
    found = _ISO.fullmatch(text)
    if not found:
        msg = f"{text!r} is not a time"
        raise ValueError(msg)
    *fields, fraction, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = (int(field or 0) for field in fields)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if offset >= timedelta(days=1) or int(minutes or 0) > 59:
        msg = f"{text!r}: no time zone is that far from UTC"
        raise ValueError(msg)
    seconds = (moment - _EPOCH).total_seconds() - (-1 if sign == "-" else 1) * offset.total_seconds()
    return seconds + float(f"0.{fraction or 0}")


def parse_moment(text: str) -> float:
    """Read a time that a person gives, as seconds since 1970 UTC: what `parse_time` reads, or a year, or a year and a month.

    Raises
    ------
    ValueError
        If it is none, or a number that is no time from 1995 to 2100.

    Examples
    --------
    >>> parse_moment("2024") == parse_moment("2024-01") == parse_moment("2024-01-01")
    True
    """
    if found := _YEAR_OR_MONTH.fullmatch(text):
        return parse_time(f"{found[1]}-{found[2] or '01'}-01")
    if _NUMBER.fullmatch(text) and not unit_of(text):
        msg = f"{text!r} is not a time from 1995 to 2100"
        raise ValueError(msg)
    return parse_time(text)


def unit_of(text: str) -> str:
    """Find the unit in which a field is a time from 1995 to 2100; "text" if it is no number, empty if it is no such time.

    >>> [unit_of(text) for text in ("1709251200", "1709251200000", "20240301", "2024-03-01", "200000")]
    ['s', 'ms', 'date', 'text', '']
    """
    if not text[:1].isdigit():
        return ""
    number = bool(_NUMBER.fullmatch(text))
    try:
        seconds = parse_time(text)
    except ValueError:
        return ""
    if not RECENT[0] <= seconds < RECENT[1]:
        return ""
    return _unit_by_size(float(text)) if number else "text"


def in_words(seconds: float) -> str:
    """Format seconds since 1970 as a UTC time.

    >>> in_words(1709251200.0)
    '2024-03-01T00:00:00Z'
    """
    return f"{_EPOCH + timedelta(seconds=math.floor(seconds)):%Y-%m-%dT%H:%M:%SZ}"
