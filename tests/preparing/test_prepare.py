"""prepare: the same plays give the same blocks, bad lines are told and never fatal by themselves, and mistakes are named."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mr_als.engine import engine as engines
from mr_als.engine.engine import Engine
from mr_als.errors import BadInputError, DamagedDataError, HashCollisionError, UsageError
from mr_als.options import InputOptions, PlanOptions
from mr_als.preparing.ingesting import check_sides
from mr_als.preparing.plays import read_plays
from mr_als.preparing.prepare import prepare
from mr_als.records.blocks import STRENGTH_UNIT, PlaysBlock
from mr_als.records.ids import hash_id
from tests.collisions import collision

OPTIONS = InputOptions(user_blocks="3", item_blocks="2", format="counts")
NAMES = ["alice", "bob", "nan", " a ", "e\u0301", "é", "a\u0085b", "x" * 300, '"', "1,2,3,/etc/passwd", "\\", "Ω"]


def some_lines(n=400, seed=0):
    rng = random.Random(seed)
    return [f"{rng.choice(NAMES)}\titem {rng.choice(NAMES)}\t{rng.choice(['1', '2.5', '0', '30'])}\n" for _ in range(n)]


@pytest.fixture
def log(tmp_path):
    """Write lines to a file and give its path."""

    def write(lines, name="log.tsv"):
        text = "".join(lines).encode() if not isinstance(lines, bytes) else lines
        compress = gzip.compress if name.endswith(".gz") else bz2.compress if name.endswith(".bz2") else bytes
        (tmp_path / name).write_bytes(compress(text))
        return str(tmp_path / name)

    return write


def blocks_of(plays):
    return {(side, n): bytes(b) for side in ("users", "items") for n, b in getattr(plays, side).blocks()}


def sums_of(plays, side="users"):
    """Decode a side into {(row, hash of the column): plays}."""
    found = {}
    for _, payload in getattr(plays, side).blocks():
        block = PlaysBlock.unpack(payload)
        for row, name in enumerate(block.ids.to_list()):
            for at in range(block.indptr[row], block.indptr[row + 1]):
                found[name.decode(), int(block.columns[block.indices[at]])] = float(block.amounts[at])
    return found


def expected_sums(lines, side="users"):
    found = {}
    for line in lines:
        user, item, amount = line.rstrip("\n").split("\t")
        row, column = (user, item) if side == "users" else (item, user)
        key = row, hash_id(column.encode())
        found[key] = found.get(key, 0.0) + round(float(amount) * STRENGTH_UNIT) / STRENGTH_UNIT
    return found


def test_both_sides_hold_the_sums_of_the_same_plays(log, tmp_path):
    lines = some_lines()

    plays = prepare([log(lines)], str(tmp_path / "plays"), OPTIONS)

    assert sums_of(plays, "users") == expected_sums(lines, "users")
    assert sums_of(plays, "items") == expected_sums(lines, "items")
    assert (plays.n_users, plays.n_items, plays.pairs) == (len(NAMES), len(NAMES), len(expected_sums(lines)))
    assert plays.plays == sum(expected_sums(lines).values())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    (directory / "log.tsv").write_text("".join(some_lines()))
    return blocks_of(prepare([str(directory / "log.tsv")], str(directory / "plays"), OPTIONS))


@pytest.mark.parametrize("form", ["lines", "references"])
@pytest.mark.parametrize(("runner", "tasks"), [("inline", 1), ("inline", 2), ("inline", 3), ("local", 2)])
def test_files_order_tasks_runner_and_form_do_not_change_a_byte(runner, tasks, form, log, tmp_path, undisturbed):
    lines = some_lines()
    random.Random(tasks).shuffle(lines)
    logs = [log(lines[:50], "b.tsv.gz"), log(lines[50:60], "c.tsv.bz2"), log("", "empty.tsv"), log(lines[60:], "a.tsv")]
    random.Random(tasks).shuffle(logs)

    plays = prepare(logs, str(tmp_path / "plays"), OPTIONS, Engine(runner, form, tasks))

    assert blocks_of(plays) == undisturbed


@pytest.mark.parametrize("task_memory", [1, 1 << 20])
def test_little_memory_does_not_change_a_byte(task_memory, log, tmp_path, undisturbed, monkeypatch):
    monkeypatch.setattr("mr_als.logs.logs.CHUNK", 500)

    plays = prepare([log(some_lines())], str(tmp_path / "plays"), OPTIONS, plan=PlanOptions(task_memory=task_memory), rank=64)

    assert blocks_of(plays) == undisturbed


def test_logs_of_more_users_than_fit_are_read_again_for_more_blocks_unless_their_number_was_given(log, tmp_path):
    """20,000 vectors of rank 64 take 5 MB, and a task has 9 MB beyond Python's."""
    logs = [log([f"user-{n}\titem-{n % 9}\t1\n" for n in range(20_000)])]
    plan, counts = PlanOptions(task_memory=64_000_000), InputOptions(format="counts")

    plays = prepare(logs, str(tmp_path / "plays"), counts, plan=plan, rank=64)
    given = prepare(logs, str(tmp_path / "given"), replace(counts, user_blocks="4", item_blocks="8"), plan=plan, rank=64)
    nobody = prepare(logs, str(tmp_path / "nobody"), counts, plan=plan)

    assert [p.info["blocks"] for p in (plays, given, nobody)] == [[8, 8], [4, 8], [4, 4]]
    assert len(plays.users.entries) == 8
    assert prepare(logs, str(tmp_path / "plays"), counts, plan=plan, rank=64).info == plays.info


def test_ranges_of_a_large_log_do_not_change_a_byte(log, tmp_path, monkeypatch):
    """Three files of more than a mebibyte, the least a range may have, cut for one and for three tasks."""
    lines = some_lines(120_000)
    logs = [log(lines[n::3], f"{n}.tsv") for n in range(3)]
    assert os.path.getsize(logs[0]) > 1 << 20

    one, three = (prepare(logs, str(tmp_path / f"{n}"), OPTIONS, Engine(tasks=n)) for n in (1, 3))

    assert blocks_of(one) == blocks_of(three)
    assert len(three.info["lines"]) > len(one.info["lines"]) > 3 or len(three.info["lines"]) > 3


def test_another_number_of_blocks_holds_the_same_plays(log, tmp_path):
    logs = [log(some_lines())]

    one, other = (prepare(logs, str(tmp_path / n), replace(OPTIONS, user_blocks=n, item_blocks="40")) for n in ("1", "7"))

    assert sums_of(one) == sums_of(other)
    assert sums_of(one, "items") == sums_of(other, "items")
    assert [entry.block for entry in one.users.entries] == [0]


def test_repeated_lines_and_files_add_up_as_one_line_would(log, tmp_path):
    """The same path twice is one log; a copy of it is another one."""
    lines = ["u\ti\t1\n", "u\ti\t2\n", "u\tj\t1\n"]
    first, copy = log(lines, "first.tsv"), log(lines[::-1], "copy.tsv")

    twice = prepare([first, copy, first], str(tmp_path / "twice"), OPTIONS)
    once = prepare([log(["u\ti\t6\n", "u\tj\t2\n"])], str(tmp_path / "once"), OPTIONS)

    assert blocks_of(twice) == blocks_of(once)


def test_an_explicit_zero_is_kept_and_is_no_play(log, tmp_path):
    plays = prepare([log(["u\ti\t0\n", "v\ti\t-0\n", "v\tj\t1e-320\n", "w\ti\t3\n"])], str(tmp_path / "plays"), OPTIONS)

    assert (plays.pairs, plays.plays) == (4, 3.0)
    assert sorted(sums_of(plays).values()) == [0.0, 0.0, 0.0, 3.0]


EVENTS = [
    "2024-03-01T00:00:00Z\tu\ti\t29999\n",
    "1709251200\tu\tj\t30000\n",
    "1709337599999\tv\ti\t30001\n",
    "2024-03-02\tv\tj\t1e6\n",
]


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [
        ({}, ["uj", "vi", "vj"]), ({"min_ms_played": 0}, ["ui", "uj", "vi", "vj"]), ({"min_ms_played": 30001}, ["vi", "vj"]),
        ({"since": "2024-03-02"}, ["vj"]), ({"until": "2024-03-02T00:00:00Z"}, ["uj", "vi"]),
        ({"since": "2024-03-01T00:00:01Z", "until": "1709337600", "min_ms_played": 0}, ["vi"]),
    ],
)  # fmt: skip
def test_short_plays_and_plays_outside_the_window_do_not_count(chosen, kept, log, tmp_path):
    options = InputOptions(**chosen)

    plays = prepare([log(EVENTS)], str(tmp_path / "plays"), options)

    assert sorted(sums_of(plays)) == sorted((name[0], hash_id(name[1].encode())) for name in kept)
    assert plays.info["counts"] == {"lines": 4, "filtered": 4 - len(kept)}
    assert plays.info["bad"]["counts"] == {}


@pytest.mark.parametrize(("users", "items"), [(3.0, 0.0), (0.0, 3.5), (3.0, 3.5), (0.5, 0.0)])
def test_thresholds_leave_out_rows_with_fewer_plays_in_all(users, items, log, tmp_path):
    lines = ["u\ti\t1\n", "u\tj\t2\n", "v\ti\t2.5\n", "w\tk\t0\n"]
    options = replace(OPTIONS, min_user_plays=users, min_item_plays=items)

    plays = prepare([log(lines)], str(tmp_path / "plays"), options)

    totals = {"u": 3, "v": 2.5, "w": 0}, {"i": 3.5, "j": 2, "k": 0}
    kept = [{name for name, n in side.items() if n >= least} for side, least in zip(totals, (users, items), strict=True)]
    assert {user for user, _ in sums_of(plays, "users")} == kept[0]
    assert {item for item, _ in sums_of(plays, "items")} == kept[1]
    assert (plays.n_users, plays.n_items) == (len(kept[0]), len(kept[1]))
    for side in ("users", "items"):
        for _, payload in getattr(plays, side).blocks():
            block = PlaysBlock.unpack(payload)
            assert len(set(block.indices.tolist())) == len(block.columns)


def test_columns_and_delimiter_can_be_named(log, tmp_path):
    options = InputOptions(columns="item,-,user,plays", delimiter=";")

    plays = prepare([log(["i;x;u;2\n", "j;;u;1\n"])], str(tmp_path / "plays"), options)

    assert sums_of(plays) == {("u", hash_id(b"i")): 2.0, ("u", hash_id(b"j")): 1.0}


MIXED = b"".join([b"u\ti\t1\n"] * 97 + [b"bad \\ \0line\n", b"u\ti\tnan\r\n", b"\xff\ti\t1"])


@pytest.mark.parametrize(
    ("limit", "fails"), [("3%", False), ("2.9%", True), ("3", False), ("2", True), ("0", True), ("100%", False)]
)
def test_bad_lines_are_fatal_above_the_limit_only(limit, fails, log, tmp_path):
    options = replace(OPTIONS, max_bad_lines=limit)

    if fails:
        with pytest.raises(
            BadInputError, match=r"3 of 100 lines are bad \(1 NUL, 1 NaN, 1 invalid UTF-8\), more than --max-bad"
        ) as e:
            prepare([log(MIXED)], str(tmp_path / "plays"), options)
        assert str(tmp_path / "plays" / "bad-lines.tsv") in str(e.value)
        assert not (tmp_path / "plays" / "plays.json").exists()
    else:
        plays = prepare([log(MIXED)], str(tmp_path / "plays"), options)
        assert plays.plays == 97.0
        assert plays.info["bad"]["counts"] == {"NUL": 1, "NaN": 1, "invalid UTF-8": 1}
    assert (tmp_path / "plays" / "bad-lines.tsv").exists()


@pytest.mark.parametrize("tasks", [1, 3])
def test_the_quarantine_file_says_where_each_bad_line_is_and_why(tasks, log, tmp_path):
    logs = [log(b"u\ti\t1\n" * 9 + b"tab\n", "b.tsv.gz"), log(MIXED, "a.tsv"), log(b"\ti\t1\n" + b"u\ti\t1\n" * 500_000, "c.tsv")]
    with open(logs[2], "ab") as file:
        file.write(b"u\ti\t-1\n")

    prepare(logs, str(tmp_path / "plays"), OPTIONS, Engine(tasks=tasks))

    rows = [row.split("\t") for row in (tmp_path / "plays" / "bad-lines.tsv").read_text().splitlines()]
    assert rows == [
        ["file", "line", "reason", "field", "text"],
        [logs[1], "98", "NUL", "", r"bad \\ \x00line"],
        [logs[1], "99", "NaN", "plays", r"u\ti\tnan"],
        [logs[1], "100", "invalid UTF-8", "", r"\\xff\ti\t1"],
        [logs[0], "10", "too few fields", "", "tab"],
        [logs[2], "1", "empty id", "user", r"\ti\t1"],
        [logs[2], "500002", "negative", "plays", r"u\ti\t-1"],
    ]


def test_the_samples_are_the_first_bad_lines_however_the_logs_are_dealt(log, tmp_path):
    logs = [log("x\n" * 15 + "u\ti\t1\n" * n, f"{n}.tsv") for n in (1, 200, 30)]
    options = replace(OPTIONS, max_bad_lines="100%")

    for tasks in (1, 2, 3):
        prepare(logs, str(tmp_path / f"{tasks}"), options, Engine(tasks=tasks))

    tables = [(tmp_path / f"{tasks}" / "bad-lines.tsv").read_text() for tasks in (1, 2, 3)]
    assert tables[0] == tables[1] == tables[2]
    assert len(tables[0].splitlines()) == 21


@pytest.mark.parametrize(
    ("lines", "chosen", "said"),
    [
        (["bad\n", "worse\n"], {"max_bad_lines": "100%"}, "2 bad .*--columns"),
        (["u\ti\t0\n"], {}, "1 zero plays .*--columns"),
        (["u\ti\t1\n"], {"min_user_plays": 2.0}, "1 of users or items below a threshold .*--min-user-plays, --min-item-plays"),
        (["u\ti\t1\n"], {"min_item_plays": 2.0}, "1 of users or items below a threshold .*--min-user-plays, --min-item-plays"),
        (["2024-03-01\tu\ti\t5\n"], {"format": "events"}, "1 too short .*--min-ms-played"),
        (["2024-03-01\tu\ti\t60000\n"], {"format": "events", "since": "2024-04-01"}, "1 outside the window .*--since, --until"),
        (
            ["2024-03-01\tu\ti\t60000\n"] * 2 + ["2024-04-01\tu\ti\t5\n"], {"format": "events", "since": "2024-04-01"},
            "1 too short .*--min-ms-played.*; 2 outside the window .*--since",
        ),
        (["\n"], {"max_bad_lines": "1"}, "1 bad .*--columns"),
    ],
    ids=["all bad", "only zeros", "no user left", "no item left", "all too short", "all before", "two reasons", "an empty line"],
)  # fmt: skip
def test_no_usable_play_is_bad_input_and_what_left_them_out_is_named(lines, chosen, said, log, tmp_path):
    with pytest.raises(BadInputError, match=f"no usable play in {len(lines)} lines: (?:{said})") as caught:
        prepare([log(lines)], str(tmp_path / "plays"), replace(OPTIONS, **chosen))

    # and nothing else
    assert (
        sum(f"--{name}" in str(caught.value) for name in ("columns", "min-ms-played", "min-user-plays", "since"))
        == said.count(";") + 1
    )
    assert not (tmp_path / "plays" / "plays.json").exists()


def test_empty_logs_have_no_format(log, tmp_path):
    with pytest.raises(BadInputError, match=r"a\.tsv: empty, and so are all other logs"):
        prepare([log("", "a.tsv"), log("", "b.tsv.gz")], str(tmp_path / "plays"), InputOptions())


def test_a_damaged_compressed_log_is_named_on_every_runner(log, tmp_path):
    longer = [f"user-{n}\titem-{n * n}\t1\n" for n in range(20_000)]
    for lines, told in ((some_lines(), "cannot be read, or its"), (longer, "its")):
        logs = [log(some_lines(), "first.tsv"), log(lines, "log.tsv.gz")]
        with open(logs[1], "r+b") as file:
            file.truncate(os.path.getsize(logs[1]) - 20)
        for runner in ("inline", "local"):
            with pytest.raises(BadInputError, match=rf"log\.tsv\.gz: {told} compressed data are damaged"):
                prepare(logs, str(tmp_path / "plays"), OPTIONS, Engine(runner))


@pytest.mark.parametrize("runner", ["inline", "local"])
@pytest.mark.parametrize("files", [1, 2])
def test_ids_that_collide_stop_prepare_with_a_remedy_that_works(files, runner, log, tmp_path):
    """In one file they meet in a map task, in two files in their block's reducer."""
    one, other = collision()
    lines = [f"{one}\ti\t1\n", f"{other}\ti\t1\n"]
    logs = [log(lines)] if files == 1 else [log(lines[:1], "a.tsv"), log(lines[1:], "b.tsv")]

    with pytest.raises(HashCollisionError) as caught:
        prepare(logs, str(tmp_path / "plays"), OPTIONS, Engine(runner, tasks=files))
    plays = prepare(logs, str(tmp_path / "plays"), replace(OPTIONS, salt=1), Engine(runner, tasks=files))

    assert {*map(repr, (one, other))} == {part for part in map(repr, (one, other)) if part in str(caught.value)}
    assert "--salt 1" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert plays.n_users == 2


def test_finished_plays_are_used_again_unless_inputs_or_options_changed(log, tmp_path):
    path, directory = log(some_lines()), str(tmp_path / "plays")

    first = prepare([path], directory, OPTIONS)
    assert prepare([path], directory, OPTIONS).info["attempt"] == first.info["attempt"]
    other = prepare([path], directory, replace(OPTIONS, salt=1))
    assert other.info["attempt"] != first.info["attempt"]
    log(some_lines(10))
    last = prepare([path], directory, replace(OPTIONS, salt=1))
    assert last.info["counts"]["lines"] == 10

    assert sorted(os.listdir(directory)) == [last.info["attempt"], "bad-lines.tsv", "plays.json"]


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b"null", b"{}", b'{"attempt": 3}', b"\xff\xfe"])
def test_a_torn_plays_file_is_damaged_and_made_again(torn, log, tmp_path):
    path, directory = log(some_lines()), tmp_path / "plays"
    prepare([path], str(directory), OPTIONS)
    (directory / "plays.json").write_bytes(torn)

    with pytest.raises(DamagedDataError, match=r"plays\.json cannot be read \(.*prepare the plays again"):
        read_plays(str(directory))
    assert prepare([path], str(directory), OPTIONS).plays > 0


@pytest.mark.parametrize("missing", ["n_users", "pairs", "users", "attempt"])
def test_a_plays_file_that_lacks_a_field_is_damaged(missing, log, tmp_path):
    prepare([log(some_lines())], str(tmp_path / "plays"), OPTIONS)
    info = json.loads((tmp_path / "plays" / "plays.json").read_text())
    del info[missing]
    (tmp_path / "plays" / "plays.json").write_text(json.dumps(info))

    with pytest.raises(DamagedDataError, match=rf"cannot be read \(no {missing}.*\): damaged"):
        read_plays(str(tmp_path / "plays"))


def test_a_directory_without_plays_or_with_a_short_file_is_damaged(log, tmp_path):
    with pytest.raises(DamagedDataError, match="not a finished plays directory"):
        read_plays(str(tmp_path))

    plays = prepare([log(some_lines())], str(tmp_path / "plays"), OPTIONS)
    os.truncate(plays.items.path, os.path.getsize(plays.items.path) - 1)
    with pytest.raises(DamagedDataError, match=r"items.*bytes where the manifest says .*prepare the plays again"):
        read_plays(str(tmp_path / "plays"))


def test_a_prepare_that_fails_leaves_no_plays_of_other_options_behind(log, tmp_path):
    """What was finished was of other inputs: who trains on the directory next must not get it unawares."""
    path, directory = log(some_lines()), str(tmp_path / "plays")
    finished = blocks_of(prepare([path], directory, OPTIONS))
    with pytest.raises(BadInputError, match="more than --max-bad-lines"):
        prepare([log([*some_lines(), *["bad\n"] * 100], "other.tsv")], directory, OPTIONS)

    with pytest.raises(DamagedDataError, match="not a finished plays directory"):
        read_plays(directory)
    assert blocks_of(prepare([path], directory, OPTIONS)) == finished


@pytest.mark.parametrize(("pairs", "units"), [(4, 7), (5, 6), (4, 6)])
def test_sides_that_differ_in_pairs_or_in_plays_are_refused(pairs, units):
    """A lost block of ratings of 0 leaves the plays as they are, and one of plays that were summed twice the pairs."""
    check_sides({"users": [3, 5, 7, 2, 5, 7], "items": [2, 5, 7, 3, 5, 7]})

    with pytest.raises(
        DamagedDataError, match=f"the users have 5 pairs .* the items {pairs} and .*: a task's output was lost or doubled"
    ):
        check_sides({"users": [3, 5, 7, 2, 5, 7], "items": [2, 5, 7, 3, pairs, units]})


@pytest.mark.parametrize("chosen", [{}, {"min_user_plays": 1.0}], ids=["no threshold", "a threshold"])
@pytest.mark.parametrize("fault", ["lost", "doubled", "cut"])
def test_lost_doubled_and_cut_output_is_noticed(fault, chosen, log, tmp_path, monkeypatch):
    def run_job(*args, **options):
        parts = [part for part in real(*args, **options) if os.path.getsize(part)]
        if fault == "cut":
            os.truncate(parts[0], os.path.getsize(parts[0]) - 3)
        return {"lost": parts[1:], "doubled": [*parts, parts[-1]], "cut": parts}[fault]

    real = engines.run_job
    monkeypatch.setattr(engines, "run_job", run_job)

    said = {"lost": "a task's output was lost", "doubled": "a block came twice", "cut": "a line has . fields .*: truncated"}[fault]
    with pytest.raises(DamagedDataError, match=said):
        prepare([log(some_lines())], str(tmp_path / "plays"), replace(OPTIONS, **chosen), Engine(tasks=2))

    assert not (tmp_path / "plays" / "plays.json").exists()


@pytest.mark.parametrize("name", ["two words", "a#b", "a,b", "%2e", "x[1]", "*?", "-r", "é", "{a}", "$HOME", "~", "a'b"])
def test_any_name_is_good_for_a_directory_and_for_a_log(name, log, tmp_path, undisturbed):
    (tmp_path / name).mkdir()

    for runner in ("inline", "local") if name in ("a#b", "x[1]") else ("inline",):
        plays = prepare([log(some_lines(), f"{name}/{name}")], str(tmp_path / name / f"plays {runner}"), OPTIONS, Engine(runner))
        assert blocks_of(plays) == undisturbed


def test_a_name_that_is_no_utf8_is_good_for_a_log(tmp_path, undisturbed):
    path = os.fsdecode(bytes(tmp_path) + b"/\xff.tsv")
    with open(path, "w") as file:
        file.writelines([*some_lines(), "bad\n"])

    plays = prepare([path], str(tmp_path / "plays"), OPTIONS)

    assert blocks_of(plays) == undisturbed
    assert b"\xff.tsv\t401\ttoo few fields" in (tmp_path / "plays" / "bad-lines.tsv").read_bytes()


def test_an_impossible_window_is_a_usage_error(log, tmp_path):
    for chosen in ({"since": "yesterday"}, {"since": "2024-03-02", "until": "2024-03-01"}):
        with pytest.raises(UsageError, match="--since"):
            prepare([log(EVENTS)], str(tmp_path / "plays"), InputOptions(**chosen))


PREPARE = """
import os, sys
os.umask(0o077)
from tests.preparing.test_prepare import OPTIONS, blocks_of
from mr_als.engine.engine import Engine
from mr_als.preparing.prepare import prepare
for _, block in sorted(blocks_of(prepare([sys.argv[1]], sys.argv[2], OPTIONS, Engine(sys.argv[3]))).items()):
    sys.stdout.buffer.write(block)
"""


@pytest.mark.parametrize(
    ("runner", "environment"),
    [
        ("local", {"PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "C"}),
        ("inline", {"PYTHONHASHSEED": "random", "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": "0"}),
    ],
)
def test_hash_seed_locale_time_zone_and_umask_do_not_change_a_byte(runner, environment, log, tmp_path, undisturbed):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR", "HOME") if name in os.environ}

    done = subprocess.run(
        [sys.executable, "-c", PREPARE, log(some_lines()), str(tmp_path / "plays"), runner],
        env={**inherited, **environment, "PYTHONPATH": root}, cwd="/", capture_output=True, check=True,
    )  # fmt: skip

    assert done.stdout == b"".join(block for _, block in sorted(undisturbed.items()))


def edited(directory, **fields):
    path = directory / "plays.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_plays_of_another_format_are_refused_with_what_to_do(log, tmp_path):
    prepare([log(some_lines())], str(tmp_path / "plays"), OPTIONS)
    edited(tmp_path / "plays", format=7)

    with pytest.raises(
        DamagedDataError, match=r"plays\.json has format 7, and mr_als .* reads format 1; use the version that wrote"
    ):
        read_plays(str(tmp_path / "plays"))


@pytest.mark.parametrize(
    "fields",
    [
        {"n_users": "many"}, {"plays": None}, {"blocks": 4}, {"blocks": []}, {"options": []}, {"options": {"salt": 0}},
        {"counts": {"lines": "3"}}, {"bad": 3}, {"users": 3}, {"items": {"kind": 1}}, {"attempt": None}, {"pairs": True},
    ],
    ids=str,
)  # fmt: skip
def test_a_plays_file_with_fields_of_other_kinds_is_damaged_and_made_again(fields, log, tmp_path, cli):
    path, directory = log(some_lines()), tmp_path / "plays"
    prepare([path], str(directory), OPTIONS)
    edited(directory, **fields)

    code, _, err = cli("train", "--plays", directory, "--model", tmp_path / "model", "-q")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "plays.json cannot be read (" in err
    assert ": damaged, prepare the plays again" in err
    # the same plays are given as they are: what is damaged is none
    assert prepare([path], str(directory), OPTIONS).plays > 0


@pytest.mark.parametrize(
    "command", [("plan", "--no-measure"), ("prepare", "--plays", "DIR"), ("train", "--rank", "2", "--model", "DIR")]
)
@pytest.mark.parametrize("limit", ["1", "0"])
def test_samples_of_bad_lines_are_where_they_are_said_to_be(command, limit, log, tmp_path, cli):
    """Of what is there for the time being, an example is shown instead of a file that is gone when one looks."""
    path = log([*some_lines(), "ann\tjazz\tmany plays\n"])

    words = [str(tmp_path / "made") if word == "DIR" else word for word in command]
    code, _, err = cli(words[0], path, *words[1:], "--format", "counts", "--max-bad-lines", limit)

    assert code == (1 if limit == "0" else 0)
    files = re.findall(r"\S+/bad-lines\.tsv", err)
    if command[0] == "plan":
        assert files == []
        assert f"such as {path}, line {len(some_lines()) + 1}: " in err
        assert "many plays" in err
    else:
        assert "many plays" in Path(files[-1]).read_text()
