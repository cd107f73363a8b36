"""Find out what the records of a log mean: from the options, else from names, else from values; never from places alone.

The driver does this once for each file; tasks are told.

It is long because of its errors: each says what was seen and which option settles it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from mr_als.errors import BadInputError, UsageError
from mr_als.logs import jsonl, parquet
from mr_als.logs.logs import COLUMNS, COMPRESSED, FORMATS, Layout, parse_layout
from mr_als.logs.meaning.columns import (
    apart,
    choose_columns,
    constant_user,
    is_known,
    is_named,
    known_names,
    listed,
    not_understood,
)
from mr_als.logs.meaning.detected import Asked, Detected, checked
from mr_als.logs.meaning.evidence import Shape, Values, fitting, guessed
from mr_als.logs.meaning.head import Head, look
from mr_als.logs.plain import SEPARATOR

__all__ = ["Detected", "detect"]

_BOM = b"\xef\xbb\xbf"


class Options(Protocol):
    """Those of the input options that matter here."""

    @property
    def format(self) -> str:
        """Value of --format."""

    @property
    def columns(self) -> str:
        """Value of --columns."""

    @property
    def delimiter(self) -> str:
        """Value of --delimiter."""

    @property
    def time_unit(self) -> str:
        """Value of --time-unit."""


def detect(options: Options, path: str, head: bytes, *, ratings: bool = False) -> Detected:
    """Find the layout of a file that is not empty.

    Parameters
    ----------
    head : its first bytes, decompressed
    ratings : whether it may hold ratings, which are then what its `plays` are

    Raises
    ------
    UsageError
        If the options contradict each other.
    BadInputError
        If what the file holds is not known, or is not what it is called.
    """
    head = head.removeprefix(_BOM)
    columns, user = constant_user(options.columns)
    asked = Asked(options.format, columns, options.delimiter, options.time_unit, user)
    form = options.format if options.format != "auto" else _format(head)
    if form in ("jsonl", "parquet"):
        return _named(asked, form, path, head, ratings=ratings)
    return _lines(asked, form, path, head, ratings=ratings)


def _format(head: bytes) -> str:
    """Guess by its first bytes whether a file is one of records that name their fields."""
    if head.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if re.match(rb"\s*(\[\s*)?\{", head) and jsonl.names(head) else "auto"


def _named(options: Asked, form: str, path: str, head: bytes, *, ratings: bool) -> Detected:
    """Find the layout of records that name their fields."""
    if options.columns and not is_named(options.columns):
        msg = f"--columns: {options.columns!r} names columns by position, but {path} is {form}; use user=NAME,item=NAME"
        raise UsageError(msg)
    names = jsonl.names(head) if form == "jsonl" else parquet.names(path)
    rows = jsonl.sample(head, names) if form == "jsonl" else parquet.sample(path, names)
    values = {name: Values([row[name] for row in rows if name in row]) for name in names}
    _check_known(options, names, path, values)
    columns, keys = choose_columns(options.columns, names, path, options.user, ratings=ratings, complete=form == "parquet")
    called = dict(zip(columns, keys, strict=True))
    columns, keys, user = apart(columns, keys)
    number, row = next(((n, row) for n, row in enumerate(rows, 1) if row.get(called["item"])), (0, {}))
    first = {column: row.get(key, "") if key[0] != "=" else key[1:] for column, key in called.items()}
    free = {name: value for name, value in values.items() if name not in keys and value.texts}
    layout = Layout(columns, SEPARATOR, form, keys, found=not options.columns, user=user)
    found = Detected(
        path, layout, called, (number, first if number else {}), tuple(free), (), form == "jsonl" and jsonl.is_array(head)
    )
    return checked(options, found, {column: values[key] for column, key in called.items() if key in values}, free)


def _check_known(options: Asked, names: Sequence[str], path: str, values: dict[str, Values]) -> None:
    """Check that the user and the item are known by their names, where --columns does not give them.

    Raises
    ------
    BadInputError
        If they are not.
    """
    if options.columns or known_names(names, options.user).complete:
        return
    texts = [name for name, value in values.items() if value.texts and not value.is_number and not value.is_time]
    numbers = [name for name, value in values.items() if value.is_number and not value.is_time]
    raise BadInputError(not_understood(names, path, texts, numbers, options.user))


def _lines(options: Asked, form: str, path: str, head: bytes, *, ratings: bool) -> Detected:
    """Find the layout of lines of fields with something between them, and their header, if there is one."""
    delimiter = b"" if options.delimiter == "auto" else parse_layout("counts", "", options.delimiter).delimiter
    syntax = "csv" if form == "csv" else "plain" if form in FORMATS else ""
    if not syntax and (_plain_name(path).endswith(".csv") or options.delimiter not in ("auto", "tab")):
        syntax = "csv"
    top = look(head, path, delimiter=delimiter, syntax=syntax)
    if top.names and _may_be_play(options, form, top):
        top = top.without_names()
    for number, line in enumerate(head.split(b"\n")[: top.records[0][0] if top.records else 1], 1):
        if b"\r" in line.removesuffix(b"\r"):
            msg = (
                f"{path}: line {number} has a carriage return in its middle; write the file with one line end a record, LF or CRLF"
            )
            raise BadInputError(msg)
    columns, user = _columns(options, form, path, top, ratings=ratings)
    layout = Layout(columns, *top.cut, (), top.above, found=not options.columns, user=user)
    called = {"user": f"={user}"} if user and top.names else {}
    called |= {column: name for column, name in zip(columns, top.names, strict=False) if column != "-"}
    values = dict(zip(columns, top.values, strict=False))
    free = {name: value for name, column, value in zip(top.names, columns, top.values, strict=False) if column == "-" and name}
    number, fields = top.records[0] if top.records else (0, [])
    first = {"user": user} if user and fields else {}
    first |= {column: text for column, text in zip(columns, fields, strict=False) if column != "-"}
    return checked(options, Detected(path, layout, called, (number, first), tuple(free)), values, free)


def _may_be_play(options: Asked, form: str, top: Head) -> bool:
    """Say whether a line that looks like a header is a good record for who gives columns by place: an id may be any word."""
    if is_named(options.columns) or not (options.columns or form in FORMATS):
        return False
    columns = parse_layout(form if form in FORMATS else "counts", options.columns, user=options.user).columns
    numbers = any(column in ("timestamp", "ms_played", "plays") for column in columns[: len(top.names)])
    return not numbers and not known_names(top.names, options.user).complete


def _plain_name(path: str) -> str:
    return next((path[: -len(end)] for end in COMPRESSED if path.endswith(end)), path).lower()


def _columns(options: Asked, form: str, path: str, top: Head, *, ratings: bool) -> tuple[tuple[str, ...], str]:
    """Find what the columns of lines mean, and the user of all of them, if there is one."""
    if is_named(options.columns):
        return _by_name(options, path, top, ratings=ratings)
    if options.columns or form in FORMATS:
        layout = parse_layout(form if form in FORMATS else "counts", options.columns, user=options.user)
        if not options.columns:
            _check_names(layout.columns, path, top)
        return layout.columns, layout.user
    if top.names:
        _check_known(options, top.names, path, dict(zip(top.names, top.values, strict=False)))
        return _by_name(options, path, top, ratings=ratings)
    shape = _by_values(path, top, ratings=ratings)
    if options.user:
        return tuple("-" if column == "user" else column for column in shape.columns), options.user
    return shape.columns, shape.user


def _by_name(options: Asked, path: str, top: Head, *, ratings: bool) -> tuple[tuple[str, ...], str]:
    """Find columns by the names in a header."""
    columns = options.columns
    if not top.names:
        first = listed(top.records[0][1] if top.records else [])
        msg = (
            f"{path}: --columns {columns} gives names, but no line names its columns; it begins with {first}; "
            "give columns by position"
        )
        raise BadInputError(msg)
    found, keys, user = apart(*choose_columns(columns, top.names, path, options.user, ratings=ratings))
    if twice := [key for key in keys if top.names.count(key) > 1]:
        msg = f"{path}: two columns are named {twice[0]!r}; give columns by position, with '-' for one to ignore"
        raise BadInputError(msg)
    places = {top.names.index(key): column for column, key in zip(found, keys, strict=True)}
    return tuple(places.get(n, "-") for n in range(len(top.names))), user


def _check_names(columns: Sequence[str], path: str, top: Head) -> None:
    """Check that a header does not contradict the places of --format.

    Raises
    ------
    BadInputError
        If it does.
    """
    for n, (name, column) in enumerate(zip(top.names, columns, strict=False), 1):
        other = next((other for other in COLUMNS[:-1] if other != column and is_known(name, other)), "")
        if other and not is_known(name, column):
            msg = (
                f"{path}: its column {n} is named {name!r}, a name of the {other}, but --format takes it for the {column}; "
                "leave out --format, or name the columns with --columns"
            )
            raise BadInputError(msg)


def _by_values(path: str, top: Head, *, ratings: bool) -> Shape:
    """Find columns by their values.

    Raises
    ------
    BadInputError
        If these do not fit exactly one known layout, or are ratings.
    """
    values = top.values
    shapes = fitting(values)
    between = "TAB" if top.cut.delimiter == b"\t" else repr(top.cut.delimiter.decode())
    if len(shapes) == 1 and (ratings or not shapes[0].ratings):
        return shapes[0]
    if len(shapes) == 1:
        place, columns = shapes[0].columns.index("plays") + 1, ",".join(shapes[0].columns)
        msg = (
            f"{path}: column {place} looks like ratings, and a rating is not a number of plays; add --feedback explicit to learn "
            f"from them, or treat them as plays with --columns {columns}"
        )
        raise BadInputError(msg)
    expected = " or ".join(f"{len(columns)} ({' '.join(columns)})" for columns in FORMATS.values())
    guess = guessed(values)
    given = ",".join(guess if {"user", "item"} <= {*guess} else ("user", "item", "plays"))
    msg = (
        f"{path}: its lines have {top.width} fields separated by {between}; expected {expected}{_described(values)}. "
        f"Say what they mean, perhaps --columns {given}, and what separates them, --delimiter"
    )
    raise BadInputError(msg)


def _described(values: Sequence[Values]) -> str:
    """Say what the values of columns look like, where they are as many as a known layout has."""
    if len(values) not in {len(columns) for columns in FORMATS.values()}:
        return ""
    words = [
        "times" if v.is_time else "a number for each line" if v.counts_lines else "a few small numbers" if v.is_handful
        else "numbers" if v.is_number else "text"
        for v in values
    ]  # fmt: skip
    return f", and these are {', '.join(words)}, which fit none of them"
