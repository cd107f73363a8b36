"""Parquet, as pyarrow, pandas and Spark write it."""

from __future__ import annotations

import sys
from datetime import date, datetime, timezone
from decimal import Decimal

import pytest

from mr_als.errors import BadInputError, UsageError
from tests.readlogs import read

pa = pytest.importorskip("pyarrow", reason="pyarrow is the extra `parquet`")
pq = pytest.importorskip("pyarrow.parquet")

NOON = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def log(tmp_path):
    def write(row_group_size=None, **columns):
        path = tmp_path / "log.parquet"
        pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
        return path

    return write


@pytest.mark.parametrize("step", [None, 50])
def test_rows_are_read_and_numbered_wherever_the_file_is_cut(log, step):
    path = log(
        row_group_size=2,
        user_id=pa.array([1, 2**63, 3, None, 5, 6, 7], pa.uint64()),
        artist_name=["a", "Sigur Rós, \"x\"", "two\nlines", "b", None, "", "c"],
        plays=[1.0, 2.5, 1.0, 1.0, 1.0, 1.0, float("nan")],
    )  # fmt: skip

    found = read(path, step=step)

    assert found.plays == [("1", "a", 1.0), ("9223372036854775808", 'Sigur Rós, "x"', 2.5)]
    assert found.bad == [(3, "control character", ""), (6, "empty id", "item"), (7, "NaN", "plays")]
    assert (found.lines, found.left_out) == (7, 2)


@pytest.mark.parametrize(
    "times",
    [
        pa.array([NOON] * 2, pa.timestamp("s")), pa.array([NOON] * 2, pa.timestamp("ns", tz="UTC")),
        pa.array([NOON] * 2, pa.timestamp("ms", tz="America/New_York")), pa.array([date(2024, 3, 1)] * 2, pa.date32()),
        pa.array([int(NOON.timestamp())] * 2), pa.array(["2024-03-01T12:00:00Z"] * 2), pa.array([NOON.timestamp() * 1000] * 2),
    ],
    ids=str,
)  # fmt: skip
def test_times_of_every_kind_are_the_same_time(log, times):
    path = log(user=["u", "v"], item=["i", "j"], listened_at=times)

    assert len(read(path, since="2024-03-01", until="2024-03-01T12:00:01Z").plays) == 2
    assert len(read(path, since="2024-03-01T12:00:01Z").plays) == 0


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        (pa.array(["a", "b"], pa.large_string()), "ab"), (pa.array(["a", "b"]).dictionary_encode(), "ab"),
        (pa.array([b"a", b"b"], pa.binary()), "ab"), (pa.array([-1, 2], pa.int8()), ["-1", "2"]),
        (pa.array([Decimal("1.50"), Decimal(2)]), ["1.50", "2.00"]),
    ],
    ids=str,
)  # fmt: skip
def test_ids_are_text_or_numbers_of_any_type(log, values, ids):
    assert [user for user, _, _ in read(log(user=values, item=["i", "j"])).plays] == list(ids)


def test_invalid_utf8_is_a_bad_row(log):
    assert read(log(user=pa.array([b"\xff", b"u"], pa.binary()), item=["i", "j"])).bad == [(1, "invalid UTF-8", "")]


def test_fields_of_structs_are_named_by_dots_and_a_user_may_be_given(log):
    path = log(track_metadata=[{"artist_name": "a", "x": 1}, {"artist_name": None, "x": 1}, None], user_name=["u", "u", "u"])

    assert read(path) == ([("u", "a", 1.0)], [], 3, 2)
    assert read(path, columns="user==me,item=track_metadata.artist_name").plays == [("me", "a", 1.0)]


def test_what_is_neither_text_nor_number_is_refused(log):
    with pytest.raises(BadInputError, match="Parquet column of the user is of type list<.*>; expected text, numbers or times"):
        read(log(user=[["u"]], item=["i"]))


def test_a_name_that_is_missing_is_named_with_those_there_are(log):
    with pytest.raises(BadInputError, match="nothing is named 'who', which --columns gives for the user; its names are user, item"):
        read(log(user=["u"], item=["i"]), columns="user=who,item=item")


def test_a_damaged_file_is_bad_input(log):
    path = log(user=["u"], item=["i"])
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(BadInputError, match=r"log\.parquet: not a readable Parquet file"):
        read(path)


def test_without_pyarrow_the_extra_is_named(log, monkeypatch):
    path = log(user=["u"], item=["i"])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(UsageError, match=r"pip install 'pyarrow>=16'"):
        read(path)


def test_a_name_that_is_no_text_is_damage_that_names_the_file(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"user": ["a"], "item": ["x"]}), tmp_path / "log.parquet")
    data = (tmp_path / "log.parquet").read_bytes()
    (tmp_path / "log.parquet").write_bytes(data.replace(b"user", b"u\x80er"))

    with pytest.raises(BadInputError, match=r"log\.parquet: (not a readable Parquet file|its data are damaged)"):
        read(tmp_path / "log.parquet")
