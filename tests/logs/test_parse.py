"""The parser against a slow one that looks at one line at a time, whatever the bytes and wherever chunks end."""

from __future__ import annotations

import io
import re
import tracemalloc
from collections import Counter
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mr_als.logs import lines as lines_of_a_chunk
from mr_als.logs import logs
from mr_als.logs.badlines import SAMPLES, BadLines
from mr_als.logs.logs import ByteRange, Filter, Layout, chunks, parse_layout
from mr_als.logs.parse import MAX_PLAYS, parse_chunk
from mr_als.logs.times import parse_time

EVENTS, COUNTS = parse_layout("events"), parse_layout("counts")
EVERY = Filter()


class Trickle:
    """A stream that gives fewer bytes than it is asked for."""

    def __init__(self, data, size):
        self._stream, self._size = io.BytesIO(data), size

    def read(self, size):
        return self._stream.read(min(size, self._size))


def parsed(stream, layout, wanted=EVERY):
    """Parse a stream into (plays, bad lines, number of lines, number filtered)."""
    bad, plays, n_lines, filtered = BadLines(), [], 0, 0
    for chunk in chunks(stream):
        found = parse_chunk(chunk, layout, wanted, bad, "log@0", n_lines)
        n_lines += found.lines
        filtered += found.filtered
        text = found.buffer.tobytes()
        users, items = ([text[s : s + n] for s, n in zip(*side, strict=True)] for side in (found.users, found.items))
        plays += zip(users, items, [1.0] * len(users) if found.amounts is None else found.amounts.tolist(), strict=True)
    return plays, bad, n_lines, filtered


def slowly(data, layout, wanted=EVERY):
    """Say the same of all bytes of a log, a line at a time; also the bad lines as (line, reason, field)."""
    lines = [re.sub(rb"^(\xef\xbb\xbf)*", b"", line) for line in data.split(b"\n")]
    if not lines[-1]:
        lines.pop()
    plays, bad, filtered = [], [], 0
    for number, line in enumerate(lines, 1):
        fields = line.removesuffix(b"\r").split(layout.delimiter)
        if reason := what_is_wrong(line.removesuffix(b"\r"), fields, layout):
            bad.append((number, *reason))
            continue
        found = dict(zip(layout.columns, fields, strict=True))
        time = parse_time(found["timestamp"].decode()) if "timestamp" in found else 0.0
        too_early = wanted.since is not None and time < wanted.since
        too_late = wanted.until is not None and time >= wanted.until
        if too_early or too_late or float(found.get("ms_played", "inf")) < wanted.min_ms_played:
            filtered += 1
        else:
            plays.append((found["user"], found["item"], float(found.get("plays", 1))))
    return plays, bad, len(lines), filtered


def what_is_wrong(line, fields, layout):
    """Diagnose a bad line as (reason, field)."""
    if len(line) > lines_of_a_chunk.MAX_LINE:
        return "line over 1 MiB", ""
    if b"\0" in line:
        return "NUL", ""
    if any((byte < 32 and byte != layout.delimiter[0]) or byte == 127 for byte in line):
        return "control character", ""
    try:
        line.decode()
    except UnicodeDecodeError:
        return "invalid UTF-8", ""
    if not line:
        return "empty line", ""
    if len(fields) != len(layout.columns):
        return "too few fields" if len(fields) < len(layout.columns) else "too many fields", ""
    found = dict(zip(layout.columns, fields, strict=True))
    for name in ("user", "item"):
        if not found[name]:
            return "empty id", name
    if "timestamp" in found:
        try:
            parse_time(found["timestamp"].decode())
        except ValueError:
            return "not a time", "timestamp"
    for name in ("ms_played", "plays"):
        if name in found and (reason := no_number(found[name], name)):
            return reason, name
    return None


def no_number(field, name):
    text = field.decode()
    try:
        value = float(text)
    except ValueError:
        return "not a number"
    if not text.isascii() or text != text.strip() or "_" in text:
        return "not a number"
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "infinity"
    return "negative" if value < 0 else "out of range" if name == "plays" and value > MAX_PLAYS else ""


NASTY = ["\r", "\n", "\0", "\x1f", "\x7f", " ", "\u0085", "\u2028", "\ufeff", "é", ",", "\\", '"', "-", "x" * 15]
NUMBERS = ["0", "3", "2.5", "17", "nan", "-1", "inf", "1e3", "30000", "1709251200", "2024-03-01T12:30:00Z", "2147483649"]
FRAGMENTS = st.sampled_from([f.encode() for f in NASTY + NUMBERS] + [b"\xff", b"\xc3", b"\xed\xa0\x80", b"u", b"i"])
GOOD_COUNTS = st.sampled_from([b"u\ti\t3", b"u2\ti\t0", b"\xc2\x85\t\xe2\x80\xa8\t1.5", b"u\ti2\t30000\r"])
GOOD_EVENTS = st.sampled_from([b"1709251200\tu\ti\t30000", b"2024-03-01T12:30:00Z\tu\ti\t29999", b"5\tu\ti2\t1e9\r"])


def logs_of(good, delimiter=b"\t"):
    """Bytes that are mostly lines, some of them good."""
    field = st.lists(FRAGMENTS, max_size=3).map(b"".join)
    line = st.lists(field, max_size=5).map(delimiter.join) | good.map(lambda line: line.replace(b"\t", delimiter))
    ends = st.sampled_from([b"\n", b"\r\n", b"\n\n"])
    body = st.lists(st.tuples(line, ends).map(b"".join), max_size=12).map(b"".join)
    return st.tuples(st.sampled_from([b"", b"\xef\xbb\xbf"]), body, st.just(b"") | line).map(b"".join)


def assert_agrees(data, layout, wanted, size, chunk):
    with mock.patch.multiple(logs, MAX_LINE=40, CHUNK=chunk), mock.patch.object(lines_of_a_chunk, "MAX_LINE", 40):
        plays, bad, n_lines, filtered = parsed(Trickle(data, size), layout, wanted)
        expected = slowly(data, layout, wanted)

    assert (plays, n_lines, filtered) == (expected[0], expected[2], expected[3])
    assert sum(bad.counts.values()) == len(expected[1])
    seen: Counter[str] = Counter()
    first = []
    for line, reason, field in expected[1]:
        seen[reason] += 1
        first += [(line, reason, field)] if seen[reason] <= SAMPLES else []
    assert sorted((s.line, s.reason, s.field) for s in bad.samples) == sorted(first)


SIZES = st.integers(1, 100)


@given(logs_of(GOOD_COUNTS), SIZES, SIZES)
def test_counts_are_parsed_as_line_by_line(data, size, chunk):
    assert_agrees(data, COUNTS, Filter(), size, chunk)


@given(logs_of(GOOD_EVENTS), SIZES, SIZES, st.sampled_from([Filter(), Filter(30000.0), Filter(0.0, 10.0, 1709251201.0)]))
def test_events_are_parsed_as_line_by_line(data, size, chunk, wanted):
    assert_agrees(data, EVENTS, wanted, size, chunk)


@example(b"\xef\xbb\xbf" * 5 + b"i,u," + b"x" * 36 + b"\n", 1, "item,user,-")  # as long as a line may be, but for its marks
@given(logs_of(GOOD_COUNTS, b","), SIZES, st.sampled_from(["user,item,plays", "item,-,user,plays", "user,item", "-,item,user,-"]))
def test_other_columns_and_delimiters_are_parsed_as_line_by_line(data, size, columns):
    assert_agrees(data, parse_layout("auto", columns, ","), Filter(), 100, size)


@given(st.binary(max_size=200), SIZES)
def test_random_bytes_are_parsed_as_line_by_line(data, size):
    assert_agrees(data, COUNTS, Filter(), 100, size)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "empty line"), (b"u\ti", "too few fields"), (b"u\ti\t1\t", "too many fields"), (b"\ti\t1", "empty id"),
        (b"u\t\t1", "empty id"), (b"u\ti\t", "not a number"), (b"u\ti\t1\rx", "control character"),
        (b"u\ti\t1\r\r", "control character"),
        (b"u\x01\ti\t1", "control character"), (b"u\x7f\ti\t1", "control character"), (b"u\0\ti\t1", "NUL"),
        (b"u\xff\ti\t1", "invalid UTF-8"), (b"\xed\xa0\x80\ti\t1", "invalid UTF-8"), (b"u\xc3\ti\t1", "invalid UTF-8"),
        (b"u\ti\tnan", "NaN"), (b"u\ti\t-1", "negative"), (b"u\ti\t1e999", "infinity"), (b"u\ti\t1e308", "out of range"),
        (b"u\ti\t9223372036854775808", "out of range"), (b"\xef\xbb\xbf" + b"u\ti\tx", "not a number"),
    ],
)  # fmt: skip
def test_every_kind_of_bad_line_has_its_reason_and_true_line_number_and_spares_its_neighbours(line, reason):
    plays, bad, n_lines, _ = parsed(io.BytesIO(b"a\tb\t1\n" + line + b"\nc\td\t2\n"), COUNTS)

    assert plays == [(b"a", b"b", 1.0), (b"c", b"d", 2.0)]
    assert (bad.counts, n_lines) == ({reason: 1}, 3)
    assert [(s.source, s.line, s.reason) for s in bad.samples] == [("log@0", 2, reason)]


@pytest.mark.parametrize("line", [b"u\ti\t1\r\n", b"\xef\xbb\xbfu\ti\t1\n", b"u\ti\t1", b"u\ti\t1\r", b"\xef\xbb\xbfu\ti\t1\r\n"])
def test_bom_crlf_and_a_missing_end_of_the_last_line_are_accepted(line):
    plays, bad, _, _ = parsed(io.BytesIO(line), COUNTS)

    assert (plays, bad.counts) == ([(b"u", b"i", 1.0)], {})


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_bom_at_the_start_of_a_line_is_no_part_of_an_id(size):
    """Files with a BOM that were put one after the other, some of them empty, have it anywhere."""
    files = ["u\ti\t1\n", "u\ti\t2\n", "", "u\t\ufeffi\t3\n\n", "u\ti\t4"]
    data = "".join("\ufeff" + text for text in files).encode()

    plays, _, _, _ = parsed(Trickle(data, size), COUNTS)

    assert plays == [(b"u", item.encode(), n) for item, n in [("i", 1.0), ("i", 2.0), ("\ufeffi", 3.0), ("i", 4.0)]]


def test_line_ends_of_unicode_blanks_and_quotes_are_parts_of_an_id():
    names = ["a\u0085b", "a\u2028b", " a ", "nan", "null", '"a"', "a\\", "e\u0301", "é", "a\u200b", "a\ufeff", "x" * 10_000]
    data = "".join(f"{name}\titem\t1\n" for name in ["first", *names]).encode()

    plays, bad, _, _ = parsed(io.BytesIO(data), COUNTS)

    assert [user.decode() for user, _, _ in plays] == ["first", *names]
    assert not bad.counts


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize(("extra", "good"), [(0, 1), (1, 0)])
def test_a_line_may_have_a_mebibyte_and_no_byte_more(end, extra, good):
    line = b"u\t" + b"i" * ((1 << 20) - 4 + extra) + b"\t1"

    plays, bad, _, _ = parsed(io.BytesIO(line + end), COUNTS)

    assert len(plays) == good
    assert bad.counts == ({} if good else {"line over 1 MiB": 1})


class LongLine:
    """A good line, one of 100 MB, and another good one; made as it is read."""

    def __init__(self):
        self._parts = iter([b"a\tb\t1\n", *[b"x" * (1 << 20)] * 100, b"\nc\td\t2\n"])

    def read(self, size):
        return next(self._parts, b"")


def test_a_line_of_100_mb_takes_little_memory():
    tracemalloc.start()
    plays, bad, n_lines, _ = parsed(LongLine(), COUNTS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert plays == [(b"a", b"b", 1.0), (b"c", b"d", 2.0)]
    assert (bad.counts, n_lines) == ({"line over 1 MiB": 1}, 3)
    assert [(s.line, s.text) for s in bad.samples] == [(2, "x" * 200 + "...")]
    assert peak < 32 << 20


@pytest.mark.parametrize("offset", [1, 5 << 20])
def test_a_range_inside_a_line_of_many_chunks_takes_little_memory(offset, tmp_path):
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.writelines([b"x" * (1 << 20)] * 40)
        file.write(b"\nc\td\t2\n")

    tracemalloc.start()
    with ByteRange(str(path), offset, 1 << 20) as stream:
        inside = parsed(stream, COUNTS)
    with ByteRange(str(path), offset, 100 << 20) as stream:
        after = parsed(stream, COUNTS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (inside[0], inside[2], after[0], after[2]) == ([], 0, [(b"c", b"d", 2.0)], 1)
    assert peak < 32 << 20


def test_samples_are_few_however_many_lines_are_bad_and_all_are_counted():
    data = b"bad\n" * 1000 + b"\0\n" * 5

    _, bad, _, _ = parsed(Trickle(data, 100), COUNTS)

    assert bad.counts == {"too few fields": 1000, "NUL": 5}
    assert [s.line for s in bad.samples] == [*range(1, SAMPLES + 1), *range(1001, 1006)]


def test_a_log_in_latin_1_loses_only_the_lines_that_are_not_ascii():
    data = "".join(f"{'café' if n % 3 else 'bar'}\ti\t1\n" for n in range(300)).encode("latin-1")

    plays, bad, _, _ = parsed(io.BytesIO(data), COUNTS)

    assert (len(plays), bad.counts) == (100, {"invalid UTF-8": 200})


def test_a_layout_without_plays_counts_one_a_line():
    plays, _, _, _ = parsed(io.BytesIO(b"u i\nu i\n"), Layout(("user", "item"), b" "))

    assert plays == [(b"u", b"i", 1.0)] * 2
