"""Faults of what tasks depend on: application master, daemons, driver, space. Each while half 1 runs, held at some place."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import signal
import time
from pathlib import Path

import pytest

from mr_als.engine.runners import yarn
from mr_als.errors import BusyError, JobFailedError
from mr_als.storage.places import storage_of
from tests.hadoop.runs import arrays_of, driver, train_on

pytestmark = [pytest.mark.faults, pytest.mark.slow]

MAP, REDUCE = "*_m_000000_0*--solved?users*", "*_r_000000_0*--reducer*--solved?users*"


def processes(*words: str) -> list[int]:
    """Find the ids of processes with all words in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            text = path.read_bytes()
            if all(word.encode() in text for word in words):
                found.append(int(path.parent.name))
    return found


def finished(model: str, half: str) -> list[str]:
    """List the attempts at a half, in all runs of a model, that finished the output of their job."""
    storage, generations = storage_of(model), f"{model}/generations"
    attempts = [
        f"{generations}/{run}/{name}" for run in storage.names(generations) for name in storage.names(f"{generations}/{run}")
    ]
    return [path for path in attempts if f"/{half}-" in path and "_SUCCESS" in storage.names(f"{path}/output")]


@pytest.mark.parametrize(
    ("phase", "where"), [("map", MAP), ("reduce", REDUCE), ("commit", REDUCE)], ids=["map", "reduce", "commit"]
)
def test_an_application_master_that_is_killed_costs_at_most_a_second_command(
    phase, where, hadoop, toy, undisturbed, folder, python_that, gate
):
    """F7: the next one takes over. It does not where the first may have moved some of the parts into place: the job fails."""
    model = f"{folder}/model"
    with driver(toy.uri, model, *python_that(gate.script(where))) as process:
        number = "_".join(gate.wait_for(process).split("_")[:2])
        if phase == "commit":  # what a master writes before it begins to
            staging = f"{hadoop.default_fs}/tmp/hadoop-yarn/staging/{getpass.getuser()}/.staging/job_{number}"
            storage_of(staging).write(f"{staging}/COMMIT_STARTED", b"")
        masters = processes("MRAppMaster", f"application_{number}/", str(hadoop.run))
        assert masters
        for pid in masters:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if phase != "commit":
            gate.open()
        code = process.process.wait(900)
    assert (code != 0) == (phase == "commit")
    if code:
        assert not finished(model, "half-001")
        gate.open()
        train_on(toy.uri, model)

    assert arrays_of(model) == undisturbed


@pytest.mark.parametrize("daemon", ["nodemanager", "resourcemanager", "datanode", "namenode"])
def test_a_daemon_that_is_killed_and_comes_back_costs_at_most_a_second_command(
    daemon, hadoop, toy, undisturbed, folder, python_that, gate
):
    """F8: a reducer goes on without it, to the end if it can."""
    model = f"{folder}/model"
    with driver(toy.uri, model, *python_that(gate.script(REDUCE))) as process:
        gate.wait_for(process)
        hadoop.kill(daemon)
        gate.open()
        time.sleep(2)
        hadoop.start()
        code = process.process.wait(900)

    if code:
        train_on(toy.uri, model)

    assert arrays_of(model) == undisturbed


def test_what_the_job_of_a_driver_that_slept_wrote_does_not_count_beside_that_of_the_next(
    hadoop, toy, undisturbed, folder, python_that, gate
):
    """F10: the driver is stopped, its job comes to its end, another driver takes over, then the first one wakes up."""
    model = f"{folder}/model"
    with driver(toy.uri, model, *python_that(gate.script(REDUCE))) as process:
        gate.wait_for(process)
        process.process.send_signal(signal.SIGSTOP)
        gate.open()
        end = time.monotonic() + 400
        while yarn.applications(storage_of(model).absolute(model)):
            assert time.monotonic() < end
            time.sleep(0.5)
        assert finished(model, "half-001")
        while True:
            with contextlib.suppress(BusyError):  # for the minute in which the first one may be alive
                train_on(toy.uri, model)
                break
            assert time.monotonic() < end
            time.sleep(2)
        process.process.send_signal(signal.SIGCONT)
        assert process.process.wait(400) == 1

    assert arrays_of(model) == undisturbed
    assert storage_of(model).names(model) == ["generations", "model.json"]


def test_a_full_file_system_fails_the_run_which_goes_on_when_there_is_space(
    hadoop, toy, undisturbed, folder, python_that, gate, capfd
):
    """F20: the model's directory gets a quota that what a task is about to write exceeds."""
    model = f"{folder}/model"
    with driver(toy.uri, model, *python_that(gate.script(REDUCE)), "-D", "mapreduce.reduce.maxattempts=2") as process:
        gate.wait_for(process)
        hadoop.command("hdfs", "dfsadmin", "-setSpaceQuota", "1m", model)
        gate.open()
        assert process.process.wait(900) == 1
    assert re.search("no space for the output of a task .*quota of /tests/.*; make room", capfd.readouterr().err.splitlines()[-1])
    assert storage_of(model).size(f"{model}/model.json") < 0
    hadoop.command("hdfs", "dfsadmin", "-clrSpaceQuota", model)

    train_on(toy.uri, model)

    assert arrays_of(model) == undisturbed


def test_a_task_beyond_the_disk_it_may_take_fails_the_run_in_words_that_say_so(toy, undisturbed, folder):
    """F20: the limit that Hadoop offers instead of a node whose disk is full."""
    limits = {
        "mapreduce.job.local-fs.single-disk-limit.bytes": 1,
        "mapreduce.job.local-fs.single-disk-limit.check.interval-ms": 50,
        "mapreduce.task.progress-report.interval": 50,
        "mapreduce.map.maxattempts": 1,
    }
    with pytest.raises(JobFailedError, match="no space for the output of a task .*too much data in local scratch dir"):
        train_on(toy.uri, f"{folder}/model", mrjob_arguments=[word for name in limits for word in ("-D", f"{name}={limits[name]}")])

    train_on(toy.uri, f"{folder}/model")

    assert arrays_of(f"{folder}/model") == undisturbed
