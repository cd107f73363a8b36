"""What the values of columns say of their meaning: for logs that name nothing, and against names that promise something else.

A layout by place is taken only if the first lines fit it and no other one. What fits is decided by most of the values: the
others are bad lines, which are counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from statistics import median
from typing import NamedTuple

from mr_als.logs.meaning.exports import ME
from mr_als.logs.numbers import NUMBER
from mr_als.logs.times import unit_of

__all__ = ["SHAPES", "Shape", "Values", "fitting", "guessed", "is_value"]

DAY = 86_400_000
_NUMBER = re.compile(NUMBER.pattern.decode())
# so many lines tell a handful of values, and a column that counts lines
_FEW, _COUNTED = 20, 5
_HANDFUL = 10
# numbers that may be amounts: one that begins with a zero, or is very long, is an id or a hash
_AMOUNT = re.compile(rf"(?!0[0-9])(?=.{{1,25}}$)(?:{NUMBER.pattern.decode()})")
# milliseconds; and more plays than most lines have
_SECOND, _PLAYS = 1000, 20_000


class Values:
    """The values of one column in the first records, empty ones left out."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = [text for text in texts if text]

    @cached_property
    def numbers(self) -> list[float]:
        """Those that are numbers, in order."""
        return [float(text) for text in self.texts if _AMOUNT.fullmatch(text)]

    @cached_property
    def unit(self) -> str:
        """The unit in which most are times from 1995 to 2100, see `unit_of`; empty if they are none."""
        units = Counter(map(unit_of, self.texts))
        unit, _ = max(((unit, n) for unit, n in units.items() if unit), key=lambda row: row[1], default=("", 0))
        return unit if 2 * (len(self.texts) - units[""]) > len(self.texts) else ""

    @property
    def is_number(self) -> bool:
        """Whether most are numbers."""
        return 2 * len(self.numbers) > len(self.texts)

    @property
    def is_time(self) -> bool:
        """Whether most are times."""
        return bool(self.unit)

    @property
    def is_amount(self) -> bool:
        """Whether most are numbers of at least 0, no times, and do not count lines."""
        return not self.is_time and not self.counts_lines and 2 * sum(value >= 0 for value in self.numbers) > len(self.texts)

    @property
    def is_length(self) -> bool:
        """Whether most are amounts that may be milliseconds: below a day, and one of some above a second."""
        below = 2 * sum(value < DAY for value in self.numbers) > len(self.texts)
        return self.is_amount and below and (len(self.numbers) < _COUNTED or max(self.numbers) >= _SECOND)

    @property
    def is_plays(self) -> bool:
        """Whether most are amounts that may be numbers of plays: one of some is small, most are not as large as milliseconds."""
        few = len(self.numbers) < _COUNTED
        return self.is_amount and (few or (min(self.numbers) < _SECOND and median(self.numbers) < _PLAYS))

    @property
    def counts_lines(self) -> bool:
        """Whether each is one more than that of the line before."""
        steps = zip(self.numbers, self.numbers[1:], strict=False)
        return len(self.texts) == len(self.numbers) >= _COUNTED and all(after == before + 1 for before, after in steps)

    @property
    def is_handful(self) -> bool:
        """Whether all are small numbers, and few different ones."""
        small = len(self.texts) == len(self.numbers) >= _FEW and max(self.numbers) <= _HANDFUL
        return small and len(set(self.numbers)) <= _HANDFUL

    @property
    def is_rating(self) -> bool:
        """Whether all are between 0 and 10 in steps of a half."""
        return len(self.texts) == len(self.numbers) > 0 and all(
            0 <= value <= 10 and (2 * value).is_integer() for value in self.numbers
        )

    @property
    def has_halves(self) -> bool:
        """Whether all are ratings up to 5, and some between two whole numbers, as plays are not."""
        few = self.is_rating and max(self.numbers) <= 5 and len(set(self.numbers)) > 2
        return few and any(not value.is_integer() for value in self.numbers)

    @property
    def is_id(self) -> bool:
        """Whether they may be ids, beside a column of times: numbers may look like times then."""
        return len(self.texts) > 0 and self.unit != "text" and not self.counts_lines

    @property
    def is_user(self) -> bool:
        """Whether they may be ids of users."""
        return self.is_id and not self.is_time

    @property
    def is_item(self) -> bool:
        """Whether they may be ids of items: not those of ten things."""
        return self.is_id and not self.is_handful

    def all_match(self, pattern: re.Pattern[str]) -> bool:
        """Say whether most match a pattern."""
        return 2 * sum(bool(pattern.fullmatch(text)) for text in self.texts) > len(self.texts)


def is_value(text: str) -> bool:
    """Say whether a field is a number or a time, which no name is."""
    return text[:1].isdigit() or bool(_NUMBER.fullmatch(text) or unit_of(text))


class Shape(NamedTuple):
    """A layout without a header that is known by its values.

    fits : says whether the values of the columns do
    ratings : whether it holds ratings, which are no plays
    user : whose plays all of them are, where no column is of users
    """

    columns: tuple[str, ...]
    fits: Callable[[Sequence[Values]], bool]
    ratings: bool = False
    user: str = ""


_SCROBBLED = re.compile("[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4},? [0-9]{2}:[0-9]{2}")
_HASH = re.compile("[0-9a-f]{40}")
SHAPES = (
    # --format events
    Shape(
        ("timestamp", "user", "item", "ms_played"), lambda v: v[0].is_time and v[1].is_id and v[2].is_item and v[3].is_length
    ),
    # --format counts
    Shape(
        ("user", "item", "plays"),
        lambda v: v[0].is_user and v[1].is_user and v[1].is_item and v[2].is_plays and not v[2].has_halves,
    ),
    Shape(("user", "item", "plays"), lambda v: v[0].is_user and v[1].is_item and v[2].has_halves, ratings=True),
    # MovieLens and many others
    Shape(
        ("user", "item", "plays", "timestamp"),
        lambda v: v[0].is_user and v[1].is_item and v[2].is_rating and v[3].is_time,
        ratings=True,
    ),
    # Last.fm to CSV: artist, album (often empty), track, time as in 24 Jan 2023 09:42
    Shape(
        ("item", "-", "-", "timestamp"),
        lambda v: v[0].is_user and v[2].is_user and not any(c.is_number for c in v[:3] if c.texts) and v[3].all_match(_SCROBBLED),
        user=ME,
    ),
    # Last.fm-360K: hash of the user, artist id, artist, plays
    Shape(
        ("user", "-", "item", "plays"), lambda v: v[0].all_match(_HASH) and not v[1].is_time and v[2].is_item and v[3].is_plays
    ),
    # Last.fm-1K: user, time, artist id (often empty), artist, track id, track
    Shape(("user", "timestamp", "-", "item", "-", "-"), lambda v: v[0].is_user and v[1].unit == "text" and v[3].is_item),
)  # fmt: skip


def fitting(values: Sequence[Values]) -> list[Shape]:
    """List the known layouts that the values of columns fit."""
    return [shape for shape in SHAPES if len(shape.columns) == len(values) and shape.fits(values)]


def guessed(values: Sequence[Values]) -> tuple[str, ...]:
    """Guess what columns mean, for a person to check."""
    columns = ["-"] * len(values)
    likely: list[tuple[str, Callable[[Values], bool]]] = [
        ("timestamp", lambda v: v.is_time),
        ("ms_played", lambda v: v.is_length and "timestamp" in columns and min(v.numbers) >= 1000),
        ("user", lambda v: v.is_user and not v.is_number),
        ("item", lambda v: v.is_user and not v.is_number),
        ("user", lambda v: v.is_item),
        ("item", lambda v: v.is_item),
        ("plays", lambda v: v.is_amount and "ms_played" not in columns),
    ]
    for name, says in likely:
        places = [n for n, v in enumerate(values) if columns[n] == "-" and says(v)]
        if name not in columns and places:
            columns[places[0]] = name
    return tuple(columns)
