"""Logs of any layout from known plays: prepare gives exactly these, or refuses; and whatever bytes are damaged, no traceback."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mr_als.errors import MRALSError
from mr_als.logs.meaning.columns import KNOWN, RATINGS, plain_name
from mr_als.options import InputOptions
from mr_als.preparing.prepare import prepare
from tests.preparing.test_inputs import pairs_of
from tests.readlogs import read

FEW, MANY = 60, 4000
UNIT = 1 << 16


class Log(NamedTuple):
    """A log, and what it holds.

    expected : plays of each pair, in units
    readable : whether nothing in it is left to a guess, so that it must not be refused
    """

    name: str
    data: bytes
    expected: dict[tuple[str, str], int]
    readable: bool
    options: dict[str, Any]


def ids(kind):
    """Draw what ids look like: names, words with marks in them, numbers, hashes, names that begin like comments."""
    mark = {"names": "{} {}", "marks": "#{}, \"{}\"; 'x' ü", "numbers": "{1}", "codes": "u{1:04d}", "digits": "{1:010d}77"}[kind]
    return st.integers(0, 400).map(lambda n: mark.format(("Crooked", "Brass", "Glitter")[n % 3], 1000 + 7 * n))


NAMES = {
    "user": ["user", "userId", "User Name", "listener", "customer_id", "uid"],
    "item": ["item", "artist", "artistName", "movieId", "track_name", "Song", "product-id"],
    "timestamp": ["timestamp", "ts", "played_at", "Date", "time"],
    "ms_played": ["ms_played", "msPlayed"],
    "plays": ["plays", "Play Count", "weight", "streams", "scrobbles", "times", "count", "listens"],
}
NOISE = {
    "album": lambda n: f"Album {n % 7}",
    "device": lambda n: ("phone", "car", "")[n % 3],
    "index": lambda n: n,
    "": lambda n: n,
    "year": lambda n: 1970 + n % 50,
    "popularity": lambda n: n * 37 % 101,
    "offline since": lambda n: 1_600_000_000 + n,
    "rank": lambda n: n % 3 + 1,
    "is_skipped": lambda n: ("true", "false")[n % 2],
    "price": lambda n: f"{n % 9}.5",
}
TIMES = {
    "s": lambda at: at, "ms": lambda at: at * 1000 + 17, "us": lambda at: at * 1_000_000,
    "iso": lambda at: f"2024-03-{at % 28 + 1:02d}T12:30:{at % 60:02d}Z",
    "utc": lambda at: f"2024-03-{at % 28 + 1:02d} 12:30:00 UTC",
    "date": lambda at: f"202403{at % 28 + 1:02d}", "words": lambda at: f"{at % 28 + 1} Mar 2024 12:30",
}  # fmt: skip
ABOVE = ["", "", "\n", "# exported 2024-03-01\n#\n", "sep={}\n", "My music\n\n"]
ENCODINGS = ["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]
PACKED = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}


@st.composite
def logs(draw):
    """Draw a log of the same plays in any of the forms that people have."""
    kinds = [draw(st.sampled_from(["names", "marks", "numbers", "codes", "digits"])) for _ in range(2)]
    users, items = ([draw(ids(kind)) for _ in range(draw(st.integers(1, 6)))] for kind in kinds)
    n = draw(st.integers(1, 40))
    seed = draw(st.integers(0, 1 << 16))
    amounts = draw(st.sampled_from(["plays", "ms", "none", "both"]))
    columns = ["user", "item", *{"plays": ["plays"], "ms": ["ms_played"], "none": [], "both": ["plays", "ms_played"]}[amounts]]
    columns += ["timestamp"] * (amounts == "ms" or draw(st.booleans()))
    when = TIMES[draw(st.sampled_from(sorted(TIMES)))]
    records, expected = [], Counter()
    for place in range(n):
        key = (seed + place * 2_654_435_761) % (1 << 32)
        at = 1_709_251_200 + key % 10**7
        record = {"user": users[key % len(users)], "item": items[key // 7 % len(items)], "timestamp": when(at)}
        record |= {"plays": key // 11 % 60, "ms_played": key // 13 % 200_000}
        count = record["plays"] if "plays" in columns else 1
        if "ms_played" not in columns or record["ms_played"] >= 30_000:
            expected[record["user"], record["item"]] += count * UNIT
        records.append(record)
    form = draw(st.sampled_from(["lines", "lines", "lines", "jsonl", "array", "parquet"]))
    if form != "lines":
        return objects(draw, form, columns, records, dict(expected))
    return lines(draw, columns, records, dict(expected), in_order="numbers" in kinds)


def header_of(draw, columns, noise):
    """Draw names in any order; what is noise has names that mean nothing."""
    named = [(column, draw(st.sampled_from(NAMES[column]))) for column in columns]
    named += [(None, name) for name in draw(st.lists(st.sampled_from(noise), max_size=3, unique=True))]
    return draw(st.permutations(named))


def value(column, name, record, place):
    return NOISE[name](place) if column is None else record[column]


def objects(draw, form, columns, records, expected):
    """Write JSON or Parquet."""
    named = header_of(draw, columns, [name for name in NOISE if name])
    made = [{name: value(column, name, record, n) for column, name in named} for n, record in enumerate(records)]
    if form == "parquet":
        pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        out = io.BytesIO()
        parquet.write_table(pa.table({name: [row[name] for row in made] for _, name in named}), out, row_group_size=7)
        return Log("log.parquet", out.getvalue(), expected, True, {})
    text = json.dumps(made, indent=draw(st.sampled_from([None, 1]))) if form == "array" else "\n".join(map(json.dumps, made))
    return pack(draw, "log.json", text + "\n", ["utf-8", "utf-8-sig"], expected, True, {})


def lines(draw, columns, records, expected, in_order):
    """Write lines with or without a header, in quotes or not."""
    delimiter = draw(st.sampled_from([",", ",", "\t", "\t", ";", "|", "::"]))
    headed = draw(st.booleans())
    order = header_of(draw, columns, sorted(NOISE)) if headed else [(column, column) for column in draw(orders(columns, in_order))]
    rows = [[name for _, name in order]] * headed
    rows += [[str(value(column, name, record, n)) for column, name in order] for n, record in enumerate(records)]
    out, quoted = io.StringIO(), delimiter in ",;|"
    if quoted:
        csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    else:
        assume(not any(delimiter in field for row in rows for field in row))
        out.write("".join(delimiter.join(row) + "\n" for row in rows))
    above = draw(st.sampled_from(ABOVE)) if headed and quoted else ""
    text = above.format(delimiter) + out.getvalue()
    text = text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])))
    text = text if draw(st.booleans()) else text.rstrip("\r\n")
    # a name for plain text, since quotes are characters there
    name = draw(st.sampled_from(["log.csv", "log.txt"])) if quoted else "log.tsv"
    return pack(draw, name, text, ENCODINGS, expected, False, {})


def orders(columns, in_order):
    """Draw orders of columns without a header: user before item, since nobody could tell them apart, nor numbers from ids."""
    if in_order:
        known = ["timestamp", "user", "item", "plays", "ms_played"] if "plays" not in columns else list(NAMES)
        return st.just(sorted(columns, key=known.index))
    return st.permutations(columns).filter(lambda order: order.index("user") < order.index("item"))


def pack(draw, name, text, encodings, expected, readable, options):
    encoding = draw(st.sampled_from(encodings))
    assume(encoding != "latin-1" or all(ord(mark) < 256 for mark in text))
    end = draw(st.sampled_from(sorted(PACKED)))
    return Log(name + end, PACKED[end](text.encode(encoding)), expected, readable, options)


def prepared(log):
    """Prepare a log: the plays of each pair in units; None if it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / log.name
        path.write_bytes(log.data)
        try:
            return pairs_of(prepare([str(path)], os.path.join(folder, "plays"), InputOptions(**log.options)))
        except MRALSError:
            return None


def parsed(log):
    """Read a log as map tasks do: the plays of each pair in units; None if it is refused, a line is bad, or there are none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / log.name
        path.write_bytes(log.data)
        try:
            found = read(path, **log.options)
        except MRALSError:
            return None
        plays = Counter()
        for user, item, amount in found.plays:
            plays[user, item] += round(amount * UNIT)
        return dict(plays) if plays and not found.bad else None


def check_exact(log, reader):
    found = reader(log)

    if found is not None or (log.readable and any(log.expected.values())):
        assert found == log.expected


MARKS = [b"", b"\0", b"\n", b"\r", b'"', b"\t", b"\xff\xfe", b"NaN", b"1e999"]


def damage(draw, data):
    """Change, remove, double and insert bytes."""
    for _ in range(draw(st.integers(1, 4))):
        at, size = draw(st.integers(0, max(len(data) - 1, 0))), draw(st.integers(0, 20))
        more = draw(st.one_of(st.binary(max_size=8), st.sampled_from(MARKS)))
        changed = data[:at] + more + data[at + size :]
        data = draw(st.sampled_from([changed, changed, data[:at], data[: at + size] + data[at:]]))
    return data


damaged = st.composite(lambda draw: (log := draw(logs()))._replace(data=damage(draw, log.data)))
relaxed = {"suppress_health_check": list(HealthCheck)}


@given(logs())
@settings(max_examples=FEW, **relaxed)
def test_plays_are_exactly_those_that_were_written_or_the_log_is_refused(log):
    check_exact(log, parsed)


@given(damaged())
@settings(max_examples=FEW, **relaxed)
def test_damaged_bytes_are_bad_lines_or_refused_and_never_a_traceback(log):
    parsed(log)


@given(logs())
@settings(max_examples=8, **relaxed)
def test_prepare_gives_exactly_these_plays_or_refuses(log):
    check_exact(log, prepared)


@pytest.mark.slow
@given(logs())
@settings(max_examples=MANY, **relaxed)
def test_thousands_of_logs_give_exactly_their_plays_or_are_refused(log):
    check_exact(log, parsed)


@pytest.mark.slow
@given(damaged())
@settings(max_examples=MANY, **relaxed)
def test_thousands_of_damaged_logs_end_without_a_traceback(log):
    parsed(log)


@pytest.mark.slow
@given(st.one_of(logs(), damaged()))
@settings(max_examples=1000, **relaxed)
def test_a_thousand_logs_can_be_prepared_or_are_refused(log):
    prepared(log)


def test_the_names_of_noise_mean_nothing():
    known = {*RATINGS, *(name for names in KNOWN.values() for name in names)}
    assert not known & {plain_name(name) for name in NOISE}
