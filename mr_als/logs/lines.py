"""A chunk of a log becomes lines, and a line its fields: where each begins and ends, in arrays, for all lines at once.

Only lines that are not what they should be are looked at one by one.
"""

from __future__ import annotations

import numpy as np

from mr_als.logs.badlines import BadLines, Sample, escaped
from mr_als.logs.logs import MAX_LINE
from mr_als.logs.numbers import PAD, padded
from mr_als.logs.plain import SEPARATOR, Plain
from mr_als.maths.array import Array

__all__ = ["Lines", "fields"]

_LF, _CR, _DEL = 10, 13, 127


class Lines:
    """The plain lines of a chunk while they are checked: a line once found bad is in no later `rows`."""

    def __init__(self, plain: Plain, n_columns: int, bad: BadLines, source: str, first_line: int) -> None:
        self.buffer, self.plain = padded(plain.text), plain
        self.table = _table(self.buffer, plain.delimiter[0], n_columns)
        self.ends = np.flatnonzero(self.buffer == _LF) if self.table is None else np.ascontiguousarray(self.table[:, -1])
        self.starts = np.empty_like(self.ends)
        self.starts[0], self.starts[1:] = PAD, self.ends[:-1] + 1
        self.good = np.ones(len(self.ends), bool)
        self.good[list(plain.done)] = False
        self._bad, self._source, self._first = bad, source, first_line

    def reject(self, lines: Array, reason: str, field: str = "") -> None:
        """Count lines, ascending, as bad for a reason, unless they were bad before."""
        lines = lines[self.good[lines]]
        for line in lines[: self._bad.wants(reason)].tolist():
            sample = Sample(self._source, self._first + line + 1, reason, field, escaped(self._shown(line)))
            self._bad.samples.append(sample)
        self._bad.count(reason, len(lines))
        self.good[lines] = False

    def text(self, line: int) -> bytes:
        """Return a plain line."""
        return bytes(self.buffer[self.starts[line] : self.ends[line]])

    def _shown(self, line: int) -> bytes:
        """Return a line as it stands in the log; a table's row has tabs between its fields."""
        return self.plain.raw(line) if self.plain.raw else self.text(line).replace(SEPARATOR, b"\t")

    def of(self, places: Array) -> Array:
        """Find the lines that contain the bytes at `places`, each once."""
        return np.unique(np.searchsorted(self.ends, places))


def _table(buffer: Array, delimiter: int, n_columns: int) -> Array | None:
    """Find where the delimiters and the end of each line are, int64 (n_lines, n_columns).

    That is what one look at all bytes gives, and more is not needed, if each line has `n_columns` fields and there are no other
    control characters; else None.
    """
    if delimiter >= 32:
        return None
    places = np.flatnonzero(buffer < 32)[PAD:-PAD]
    n_lines, more = divmod(len(places), n_columns)
    expected = np.full((n_lines, n_columns), delimiter, np.uint8)
    expected[:, -1] = _LF
    return places.reshape(n_lines, n_columns) if not more and np.array_equal(buffer[places], expected.ravel()) else None


def _check_bytes(lines: Lines) -> None:
    """Reject lines that are too long, or hold control characters or invalid UTF-8; forget the CR of a line end."""
    buffer, inner = lines.buffer, lines.buffer[PAD:-PAD]
    long = np.flatnonzero(lines.ends - lines.starts > MAX_LINE)
    lines.reject(long[lines.ends[long] - (buffer[lines.ends[long] - 1] == _CR) - lines.starts[long] > MAX_LINE], "line over 1 MiB")
    delimiter = lines.plain.delimiter[0]
    n_control = 0
    if lines.table is None:
        n_control = int(np.count_nonzero(inner < 32)) - len(lines.ends)
        n_control -= int(np.count_nonzero(inner == delimiter)) if delimiter < 32 else 0
    if n_control:
        line_ends = buffer[lines.ends - 1] == _CR
        control = (buffer < 32) & (buffer != delimiter) & (buffer != _LF)
        control[:PAD] = control[len(buffer) - PAD :] = False
        control[lines.ends[line_ends] - 1] = False
        lines.reject(lines.of(np.flatnonzero(control & (buffer == 0))), "NUL")
        lines.reject(lines.of(np.flatnonzero(control)), "control character")
        lines.ends = lines.ends - line_ends
    if int(np.count_nonzero(inner >= _DEL)):
        lines.reject(lines.of(np.flatnonzero(buffer == _DEL)), "control character")
        _check_utf8(lines)


def _check_utf8(lines: Lines) -> None:
    try:
        str(lines.buffer.data, "utf-8")
    except UnicodeDecodeError:
        wrong = [line for line in lines.of(np.flatnonzero(lines.buffer > _DEL)).tolist() if not _is_utf8(lines, line)]
        lines.reject(np.array(wrong, np.int64), "invalid UTF-8")


def _is_utf8(lines: Lines, line: int) -> bool:
    try:
        str(lines.buffer[lines.starts[line] : lines.ends[line]].data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def fields(lines: Lines, n_columns: int) -> tuple[Array, Array]:
    """Find where the fields of the good lines begin and end, int64 (n_columns, n_good) each.

    Lines are rejected that are too long, hold control characters or invalid UTF-8, or have too few or too many fields.
    """
    _check_bytes(lines)
    if lines.table is not None and lines.good.all():
        return _edges(lines.starts, lines.ends, lines.table[:, :-1])
    between = np.flatnonzero(lines.buffer == lines.plain.delimiter[0])
    n_between = n_columns - 1
    n_lines = len(lines.ends)
    if len(between) == n_between * n_lines and lines.good.all():
        table = between.reshape(n_lines, n_between)
        if not n_between or ((table[:, 0] >= lines.starts) & (table[:, -1] < lines.ends)).all():
            return _edges(lines.starts, lines.ends, table)
    first = np.searchsorted(between, lines.starts)
    found = np.searchsorted(between, lines.ends) - first
    lines.reject(np.flatnonzero(lines.ends == lines.starts), "empty line")
    lines.reject(np.flatnonzero(found < n_between), "too few fields")
    lines.reject(np.flatnonzero(found > n_between), "too many fields")
    good = np.flatnonzero(lines.good)
    return _edges(lines.starts[good], lines.ends[good], between[first[good][:, None] + np.arange(n_between)])


def _edges(starts: Array, ends: Array, between: Array) -> tuple[Array, Array]:
    """Compute the starts and ends of the fields of lines (n,) split at `between` (n, n_columns - 1)."""
    edges = np.empty((2, between.shape[1] + 1, len(starts)), np.int64)
    edges[0, 0], edges[1, -1], edges[1, :-1] = starts, ends, between.T
    np.add(between.T, 1, out=edges[0, 1:])
    return edges[0], edges[1]
