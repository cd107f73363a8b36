"""Faults on the real cluster: each ends with the bytes of an undisturbed run, or in a clear failure and the last model intact.

Those that take little time; test_tasks.py and test_daemons.py have the others. Numbers such as F3 are those of the table in
docs/engines.md.
"""

from __future__ import annotations

import json
import signal
import sys

import pytest

import mr_als
from mr_als.errors import JobFailedError
from mr_als.storage.places import storage_of
from tests.hadoop.runs import arrays_of, driver, train_on

pytestmark = pytest.mark.faults


def unfinished(model: str) -> str:
    """Find the directory of the run that has not finished."""
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
    """F3: half 1, the first that solves rows, fails in its reduce tasks until a file is removed."""
    cause, model = tmp_path / "cause", f"{folder}/model"
    cause.touch()
    failing = python_that(
        f'case "$*" in *--init*) ;; *"--reducer"*"--solved users"*) '
        f'[ ! -e {cause} ] || {{ echo "ValueError: no luck" >&2; exit 1; }};; esac'
    )
    failing += ("-D", "mapreduce.reduce.maxattempts=2")

    with pytest.raises(
        JobFailedError, match=r"job mr_solve failed on runner hadoop: .*logs: yarn logs -applicationId application_"
    ):
        train_on(toy.uri, model, mrjob_arguments=failing)
    before = storage_of(model).read(f"{unfinished(model)}/half-000.json")
    assert before
    assert storage_of(model).size(f"{model}/model.json") < 0
    cause.unlink()
    train_on(toy.uri, model, mrjob_arguments=failing)

    assert arrays_of(model) == undisturbed
    run = json.loads(storage_of(model).read(f"{model}/model.json") or b"")["generation"]
    assert storage_of(model).read(f"{model}/generations/{run}/half-000.json") == before


def test_a_driver_killed_at_every_stage_goes_on_to_the_same_bytes(toy, undisturbed, folder):
    """F9: one run, killed before a half counts, after one counts, before and after the model appears."""
    model = f"{folder}/model"

    for point in ("before-half-000", "after-half-000", "before-publish", "after-publish"):
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
    with driver(toy.uri, model, crash_at="after-half-001") as process:
        assert process.process.wait(600) == -signal.SIGKILL
    run = unfinished(model)
    initial, last = (next(n for n in storage.names(run) if n.startswith(f"half-00{half}-")) for half in (0, 1))
    storage.remove(f"{run}/{last}/output/_SUCCESS")
    storage.write(f"{run}/{initial}/output/part-00007", b"factors\t00000001.0000.0001\tbm90IGEgYmxvY2s=\n")

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
