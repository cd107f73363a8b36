"""Faults of tasks on the real cluster that take longer: killed, lost, hanging, overtaken, slow."""

from __future__ import annotations

import shutil
import time

import pytest

from mr_als.storage.places import storage_of
from tests.hadoop.runs import arrays_of, driver, train_on
from tests.toy import options, run, write

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_a_killed_jvm_and_a_killed_attempt_are_replaced(hadoop, toy, undisturbed, folder, python_that, gate, attempts):
    """F2: reducers kill the JVM that started them; an operator kills a map attempt, which uses up none of its one attempt."""
    killing = python_that(
        'case "$id" in *_r_000000_0*--reducer*) kill -9 $PPID;; esac\n' + gate.script("*_m_000000_0*--solved?users*")
    )
    with driver(toy.uri, f"{folder}/model", *killing, "-D", "mapreduce.map.maxattempts=1") as process:
        attempt = gate.wait_for(process)
        hadoop.command("mapred", "job", "-kill-task", f"attempt_{attempt}")
        gate.open()
        assert process.process.wait(900) == 0

    assert arrays_of(f"{folder}/model") == undisturbed
    assert {"m_000000_1", "r_000000_1"} <= set(attempts("--solved users"))


def test_lost_map_output_costs_at_most_a_second_command(hadoop, toy, undisturbed, folder, python_that, gate):
    """F4: what a map task wrote is gone before it is fetched. Where few tasks are, Hadoop fails the reducer, not the map task."""
    model = f"{folder}/model"
    words = python_that(gate.script("*_m_000001_0*--solved?users*"))
    words += ("-D", "mapreduce.job.reduce.slowstart.completedmaps=1.0", "-D", "mapreduce.reduce.maxattempts=2")
    with driver(toy.uri, model, *words) as process:
        application = "_".join(gate.wait_for(process).split("_")[:2])
        lost = f"usercache/*/appcache/application_{application}/output/attempt_{application}_m_000000_0"
        while not (found := list((hadoop.run / "local").glob(f"{lost}/file.out.index"))):
            assert process.process.poll() is None
            time.sleep(0.1)
        shutil.rmtree(found[0].parent)
        gate.open()
        code = process.process.wait(900)

    if code:
        train_on(toy.uri, model)

    assert arrays_of(model) == undisturbed


def test_a_task_that_hangs_is_ended_and_runs_again(toy, undisturbed, folder, python_that, attempts):
    """F5: it is silent beyond the time in which Hadoop wants to hear from it."""
    hanging = python_that('case "$id" in *_r_000000_0*--reducer*--solved?users*) exec sleep 600;; esac')

    train_on(toy.uri, f"{folder}/model", mrjob_arguments=(*hanging, "-D", "mapreduce.task.timeout=30000"))

    assert arrays_of(f"{folder}/model") == undisturbed
    assert "r_000000_1" in attempts("--solved users")


SLOWLY = """
import runpy, sys, time
from mr_als.engine.job import Watched

taken = Watched.__getitem__
Watched.__getitem__ = lambda self, places: time.sleep(17) or taken(self, places)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_task_that_solves_for_longer_than_hadoop_waits_for_a_sign_of_life_is_left_alone(toy, folder, tmp_path, python_that):
    """F5, F18: a user of 600 000 items, whose vectors come a few at a time, slowly."""
    lines = [f"listener\titem-{n}\t{n % 7 + 1}\n" for n in range(600_000)]
    local, uri = write(tmp_path / "counts.tsv", lines), f"{folder}/counts.tsv"
    storage_of(folder).make_directory(folder)
    storage_of(uri).upload(local, uri)
    chosen = options("shuffle", solver="cholesky", iterations=0)
    run([local], tmp_path / "model", chosen)
    (tmp_path / "slowly.py").write_text(SLOWLY)
    slow = python_that(f'case "$id" in *--reducer*--solved?users*) p=$1; shift; set -- $p {tmp_path}/slowly.py "$@";; esac')
    limits = ("-D", "mapreduce.task.timeout=55000", "-D", "mapreduce.reduce.maxattempts=1")

    train_on(uri, f"{folder}/model", chosen, mrjob_arguments=(*slow, *limits))

    assert arrays_of(f"{folder}/model") == arrays_of(str(tmp_path / "model"))


def test_an_attempt_that_was_overtaken_leaves_nothing(toy, undisturbed, folder, python_that, attempts):
    """F6: with speculation on, Hadoop starts a second attempt beside one that does not come on."""
    stuck = python_that('case "$id" in *_m_000001_0*--solved?users*) exec sleep 3600;; esac')
    speculation = [word for kind in ("map", "reduce") for word in ("-D", f"mapreduce.{kind}.speculative=true")]
    model = f"{folder}/model"

    with driver(toy.uri, model, *stuck, *speculation, "-D", "mapreduce.task.timeout=3600000") as process:
        assert process.process.wait(900) == 0

    assert arrays_of(model) == undisturbed
    assert "m_000001_1" in attempts("--solved users")
