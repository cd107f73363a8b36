r"""CSV: fields in quotes become plain fields, as array arithmetic over the bytes of a chunk.

The rules are those of RFC 4180: a field that begins with a quote ends with one, within it a delimiter is a character and
two quotes are one. Two things it allows are bad lines here. A line end in quotes: logs are cut at line ends, and no
task can know whether the one where its range begins stood in quotes. And a quote in a field that does not begin with
one (12" mix), because it is what the rest of such a cut record looks like; a file that means it is no CSV, but `counts`
or `events` with a comma as the delimiter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mr_als.logs.logs import MAX_LINE
from mr_als.logs.plain import SEPARATOR, Plain, Report
from mr_als.maths.array import Array

__all__ = ["unquote"]

_LF, _CR, _QUOTE = 10, 13, 34


def unquote(chunk: bytes, delimiter: bytes, report: Report, done: Sequence[int] = ()) -> Plain:
    r"""Take the quotes away, and put `SEPARATOR` between the fields.

    >>> unquote(b'u,"Tyler, The Creator",1\n', b",", print).text
    b'u\x1fTyler, The Creator\x1f1\n'
    """
    if b'"' not in chunk:
        return Plain(chunk, delimiter, done, headers=len(done))
    buffer = np.frombuffer(chunk, np.uint8)
    ends = np.flatnonzero(buffer == _LF)
    starts = np.concatenate([[0], ends[:-1] + 1])
    quotes = np.flatnonzero(buffer == _QUOTE)
    first = np.searchsorted(quotes, np.append(starts, len(buffer)))  # of each line, its first quote
    kept, stray = _roles(buffer, quotes, starts, first, delimiter[0])
    bad = {
        "line over 1 MiB": ends - starts > MAX_LINE,
        "control character": _lines_with(buffer == SEPARATOR[0], ends),
        "quote not closed": np.diff(first) % 2 == 1,
        "stray quote": np.bincount(np.searchsorted(ends, quotes[stray]), minlength=len(ends)) > 0,
    }

    def raw(line: int) -> bytes:
        return chunk[starts[line] : ends[line]]

    wrong = _reported(bad, done, lambda line, reason: report(line, reason, "", raw(line)))
    between = np.flatnonzero(buffer == delimiter[0])
    earlier = np.searchsorted(quotes, between) - first[np.searchsorted(ends, between)]
    plain = buffer.copy()
    plain[between[earlier % 2 == 0]] = SEPARATOR[0]
    keep = np.ones(len(buffer), bool)
    keep[quotes[~kept]] = False
    return Plain(plain[keep].tobytes(), SEPARATOR, np.flatnonzero(wrong).tolist(), raw=raw, headers=len(done))


def _reported(bad: dict[str, Array], done: Sequence[int], tell: Callable[[int, str], None]) -> Array:
    """Tell the first reason of each bad line that is not done, and say which lines are bad or done."""
    wrong = np.zeros(len(next(iter(bad.values()))), bool)
    wrong[list(done)] = True
    for reason, lines in bad.items():
        for line in np.flatnonzero(lines & ~wrong).tolist():
            tell(line, reason)
        wrong |= lines
    return wrong


def _roles(buffer: Array, quotes: Array, starts: Array, first: Array, delimiter: int) -> tuple[Array, Array]:
    """Say which quotes are characters, and which stand where none may, bool (n_quotes,) each."""
    line = np.repeat(np.arange(len(starts)), np.diff(first))
    opening = (np.arange(len(quotes)) - first[line]) % 2 == 0
    begins = quotes == starts[line]
    before, after = buffer[quotes - 1], buffer[quotes + 1]
    # the second one of two is a character; the first one looks like the end of the field
    second = opening & ~begins & (before == _QUOTE)
    carriage = (after == _CR) & (buffer[np.minimum(quotes + 2, len(buffer) - 1)] == _LF)
    may_end = (after == delimiter) | (after == _LF) | (after == _QUOTE) | carriage
    return second, np.where(opening, ~(begins | second | (before == delimiter)), ~may_end)


def _lines_with(marked: Array, ends: Array) -> Array:
    return np.bincount(np.searchsorted(ends, np.flatnonzero(marked)), minlength=len(ends)) > 0
