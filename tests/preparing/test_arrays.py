"""Plays of a program are prepared to the bytes of a log with the same plays, whatever they come as."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from datetime import datetime, timezone

import numpy as np
import pytest
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix

from mr_als.engine.engine import Engine
from mr_als.errors import BadInputError, UsageError
from mr_als.options import InputOptions, PlanOptions
from mr_als.preparing import collecting
from mr_als.preparing.arrays import Arrays
from mr_als.preparing.ingesting import new_attempt
from mr_als.preparing.prepare import prepare
from mr_als.progress import Progress
from mr_als.records.lines import LINES

N_USERS, N_ITEMS = 300, 200


@pytest.fixture(scope="module")
def pairs():
    """Draw distinct pairs and whole plays: users, items, plays; some users and items have none."""
    rng = np.random.default_rng(0)
    keys = np.unique(rng.integers(0, N_USERS * N_ITEMS, 4000))
    users, items = keys // N_ITEMS, keys % N_ITEMS
    kept = (users % 7 != 3) & (items % 11 != 5)
    return users[kept], items[kept], rng.integers(1, 300, kept.sum())


def matrix_of(pairs, kind=csr_array, dtype=np.float64):
    users, items, plays = pairs
    return kind((plays.astype(dtype), (users, items)), shape=(N_USERS, N_ITEMS))


def log_of(pairs, tmp_path, name=str):
    path = tmp_path / "counts.tsv"
    path.write_text("".join(f"{name(u)}\t{name(i)}\t{p}\n" for u, i, p in zip(*(a.tolist() for a in pairs), strict=True)))
    return [str(path)]


def bytes_of(plays):
    return {side: [bytes(buffer) for _, buffer in getattr(plays, side).blocks()] for side in ("users", "items")}


def laid_down(plays, directory, inputs=InputOptions(), plan=PlanOptions(), rank=0):
    return prepare(Arrays(plays), str(directory), inputs, Engine(), Progress(quiet=True), plan, rank)


@pytest.mark.parametrize("kind", [csr_array, csr_matrix, csc_array, coo_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_a_matrix_has_the_blocks_of_a_log(kind, dtype, pairs, tmp_path):
    users, items, plays = pairs
    pairs = users, items, np.minimum(plays, 255)

    ours = laid_down(matrix_of(pairs, kind, dtype), tmp_path / "arrays")

    theirs = prepare(log_of(pairs, tmp_path), str(tmp_path / "log"), InputOptions())
    assert bytes_of(ours) == bytes_of(theirs)
    for key in ("n_users", "n_items", "pairs", "plays", "vectors", "most_pairs", "blocks", "repeated"):
        assert ours.info[key] == theirs.info[key], key


def options():
    return [
        InputOptions(user_blocks="3", item_blocks="17"),
        InputOptions(salt=5),
        InputOptions(min_user_plays=900.0, min_item_plays=400.0),
    ]


@pytest.mark.parametrize("inputs", options(), ids=["blocks", "salt", "thresholds"])
def test_options_do_to_a_matrix_what_they_do_to_a_log(inputs, pairs, tmp_path):
    ours = laid_down(matrix_of(pairs), tmp_path / "arrays", inputs)

    assert bytes_of(ours) == bytes_of(prepare(log_of(pairs, tmp_path), str(tmp_path / "log"), inputs))


@pytest.mark.parametrize("inputs", [InputOptions(), *options()], ids=["auto", "blocks", "salt", "thresholds"])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_a_matrix_is_cut_in_stripes_to_the_blocks_that_it_has_as_a_whole(index, inputs, pairs, tmp_path, monkeypatch):
    whole = laid_down(matrix_of(pairs), tmp_path / "whole", inputs)
    monkeypatch.setattr("mr_als.plays.matrix.TOGETHER", 1)
    monkeypatch.setattr("mr_als.preparing.laying.THREADS", 3)
    matrix = matrix_of(pairs)
    matrix.indices, matrix.indptr = matrix.indices.astype(index), matrix.indptr.astype(index)

    ours = laid_down(matrix, tmp_path / "stripes", inputs)

    assert bytes_of(ours) == bytes_of(whole)
    for side in ("users", "items"):  # in block order, whichever was ready first
        entries = ours.info[side]["entries"]
        assert [block for block, *_ in entries] == sorted(block for block, *_ in entries)
        assert [offset for _, offset, *_ in entries] == sorted(offset for _, offset, *_ in entries)


def test_columns_without_plays_cost_nothing(pairs, tmp_path):
    users, items, plays = pairs
    far = items.astype(np.int64) * 10_000_000  # beyond 2^30 of them, a list of which would take gigabytes
    matrix = csr_array((plays, (users, far)), shape=(N_USERS, N_ITEMS * 10_000_000))

    ours = laid_down(matrix, tmp_path / "arrays")

    log = log_of((users, far, plays), tmp_path)
    assert bytes_of(ours) == bytes_of(prepare(log, str(tmp_path / "log"), InputOptions(columns="user,item,plays")))


def test_of_a_matrix_the_number_of_blocks_is_known_before_any_is_made(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("mr_als.planning.choices.LOG_BYTES_PER_BLOCK", 2000)
    made = []
    monkeypatch.setattr("mr_als.preparing.arrays.new_attempt", lambda where: made.append(where) or new_attempt(where))

    ours = laid_down(matrix_of(pairs), tmp_path / "arrays")

    table = laid_down(list(zip(*(column.tolist() for column in pairs), strict=True)), tmp_path / "tuples")
    assert ours.info["blocks"] == table.info["blocks"] > [4, 4]
    assert made == [str(tmp_path / "arrays"), *[str(tmp_path / "tuples")] * 2]


def test_parts_of_plays_and_zeros_are_those_of_a_log(pairs, tmp_path):
    users, items, _ = pairs
    plays = np.round(np.random.default_rng(1).random(len(users)) * 9, 3)
    plays[::50] = 0
    pairs = users, items, plays

    ours = laid_down(matrix_of(pairs), tmp_path / "arrays")

    assert bytes_of(ours) == bytes_of(prepare(log_of(pairs, tmp_path), str(tmp_path / "log"), InputOptions()))


def tables(pairs):
    """Make the same plays of all kinds, with string ids."""
    import pandas
    import polars
    import pyarrow

    users, items, plays = ([f"{side}-{n}" for n in column] for side, column in zip("ui", pairs[:2], strict=True)), None, pairs[2]
    users, items = users
    columns = {"user": users, "item": items, "plays": plays}
    arrow = pyarrow.table(columns)
    return {
        "pandas": pandas.DataFrame(columns),
        "pandas, categories": pandas.DataFrame(columns).astype({"user": "category"}),
        "polars": polars.DataFrame(columns),
        "pyarrow": arrow,
        "pyarrow, large strings": arrow.set_column(0, "user", arrow["user"].cast(pyarrow.large_string())),
        "pyarrow, names and an order of their own": arrow.rename_columns(["user_id", "artist", "count"]).select([2, 1, 0]),
        "tuples": list(zip(users, items, plays.tolist(), strict=True)),
        "a generator": (row for row in zip(users, items, plays.tolist(), strict=True)),
    }


@pytest.mark.parametrize(
    "kind",
    ["pandas", "pandas, categories", "polars", "pyarrow", "pyarrow, large strings", "pyarrow, names and an order of their own",
     "tuples", "a generator"],
)  # fmt: skip
def test_a_table_has_the_blocks_of_a_log(kind, pairs, tmp_path):
    inputs = InputOptions(columns="user=user_id,item=artist,plays=count") if "names" in kind else InputOptions()
    users, items, plays = pairs
    log = tmp_path / "counts.tsv"
    log.write_text("".join(f"u-{u}\ti-{i}\t{p}\n" for u, i, p in zip(users, items, plays, strict=True)))

    ours = laid_down(tables(pairs)[kind], tmp_path / "arrays", inputs)

    assert bytes_of(ours) == bytes_of(prepare([str(log)], str(tmp_path / "log"), InputOptions()))
    assert ours.info["ids"] == {"users": "str", "items": "str"}


def test_rows_in_many_pieces_and_tables_are_summed_as_those_of_one(pairs, tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    which = rng.integers(0, len(pairs[0]), 20_000)
    rows = list(zip(*(column[which].tolist() for column in pairs), strict=True))
    whole = laid_down(rows, tmp_path / "whole")
    monkeypatch.setattr("mr_als.preparing.batches.ROWS", 1000)
    monkeypatch.setattr(collecting, "_PEAK", 1 << 15)  # a table is full soon

    found = Arrays(rows)

    assert len(found.collect(InputOptions()).tables) > 5
    assert bytes_of(prepare(found, str(tmp_path / "pieces"), InputOptions())) == bytes_of(whole)


def test_events_are_filtered_and_decayed_as_those_of_a_log(tmp_path):
    import pandas

    rng = np.random.default_rng(3)
    seconds = rng.integers(1709251200, 1709251200 + 86400 * 20, 3000)
    columns = {
        "timestamp": pandas.to_datetime(seconds, unit="s", utc=True), "user": rng.integers(0, 50, 3000),
        "item": rng.integers(0, 40, 3000), "ms_played": rng.integers(0, 200_000, 3000),
    }  # fmt: skip
    columns["user"][::500], columns["ms_played"][::500] = 1000 + np.arange(6), 100  # users without a play that counts
    frame = pandas.DataFrame(columns)
    log = tmp_path / "events.tsv"
    log.write_text("".join(f"{t.isoformat()}\t{u}\t{i}\t{ms}\n" for t, u, i, ms in frame.itertuples(index=False)))
    inputs = InputOptions(since="2024-03-03", until="2024-03-19", half_life=5.0, as_of="2024-03-18")

    ours = laid_down(frame, tmp_path / "arrays", inputs)

    theirs = prepare([str(log)], str(tmp_path / "log"), inputs)
    assert bytes_of(ours) == bytes_of(theirs)
    assert ours.info["ids"] == {"users": "int", "items": "int"}
    assert ours.info["counts"]["filtered"] == theirs.info["counts"]["filtered"]
    tuples = list(zip(*(frame[name] for name in ("timestamp", "user", "item", "ms_played")), strict=True))
    assert bytes_of(laid_down(tuples, tmp_path / "tuples", inputs)) == bytes_of(theirs)


@pytest.mark.parametrize("rule", ["last", "mean"])
def test_of_several_ratings_the_rule_says_which_counts(rule, tmp_path):
    rng = np.random.default_rng(4)
    rows = [
        (int(t), int(u), int(i), float(r))
        for t, u, i, r in zip(*rng.integers(1, 30, (3, 500)), rng.integers(1, 6, 500), strict=True)
    ]
    import pandas

    frame = pandas.DataFrame(rows, columns=["timestamp", "user", "item", "plays"])
    log = tmp_path / "ratings.tsv"
    log.write_text("".join(f"{t}\t{u}\t{i}\t{r}\n" for t, u, i, r in rows))
    inputs = InputOptions(duplicates=rule, time_unit="s")

    ours = laid_down(frame, tmp_path / "arrays", inputs)

    theirs = prepare(
        [str(log)], str(tmp_path / "log"), InputOptions(duplicates=rule, time_unit="s", columns="timestamp,user,item,plays")
    )
    assert bytes_of(ours) == bytes_of(theirs)


def test_an_entry_twice_in_a_matrix_is_summed(tmp_path):
    twice = csr_array((np.array([1.0, 2.0, 4.0]), np.array([3, 3, 1]), np.array([0, 2, 3])), shape=(2, 5))

    ours = laid_down(twice, tmp_path / "arrays")

    assert (ours.pairs, ours.plays, ours.info["repeated"]) == (2, 7.0, 1)


def test_bad_rows_are_counted_and_shown_as_bad_lines_are(tmp_path):
    nan = float("nan")
    rows = [
        ("a", "x", 1.0),
        (None, "x", 1.0),
        ("a", "", 1.0),
        ("a", "b\nc", 1.0),
        ("a", "x", -1.0),
        ("a", "x", nan),
        ("a", "x", 1e12),
    ]

    with pytest.raises(BadInputError, match=r"6 of 7 lines are bad \(1 negative, 3 no id, 1 not a number, 1 out of range\)"):
        laid_down(rows, tmp_path / "arrays")
    plays = laid_down(rows, tmp_path / "some", InputOptions(max_bad_lines="6"))

    assert plays.plays == 1.0
    table = (tmp_path / "some" / "bad-lines.tsv").read_text()
    assert "plays\t5\tnegative\tplays\ta\\tx\\t-1.0\n" in table
    assert "plays\t2\tno id\tuser\t" in table


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e12])
def test_a_matrix_with_what_is_no_number_of_plays_is_refused(value, dtype, tmp_path):
    matrix = csr_array(np.array([[1.0, value]]))
    with np.errstate(over="ignore"):
        matrix.data = matrix.data.astype(dtype)
    with pytest.raises(BadInputError, match="1 of 2 lines are bad"):
        laid_down(matrix, tmp_path / "arrays")


def refused():
    return {
        "a row of another length": [("a", "x", 1), ("a", "y")],
        "a string": ["abc"],
        "ids of two kinds": [("a", "x"), (1, "x")],
        "an id that is a list": [([1], "x")],
        "an id with a fraction": [(1.5, "x")],
    }


@pytest.mark.parametrize("what", refused())
def test_what_is_no_play_is_an_error_that_names_the_row(what, tmp_path):
    with pytest.raises((BadInputError, TypeError), match="row|unhashable"):
        laid_down(refused()[what], tmp_path / "arrays")


def test_columns_that_are_not_known_are_to_be_named(tmp_path):
    import pandas

    frame = pandas.DataFrame({"who": ["a"], "what": ["x"]})

    with pytest.raises(BadInputError, match="none of the columns is known .*columns={'user': 'NAME', .* they are named who, what"):
        laid_down(frame, tmp_path / "arrays")
    with pytest.raises(BadInputError, match="'hwo', which --columns gives for the user; its names are who, what"):
        laid_down(frame, tmp_path / "arrays", InputOptions(columns="user=hwo,item=what"))


def test_a_column_of_several_types_is_named(tmp_path):
    import pandas

    frame = pandas.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "plays": pandas.Series([1, "2"], dtype=object)})

    with pytest.raises(BadInputError, match="column plays with type object.*; make each column of one type"):
        laid_down(frame, tmp_path / "arrays")


def test_ratings_are_no_plays_unless_they_are_asked_for(tmp_path):
    import pandas

    frame = pandas.DataFrame({"userId": [1, 2], "movieId": [3, 4], "rating": [4.5, 3.0]})

    with pytest.raises(BadInputError, match="'rating' is a rating, and a rating is not a number of plays"):
        laid_down(frame, tmp_path / "arrays")
    found = prepare(Arrays(frame), str(tmp_path / "arrays"), InputOptions(), ratings=True)
    assert found.plays == 7.5


def test_what_programs_write_in_place_of_an_id_is_none(tmp_path):
    found = laid_down([("NULL", "x"), ("NaN", "x"), ("Nan", "x")], tmp_path / "arrays", InputOptions(max_bad_lines="2"))

    assert (found.n_users, found.info["bad"]["counts"]) == (1, {"no id": 2})


def test_kinds_of_ids_do_not_change_from_piece_to_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("mr_als.preparing.batches.ROWS", 1)
    with pytest.raises(BadInputError, match="from row 1 on, users are str, and int before"):
        laid_down([(1, "x"), ("a", "x")], tmp_path / "arrays")


def test_what_is_no_plays_at_all_is_refused_with_what_is_expected(tmp_path):
    with pytest.raises(UsageError, match="int; expected a scipy.sparse matrix, a table"):
        laid_down(17, tmp_path / "arrays")


def test_what_needs_times_says_so(pairs, tmp_path):
    with pytest.raises(UsageError, match="since needs the time of each play, but the columns are user, item, plays"):
        laid_down(matrix_of(pairs), tmp_path / "arrays", InputOptions(since="2024-01-01"))


def test_automatic_blocks_follow_from_the_size_of_a_log_with_a_digit_of_plays(pairs, tmp_path, monkeypatch):
    users, items, plays = pairs
    pairs = users, items, plays % 9 + 1
    monkeypatch.setattr("mr_als.planning.choices.LOG_BYTES_PER_BLOCK", 4096)

    ours = laid_down(matrix_of(pairs), tmp_path / "arrays")

    theirs = prepare(log_of(pairs, tmp_path), str(tmp_path / "log"), InputOptions())
    assert ours.info["blocks"] == theirs.info["blocks"] == [7, 7]
    assert bytes_of(ours) == bytes_of(theirs)


def test_factors_that_do_not_fit_make_more_blocks_as_of_a_log(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("mr_als.preparing.ingesting.fitting_blocks", lambda sizes, inputs, plan: (5, 6))
    monkeypatch.setattr("mr_als.preparing.arrays.fitting_blocks", lambda sizes, inputs, plan: (5, 6))

    ours = laid_down(matrix_of(pairs), tmp_path / "arrays", rank=8)

    theirs = prepare(log_of(pairs, tmp_path), str(tmp_path / "log"), InputOptions(), rank=8)
    assert ours.info["blocks"] == theirs.info["blocks"] == [5, 6]
    assert bytes_of(ours) == bytes_of(theirs)


def test_the_same_plays_again_are_not_written_again_and_others_are(pairs, tmp_path):
    laid_down(matrix_of(pairs), tmp_path / "arrays")
    before = os.stat(tmp_path / "arrays" / "plays.json").st_mtime_ns

    laid_down(matrix_of(pairs), tmp_path / "arrays")

    assert os.stat(tmp_path / "arrays" / "plays.json").st_mtime_ns == before
    laid_down(2 * matrix_of(pairs), tmp_path / "arrays")
    assert json.loads((tmp_path / "arrays" / "plays.json").read_text())["plays"] == 2 * pairs[2].sum()


def test_a_cluster_gets_no_plays_of_this_machine(pairs, tmp_path):
    with pytest.raises(UsageError, match="-r hadoop works elsewhere, and plays in memory are prepared here; write logs there"):
        prepare(Arrays(matrix_of(pairs)), str(tmp_path), InputOptions(), Engine("hadoop", LINES))


def test_a_time_without_a_zone_is_utc_wherever_the_machine_is(monkeypatch):
    moment = datetime(2024, 3, 1, 12)
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        found = Arrays([(moment, "a", "x", 60_000), (moment.replace(tzinfo=timezone.utc), "b", "x", 60_000)])
        assert found.collect(InputOptions()).report["times"] == (1709294400.0, 1709294400.0)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_entries_of_a_pair_are_summed_whatever_their_type_holds(dtype, tmp_path):
    zeros = np.zeros(300, int)

    ours = laid_down(coo_array((np.ones(300, dtype), (zeros, zeros)), shape=(1, 1)), tmp_path / "arrays")

    assert (ours.pairs, ours.plays) == (1, 300.0)


def test_each_entry_of_a_pair_is_looked_at(tmp_path):
    with pytest.raises(BadInputError, match=r"1 of 2 lines are bad \(1 negative\)"):
        laid_down(coo_array(([-1, 3], ([0, 0], [0, 0])), shape=(1, 1)), tmp_path / "arrays")


@pytest.mark.parametrize(("kind", "number"), [("float64", 2.0**53), ("float32", 2.0**24), ("float64", 1e19)])
def test_ids_that_a_float_cannot_hold_are_refused(kind, number, tmp_path):
    import pandas

    frame = pandas.DataFrame({"user": [1, number, number], "item": ["x", "y", "z"]}).astype({"user": kind})

    with pytest.raises(
        BadInputError, match="column user is of type .* cannot tell ids such as .* apart; make them integers or strings"
    ):
        laid_down(frame, tmp_path / "arrays")
    assert laid_down(frame.assign(user=frame["user"].clip(upper=2)), tmp_path / "small").n_users == 2


def test_times_with_nanoseconds_are_read():
    import pandas

    times = pandas.to_datetime([1709251200 * 10**9 + 1, 1709251201 * 10**9 + 1500], unit="ns")
    frame = pandas.DataFrame({"timestamp": times, "user": ["a", "b"], "item": "x", "ms_played": 60_000})

    assert Arrays(frame).collect(InputOptions()).report["times"] == (1709251200.0, 1709251201.000001)


@pytest.mark.parametrize("kind", ["Categorical", "Enum"])
def test_categories_of_polars_are_read_as_strings(kind, tmp_path):
    import polars

    columns = {
        "user": ["a", None, "b", "a"],
        "item": ["x", "x", "y", "y"],
        "timestamp": ["2024-03-01", "2024-03-02", None, "2024-03-03"],
    }
    frame = polars.DataFrame(columns).with_columns(ms_played=polars.lit(60_000))
    types = {
        name: polars.Categorical if kind == "Categorical" else polars.Enum(frame[name].drop_nulls().unique()) for name in columns
    }
    lenient = InputOptions(max_bad_lines="2")

    ours = laid_down(frame.cast(types), tmp_path / "arrays", lenient)

    assert bytes_of(ours) == bytes_of(laid_down(frame, tmp_path / "strings", lenient))
    assert (ours.pairs, ours.info["bad"]["counts"]) == (2, {"no id": 1, "not a time": 1})


def test_half_of_a_surrogate_pair_is_no_id(tmp_path):
    ours = laid_down([("\ud800", "x"), ("c", "y")], tmp_path / "arrays", InputOptions(max_bad_lines="1"))

    assert (ours.pairs, ours.info["bad"]["counts"]) == (1, {"no id": 1})


@pytest.mark.parametrize("shape", [(3, 3), (3, 0), (0, 0)])
def test_a_matrix_without_plays_is_like_no_rows(shape, tmp_path):
    for plays in ([], csr_array(shape)):
        with pytest.raises(BadInputError, match="^no usable play in 0 lines$"):
            laid_down(plays, tmp_path / "arrays")


@pytest.mark.parametrize("rule", ["sum", "mean"])
def test_what_is_no_matrix_of_plays_is_refused_with_what_is_expected(rule):
    expected = {
        "shape .* expected users x items": (coo_array(np.array([0.0, 1.0, 2.0])), ""),
        "complex numbers; expected real ones": (csr_array(np.array([[1 + 2j]])), ""),
        "columns is 'item,user,plays', and a matrix has none": (csr_array(np.array([[1.0]])), "item,user,plays"),
    }
    for message, (matrix, columns) in expected.items():
        with pytest.raises(UsageError, match=message):
            Arrays(matrix).collect(InputOptions(columns=columns, duplicates=rule))


def test_decay_of_a_matrix_is_refused_by_halves_too(pairs):
    with pytest.raises(UsageError, match="--as-of 2024-01-01 does nothing without --half-life"):
        Arrays(matrix_of(pairs)).collect(InputOptions(as_of="2024-01-01"))


def test_a_mapping_is_no_iterable_of_tuples():
    with pytest.raises(UsageError, match=r"plays are a Counter, .* give \[\(user, item, n\) for"):
        Arrays(Counter({("a", "x"): 7})).collect(InputOptions())


def test_columns_say_what_is_at_each_place_of_a_tuple(pairs, tmp_path):
    rows = list(zip(*(column.tolist() for column in pairs), strict=True))

    ours = laid_down([(i, "", u, p) for u, i, p in rows], tmp_path / "arrays", InputOptions(columns="item,-,user,plays"))

    assert bytes_of(ours) == bytes_of(laid_down(rows, tmp_path / "plain"))
    with pytest.raises(BadInputError, match=r"row 0 .*; expected tuples \(item, user\), all of one length"):
        laid_down(rows, tmp_path / "short", InputOptions(columns="item,user"))
    with pytest.raises(UsageError, match="tuples name nothing; say what is at each place"):
        laid_down(rows, tmp_path / "names", InputOptions(columns="user=a,item=b"))
