"""Killed anywhere and started again, a run ends with the bytes of an undisturbed one; nothing half-done is ever used."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

import mr_als
from mr_als.errors import BadInputError, BusyError, DamagedDataError, ObjectiveRoseError, ResumeError
from mr_als.training.train import Engine, train
from tests.toy import generation_bytes, options, run, toy_lines, write

ITERATIONS = 3
HALVES = 2 * ITERATIONS + 1
# what a killed driver was: `options(join)` on logs, in a process of its own
DRIVER = """
import sys
from pathlib import Path
from tests.toy import options, run
run([sys.argv[1]], Path(sys.argv[2]), options(sys.argv[3]), tasks=2)
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("logs") / "counts.tsv", toy_lines())


@pytest.fixture(scope="module")
def undisturbed(logs, tmp_path_factory):
    model = tmp_path_factory.mktemp("models") / "undisturbed"
    run([logs], model, options("shuffle"))
    return generation_bytes(model)


def driver(logs: str, model: Path, crash_at: str = "") -> subprocess.Popen[bytes]:
    """Start a driver in a process of its own, to die at a crash point."""
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "MR_ALS_CRASH_AT": crash_at}
    command = [sys.executable, "-c", DRIVER, logs, str(model), "shuffle"]
    return subprocess.Popen(command, env=environment, cwd=root, stderr=subprocess.PIPE)


def crash(logs: str, model: Path, at: str) -> None:
    """Let a driver die at a crash point, and make sure that it was there that it died."""
    process = driver(logs, model, at)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, err.decode()


POINTS = [f"{when}-half-{half:03d}" for half in (0, 1, 2, HALVES) for when in ("before", "after")]


@pytest.mark.parametrize("point", [*POINTS, "before-publish", "after-publish"])
def test_a_run_killed_at_a_crash_point_goes_on_to_the_same_bytes(point, logs, undisturbed, tmp_path):
    crash(logs, tmp_path / "model", point)

    run([logs], tmp_path / "model", options("shuffle"))

    assert generation_bytes(tmp_path / "model") == undisturbed
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["generations", "lock", "model.json"]


def test_a_run_killed_at_ten_random_moments_ends_with_the_same_bytes(logs, undisturbed, tmp_path):
    """SIGKILL ten times, at moments spread over the time a run takes; each time the same command goes on."""
    moments, kills = random.Random(20260301), 0
    # the time of a run that begins with nothing: measured whenever one comes to its end, as load comes and goes
    seconds, whole = 120.0, True

    while kills < 10:
        # a run that came to its end is a finished one: the next command trains anew, and is killed in turn
        started = time.monotonic()
        process = driver(logs, tmp_path / "model")
        try:
            _, err = process.communicate(timeout=moments.uniform(0.3, 1.0) * seconds)
            assert process.returncode == 0, err.decode()
            seconds, whole = time.monotonic() - started if whole else seconds, True
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills, whole = kills + 1, False
    run([logs], tmp_path / "model", options("shuffle"))

    assert generation_bytes(tmp_path / "model") == undisturbed


def test_resuming_does_no_finished_half_again(logs, tmp_path):
    crash(logs, tmp_path / "model", "after-half-004")
    before = {str(p): p.stat().st_mtime_ns for p in (tmp_path / "model/work").glob("half-00[34]-*/factors.raw")}
    crash(logs, tmp_path / "model", "before-half-005")

    assert (tmp_path / "model/work").exists()
    for path in (tmp_path / "model/work").glob("half-00[34]-*/factors.raw"):
        assert path.stat().st_mtime_ns == before[str(path)]


def test_superseded_halves_are_cleaned_away_while_training_goes_on(logs, tmp_path):
    crash(logs, tmp_path / "model", "after-half-006")

    directories = sorted(p.name[:8] for p in (tmp_path / "model/work").glob("half-*") if p.is_dir())
    assert set(directories) <= {"half-004", "half-005", "half-006"}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (lambda o: replace(o, solver=replace(o.solver, rank=4)), "rank was 5, now 4"),
        (lambda o: replace(o, weights=replace(o.weights, alpha=3.0)), "alpha was 10.0, now 3.0"),
        (lambda o: replace(o, inputs=replace(o.inputs, salt=1)), "salt was 0, now 1"),
        (lambda o: replace(o, plan=replace(o.plan, join="broadcast")), "join was shuffle, now broadcast"),
    ],
)
def test_other_options_are_refused_with_the_difference_named(changed, named, logs, undisturbed, tmp_path):
    crash(logs, tmp_path / "model", "after-half-002")

    with pytest.raises(ResumeError, match=named):
        run([logs], tmp_path / "model", changed(options("shuffle")))

    run([logs], tmp_path / "model", options("shuffle"))
    assert generation_bytes(tmp_path / "model") == undisturbed


def test_other_inputs_are_refused_with_the_file_named(logs, tmp_path):
    copy = write(tmp_path / "counts.tsv", toy_lines())
    crash(copy, tmp_path / "model", "after-half-002")
    write(tmp_path / "counts.tsv", [*toy_lines(), "new-user\tnew-item\t1\n"])

    with pytest.raises(ResumeError, match=r"counts\.tsv"):
        run([copy], tmp_path / "model", options("shuffle"))


def test_restart_begins_anew_with_other_options(logs, tmp_path):
    crash(logs, tmp_path / "model", "after-half-002")
    chosen = options("broadcast", iterations=1)

    info = train([logs], str(tmp_path / "model"), chosen, engine=Engine(), restart=True)

    assert [entry["half"] for entry in info["history"]] == [1, 2, 3]
    assert info["plan"]["join"] == "broadcast"


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _delete(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [_truncate, _flip, _empty, _delete])
def test_a_damaged_last_half_is_found_and_done_again(damage, logs, undisturbed, tmp_path):
    crash(logs, tmp_path / "model", "after-half-004")
    damage(next((tmp_path / "model/work").glob("half-004-*/factors.raw")))

    run([logs], tmp_path / "model", options("shuffle"))

    assert generation_bytes(tmp_path / "model") == undisturbed


@pytest.mark.parametrize("damage", [_truncate, _flip, _empty, _delete])
@pytest.mark.parametrize("half", ["half-003", "half-004"])
def test_damage_is_never_published(damage, half, logs, undisturbed, tmp_path):
    """Whichever of the two last halves is damaged, before the last solve or before publishing."""
    crash(logs, tmp_path / "model", "after-half-004")
    for number in ("half-003", half):
        for path in (tmp_path / "model/work").glob(f"{number}-*/factors.raw"):
            damage(path)

    try:
        run([logs], tmp_path / "model", options("shuffle"))
    except DamagedDataError as error:
        assert "--restart" in str(error)
        assert not (tmp_path / "model/model.json").exists()
        train([logs], str(tmp_path / "model"), options("shuffle"), engine=Engine(), restart=True)
    assert generation_bytes(tmp_path / "model") == undisturbed


def test_damaged_items_are_found_before_publishing(logs, undisturbed, tmp_path):
    """The last item half is published beside the last user half: damage between the two must not get through."""
    crash(logs, tmp_path / "model", "before-publish")
    _flip(next((tmp_path / "model/work").glob("half-006-*/factors.raw")))

    try:
        run([logs], tmp_path / "model", options("shuffle"))
    except DamagedDataError as error:
        assert "--restart" in str(error)
        train([logs], str(tmp_path / "model"), options("shuffle"), engine=Engine(), restart=True)
    assert generation_bytes(tmp_path / "model") == undisturbed


def test_an_attempt_without_its_record_counts_for_nothing(logs, undisturbed, tmp_path):
    crash(logs, tmp_path / "model", "after-half-002")
    planted = tmp_path / "model/work/half-003-deadbeef"
    planted.mkdir()
    (planted / "factors.raw").write_bytes(b"not factors")

    run([logs], tmp_path / "model", options("shuffle"))

    assert generation_bytes(tmp_path / "model") == undisturbed


@pytest.mark.parametrize("name", ["run.json", "half-002.json", "plays/plays.json"])
def test_a_torn_record_is_refused_or_done_again(name, logs, undisturbed, tmp_path):
    crash(logs, tmp_path / "model", "after-half-002")
    record = tmp_path / "model/work" / name
    record.write_bytes(record.read_bytes()[: record.stat().st_size // 2])

    try:
        run([logs], tmp_path / "model", options("shuffle"))
    except (DamagedDataError, ResumeError) as error:
        assert "--restart" in str(error)
        train([logs], str(tmp_path / "model"), options("shuffle"), engine=Engine(), restart=True)
    assert generation_bytes(tmp_path / "model") == undisturbed


def test_damaged_plays_are_found(logs, undisturbed, tmp_path):
    crash(logs, tmp_path / "model", "after-half-002")
    _flip(next((tmp_path / "model/work/plays").glob("*/users.raw")))

    with pytest.raises(DamagedDataError, match=r"users\.raw"):
        run([logs], tmp_path / "model", options("shuffle"))

    train([logs], str(tmp_path / "model"), options("shuffle"), engine=Engine(), restart=True)
    assert generation_bytes(tmp_path / "model") == undisturbed


def test_the_model_before_stays_readable_while_and_after_a_run_is_killed(logs, tmp_path):
    run([logs], tmp_path / "model", options("broadcast", iterations=1))
    before = mr_als.load(str(tmp_path / "model")).recommend("user-3", 5)

    for point in ("after-half-000", "before-half-003", "before-publish"):
        crash(logs, tmp_path / "model", point)
        assert mr_als.load(str(tmp_path / "model")).recommend("user-3", 5) == before


def test_of_two_drivers_one_runs_and_the_other_says_who_holds_the_directory(logs, tmp_path):
    first = driver(logs, tmp_path / "model")
    try:
        while not (tmp_path / "model/work/run.json").exists():
            assert first.poll() is None
            time.sleep(0.005)
        with pytest.raises(BusyError, match=f"process {first.pid} on .* is working on it"):
            run([logs], tmp_path / "model", options("shuffle"))
    finally:
        first.communicate(timeout=60)

    assert first.returncode == 0


def test_of_many_drivers_started_at_once_exactly_one_runs(logs, undisturbed, tmp_path):
    drivers = [driver(logs, tmp_path / "model") for _ in range(5)]

    errors = [process.communicate(timeout=120)[1].decode() for process in drivers]

    # a late one may find the directory free again and train anew; what never happens is anything but these two ends
    assert any(process.returncode == 0 for process in drivers)
    assert all(process.returncode == 0 or "BusyError" in err for process, err in zip(drivers, errors, strict=True))
    assert generation_bytes(tmp_path / "model") == undisturbed


def test_a_rise_of_the_objective_is_an_error_and_publishes_nothing(logs, tmp_path):
    """Forged, with its checksum: the record of half 2 claims an objective that half 3 cannot reach."""
    crash(logs, tmp_path / "model", "after-half-002")
    path = tmp_path / "model/work/half-002.json"
    record = json.loads(path.read_text())
    record["entry"]["objective"] /= 100
    del record["crc"]
    path.write_text(json.dumps({**record, "crc": zlib.crc32(json.dumps(record).encode())}))

    with pytest.raises(ObjectiveRoseError, match="half 3: the objective rose"):
        run([logs], tmp_path / "model", options("shuffle"))

    assert not (tmp_path / "model/model.json").exists()


def test_a_run_that_failed_on_its_logs_does_not_stand_in_the_way_of_mended_ones(tmp_path):
    log = write(tmp_path / "counts.tsv", [*toy_lines()[:3], "user-0\titem-0\tmany\n"])
    with pytest.raises(BadInputError, match="1 not a number"):
        run([log], tmp_path / "model", options())
    write(tmp_path / "counts.tsv", toy_lines())

    run([log], tmp_path / "model", options())

    assert (tmp_path / "model/model.json").exists()


def test_samples_of_bad_lines_are_kept_with_the_model(tmp_path):
    log = write(tmp_path / "counts.tsv", [*toy_lines(), "user-0\titem-0\tmany\n"])

    info = run([log], tmp_path / "model", options())

    table = (tmp_path / "model/generations" / info["generation"] / "bad-lines.tsv").read_text().splitlines()
    assert table == [
        "file\tline\treason\tfield\ttext",
        f"{log}\t{len(toy_lines()) + 1}\tnot a number\tplays\tuser-0\\titem-0\\tmany",
    ]
