"""Log files: any cut into ranges gives every line once; compressed files are read whole or refused."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_als.errors import BadInputError, UsageError
from mr_als.logs import logs
from mr_als.logs.badlines import SAMPLES, BadLines, Sample, escaped, quarantine_table
from mr_als.logs.logs import ByteRange, Layout, chunks, parse_layout
from mr_als.logs.meaning.detect import detect
from mr_als.options import InputOptions

BOM = b"\xef\xbb\xbf"


def lines_in(path, offset=0, length=1 << 40):
    """Read the lines that a range of a file yields."""
    with ByteRange(str(path), offset, length) as stream:
        return b"".join(chunks(stream)).splitlines(keepends=True)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("logs") / "log.tsv"


@given(
    st.lists(st.sampled_from([b"\n", b"a", b"bc\n", b"longer than a chunk\n", b"\r\n"])),
    st.sets(st.integers(1, 60)),
    st.integers(1, 30),
)
def test_any_cut_into_ranges_gives_every_line_once(scratch, parts, cuts, chunk):
    data = b"".join(parts)
    scratch.write_bytes(data)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]

    with mock.patch.multiple(logs, CHUNK=chunk, MAX_LINE=100):
        found = [line for at, end in itertools.pairwise(edges) for line in lines_in(scratch, at, end - at)]

    whole = io.BytesIO(data).readlines()
    assert found == [line if line.endswith(b"\n") else line + b"\n" for line in whole]


@given(
    st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"").replace(BOM, b"")), max_size=8),
    st.integers(1, 50),
    st.integers(1, 50),
)
def test_chunks_hold_whole_lines_and_cut_only_those_that_are_too_long(lines, chunk, most):
    data = b"".join(line + b"\n" for line in lines)
    stream = io.BytesIO(data)

    with mock.patch.multiple(logs, CHUNK=chunk, MAX_LINE=most):
        found = list(chunks(stream))

    assert all(part.endswith(b"\n") for part in found)
    assert b"".join(found).count(b"\n") == len(lines)
    for line, whole in zip(b"".join(found).split(b"\n")[:-1], lines, strict=True):
        assert line == whole or (len(whole) > most + 1 and len(line) > most and whole.startswith(line[: most + 1]))


@pytest.mark.parametrize(("name", "compress"), [("log.gz", gzip.compress), ("log.bz2", bz2.compress)])
def test_all_members_of_a_compressed_file_are_read(name, compress, tmp_path):
    parts = [b"a\n", b"", b"b\nc", b"d\n", b"e"]
    (tmp_path / name).write_bytes(b"".join(map(compress, parts)))

    assert lines_in(tmp_path / name, 0, 10) == [b"a\n", b"b\n", b"cd\n", b"e\n"]


@pytest.mark.parametrize("name", ["log", "log.gz", "log.bz2"])
def test_an_empty_file_has_no_lines(name, tmp_path):
    (tmp_path / name).write_bytes(b"")

    assert lines_in(tmp_path / name) == []


LINES = b"".join(b"user-%d\titem\t1\n" % n for n in range(5000))


@pytest.mark.parametrize(("name", "compress"), [("log.gz", gzip.compress), ("log.bz2", bz2.compress)])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1], lambda data: data[: len(data) // 2], lambda data: data[:3],
        lambda data: data[:-6] + bytes([data[-6] ^ 1]) + data[-5:],
        lambda data: data[: len(data) // 2] + bytes(20) + data[len(data) // 2 + 20 :],
        lambda data: LINES, lambda data: data + data[:50], lambda data: data + b"garbage", lambda data: data + b"?" + data[1:],
    ],
    ids=["last byte", "half", "three bytes", "checksum", "zeros", "not compressed", "second cut", "garbage", "second damaged"],
)  # fmt: skip
def test_a_damaged_compressed_file_is_bad_input_that_names_it(name, compress, damage, tmp_path):
    (tmp_path / name).write_bytes(damage(compress(LINES)))

    with pytest.raises(BadInputError, match="compressed data are damaged or cut off") as caught:
        lines_in(tmp_path / name)

    assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_a_file_that_vanished_is_bad_input_that_names_it(tmp_path):
    with pytest.raises(BadInputError, match=r"gone\.tsv: No such file or directory"):
        lines_in(tmp_path / "gone.tsv")


def test_compression_goes_by_the_name(tmp_path):
    (tmp_path / "log.tsv").write_bytes(gzip.compress(b"a\n"))

    assert lines_in(tmp_path / "log.tsv")[0][:2] == b"\x1f\x8b"


@pytest.mark.parametrize(
    ("head", "columns"),
    [
        (b"1709251200\tu\ti\t1\n", "events"), (b"u\ti\t1\n", "counts"), (b"u\ti\t1", "counts"), (b"u\ti\t1\r\n", "counts"),
        (b"\xef\xbb\xbfu\ti\t1\n", "counts"), (b"bad\nu\ti\t1\nworse\tx\nu\ti\t1\n", "counts"), (b"\n\n\nu\ti\t1\n", "counts"),
    ],
)  # fmt: skip
def test_the_format_is_that_of_most_of_the_first_lines(head, columns):
    assert detect(InputOptions(), "log", head).layout.columns == parse_layout(columns).columns


@pytest.mark.parametrize(("head", "found"), [(b"u i 1\n", 1), (b"u\ti\n", 2), (b"a\tb\tc\td\te\n", 5), (b"\n \n", 0)])
def test_a_log_of_neither_format_is_bad_input_that_says_what_was_found(head, found):
    with pytest.raises(BadInputError, match=f"log: its lines have {found} fields separated by TAB; expected 4 .* or 3 .*--columns"):
        detect(InputOptions(), "log", head)


@pytest.mark.parametrize(
    "layout", [parse_layout("events"), Layout(("user", "-"), b"::", "csv", ("a b", "é"), (b"\xff", b""), "ms", recent=True)]
)
def test_a_layout_travels_as_one_word(layout):
    word = layout.to_text()

    assert Layout.from_text(word) == layout
    assert word.isascii()
    assert not any(mark in word for mark in " \t\n'\"$\\")


def test_columns_and_delimiter_make_a_layout():
    assert parse_layout("auto", "-,item,user", ";") == Layout(("-", "item", "user"), b";")


@pytest.mark.parametrize(
    ("columns", "delimiter", "message"),
    [
        ("user,item,stars", "tab", "unknown column 'stars'"), ("user,item,user", "tab", "user is named 2 times"),
        ("user,plays", "tab", "no column is named item"), ("user, item", "tab", "unknown column ' item'"),
        ("user,item", "", "'' is neither one nor several printable"), ("user,item", "é", "'é' is neither one"),
        ("user,item", "\n", "is neither one"), ("user,item", "\0", "is neither one"), ("user,item", "\x7f", "is neither one"),
    ],
)  # fmt: skip
def test_columns_and_delimiters_that_make_no_sense_are_usage_errors(columns, delimiter, message):
    with pytest.raises(UsageError, match=message):
        parse_layout("auto", columns, delimiter)


@given(st.binary(max_size=400))
def test_a_shown_line_is_printable_short_and_one_field_of_a_table(line):
    shown = escaped(line)

    assert shown.isprintable()
    assert len(shown) <= 203
    assert not any(mark in shown for mark in "\t\r\n")


def test_lines_are_numbered_in_the_file_and_not_in_the_range():
    samples = [
        Sample("/a@b@0", 2, "NUL", "", "x"),
        Sample("/a@b@100", 3, "NUL", "", "y"),
        Sample("/a@b@1000", 1, "NaN", "plays", "z"),
    ]
    lines = {"/a@b@0": 10, "/a@b@1000": 5, "/a@b@100": 20, "/other@0": 7}

    table = quarantine_table(BadLines({}, samples), lines)

    assert [row.split("\t")[:4] for row in table.splitlines()[1:]] == [
        ["/a@b", "2", "NUL", ""], ["/a@b", "13", "NUL", ""], ["/a@b", "31", "NaN", "plays"],
    ]  # fmt: skip


@given(st.lists(st.sets(st.tuples(st.sampled_from(["a@0", "a@9", "a@10", "b@0"]), st.integers(1, 90))), min_size=1, max_size=4))
def test_merging_keeps_the_first_samples_of_all_in_any_order(tasks):
    reports = [BadLines({"NUL": len(rows)}, [Sample(*row, "NUL", "", "") for row in sorted(rows)]) for rows in tasks if rows]

    forward, backward = BadLines(), BadLines()
    for report in reports:
        forward.merge(BadLines.from_dict(report.to_dict()))
    for report in reversed(reports):
        backward.merge(report)

    assert forward == backward
    assert forward.counts.get("NUL", 0) == sum(map(len, tasks))
    order = sorted({row for rows in tasks for row in rows}, key=lambda row: (row[0][0], int(row[0][2:]), row[1]))
    assert [(s.source, s.line) for s in forward.samples] == order[:SAMPLES]
