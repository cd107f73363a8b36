"""prepare --add: however plays come in, their sum has the bytes of all logs prepared at once; what would not have is refused."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mr_als.engine.engine import Engine
from mr_als.engine.outputs import held
from mr_als.errors import BadInputError, BusyError, DamagedDataError, ResumeError, UsageError
from mr_als.options import InputOptions, PlanOptions, RunOptions
from mr_als.preparing.arrays import Arrays
from mr_als.preparing.growing import grow
from mr_als.preparing.ingesting import Task
from mr_als.preparing.prepare import prepare
from mr_als.preparing.replanning import replan
from mr_als.preparing.segments import Segments
from mr_als.preparing.summing import open_plays
from mr_als.progress import Progress
from mr_als.training.train import train
from tests.toy import generation_bytes, options

ROOT = Path(__file__).resolve().parents[2]
CHOSEN = InputOptions(user_blocks="3", item_blocks="2", min_user_plays=3, min_item_plays=4)
DAYS = 4
# what of plays.json says when, how and where the files were made
MADE = {"attempt", "users", "items", "seconds", "segments", "before", "lines"}


def day(number, n=60):
    """Generate events of a day of March 2024; each day has users and items that the others do not have, and one bad line."""
    rng = random.Random(number)
    return [
        f"2024-03-{number:02d}T{rng.randrange(24):02d}:00:00Z\tuser-{rng.randrange(9 + 4 * number)}\t"
        f"song é {rng.randrange(5 + 3 * number)}\t{rng.choice([20000, 200000])}\n"
        for _ in range(n)
    ] + ["no time\tuser\titem\t1\n"]


@pytest.fixture
def logs(tmp_path):
    """Write the logs of some days, and return their paths."""
    return [written(tmp_path / f"day-{number}.tsv", day(number)) for number in range(1, DAYS + 1)]


def written(path, lines):
    path.write_text("".join(lines))
    return str(path)


def task(directory, chosen=CHOSEN, engine=Engine(), progress=None, plan=PlanOptions(), rank=0):
    chosen = replace(chosen, max_bad_lines="10%")
    return Task(str(directory), chosen, engine, progress or Progress(quiet=True), plan, rank, False)


def blocks_of(plays):
    return [[(n, bytes(payload)) for n, payload in side.blocks()] for side in (plays.users, plays.items)]


def at_once(logs, tmp_path, chosen=CHOSEN, **keys):
    return prepare(logs, str(tmp_path / "at-once"), replace(chosen, max_bad_lines="10%"), **keys)


def known_of(plays):
    known = {name: value for name, value in plays.info.items() if name not in MADE}
    return known | {"bad": known["bad"]["counts"]}


ENGINES = [Engine(), Engine(tasks=3), Engine("inline", "lines", 2), Engine("local", tasks=2)]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: f"{engine.runner}-{engine.form}-{engine.tasks}")
def test_the_sum_has_the_bytes_of_all_logs_at_once_on_every_engine(engine, logs, tmp_path):
    for log in logs:
        grow([log], task(tmp_path / "plays", engine=engine))

    plays = open_plays(str(tmp_path / "plays"), engine)

    whole = at_once(logs, tmp_path)
    assert blocks_of(plays) == blocks_of(whole)
    assert known_of(plays) == known_of(whole)
    assert plays.n_users < 60  # the thresholds have left some out


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_adding_does_not_change_a_byte(order, logs, tmp_path):
    for number in order:
        grow([logs[number]], task(tmp_path / "plays"))

    assert blocks_of(open_plays(str(tmp_path / "plays"))) == blocks_of(at_once(logs[:3], tmp_path))


amounts = st.sampled_from(["0", "1", "2", "0.1", "2.5", "1000000", "1e-6"])
names = st.sampled_from(["ann", "bob", "-eve", "é", "x" * 40, "0"])
lines = st.lists(st.tuples(names, names, amounts), min_size=1, max_size=12)


@settings(max_examples=15)
@given(
    nights=st.lists(lines, min_size=1, max_size=6),
    thresholds=st.tuples(st.sampled_from([0, 1, 3]), st.sampled_from([0, 2.5])),
    blocks=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    many=st.integers(2, 4),
    cut=st.booleans(),
)
def test_any_plays_cut_into_any_nights_are_the_same_sum(nights, thresholds, blocks, many, cut, tmp_path_factory):
    place = tmp_path_factory.mktemp("nights")
    chosen = InputOptions("counts", user_blocks=str(blocks[0]), item_blocks=str(blocks[1]))
    chosen = replace(chosen, min_user_plays=thresholds[0], min_item_plays=thresholds[1])
    logs = [written(place / f"{n}.tsv", ["\t".join(line) + "\n" for line in night]) for n, night in enumerate(nights)]
    added = []
    for number, log in enumerate(logs):
        try:
            begun = replace(chosen, user_blocks="2", item_blocks="3") if cut else chosen
            grow([log], task(place / "plays", begun), many=many)
            added.append(log)
        except BadInputError:
            assert all(float(amount) < 2**-17 for _, _, amount in nights[number])  # a night of nothing
    try:
        whole = at_once(added, place, chosen) if added else None
    except BadInputError:
        whole = None
    if whole is None:  # nothing is above the thresholds, and so it is in the sum
        with pytest.raises(BadInputError if added else DamagedDataError):
            open_plays(str(place / "plays"))
        return
    if cut:
        replan(task(place / "plays", InputOptions(user_blocks=str(blocks[0]), item_blocks=str(blocks[1]))))

    assert blocks_of(open_plays(str(place / "plays"))) == blocks_of(whole)


def test_logs_that_are_in_are_skipped_and_said_and_need_not_be_there_any_more(logs, tmp_path, capsys):
    grow(logs[:2], task(tmp_path / "plays"))

    again = grow([str(tmp_path / "day-*.tsv")], task(tmp_path / "other", progress=Progress()))
    nothing = grow(logs[:2], task(tmp_path / "plays", progress=Progress()))
    os.remove(logs[0])
    more = grow([str(tmp_path / "day-*.tsv")], task(tmp_path / "plays", progress=Progress()))

    said = capsys.readouterr().err
    assert f"2 of 2 log(s) are in already: {logs[0]} and 1 more" in said
    assert f"1 of 3 log(s) is in already: {logs[1]}\n" in said
    assert (again.added, again.skipped) == (4, 0)
    assert (nothing.added, nothing.skipped, nothing.info) == (0, 2, {})
    assert (more.added, more.skipped, more.segments, more.logs) == (2, 1, 2, 4)
    assert blocks_of(open_plays(str(tmp_path / "plays"))) == blocks_of(open_plays(str(tmp_path / "other")))


def test_a_log_that_has_changed_since_it_was_added_is_refused(logs, tmp_path):
    grow(logs[:2], task(tmp_path / "plays"))
    with open(logs[1], "a") as file:
        file.write(day(1, 1)[0])

    with pytest.raises(BadInputError, match=r"day-2.tsv has changed \(size or time\) since it was added"):
        grow(logs, task(tmp_path / "plays"))


def test_plays_prepared_at_once_are_the_first_segment(logs, tmp_path):
    chosen = replace(CHOSEN, min_user_plays=0, min_item_plays=0)
    prepare(logs[:3], str(tmp_path / "plays"), replace(chosen, max_bad_lines="10%"))

    assert grow(logs, task(tmp_path / "plays", chosen)).segments == 2
    assert blocks_of(open_plays(str(tmp_path / "plays"))) == blocks_of(at_once(logs, tmp_path, chosen))


def test_plays_from_which_a_threshold_has_left_something_out_are_refused(logs, tmp_path):
    at_once(logs[:3], tmp_path)

    with pytest.raises(UsageError, match=r"was prepared with --min-user-plays 3, and what that left out is not known"):
        grow(logs, task(tmp_path / "at-once"))


def test_preparing_at_once_what_was_added_to_is_refused_with_what_to_do(logs, tmp_path):
    grow(logs[:2], task(tmp_path / "plays"))

    with pytest.raises(
        UsageError, match=r"holds plays of 2 logs that were added with --add; add these to them with --add, or name"
    ):
        prepare(logs, str(tmp_path / "plays"), CHOSEN)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"half_life": 30.0, "as_of": "2024-04-01"}, "--half-life 30.0: .* were made with 'none'; .* cannot be carried to another"),
        ({"min_ms_played": 1000}, "--min-ms-played 1000: the plays .* were made with 30000"),
        ({"since": "2024-03-02"}, "--since 2024-03-02: .* prepare all logs again into another directory"),
        ({"min_user_plays": 2.0}, "--min-user-plays 2.0: .* were made with 3"),
        ({"salt": 1}, "--salt 1: .* were made with 'none'"),
        ({"user_blocks": "5"}, "--user-blocks 5: .* has 3; change it with `mr-als prepare --plays .* --replan`"),
        ({"duplicates": "mean"}, "--duplicates mean looks at all ratings .* prepare all logs at once, without --add"),
    ],
)
def test_options_that_would_make_another_sum_are_refused(other, said, logs, tmp_path):
    grow(logs[:1], task(tmp_path / "plays"))
    before = (tmp_path / "plays" / "segments.json").read_bytes()

    with pytest.raises(UsageError, match=said):
        grow(logs, task(tmp_path / "plays", replace(CHOSEN, **other)))

    assert (tmp_path / "plays" / "segments.json").read_bytes() == before


def test_plays_that_fade_are_exact_as_seen_from_one_moment(logs, tmp_path):
    fading = replace(CHOSEN, half_life=1.5, as_of="2024-03-05", min_user_plays=1, min_item_plays=1)
    for log in logs:
        grow([log], task(tmp_path / "plays", fading))

    assert blocks_of(open_plays(str(tmp_path / "plays"))) == blocks_of(at_once(logs, tmp_path, fading))
    with pytest.raises(UsageError, match="--as-of 2024-03-06: .* strengths are rounded as they are at that moment"):
        grow(logs, task(tmp_path / "plays", replace(fading, as_of="2024-03-06")))


def test_how_logs_are_read_may_differ_from_one_to_the_next(logs, tmp_path):
    named = written(tmp_path / "more.csv", ["who,song,times\n", "ann,café,7\n"])
    chosen = replace(CHOSEN, min_user_plays=0, min_item_plays=0)
    grow(logs[:1], task(tmp_path / "plays", chosen))

    assert grow([named], task(tmp_path / "plays", replace(chosen, columns="user=who,item=song,plays=times"))).segments == 2


def test_tracks_are_not_added_to_artists(tmp_path):
    first = written(tmp_path / "first.csv", ["user,artist\n", "ann,Ray\n"])
    second = written(tmp_path / "second.csv", ["user,track\n", "ann,Blue\n"])
    grow([first], task(tmp_path / "plays", InputOptions()))

    with pytest.raises(UsageError, match=r"the item of the new logs is 'track', in .* it is 'artist'"):
        grow([second], task(tmp_path / "plays", InputOptions()))


def test_a_night_of_too_many_bad_lines_or_of_none_adds_nothing(logs, tmp_path):
    grow(logs[:1], task(tmp_path / "plays"))
    before = sorted(os.listdir(tmp_path / "plays")), (tmp_path / "plays" / "segments.json").read_bytes()

    with pytest.raises(BadInputError, match="more than --max-bad-lines"):
        grow([written(tmp_path / "bad.tsv", day(2)[:40] + ["no time\tann\tcafé\t200000\n"] * 9)], task(tmp_path / "plays"))
    with pytest.raises(BadInputError, match="no usable play"):
        grow([written(tmp_path / "short.tsv", [line.replace("200000", "20000") for line in day(2)[:9]])], task(tmp_path / "plays"))

    assert (tmp_path / "plays" / "segments.json").read_bytes() == before[1]
    grow(logs[:1], task(tmp_path / "plays"))  # which tidies up
    assert sorted(os.listdir(tmp_path / "plays")) == before[0]


@pytest.mark.parametrize("bound", ["2024-03-03", "2d", "1709424000"])
def test_what_is_older_is_dropped_and_stays_out(bound, logs, tmp_path, capsys):
    for log in logs:
        grow([log], task(tmp_path / "plays"))

    grown = grow([], task(tmp_path / "plays", InputOptions(), progress=Progress()), bound)

    assert (grown.dropped, grown.segments) == (2, 2)
    assert "dropped 2 segment(s) of 2 log(s), older than 2024-03-03T00:00:00Z" in capsys.readouterr().err
    assert blocks_of(open_plays(str(tmp_path / "plays"))) == blocks_of(at_once(logs[2:], tmp_path))
    assert grow(logs, task(tmp_path / "plays", progress=Progress()), bound).added == 0
    assert "2 of 4 log(s) are dropped before, and stay out" in capsys.readouterr().err
    written(Path(logs[0]), day(1))  # fetched again, and its time of change is another one
    grow(logs[:1], task(tmp_path / "plays"))
    grow(logs[:1], task(tmp_path / "plays", progress=Progress()))
    assert "dropped before" not in capsys.readouterr().err


def test_a_window_goes_with_what_is_added(logs, tmp_path):
    for log in logs:
        grown = grow([log], task(tmp_path / "plays"), "3d")

    assert (grown.added, grown.dropped, grown.segments) == (1, 1, 3)
    assert blocks_of(open_plays(str(tmp_path / "plays"))) == blocks_of(at_once(logs[1:], tmp_path))


def test_a_segment_of_which_a_part_is_older_stays_and_is_named(logs, tmp_path, capsys):
    grow(logs[:3], task(tmp_path / "plays"))
    grow(logs[3:], task(tmp_path / "plays"))

    assert grow([], task(tmp_path / "plays", progress=Progress()), "2024-03-03").dropped == 0
    assert "are one segment, which stays, though --drop 2024-03-03 is 2024-03-03T00:00:00Z" in capsys.readouterr().err


def test_dropping_everything_or_by_no_time_is_refused(logs, tmp_path):
    grow(logs, task(tmp_path / "plays"))
    grow([written(tmp_path / "counts.tsv", ["ann\tcafé\t3\n"])], task(tmp_path / "counts", InputOptions()))

    with pytest.raises(UsageError, match="all plays are older than 2025-01-01T00:00:00Z, so nothing would be left"):
        grow([], task(tmp_path / "plays"), "2025")
    with pytest.raises(UsageError, match="'soon' is neither a time such as 2024-03-01 nor a number of days such as 90d"):
        grow([], task(tmp_path / "plays"), "soon")
    with pytest.raises(UsageError, match="'soon' is neither"):  # before a log is read
        grow([written(tmp_path / "torn.tsv", ["torn\n"])], task(tmp_path / "plays"), "soon")
    with pytest.raises(UsageError, match="counts.tsv have no times, so it is not known how old they are"):
        grow([], task(tmp_path / "counts", InputOptions()), "2024")
    with pytest.raises(UsageError, match="no plays in it; begin with"):
        grow([], task(tmp_path / "nothing"), "2024")


def test_one_play_of_a_clock_that_was_wrong_does_not_take_all_plays_away(logs, tmp_path):
    grow(logs[:1], task(tmp_path / "plays"))
    grow(logs[1:2], task(tmp_path / "plays"))
    before = blocks_of(open_plays(str(tmp_path / "plays")))
    wrong = written(tmp_path / "wrong.tsv", [line.replace("2024", "2038", 1) for line in day(3)])

    with pytest.raises(
        UsageError, match=r"--drop 90d: the last play of .*wrong.tsv is of 2038-.*, and all other 2 segments end before"
    ):
        grow([wrong], task(tmp_path / "plays"), "90d")

    assert blocks_of(open_plays(str(tmp_path / "plays"))) == before


def runs_of(directory):
    """Name the logs of each run."""
    found = json.loads((directory / "segments.json").read_text())
    logs = {one["attempt"]: [Path(path).stem for path in one["inputs"]] for one in found["each"]}
    return [[log for name in run["of"] for log in logs[name]] for run in found["runs"]]


def test_neighbours_are_added_up_and_then_neighbours_of_these_and_the_sum_stays(logs, tmp_path, capsys):
    for number in (3, 0, 1, 2):
        grown = grow([logs[number]], task(tmp_path / "plays", progress=Progress()), many=2)

    plays = open_plays(str(tmp_path / "plays"), progress=Progress())

    assert "adding up 4 segment(s) in 1 part(s)" in capsys.readouterr().err
    assert grown.segments == 4
    assert runs_of(tmp_path / "plays") == [["day-4", "day-1"], ["day-2", "day-3"], ["day-4", "day-1", "day-2", "day-3"]]
    assert blocks_of(plays) == blocks_of(whole := at_once(logs, tmp_path))
    assert known_of(plays) == known_of(whole)


def test_a_segment_that_two_runs_claim_is_not_counted_twice():
    each = [{"attempt": name} for name in "abc"]
    runs = [{"attempt": "x", "of": ["a", "b"]}, {"attempt": "y", "of": ["b", "c"]}]

    with pytest.raises(DamagedDataError, match="a segment is in two runs"):
        _ = Segments({}, False, [1, 1], each, runs).parts


def test_a_segment_that_is_dropped_takes_only_the_runs_along_that_it_is_in(logs, tmp_path):
    for log in logs:
        grow([log], task(tmp_path / "plays"), many=2)

    assert grow([], task(tmp_path / "plays", InputOptions()), "2024-03-02", many=2).dropped == 1

    assert runs_of(tmp_path / "plays") == [["day-3", "day-4"]]
    assert len([name for name in os.listdir(tmp_path / "plays") if name.startswith("attempt-")]) == 4
    assert blocks_of(open_plays(str(tmp_path / "plays"))) == blocks_of(at_once(logs[1:], tmp_path))


def test_who_reads_goes_on_while_more_comes_and_is_added_up(logs, tmp_path):
    grow(logs[:1], task(tmp_path / "plays"))
    grow(logs[1:2], task(tmp_path / "plays"))
    open_at_night = open_plays(str(tmp_path / "plays"))

    grow(logs[2:], task(tmp_path / "plays"), many=2)
    after = open_plays(str(tmp_path / "plays"))

    assert blocks_of(open_at_night) == blocks_of(at_once(logs[:2], tmp_path))
    assert blocks_of(after) == blocks_of(at_once(logs, tmp_path))


def test_plays_elsewhere_are_added_up_where_they_lie(monkeypatch):
    monkeypatch.setattr("mr_als.preparing.summing.read_segments", lambda _: Segments(asdict(CHOSEN), False, [3, 2]))
    monkeypatch.setattr("mr_als.preparing.summing.read_info", lambda _: {})

    with pytest.raises(
        UsageError, match=r"hdfs:///plays: its segments have not been added up yet, .* give -r hadoop, emr or spark"
    ):
        open_plays("hdfs:///plays")


def test_plays_of_a_program_are_no_segment(tmp_path):
    prepare(Arrays([("ann", "café")]), str(tmp_path / "plays"), InputOptions())
    log = written(tmp_path / "log.tsv", ["ann\tcafé\t3\n"])

    with pytest.raises(UsageError, match="was made of what a program had in memory"):
        grow([log], task(tmp_path / "plays", InputOptions()))


def test_a_number_of_blocks_has_no_effect_on_what_is_dropped_and_is_refused(logs, tmp_path):
    grow(logs, task(tmp_path / "plays"))

    with pytest.raises(UsageError, match="--item-blocks 7: .* has 2; change it with"):
        grow([], task(tmp_path / "plays", InputOptions(item_blocks="7")), "2024-03-02")


def test_one_at_a_time_but_a_sum_that_is_there_is_read_by_all(logs, tmp_path):
    directory = str(tmp_path / "plays")
    grow(logs[:2], task(directory))
    before = blocks_of(open_plays(directory))

    with held(directory):
        assert blocks_of(open_plays(directory)) == before
        for work in (lambda: grow(logs, task(directory)), lambda: replan(task(directory, InputOptions()))):
            with pytest.raises(BusyError, match="is working on it"):
                work()


class Adding(Progress):
    """Add one more log, and sum up, after each half of a training that somebody else runs."""

    def __init__(self, logs, directory):
        super().__init__(quiet=True)
        self.left, self._directory = [*logs], directory

    def say(self, text, event="note", **figures):
        if event == "half" and self.left:
            grow([self.left.pop(0)], task(self._directory))
            open_plays(str(self._directory))


def test_a_training_outlasts_however_many_sums(logs, tmp_path):
    plays, chosen = tmp_path / "plays", options(join="shuffle", iterations=2)
    grow(logs[:1], task(plays))
    read = open_plays(str(plays)).info["attempt"]
    at_once(logs[:1], tmp_path)
    train([], str(tmp_path / "undisturbed"), chosen, plays=str(tmp_path / "at-once"))
    adding = Adding(logs[1:], plays)

    train([], str(tmp_path / "model"), chosen, plays=str(plays), progress=adding)

    assert adding.left == []
    assert generation_bytes(tmp_path / "model") == generation_bytes(tmp_path / "undisturbed")
    # what it has read goes when it is done
    assert read in os.listdir(plays)
    grow([], task(plays), drop="2024-03-02")
    assert read not in os.listdir(plays)
    assert os.listdir(plays / "readers") == []


def test_what_the_dead_have_read_goes(logs, tmp_path):
    grow(logs[:1], task(tmp_path / "plays"))
    for name in ("attempt-00000000", "readers/attempt-00000000.11111111"):
        (tmp_path / "plays" / name).mkdir(parents=True)
    (tmp_path / "plays" / "readers" / "attempt-00000000.11111111" / "lock").write_text("process 1 on elsewhere")

    grow(logs[1:2], task(tmp_path / "plays"))

    assert os.listdir(tmp_path / "plays" / "readers") == []
    assert not (tmp_path / "plays" / "attempt-00000000").exists()


def test_where_no_mark_can_be_made_plays_are_trained_on_all_the_same(logs, tmp_path):
    grow(logs[:1], task(tmp_path / "plays"))
    open_plays(str(tmp_path / "plays"))
    (tmp_path / "plays" / "readers").write_text("no directory")

    train([], str(tmp_path / "model"), options(), plays=str(tmp_path / "plays"))

    assert (tmp_path / "plays" / "readers").read_text() == "no directory"


POINTS = [f"{when}-{what}" for what in ("segment", "merge", "sum") for when in ("before", "after")]
NIGHT = """
import sys
from tests.preparing.test_segments import *
night(sys.argv[1], sys.argv[2:])
"""


def night(directory, logs):
    grow(logs, task(directory), many=2)
    return open_plays(directory)


def killed(point, code, *arguments):
    """Run code in a process of its own, which dies at a crash point."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MR_ALS_CRASH_AT": point}
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=environment, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_the_same_command_goes_on(point, logs, tmp_path):
    directory = str(tmp_path / "plays")
    for log in logs[:2]:
        grow([log], task(directory))
    open_plays(directory)

    killed(point, NIGHT, directory, *logs[:3])
    plays = night(directory, logs[:3])

    assert blocks_of(plays) == blocks_of(at_once(logs[:3], tmp_path))
    runs = json.loads((tmp_path / "plays" / "segments.json").read_text())["runs"]
    kept = {plays.info["attempt"], plays.info.get("before"), *plays.info["segments"], *(run["attempt"] for run in runs)}
    assert {name for name in os.listdir(directory) if name.startswith("attempt-")} <= kept


CUT = """
import sys
from tests.preparing.test_segments import *
replan(task(sys.argv[1], InputOptions(user_blocks="5")))
"""


@pytest.mark.parametrize("point", ["before-replan", "after-replan", "before-sum", "after-sum"])
def test_killed_while_cutting_anew_the_plays_are_the_old_or_the_new_ones(point, logs, tmp_path):
    directory = str(tmp_path / "plays")
    grow(logs, task(directory))

    killed(point, CUT, directory)

    blocks = "3" if point == "before-replan" else "5"
    chosen = replace(CHOSEN, user_blocks=blocks, item_blocks="2" if blocks == "3" else "4")
    assert blocks_of(open_plays(directory)) == blocks_of(at_once(logs, tmp_path, chosen))


def test_too_few_blocks_are_said_and_replan_makes_those_of_all_logs_at_once(logs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mr_als.planning.choices.LOG_BYTES_PER_BLOCK", 1000)
    auto = InputOptions(min_user_plays=3, min_item_plays=4)
    for log in logs:
        grow([log], task(tmp_path / "plays", auto, progress=Progress()))
    said = capsys.readouterr().err

    replan(task(tmp_path / "plays", InputOptions(), rank=64))

    whole = at_once(logs, tmp_path, auto, rank=64)
    few = json.loads((tmp_path / "plays" / "segments.json").read_text())["each"][0]["blocks"]
    assert f"{few[0]} blocks of users and {few[1]} of items are few for all of them" in said
    assert f"next: mr-als prepare --plays {tmp_path}/plays --replan" in said
    assert whole.info["blocks"][0] > 2 * few[0]
    plays = open_plays(str(tmp_path / "plays"))
    assert blocks_of(plays) == blocks_of(whole)
    assert known_of(plays) == known_of(whole)
    assert "are few" not in capsys.readouterr().err
    # and what comes then is cut like it
    grow([written(tmp_path / "last.tsv", day(9))], task(tmp_path / "plays", auto))
    assert open_plays(str(tmp_path / "plays")).info["blocks"] == whole.info["blocks"]


def test_cut_anew_again_the_cut_before_goes(logs, tmp_path):
    grow(logs, task(tmp_path / "plays"))
    for blocks in ("5", "7", "6"):
        plays = replan(task(tmp_path / "plays", InputOptions(user_blocks=blocks)))

    assert runs_of(tmp_path / "plays") == [["day-1", "day-2", "day-3", "day-4"]]
    assert blocks_of(plays) == blocks_of(at_once(logs, tmp_path, replace(CHOSEN, user_blocks="6", item_blocks="4")))


def test_plays_of_a_program_are_cut_anew(tmp_path):
    prepare(Arrays([("ann", "café")], lasting=False), str(tmp_path / "plays"), InputOptions(max_bad_lines="10%"))

    assert replan(task(tmp_path / "plays", InputOptions(user_blocks="7"))).info["blocks"] == [7, 4]


def test_plays_prepared_at_once_are_cut_anew_with_what_thresholds_left(logs, tmp_path):
    at_once(logs, tmp_path)

    plays = replan(task(tmp_path / "at-once", InputOptions(user_blocks="7", item_blocks="1")))

    whole = prepare(logs, str(tmp_path / "anew"), replace(CHOSEN, user_blocks="7", item_blocks="1", max_bad_lines="10%"))
    assert [[b for b in side if len(b[1]) > 200] for side in blocks_of(plays)] == [
        [b for b in side if len(b[1]) > 200] for side in blocks_of(whole)
    ]
    assert {name: plays.info[name] for name in ("n_users", "n_items", "pairs", "plays", "repeated", "blocks")} == {
        name: whole.info[name] for name in ("n_users", "n_items", "pairs", "plays", "repeated", "blocks")
    }


def test_a_training_from_segments_publishes_the_model_of_all_logs_at_once(logs, tmp_path):
    chosen = options(iterations=1)
    inputs = replace(chosen.inputs, min_user_plays=3.0)
    for log in logs:
        grow([log], task(tmp_path / "plays", inputs))

    train([], str(tmp_path / "model"), chosen, plays=str(tmp_path / "plays"))

    whole = replace(chosen, inputs=replace(inputs, max_bad_lines="10%"))
    train(logs, str(tmp_path / "whole"), whole)
    same, other = (generation_bytes(tmp_path / name) for name in ("model", "whole"))
    assert {name: data for name, data in same.items() if name.endswith(".npy")} == {
        name: data for name, data in other.items() if name.endswith(".npy")
    }
    info = json.loads((tmp_path / "model" / "model.json").read_text())
    assert info["inputs"].keys() == {*logs}
    assert info["options"]["inputs"] == {**asdict(whole.inputs)}


def test_an_unfinished_run_sees_what_was_added_but_not_that_some_were_added_up(logs, tmp_path):
    chosen, model, plays = options(iterations=1), tmp_path / "model", str(tmp_path / "plays")
    for log in logs[:3]:
        grow([log], task(plays, chosen.inputs))
    run = "import sys; from tests.toy import *; train([], sys.argv[1], options(iterations=1), plays=sys.argv[2])"
    killed("after-half-001", run, str(model), plays)
    half = (model / "work" / "half-001.json").read_bytes()

    grow([], task(plays, InputOptions()), "2024-03-01", many=2)  # nothing is dropped, two are added up
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mr_als.training.train._alternate", lambda *_: {})
        train([], str(model), chosen, plays=plays)
        assert (model / "work" / "half-001.json").read_bytes() == half
        grow(logs[3:], task(plays, chosen.inputs))
        with pytest.raises(ResumeError, match=r"unfinished run with another plan: .*segments.json has changed"):
            train([], str(model), chosen, plays=plays)
    info = train([], str(model), chosen, plays=plays, rules=RunOptions(on_change="restart"))
    assert len(info["inputs"]) == 4


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda place: (place / "segments.json").write_text('{"format": 1, "each'),
            "segments.json cannot be read .*torn.* prepare the logs",
        ),
        (
            lambda place: (place / "segments.json").write_text('{"format": 2}'),
            r"has format 2, and mr_als .* reads format 1; use the version",
        ),
        (lambda place: (place / "segments.json").write_text("[]"), r"segments.json cannot be read \(no format in it, but list"),
        (lambda place: next(place.glob("attempt-*/users.raw")).write_bytes(b"?"), "it held .*: prepare all logs again"),
        (lambda place: (place / "plays.json").write_text("{"), ""),
        (lambda place: (place / "plays.json").unlink(), ""),
    ],
)
def test_damage_is_named_and_a_lost_sum_is_made_again(damage, said, logs, tmp_path):
    for log in logs[:2]:
        grow([log], task(tmp_path / "plays"))
    sum_of_both = blocks_of(open_plays(str(tmp_path / "plays"))) if not said else None

    damage(tmp_path / "plays")

    if said:
        with pytest.raises(DamagedDataError, match=said):
            open_plays(str(tmp_path / "plays"))
    else:
        assert blocks_of(open_plays(str(tmp_path / "plays"))) == sum_of_both


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no LOGS; name log files"),
        (["--add"], "no LOGS; name log files"),
        (["--add", "--drop", "3d"], "no LOGS"),
        (["LOG", "--drop", "3d"], "use --add to add them"),
        (["LOG", "--replan"], "--replan reads no logs"),
        (["--replan", "--drop", "3d"], "--replan reads no logs"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, said, logs, tmp_path, cli):
    code, _, err = cli("prepare", "--plays", tmp_path / "plays", *(logs[0] if word == "LOG" else word for word in arguments))

    assert code == 2
    assert said in err
    assert not (tmp_path / "plays").exists()


def test_the_command_prints_what_became_of_the_directory(logs, tmp_path, cli):
    command = ["--plays", tmp_path / "plays", "--add", "--drop", "2d", "--max-bad-lines", "10%", "-q"]
    cli("prepare", *logs[:2], *command)

    code, out, err = cli("prepare", *logs, *command)

    assert (code, err.count("warning")) == (0, 0), err
    assert out.splitlines()[:5] == ["added\t2", "skipped\t2", "dropped\t1", "segments\t1", "logs\t2"]
    assert cli("prepare", *logs, *command, "--json")[1].count('"added": 0, "skipped": 4') == 1
    assert "--salt 3: the plays in" in cli("prepare", "--plays", tmp_path / "plays", "--replan", "--salt", "3")[2]


@pytest.mark.parametrize(
    "fields",
    [{"options": "word"}, {"options": {}}, {"each": 7}, {"each": [3]}, {"each": [{}]}, {"blocks": "x"}, {"dropped": []}],
    ids=str,
)
def test_segments_with_fields_of_other_kinds_are_damaged(fields, tmp_path, cli):
    log = tmp_path / "log.tsv"
    log.write_text("ann\tjazz\t3\nbob\tsoul\t1\n")
    assert cli("prepare", log, "--plays", tmp_path / "plays", "--add", "-q")[0] == 0
    path = tmp_path / "plays" / "segments.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    for command in (("train", "--model", tmp_path / "model"), ("prepare", log, "--add"), ("prepare", "--replan")):
        code, _, err = cli(*command, "--plays", tmp_path / "plays", "-q")

        assert (code, len(err.splitlines())) == (1, 1), command
        assert "segments.json cannot be read (" in err
        assert ": damaged, prepare the logs again" in err
