"""Find out what the records of logs mean, from the options and from the first file that is not empty.

The driver does this once; tasks are told. So all files of a command have one format.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from mr_als.errors import BadInputError, UsageError
from mr_als.logs import jsonl, parquet
from mr_als.logs.columns import choose_columns, is_known, is_named, known_columns
from mr_als.logs.formats import SYNTAXES
from mr_als.logs.logs import COMPRESSED, FORMATS, Layout, parse_layout, sniff
from mr_als.logs.plain import SEPARATOR

__all__ = ["detect", "only_from_files"]

_BOM = b"\xef\xbb\xbf"
_NUMBERS = ("timestamp", "ms_played", "plays")
# logs without a header that are known by the look of a line: columns by place, and what a field must match
_SHAPES = (
    # Last.fm-1K: user, time, artist id (often empty), artist, track id, track
    (("user", "timestamp", "-", "item", "-", "-"), 1, re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z?")),
    # Last.fm-360K: hash of the user, artist id, artist, plays
    (("user", "-", "item", "plays"), 0, re.compile(rb"[0-9a-f]{40}")),
)


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


def detect(options: Options, paths: Sequence[str], head_of: Callable[[str], bytes]) -> Layout:
    """Find the layout of logs.

    Parameters
    ----------
    head_of : gives the first bytes of a file, decompressed

    Raises
    ------
    UsageError
        If the options contradict each other.
    BadInputError
        If all files are empty, or what a file holds is not known.
    """
    path, head = next(((path, head) for path in paths if (head := head_of(path).removeprefix(_BOM))), ("", b""))
    if not head:
        msg = f"{paths[0]}: empty, and so are all other logs; there is nothing to learn from"
        raise BadInputError(msg)
    form = options.format if options.format != "auto" else _format(options, path, head)
    if form in ("jsonl", "parquet"):
        if options.columns and not is_named(options.columns):
            msg = f"--columns: {options.columns!r} names columns by place, but {path} is {form}; use user=NAME,item=NAME"
            raise UsageError(msg)
        names = jsonl.names(head) if form == "jsonl" else parquet.names(path)
        columns, keys = choose_columns(options.columns, names, path)
        return Layout(columns, SEPARATOR, form, keys)
    return _delimited(options, form, path, head, ((other, head_of(other)) for other in paths))


def only_from_files(layout: Layout, paths: Sequence[str], head_of: Callable[[str], bytes]) -> str:
    """Say what keeps the logs from being read as lines, as Hadoop hands them to tasks; an empty string if nothing does."""
    if not SYNTAXES[layout.syntax].lines:
        return f"{paths[0]} is {layout.syntax}"
    if packed := next((path for path in paths if path.endswith(".zst")), ""):
        return f"{packed} is compressed by zstd"
    head = next((head for path in paths if (head := head_of(path))), b"")
    return f"{paths[0]} is an array of JSON" if layout.syntax == "jsonl" and jsonl.is_array(head) else ""


def _format(options: Options, path: str, head: bytes) -> str:
    """Guess the format: by its first bytes, its name, its delimiter."""
    if head.startswith(b"PAR1"):
        return "parquet"
    if re.match(rb"\s*(\[\s*)?\{", head) and jsonl.names(head):
        return "jsonl"
    plain_name = next((path[: -len(end)] for end in COMPRESSED if path.endswith(end)), path)
    first = _first_line(head)
    commas = b"\t" not in first and (b"," in first or b";" in first)
    return "csv" if plain_name.endswith(".csv") or options.delimiter not in ("auto", "tab") or commas else "plain"


def _first_line(head: bytes) -> bytes:
    return head.split(b"\n", 1)[0].removesuffix(b"\r")


def _delimited(options: Options, form: str, path: str, head: bytes, heads: Iterator[tuple[str, bytes]]) -> Layout:
    """Find the layout of lines of fields with a delimiter between them, and their header, if there is one."""
    first = _first_line(head)
    delimiter = options.delimiter
    if delimiter == "auto":
        found = max(",;\t", key=lambda mark: first.count(mark.encode())) if form == "csv" else "\t"
        delimiter = "tab" if found == "\t" else found
    byte, syntax = parse_layout("counts", "", delimiter).delimiter, "csv" if form == "csv" else "plain"
    names = _split(first, byte, syntax)
    if is_named(options.columns) or (not options.columns and form not in FORMATS and _names_all(names)):
        columns, keys = choose_columns(options.columns, names, path)
        if any(key[0] == "=" for key in keys):
            msg = f"--columns: {options.columns!r} names a user for all lines, which only jsonl and parquet can have, not {path}"
            raise UsageError(msg)
        _check_same_header(path, first, heads)
        places = {names.index(key): column for column, key in zip(columns, keys, strict=True) if key in names}
        return Layout(tuple(places.get(n, "-") for n in range(len(names))), byte, syntax, (), first)
    if options.columns or form in FORMATS:
        columns = parse_layout(form if form in FORMATS else "counts", options.columns, delimiter).columns
    else:
        columns = _shape(head, byte) or sniff(head, delimiter, path).columns
    return Layout(columns, byte, syntax, (), first if _is_header(names, columns) else b"")


def _split(line: bytes, delimiter: bytes, syntax: str) -> list[str]:
    text = line.decode("utf-8", "replace")
    return next(csv.reader([text], delimiter=delimiter.decode()), []) if syntax == "csv" else text.split(delimiter.decode())


def _shape(head: bytes, delimiter: bytes) -> tuple[str, ...] | None:
    """Find a known log by the look of most of its first lines."""
    lines = [line.split(delimiter) for line in head.split(b"\n")[:100] if line.strip()]
    for columns, place, pattern in _SHAPES:
        alike = sum(len(fields) == len(columns) and bool(pattern.fullmatch(fields[place])) for fields in lines)
        if 2 * alike > len(lines):
            return columns
    return None


def _names_all(fields: list[str]) -> bool:
    """Say whether a first line without a number names the columns by names that are known."""
    return not any(field[:1].isdigit() for field in fields) and known_columns(fields) is not None


def _is_header(fields: list[str], columns: Sequence[str]) -> bool:
    """Say whether a first line has the known names of numbers and times in their places: as a play it would be a bad line."""
    pairs = [(field, column) for field, column in zip(fields, columns, strict=False) if column in _NUMBERS]
    return bool(pairs) and len(fields) == len(columns) and all(is_known(field, column) for field, column in pairs)


def _check_same_header(path: str, first: bytes, heads: Iterator[tuple[str, bytes]]) -> None:
    for other, head in heads:
        line = _first_line(head.removeprefix(_BOM))
        if head and line != first:
            msg = (
                f"{other}: its header is {line[:200].decode('utf-8', 'replace')!r}, that of {path} is "
                f"{first[:200].decode('utf-8', 'replace')!r}; prepare files with other columns by a command of their own"
            )
            raise BadInputError(msg)
