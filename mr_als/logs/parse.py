"""A chunk of a log becomes arrays: where each play's user and item stand, and how strong it is.

`mr_als.logs.formats` makes plain lines of the chunk, whatever its format. Everything here is array arithmetic over their
bytes; only lines that are not what they should be are looked at one by one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mr_als.logs.badlines import OTHER_HEADER, BadLines, Sample, escaped
from mr_als.logs.formats import to_plain
from mr_als.logs.logs import MAX_LINE, Filter, Layout
from mr_als.logs.meaning.columns import known_names
from mr_als.logs.meaning.evidence import is_value
from mr_als.logs.numbers import PAD, numbers, padded, words_at
from mr_als.logs.plain import SEPARATOR, Plain
from mr_als.logs.tally import HEADER, NOBODY, OUTSIDE, SHORT, ZERO
from mr_als.logs.times import RECENT, times
from mr_als.maths.array import Array

__all__ = ["MAX_PLAYS", "NO_ID", "Parsed", "parse_chunk"]

# what programs write where there is no id, and nobody calls themselves
NO_ID = (b"NaN", b"NULL", b"\\N", b"<NA>")

# plays of one line; the integers that sums are kept in hold 2^16 such lines, and `sum_pairs` notices more
MAX_PLAYS = 2.0**31
_LF, _CR, _DEL = 10, 13, 127


class Parsed(NamedTuple):
    """The plays of a chunk that count.

    buffer : uint8, the chunk with zeros around it
    users, items : (starts, lengths), int64 (n,) each, places of the ids in `buffer`
    amounts : float64 (n,) plays of each line, decayed, or None where each is one play
    seconds : float64 (n,) time of each line since 1970 UTC, or None where lines have none
    lines : int, lines of the chunk
    others : number of good lines that are no plays, by what became of them; of zero plays are among those that count
    span : first and last time of all good lines, whether they count or not; None where lines have none
    """

    buffer: Array
    users: tuple[Array, Array]
    items: tuple[Array, Array]
    amounts: Array | None
    seconds: Array | None
    lines: int
    others: dict[str, int]
    span: tuple[float, float] | None

    @property
    def filtered(self) -> int:
        """Number of good lines that the filter left out."""
        return sum(self.others.get(name, 0) for name in (NOBODY, SHORT, OUTSIDE))


class _Lines:
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


def parse_chunk(chunk: Any, layout: Layout, wanted: Filter, bad: BadLines, source: str, first_line: int) -> Parsed:
    """Read the records of a chunk; what is wrong with the others goes into `bad`.

    Parameters
    ----------
    chunk : bytes, or what else the reader of the format gives
        Whole lines, at least one, each with its end.
    source, first_line : str, int
        Name of the stream for samples, and how many of its lines came before.
    """

    def report(line: int, reason: str, field: str, text: bytes) -> None:
        bad.add(Sample(source, first_line + line + 1, reason, field, escaped(text)))

    n_columns = len(layout.columns)
    lines = _Lines(to_plain(chunk, layout, report), n_columns, bad, source, first_line)
    _check_bytes(lines)
    starts, ends = _fields(lines, n_columns)
    return _read_fields(lines, np.flatnonzero(lines.good), starts, ends, layout, wanted)


def _check_bytes(lines: _Lines) -> None:
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


def _check_utf8(lines: _Lines) -> None:
    try:
        str(lines.buffer.data, "utf-8")
    except UnicodeDecodeError:
        wrong = [line for line in lines.of(np.flatnonzero(lines.buffer > _DEL)).tolist() if not _is_utf8(lines, line)]
        lines.reject(np.array(wrong, np.int64), "invalid UTF-8")


def _is_utf8(lines: _Lines, line: int) -> bool:
    try:
        str(lines.buffer[lines.starts[line] : lines.ends[line]].data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _fields(lines: _Lines, n_columns: int) -> tuple[Array, Array]:
    """Find the fields of the good lines, int64 (n_columns, n_good) each; reject lines with too few or too many."""
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


def _read_fields(lines: _Lines, rows: Array, starts: Array, ends: Array, layout: Layout, wanted: Filter) -> Parsed:
    """Read the fields of the lines `rows` (n,), columns by lines, and leave out what is not wanted."""
    place = {name: column for column, name in enumerate(layout.columns)}
    alone = _left_out(lines, rows, place, ends - starts) if layout.user else 0
    for name in ("user", "item"):
        if name in place:
            _check_ids(lines, rows, starts[place[name]], ends[place[name]], name)
    seconds: Array | None = None
    if "timestamp" in place:
        seconds, wrong = times(lines.buffer, starts[place["timestamp"]], ends[place["timestamp"]], layout.unit)
        _reject_each(lines, rows, wrong, "timestamp", layout)
        if layout.recent and len(seconds) and not (seconds.min() >= RECENT[0] and seconds.max() < RECENT[1]):
            lines.reject(rows[(seconds < RECENT[0]) | (seconds >= RECENT[1])], "not a time", "timestamp")
    amounts: Array | None = None
    long = np.ones(len(rows), bool)
    for name in ("ms_played", "plays"):
        if name not in place:
            continue
        values, wrong = numbers(lines.buffer, starts[place[name]], ends[place[name]])
        _reject_each(lines, rows, wrong, name, layout)
        if name == "plays":
            lines.reject(rows[values > MAX_PLAYS], "out of range", name)
            amounts = values
        else:
            long = values >= wanted.min_ms_played
    good = lines.good[rows]
    kept = good & long
    n_good, n_long = int(good.sum()), int(kept.sum())
    kept &= _in_window(seconds, wanted)
    others = {
        HEADER: lines.plain.headers,
        NOBODY: lines.plain.left_out + alone,
        SHORT: n_good - n_long,
        OUTSIDE: n_long - int(kept.sum()),
    }
    if amounts is not None:
        others[ZERO] = int(np.count_nonzero(amounts[kept] == 0))
    span = None if seconds is None or not n_good else (float(seconds[good].min()), float(seconds[good].max()))
    if wanted.half_life is not None and wanted.as_of is not None and seconds is not None:
        # before the moment itself; what comes after it is left out, and would overflow here
        strength = np.exp2(np.minimum(seconds - wanted.as_of, 0.0) / wanted.half_life)
        amounts = strength if amounts is None else amounts * strength
    users, items = ((starts[c][kept], (ends[c] - starts[c])[kept]) for c in (place.get("user", 0), place["item"]))
    buffer = lines.buffer
    if layout.user:
        user = np.frombuffer(layout.user.encode(), np.uint8)
        users = np.full(len(items[0]), len(buffer)), np.full(len(items[0]), len(user))
        buffer = np.concatenate([buffer, user, np.zeros(PAD, np.uint8)])
    amounts, seconds = (None if values is None else values[kept] for values in (amounts, seconds))
    return Parsed(buffer, users, items, amounts, seconds, len(lines.good), others, span)


def _left_out(lines: _Lines, rows: Array, place: dict[str, int], lengths: Array) -> int:
    """Leave out what is no play in a log of one person, records without an item or a length, and return their number."""
    empty = lengths[place["item"]] == 0
    if "ms_played" in place:
        empty |= lengths[place["ms_played"]] == 0
    lines.good[rows[empty]] = False
    return int(empty.sum())


def _check_ids(lines: _Lines, rows: Array, starts: Array, ends: Array, field: str) -> None:
    """Reject lines without an id, and with what programs write in its place."""
    lengths = ends - starts
    lines.reject(rows[lengths == 0], "empty id", field)
    short = np.flatnonzero(lengths <= max(map(len, NO_ID)))
    if not len(short):
        return
    words = words_at(lines.buffer, starts[short])
    for text in NO_ID:
        mask = np.uint64((1 << 8 * len(text)) - 1)
        like = short[(lengths[short] == len(text)) & ((words & mask) == np.uint64(int.from_bytes(text, "little")))]
        if len(like):
            lines.reject(rows[like], "no id", field)


def _in_window(seconds: Array | None, wanted: Filter) -> Array | bool:
    """Say which times are wanted, bool (n,)."""
    if seconds is None:
        return True
    inside: Array | bool = True if wanted.since is None else seconds >= wanted.since
    inside &= True if wanted.until is None else seconds < wanted.until
    inside &= True if wanted.as_of is None else seconds <= wanted.as_of
    return inside


def _reject_each(lines: _Lines, rows: Array, wrong: dict[int, str], field: str, layout: Layout) -> None:
    """Reject the lines with what is no number or no time; one that names columns, others than those of the layout, is of no use."""
    if layout.found and not layout.keys and (headers := _other_headers(lines, rows[sorted(wrong)], layout)):
        lines.reject(np.array(headers, np.int64), OTHER_HEADER)
    for reason in sorted(set(wrong.values())):
        places = np.array(sorted(place for place, why in wrong.items() if why == reason), np.int64)
        lines.reject(rows[places], reason, field)


def _other_headers(lines: _Lines, numbers: Array, layout: Layout) -> list[int]:
    """Find the lines that name user and item, but not in their places."""
    found = []
    for line in numbers[lines.good[numbers]].tolist():
        fields = lines.text(line).decode("utf-8", "replace").split(lines.plain.delimiter.decode())
        known = known_names(fields, layout.user)
        columns = {name: column for column, name in known.of.items()}
        named = known.complete and not any(map(is_value, fields))
        if named and tuple(columns.get(name, "-") for name in fields) != layout.columns:
            found.append(line)
    return found
