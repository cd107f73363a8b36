"""A chunk of a log becomes arrays: where each play's user and item stand, and how strong it is.

`mr_als.logs.formats` makes plain lines of the chunk, whatever its format, and `mr_als.logs.lines` finds their fields. Everything
here is array arithmetic over their bytes; only lines that are not what they should be are looked at one by one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mr_als.logs.badlines import OTHER_HEADER, BadLines, Sample, escaped
from mr_als.logs.formats import to_plain
from mr_als.logs.lines import Lines, fields
from mr_als.logs.logs import Filter, Layout
from mr_als.logs.meaning.columns import known_names
from mr_als.logs.meaning.evidence import is_value
from mr_als.logs.numbers import PAD, numbers, words_at
from mr_als.logs.tally import HEADER, NOBODY, OUTSIDE, SHORT, ZERO
from mr_als.logs.times import RECENT, times
from mr_als.maths.array import Array

__all__ = ["MAX_PLAYS", "NO_ID", "Parsed", "parse_chunk"]

# what programs write where there is no id, and nobody calls themselves
NO_ID = (b"NaN", b"NULL", b"\\N", b"<NA>")

# plays of one line; the integers that sums are kept in hold 2^16 such lines, and `sum_pairs` notices more
MAX_PLAYS = 2.0**31


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
    lines = Lines(to_plain(chunk, layout, report), n_columns, bad, source, first_line)
    starts, ends = fields(lines, n_columns)
    return _read_fields(lines, np.flatnonzero(lines.good), starts, ends, layout, wanted)


class _Values(NamedTuple):
    """The numbers of lines (n,): times, plays (None where a line has none), and whether they were played for long enough."""

    seconds: Array | None
    amounts: Array | None
    long: Array


def _read_fields(lines: Lines, rows: Array, starts: Array, ends: Array, layout: Layout, wanted: Filter) -> Parsed:
    """Read the fields of the lines `rows` (n,), columns by lines, and leave out what is not wanted."""
    place = {name: column for column, name in enumerate(layout.columns)}
    alone = _left_out(lines, rows, place, ends - starts) if layout.user else 0
    for name in ("user", "item"):
        if name in place:
            _check_ids(lines, rows, starts[place[name]], ends[place[name]], name)
    values = _read_values(lines, rows, {name: (starts[column], ends[column]) for name, column in place.items()}, layout, wanted)
    good = lines.good[rows]
    kept = good & values.long & _in_window(values.seconds, wanted)
    others = {HEADER: lines.plain.headers, NOBODY: lines.plain.left_out + alone, **_counts(values, good, kept)}
    span = None
    if values.seconds is not None and good.any():
        span = float(values.seconds[good].min()), float(values.seconds[good].max())
    users, items = ((starts[c][kept], (ends[c] - starts[c])[kept]) for c in (place.get("user", 0), place["item"]))
    buffer = lines.buffer
    if layout.user:
        user = np.frombuffer(layout.user.encode(), np.uint8)
        users = np.full(len(items[0]), len(buffer)), np.full(len(items[0]), len(user))
        buffer = np.concatenate([buffer, user, np.zeros(PAD, np.uint8)])
    amounts, seconds = (None if v is None else v[kept] for v in (_decayed(values, wanted), values.seconds))
    return Parsed(buffer, users, items, amounts, seconds, len(lines.good), others, span)


def _read_values(lines: Lines, rows: Array, at: dict[str, tuple[Array, Array]], layout: Layout, wanted: Filter) -> _Values:
    """Read times and numbers from their fields; reject the lines where they are none."""
    seconds = amounts = None
    long = np.ones(len(rows), bool)
    if "timestamp" in at:
        seconds, wrong = times(lines.buffer, *at["timestamp"], layout.unit)
        _reject_each(lines, rows, wrong, "timestamp", layout)
        if layout.recent and len(seconds) and not (seconds.min() >= RECENT[0] and seconds.max() < RECENT[1]):
            lines.reject(rows[(seconds < RECENT[0]) | (seconds >= RECENT[1])], "not a time", "timestamp")
    if "ms_played" in at:
        played, wrong = numbers(lines.buffer, *at["ms_played"])
        _reject_each(lines, rows, wrong, "ms_played", layout)
        long = played >= wanted.min_ms_played
    if "plays" in at:
        amounts, wrong = numbers(lines.buffer, *at["plays"])
        _reject_each(lines, rows, wrong, "plays", layout)
        lines.reject(rows[amounts > MAX_PLAYS], "out of range", "plays")
    return _Values(seconds, amounts, long)


def _counts(values: _Values, good: Array, kept: Array) -> dict[str, int]:
    """Count good lines that are left out, and those that are kept with no plays."""
    n_good, n_long = int(good.sum()), int((good & values.long).sum())
    counts = {SHORT: n_good - n_long, OUTSIDE: n_long - int(kept.sum())}
    if values.amounts is not None:
        counts[ZERO] = int(np.count_nonzero(values.amounts[kept] == 0))
    return counts


def _decayed(values: _Values, wanted: Filter) -> Array | None:
    """Compute the plays of lines, each halved once for every half-life before `as_of`."""
    if wanted.half_life is None or wanted.as_of is None or values.seconds is None:
        return values.amounts
    # before the moment itself; what comes after it is left out, and would overflow here
    strength: Array = np.exp2(np.minimum(values.seconds - wanted.as_of, 0.0) / wanted.half_life)
    return strength if values.amounts is None else values.amounts * strength


def _left_out(lines: Lines, rows: Array, place: dict[str, int], lengths: Array) -> int:
    """Leave out what is no play in a log of one person, records without an item or a length, and return their number."""
    empty = lengths[place["item"]] == 0
    if "ms_played" in place:
        empty |= lengths[place["ms_played"]] == 0
    lines.good[rows[empty]] = False
    return int(empty.sum())


def _check_ids(lines: Lines, rows: Array, starts: Array, ends: Array, field: str) -> None:
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


def _reject_each(lines: Lines, rows: Array, wrong: dict[int, str], field: str, layout: Layout) -> None:
    """Reject the lines with what is no number or no time; one that names columns, others than those of the layout, is of no use."""
    if layout.found and not layout.keys and (headers := _other_headers(lines, rows[sorted(wrong)], layout)):
        lines.reject(np.array(headers, np.int64), OTHER_HEADER)
    for reason in sorted(set(wrong.values())):
        places = np.array(sorted(place for place, why in wrong.items() if why == reason), np.int64)
        lines.reject(rows[places], reason, field)


def _other_headers(lines: Lines, numbers: Array, layout: Layout) -> list[int]:
    """Find the lines that name user and item, but not in their places."""
    found = []
    for line in numbers[lines.good[numbers]].tolist():
        texts = lines.text(line).decode("utf-8", "replace").split(lines.plain.delimiter.decode())
        known = known_names(texts, layout.user)
        columns = {name: column for column, name in known.of.items()}
        named = known.complete and not any(map(is_value, texts))
        if named and tuple(columns.get(name, "-") for name in texts) != layout.columns:
            found.append(line)
    return found
