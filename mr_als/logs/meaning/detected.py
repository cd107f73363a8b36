"""What was found out of a file, and whether its values agree with it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from mr_als.errors import BadInputError
from mr_als.logs.logs import Layout
from mr_als.logs.meaning.evidence import Values
from mr_als.logs.times import UNITS

__all__ = ["Asked", "Detected", "checked"]


class Asked(NamedTuple):
    """The options, with the user of all records apart from the columns."""

    format: str
    columns: str
    delimiter: str
    time_unit: str
    user: str


class Detected(NamedTuple):
    """What was found out of a file.

    path : the file
    layout : what its records mean
    names : the name of each column of `layout` in the file; none where columns are known by place
    first : the first record, column by column, and its line; empty if there is none
    unused : names of what is not used
    numbers : those of them that hold numbers which may be amounts
    array : whether it is one array of JSON
    """

    path: str
    layout: Layout
    names: dict[str, str]
    first: tuple[int, dict[str, str]]
    unused: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    array: bool = False


def checked(options: Asked, found: Detected, used: dict[str, Values], free: dict[str, Values]) -> Detected:
    """Check the values of columns against what they should be.

    Raises
    ------
    BadInputError
        If a column of times holds none, or one of plays holds times.
    """
    _check_times(options, found, used.get("timestamp"))
    plays = used.get("plays")
    if plays and plays.is_time and found.layout.found:
        msg = (
            f"{found.path}: the column of plays, {found.names.get('plays', '')!r}, looks like times: {plays.texts[0]!r}; "
            "say what the columns mean with --columns"
        )
        raise BadInputError(msg)
    # what a person has named, or left out by a place, needs no warning
    numbers = tuple(name for name, values in free.items() if _is_amount(name, values)) if not options.columns else ()
    auto = options.time_unit == "auto"
    layout = replace(found.layout, unit="" if auto else options.time_unit, recent=auto)
    return found._replace(layout=layout, numbers=numbers)


def _is_amount(name: str, values: Values) -> bool:
    """Say whether a column that is not used may hold amounts: numbers, and neither ids nor times."""
    return values.is_number and not values.is_time and not values.counts_lines and not name.lower().endswith("id")


def _check_times(options: Asked, found: Detected, times: Values | None) -> None:
    """Check that a column of times holds some, unless --time-unit says what they are.

    Raises
    ------
    BadInputError
        If most are not times from 1995 to 2100.
    """
    if options.time_unit == "auto" and times and times.texts and not times.is_time:
        name = found.names.get("timestamp", "")
        msg = (
            f"{found.path}: the column of times{f', {name!r},' if name else ''} holds no times from 1995 to 2100: "
            f"{times.texts[0]!r}; say what the columns mean with --columns, or what such a number is with --time-unit "
            f"{'|'.join(UNITS)}"
        )
        raise BadInputError(msg)
