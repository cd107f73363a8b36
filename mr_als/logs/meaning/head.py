r"""The beginning of a log of lines: what stands between its fields, which of its lines name them, and the first records.

A header is looked for where people and programs put it: in the first line, or below blank lines, comments, a title, or the
`sep=;` that spreadsheets write.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from mr_als.errors import BadInputError
from mr_als.logs.meaning.columns import KNOWN, RATINGS, known_names, plain_name
from mr_als.logs.meaning.evidence import Values, is_value

__all__ = ["Cut", "Head", "look"]

# first lines looked at, and those of them that may stand above a header or be it
LINES, ABOVE = 120, 20
_SEP = re.compile(rb'"?sep=(.)"?', re.IGNORECASE)
_DELIMITERS = (b"\t", b"::", b",", b";", b"|")
_LOOKS_LIKE_A_NAME = {name for names in KNOWN.values() for name in names} | {*RATINGS}


class Cut(NamedTuple):
    """How lines are cut into fields.

    syntax : "csv", where a field may stand in quotes, or "plain"
    """

    delimiter: bytes
    syntax: str

    def __call__(self, line: bytes) -> list[str]:
        """Cut a line into its fields."""
        text = line.decode("utf-8", "replace")
        if self.syntax == "csv" and '"' in text:
            try:
                return next(csv.reader([text], delimiter=self.delimiter.decode()), [])
            except csv.Error:
                pass
        return text.split(self.delimiter.decode())


@dataclass(frozen=True)
class Head:
    """The beginning of a log of lines.

    above : the lines above the header, if there is one, and the header
    names : the fields of the header; none without one
    records : (number of the line, fields) of the first lines that have as many fields as most
    width : how many that is
    """

    cut: Cut
    above: tuple[bytes, ...]
    names: tuple[str, ...]
    records: Sequence[tuple[int, list[str]]]
    width: int

    def without_names(self) -> Head:
        """Take the header for a record."""
        number = self.records[0][0] - 1 if self.records else 1
        return replace(self, above=self.above[:-1], names=(), records=[(number, list(self.names)), *self.records])

    @cached_property
    def values(self) -> list[Values]:
        """The values of each column."""
        return [Values([fields[n] for _, fields in self.records]) for n in range(self.width)]


def look(head: bytes, path: str, *, delimiter: bytes = b"", syntax: str = "") -> Head:
    """Look at the beginning of a log; `delimiter` and `syntax` are seen from it where they are empty.

    Raises
    ------
    BadInputError
        If a line that names columns does not fit the lines below it.
    """
    lines = _lines(head)
    if sep := next((found for line in lines[:ABOVE] if (found := _SEP.fullmatch(line))), None):
        delimiter = delimiter or sep[1]
    cut = _cut(lines, delimiter, syntax)
    rows = [cut(line) for line in lines]
    used = _used(lines)
    width = Counter(len(rows[n]) for n in used).most_common(1)[0][0] if used else 0
    used = sorted({*used, *_no_comments(lines, rows, used, width)})
    at = _header(rows, used, width, path)
    first = min([n for n in used if len(rows[n]) == width], default=0) if at is None else at + 1
    records = [(n + 1, rows[n]) for n in used if n >= first and len(rows[n]) == width]
    # without a header, what is above the first record is skipped only if it cannot be one
    above = tuple(dict.fromkeys(lines[n] for n in range(first) if at is not None or n not in used))
    names = () if at is None else tuple(name.strip() for name in _names(rows[at]))
    return Head(cut, above, names, records, width)


def _lines(head: bytes) -> list[bytes]:
    """Split the beginning of a log into its first lines, without the last one where that is cut off."""
    lines = head.split(b"\n", LINES)
    whole = lines[:LINES] if len(lines) > LINES else lines if len(head) < 1 << 14 and lines[-1] else lines[:-1] or lines
    return [line.removesuffix(b"\r") for line in whole]


def _used(lines: Sequence[bytes]) -> list[int]:
    """List the lines that are neither empty nor comments; what looks like these is none where there is nothing else."""
    filled = [n for n, line in enumerate(lines) if line.strip() and not _SEP.fullmatch(line)]
    return [n for n in filled if not lines[n].startswith(b"#")] or filled


def _no_comments(lines: Sequence[bytes], rows: Sequence[list[str]], used: Sequence[int], width: int) -> list[int]:
    """Find the lines that begin like comments and are records all the same: an id may begin with #, too."""
    like = [n for n, line in enumerate(lines) if line.startswith(b"#") and len(rows[n]) == width > 1]
    valued = bool(like) and any(is_value(field) for n in used for field in rows[n])
    return [n for n in like if not valued or any(is_value(field) for field in rows[n])]


def _cut(lines: Sequence[bytes], delimiter: bytes, syntax: str) -> Cut:
    """Find what stands between fields: what cuts most lines into equally many of them, a tab first."""
    lines = [lines[n] for n in _used(lines)]
    if not delimiter:
        shares = {mark: _share(lines, Cut(mark, syntax or _syntax(mark))) for mark in _DELIMITERS}
        likely = [mark for mark in (b"\t", b"::") if shares[mark][0] > 0.5]
        delimiter = likely[0] if likely else max(shares, key=lambda mark: shares[mark])
        if not shares[delimiter][0]:
            delimiter = b"\t"
    return Cut(delimiter, "plain" if len(delimiter) > 1 else syntax or _syntax(delimiter))


def _syntax(delimiter: bytes) -> str:
    return "plain" if delimiter in (b"\t", b"::") else "csv"


def _share(lines: Sequence[bytes], cut: Cut) -> tuple[float, int]:
    """Count the share of lines that have the most common number of fields, if that is more than one, and that number."""
    widths = Counter(len(cut(line)) for line in lines if cut.delimiter in line)
    width, n = widths.most_common(1)[0] if widths else (0, 0)
    return n / max(len(lines), 1), width


def _names(fields: Sequence[str]) -> list[str]:
    """Return the fields of a line that may be a header: one may begin like a comment."""
    return [fields[0].removeprefix("#").removeprefix("\ufeff"), *fields[1:]]


def _header(rows: Sequence[list[str]], used: Sequence[int], width: int, path: str) -> int | None:
    """Find the line that names the columns.

    It is the first one of as many fields as most without a number or a time, where the lines below it have one, or where
    user and item are known by their names.

    Raises
    ------
    BadInputError
        If such names are known, and are not as many as most lines have fields, or stand below records.
    """
    for n in range(min(ABOVE, len(rows))):
        names = [name.strip() for name in _names(rows[n])]
        if (n not in used and not known_names(names).complete) or not names:
            continue
        if any(is_value(name) for name in names):
            continue
        if len(names) == width:
            below = [rows[m] for m in used if m > n and len(rows[m]) == width]
            if not (known_names(names).complete or _is_other(names, below)):
                continue
            above = [m + 1 for m in used if m < n and len(rows[m]) == width]
            if above:
                msg = (
                    f"{path}: line {n + 1} names columns ({', '.join(names)}), but line {above[0]} above it is a record; remove one"
                )
                raise BadInputError(msg)
            return n
        if known_names(names).complete and width > 1:
            msg = (
                f"{path}: line {n + 1} names {len(names)} columns ({', '.join(names)}), but most lines have {width} fields; "
                "name the columns by position, such as --columns user,item,plays, with '-' for one to ignore"
            )
            raise BadInputError(msg)
    return None


def _is_other(names: Sequence[str], below: Sequence[list[str]]) -> bool:
    """Say whether a line differs from those below it as names differ from values: a column of theirs is of numbers or times."""
    if not all(names[1:]):
        return False
    columns = [Values(texts) for texts in zip(*below, strict=True)]
    if any(values.is_number or values.is_time for values in columns):
        return True
    known = sum(plain_name(name) in _LOOKS_LIKE_A_NAME for name in names)
    return 2 * known > len(names)
