"""Numbers and times of many fields at once are those that Python reads one by one."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mr_als.logs.numbers import PAD, numbers, padded
from mr_als.logs.times import parse_time, times


def read(reader, *fields):
    """Read fields that stand side by side, as in a chunk, with other bytes between them."""
    buffer = padded(b"9.".join(fields) + b"\n")
    lengths = np.array([len(field) for field in fields], np.int64)
    starts = PAD + np.cumsum(lengths + 2) - lengths - 2
    return reader(buffer, starts, starts + lengths)


def read_numbers(*fields):
    values, bad = read(numbers, *fields)
    return values.tolist(), bad


@given(st.lists(st.text("0123456789", min_size=1, max_size=25)))
def test_digits_are_read_as_python_reads_them(fields):
    assert read_numbers(*(field.encode() for field in fields)) == ([float(field) for field in fields], {})


@given(st.lists(st.from_regex(r"\A[0-9]{0,12}\.[0-9]{0,12}\Z").filter(lambda text: text != ".")))
@example(["3.0", "0.1", "123456789012345.6", "1234567.12345678", "9007199254740993.0", ".5", "5.", "0.0000000000000001"])
def test_decimals_are_read_as_python_reads_them(fields):
    assert read_numbers(*(field.encode() for field in fields)) == ([float(field) for field in fields], {})


@given(st.lists(st.floats(0, allow_infinity=False)))
def test_every_finite_float_is_read_back_from_its_shortest_form(values):
    assert read_numbers(*(repr(value).encode() for value in values)) == (values, {})


@given(st.lists(st.binary(max_size=20)))
def test_any_bytes_are_a_number_or_bad_for_a_reason_and_then_zero(fields):
    values, bad = read_numbers(*fields)

    for place, (field, value) in enumerate(zip(fields, values, strict=True)):
        assert (value, bad.get(place, "")) == slowly(field)


def slowly(field):
    """The rule: what Python's float reads, but ASCII only, without blanks and underscores; finite and not negative."""
    try:
        value = float(field.decode("ascii"))
    except ValueError:
        return 0.0, "not a number"
    if field != field.strip() or b"_" in field or any(byte < 32 for byte in field):
        return 0.0, "not a number"
    if math.isnan(value):
        return 0.0, "NaN"
    if math.isinf(value):
        return 0.0, "infinity"
    return (value, "") if value >= 0 else (0.0, "negative")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("1e3", 1000.0), ("1.5", 1.5), ("-0", 0.0), ("+3", 3.0), ("1e308", 1e308), ("1e-320", 1e-320), ("1e-999", 0.0),
        ("9223372036854775808", 2.0**63), ("0", 0.0), ("007", 7.0), ("-0.0", 0.0), ("3.", 3.0), (".5", 0.5), ("1E+2", 100.0),
    ],
)  # fmt: skip
def test_a_number_may_be_written_in_every_common_way(field, value):
    assert read_numbers(field.encode()) == ([value], {})


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("", "not a number"), (" 3", "not a number"), ("3 ", "not a number"), ("1_000", "not a number"), ("1,000", "not a number"),
        ("３", "not a number"), ("٣", "not a number"), ("0x10", "not a number"), (".", "not a number"), ("+", "not a number"),
        ("1.2.3", "not a number"), ("1..2", "not a number"), ("e5", "not a number"), ("1e", "not a number"),
        ("--1", "not a number"),
        ("-.", "not a number"), ("1-", "not a number"), ("/", "not a number"), (":", "not a number"), ("1/2", "not a number"),
        ("nan", "NaN"), ("NaN", "NaN"), ("-nan", "NaN"), ("inf", "infinity"), ("-Infinity", "infinity"), ("1e309", "infinity"),
        ("-1", "negative"), ("-1e-9", "negative"), ("-1e309", "infinity"),
    ],
)  # fmt: skip
def test_what_is_no_number_has_a_reason_and_counts_as_zero(field, reason):
    assert read_numbers(field.encode()) == ([0.0], {0: reason})


def test_a_field_is_read_whatever_stands_around_it():
    """At both ends of a chunk, and with a bad one between good ones."""
    assert read_numbers(b"12", b"x", b"3.25", b"", b"7") == ([12.0, 0.0, 3.25, 0.0, 7.0], {1: "not a number", 3: "not a number"})


def read_times(*fields):
    seconds, bad = read(times, *fields)
    return seconds.tolist(), bad


MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.lists(st.tuples(MOMENTS, st.sampled_from("T t"), st.sampled_from(["", "Z", "z"]))))
def test_iso_times_are_those_of_the_calendar(rows):
    moments = [moment.replace(microsecond=0, tzinfo=timezone.utc) for moment, _, _ in rows]
    fields = [f"{m:%H:%M:%S}" for m in moments]
    fields = [f"{m.date()}{mark}{f}{zone}" for m, f, (_, mark, zone) in zip(moments, fields, rows, strict=True)]

    assert read_times(*(field.encode() for field in fields)) == ([m.timestamp() for m in moments], {})


@given(st.lists(st.tuples(MOMENTS, ZONES)))
def test_iso_times_with_fraction_and_offset_are_those_of_the_calendar(rows):
    moments = [moment.replace(tzinfo=zone) for moment, zone in rows]

    seconds, bad = read_times(*(moment.isoformat().encode() for moment in moments))

    assert not bad
    np.testing.assert_allclose(seconds, [moment.timestamp() for moment in moments], rtol=0, atol=1e-4)


@given(st.lists(st.tuples(*[st.integers(0, top) for top in (9999, 13, 32, 25, 61, 61)])))
def test_dates_that_do_not_exist_are_bad(rows):
    fields = ["{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}".format(*row) for row in rows]

    seconds, bad = read_times(*(field.encode() for field in fields))

    for place, row in enumerate(rows):
        try:
            expected = datetime(*row, tzinfo=timezone.utc).timestamp()
        except ValueError:
            assert bad[place] == "not a time"
        else:
            assert (seconds[place], place in bad) == (expected, False)


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("0", 0.0), ("1709251200", 1709251200.0), ("1709251200.5", 1709251200.5), ("1709251200500", 1709251200.5),
        ("1709251200500.0", 1709251200.5), ("100000000000", 1e11), ("100000000001", 100000000.001), ("-86400", -86400.0),
        ("1.7e9", 1.7e9), ("2024-02-29", 1709164800.0), ("2000-02-29T00:00:00", 951782400.0), ("1970-01-01 00:01", 60.0),
        ("1969-12-31T23:59:59Z", -1.0), ("2024-03-01T01:00:00+0100", 1709251200.0),
        ("2024-02-29T19:00:00.250-05:00", 1709251200.25),
        ("2024-03-01T00:00:00,5Z", 1709251200.5), ("2024-03-01T00:00:00.123456789", 1709251200.123456789),
        ("9999-12-31T23:59:59.5", 253402300799.5), ("9999-12-31T23:59:59", 253402300799.0),
    ],
)  # fmt: skip
def test_a_time_is_seconds_or_milliseconds_or_iso(field, seconds):
    assert read_times(field.encode()) == ([seconds], {})
    assert parse_time(field) == seconds


@pytest.mark.parametrize(
    "field",
    [
        "", "nan", "inf", "1e999", "yesterday", "2023-02-29", "1900-02-29T00:00:00", "2024-13-01", "2024-00-10", "2024-01-00",
        "0000-01-01T00:00:00", "2024-04-31T00:00:00", "2024-03-01T24:00:00", "2024-03-01T23:60:00", "2024-03-01T23:59:60",
        "2024-03-01T12:30:00+24:00", "2024-03-01T12:30:00+01:60", "2024-03-01T12:30:00Zx", "2024/03/01", "2024-W09-5",
        "20240301T123000",
        " 2024-03-01", "２０２４-03-01", "2024-03-01T1２:30:00", "2024-3-1", "2024-03-01T", "2024-03-01Z", "1_000",
    ],
)  # fmt: skip
def test_what_is_no_time_is_bad(field):
    assert read_times(field.encode()) == ([0.0], {0: "not a time"})
    with pytest.raises(ValueError, match="."):
        parse_time(field)
