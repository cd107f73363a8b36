"""Faults on the real cluster: each ends with the bytes of an undisturbed run, or in a clear failure and the last model intact.

A task is made to fail by the Python that an mrjob.conf names for it: a shell script that looks at the attempt it runs in.
Numbers such as F3 are those of the table in docs/engines.md.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

import mr_als
import mr_als.errors
from mr_als.engine.storage import storage_of
from mr_als.errors import JobFailedError
from tests.hadoop.runs import arrays_of, driver, train_on

pytestmark = pytest.mark.faults


@pytest.fixture
def python_that(tmp_path):
    """Give the words for mrjob that make tasks run `script`, in which "$@" is what they were to run."""

    def words(script: str) -> tuple[str, ...]:
        path = tmp_path / "python"
        path.write_text(f'#!/bin/sh\nset -- {sys.executable} "$@"\n{script}\nexec "$@"\n')
        path.chmod(0o755)
        conf = tmp_path / "mrjob.conf"
        conf.write_text(json.dumps({"runners": {"hadoop": {"python_bin": str(path)}}}))
        return "-c", str(conf)

    return words


def unfinished(model: str) -> str:
    """Give the directory of the run that has not come to its end."""
    storage = storage_of(model)
    run = json.loads(storage.read(f"{model}/work/run.json") or b"{}")["run"]
    return f"{model}/generations/{run}"


def test_tasks_that_are_killed_after_they_wrote_run_again(toy, undisturbed, folder, python_that):
    """F1: the first attempt of a reduce and of a map task dies by SIGKILL when all of its output is written."""
    killed = python_that('case $mapreduce_task_attempt_id in *_r_000000_0|*_m_000001_0) "$@"; kill -9 $$;; esac')

    train_on(toy.uri, f"{folder}/model", mrjob_arguments=killed)

    assert arrays_of(f"{folder}/model") == undisturbed


def test_a_task_that_always_fails_fails_the_run_which_goes_on_when_the_cause_is_gone(
    toy, undisturbed, folder, python_that, tmp_path
):
    """F3: half 2, the first that solves items, fails in its reduce tasks until a file is removed."""
    cause, model = tmp_path / "cause", f"{folder}/model"
    cause.touch()
    failing = python_that(
        f'case "$*" in *--init*) ;; *"--reducer"*"--solved items"*) '
        f'[ ! -e {cause} ] || {{ echo "ValueError: no luck" >&2; exit 1; }};; esac'
    )
    failing += ("-D", "mapreduce.reduce.maxattempts=2")

    with pytest.raises(
        JobFailedError, match=r"job mr_solve failed on runner hadoop: .*logs: yarn logs -applicationId application_"
    ):
        train_on(toy.uri, model, mrjob_arguments=failing)
    before = storage_of(model).read(f"{unfinished(model)}/half-001.json")
    assert storage_of(model).size(f"{model}/model.json") < 0
    cause.unlink()
    train_on(toy.uri, model, mrjob_arguments=failing)

    assert arrays_of(model) == undisturbed
    run = json.loads(storage_of(model).read(f"{model}/model.json") or b"")["generation"]
    assert storage_of(model).read(f"{model}/generations/{run}/half-001.json") == before


def test_a_driver_killed_at_every_stage_goes_on_to_the_same_bytes(toy, undisturbed, folder):
    """F9: one run, killed before a half counts, after one counts, before and after the model appears."""
    model = f"{folder}/model"

    for point in ("before-half-000", "after-half-001", "before-publish", "after-publish"):
        with driver(toy.uri, model, crash_at=point) as process:
            assert process.process.wait(600) == -signal.SIGKILL, point
        published = storage_of(model).size(f"{model}/model.json") >= 0
        assert published == (point == "after-publish"), point
    train_on(toy.uri, model)

    assert arrays_of(model) == undisturbed
    assert storage_of(model).names(model) == ["generations", "model.json"]


def test_output_that_no_job_has_finished_is_not_used_and_a_stray_part_is_not_read(toy, undisturbed, folder):
    """F12: as after a commit that was cut off: no _SUCCESS in the last half's output, a stranger's part in that before it."""
    model = f"{folder}/model"
    storage = storage_of(model)
    with driver(toy.uri, model, crash_at="after-half-002") as process:
        assert process.process.wait(600) == -signal.SIGKILL
    run = unfinished(model)
    one, two = (next(n for n in storage.names(run) if n.startswith(f"half-00{half}-")) for half in (1, 2))
    storage.remove(f"{run}/{two}/output/_SUCCESS")
    storage.write(f"{run}/{one}/output/part-00007", b"factors\t00000001.0000.0001\tbm90IGEgYmxvY2s=\n")

    train_on(toy.uri, model)

    assert arrays_of(model) == undisturbed


def test_a_task_beyond_its_memory_fails_the_run_in_words_that_name_it_and_the_old_model_stays(toy, trained, folder, python_that):
    """F21: YARN kills the containers of tasks that take a gigabyte where they may have less."""
    before, run = arrays_of(trained), mr_als.load(trained).info["generation"]
    # zeros would be pages that nobody has touched, and take no memory
    greedy = python_that(f'exec {sys.executable} -c "x = bytes([1]) * (1 << 30); import time; time.sleep(60)"')
    words = (*greedy, "-D", "mapreduce.map.maxattempts=2")

    with pytest.raises(JobFailedError, match=r"a task took more memory than its container has .*raise --task-memory"):
        train_on(toy.uri, trained, mrjob_arguments=words)

    assert arrays_of(trained) == before
    assert mr_als.load(trained).info["generation"] == run


def processes(*words: str) -> list[int]:
    """Give the ids of processes whose command line or environment holds all words."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            text = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if all(word.encode() in text for word in words) and int(path.name) != os.getpid():
            found.append(int(path.name))
    return found


def wait_for(*words: str, seconds: float = 240) -> list[int]:
    """Wait for processes with these words."""
    end = time.monotonic() + seconds
    while not (found := processes(*words)):
        assert time.monotonic() < end, words
        time.sleep(0.05)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("program", ["org.apache.hadoop.mapred.YarnChild", "org.apache.hadoop.mapreduce.v2.app.MRAppMaster"])
def test_a_jvm_of_hadoop_that_is_killed_is_replaced(program, hadoop, toy, undisturbed, folder):
    """F2, F7: the JVM of a task, and the application master of a job, while half 1 runs."""
    model = f"{folder}/model"
    with driver(toy.uri, model) as process:
        process.wait_for("half-001-")
        process.wait_for_application()
        for pid in wait_for(program, str(hadoop.run)):
            os.kill(pid, signal.SIGKILL)
        assert process.process.wait(600) == 0

    assert arrays_of(model) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("daemon", ["nodemanager", "resourcemanager", "datanode", "namenode"])
def test_a_daemon_that_is_killed_and_comes_back_costs_at_most_a_second_command(daemon, hadoop, toy, undisturbed, folder):
    """F8: while half 1 runs."""
    model = f"{folder}/model"
    with driver(toy.uri, model) as process:
        process.wait_for("half-001-")
        process.wait_for_application()
        hadoop.kill(daemon)
        time.sleep(2)
        hadoop.start()
        code = process.process.wait(900)

    if code:
        train_on(toy.uri, model)

    assert arrays_of(model) == undisturbed


@pytest.mark.slow
def test_a_task_that_hangs_is_ended_and_runs_again(toy, undisturbed, folder, python_that):
    """F5: it sleeps beyond the time in which Hadoop wants to hear from it."""
    hanging = python_that("case $mapreduce_task_attempt_id in *_000001_0) exec sleep 300;; esac")

    train_on(toy.uri, f"{folder}/model", mrjob_arguments=(*hanging, "-D", "mapreduce.task.timeout=20000"))

    assert arrays_of(f"{folder}/model") == undisturbed


@pytest.mark.slow
def test_no_space_is_a_clear_failure_and_the_run_goes_on_when_there_is_some(hadoop, toy, undisturbed, folder):
    """F20: a quota of the model's directory that its files exceed."""
    model = f"{folder}/model"
    storage_of(model).make_directory(model)
    hadoop.command("hdfs", "dfsadmin", "-setSpaceQuota", "1m", model)

    with pytest.raises(mr_als.errors.MRALSError):
        train_on(toy.uri, model, mrjob_arguments=("-D", "mapreduce.map.maxattempts=1", "-D", "mapreduce.reduce.maxattempts=1"))
    assert storage_of(model).size(f"{model}/model.json") < 0
    hadoop.command("hdfs", "dfsadmin", "-clrSpaceQuota", model)
    train_on(toy.uri, model)

    assert arrays_of(model) == undisturbed
