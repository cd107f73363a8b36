"""Locks and runs: one driver at a time, freed by death; what is committed counts once."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

from mr_als.engine.runs import Lock, Run
from mr_als.errors import BusyError, DamagedDataError, ResumeError, UsageError
from mr_als.storage.local import LocalStorage

HOLD = """
import sys, time
from mr_als.engine.runs import Lock
with Lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of the directory."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_process_learns_who_holds_the_directory(holder, tmp_path):
    with pytest.raises(BusyError, match=f"process {holder.pid} on .* is working on it"), Lock(str(tmp_path)):
        pass


def test_a_killed_process_frees_its_lock(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()

    with Lock(str(tmp_path)):
        assert f"process {os.getpid()} " in (tmp_path / "lock").read_text()


def test_a_released_lock_can_be_taken_again_and_names_nobody(tmp_path):
    for _ in range(2):
        with Lock(str(tmp_path)):
            pass

    assert (tmp_path / "lock").read_text() == ""


def test_a_child_that_outlives_its_parent_does_not_keep_the_lock(tmp_path):
    """Tasks of the local runner are forked from the driver, and go on for a while when it is killed."""
    gate, opened = os.pipe()
    with Lock(str(tmp_path)):
        child = os.fork()
        if not child:
            os.write(opened, b".")
            signal.pause()
        os.read(gate, 1)  # it is up

    with Lock(str(tmp_path)):
        assert os.waitpid(child, os.WNOHANG) == (0, 0)  # and still lives

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(gate)
    os.close(opened)


def test_a_forked_child_leaves_the_lock_to_its_parent(tmp_path):
    with Lock(str(tmp_path)):
        child = multiprocessing.get_context("fork").Process(target=os.getpid)
        child.start()
        child.join()

        with pytest.raises(BusyError), Lock(str(tmp_path)):
            pass


def test_a_file_system_without_locks_is_no_error(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)

    with Lock(str(tmp_path)):
        pass


def test_a_lock_file_that_cannot_be_written_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="lock: cannot be written"), Lock(str(tmp_path / "missing")):
        pass


PLAN = {"inputs": {"/logs/a.tsv": [10, 1]}, "options": {"solver": {"rank": 8}}}


def a_run(tmp_path):
    return Run(str(tmp_path / "work"), LocalStorage())


def test_the_same_plan_goes_on_under_the_same_name(tmp_path):
    first, second = a_run(tmp_path), a_run(tmp_path)

    assert (first.start(PLAN), second.start(PLAN)) == (False, True)
    assert first.name == second.name


def test_another_plan_is_refused_and_the_differences_are_named(tmp_path):
    a_run(tmp_path).start(PLAN)
    other = {"inputs": {"/logs/b.tsv": [10, 1]}, "options": {"solver": {"rank": 16}}}

    with pytest.raises(ResumeError) as caught:
        a_run(tmp_path).start(other)

    for part in ("/logs/a.tsv is no input now", "/logs/b.tsv is a new input", "--rank was 8, now 16", "--restart"):
        assert part in str(caught.value)


@pytest.mark.parametrize("torn", [b"", b'{"run": "1", "pl', b"[]", b'{"run": 1}', b"\xff", b"null"])
def test_a_torn_run_file_is_damaged_data(torn, tmp_path):
    run = a_run(tmp_path)
    run.start(PLAN)
    (tmp_path / "work" / "run.json").write_bytes(torn)

    with pytest.raises(DamagedDataError, match=r"run\.json is damaged; start again with --restart"):
        run.start(PLAN)


def test_a_half_counts_once(tmp_path):
    one, other = a_run(tmp_path), a_run(tmp_path)
    one.start(PLAN)
    other.start(PLAN)
    one.commit("half-001", {"attempt": "one"})

    with pytest.raises(DamagedDataError, match="written by another driver meanwhile"):
        other.commit("half-001", {"attempt": "other"})

    assert other.record("half-001") == {"run": one.name, "attempt": "one"}
    assert other.record("half-002") is None


def test_a_new_attempt_removes_what_earlier_ones_of_its_name_left(tmp_path):
    run = a_run(tmp_path)
    run.start(PLAN)
    first, other, second = run.attempt("half-001"), run.attempt("half-002"), run.attempt("half-001")

    assert not os.path.exists(first)
    assert os.path.isdir(other)
    assert os.path.isdir(second)


def test_cleaning_keeps_the_record_and_forgetting_does_not(tmp_path):
    run = a_run(tmp_path)
    run.start(PLAN)
    run.attempt("half-001")
    run.commit("half-001", {})

    run.clean("half-001")
    assert sorted(os.listdir(run.directory)) == ["half-001.json", "run.json"]

    run.forget("half-001")
    assert os.listdir(run.directory) == ["run.json"]


def test_a_run_of_another_format_is_refused_with_what_to_do(tmp_path):
    run = a_run(tmp_path)
    run.start(PLAN)
    path = tmp_path / "work" / "run.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 7'))

    with pytest.raises(
        ResumeError, match=r"run\.json: an unfinished run of format 7, .*finish it with the version that .*--restart"
    ):
        run.start(PLAN)


@pytest.mark.parametrize("change", [{"rows": 4}, {"rows": "many"}, {"factors": None}, {"crc": 1}])
def test_a_record_that_was_edited_is_damaged(change, tmp_path):
    run = a_run(tmp_path)
    run.start(PLAN)
    run.commit("half-001", {"rows": 3, "factors": {"file": "factors.raw"}})
    assert run.record("half-001")["rows"] == 3
    path = tmp_path / "work" / "half-001.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    with pytest.raises(DamagedDataError, match=r"half-001\.json is damaged; start again with --restart"):
        run.record("half-001")
