"""Faults of whole machines, of three: lost, back again, slow; and of one of two NameNodes. F38 to F41 of docs/engines.md."""

from __future__ import annotations

import getpass
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_hadoop.fetch import CACHE
from local_hadoop.several import WORKERS, SeveralCluster
from mr_als.storage.places import storage_of
from tests.hadoop.fixtures import running, toy_arrays, toy_logs
from tests.hadoop.runs import Logs, arrays_of, driver, train_on

pytestmark = [pytest.mark.faults, pytest.mark.slow]

MAP, REDUCE = "*_m_000000_0*--solved?users*", "*_r_000000_0*--reducer*--solved?users*"


@pytest.fixture(scope="module")
def several() -> Iterator[SeveralCluster]:
    """Yield a running cluster; `MR_ALS_SEVERAL_RUN` names one that is lent."""
    lent = os.environ.get("MR_ALS_SEVERAL_RUN")
    cluster = SeveralCluster(Path(lent) if lent else CACHE / "hadoop-several-test")
    with running(cluster, bool(lent)):
        yield cluster


@pytest.fixture(scope="module")
def logs(several: SeveralCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logs]:
    """Yield the logs of the toy data set, here and there."""
    with toy_logs(f"{several.default_fs}/tests/{uuid.uuid4().hex[:8]}", tmp_path_factory) as found:
        yield found


@pytest.fixture(scope="module")
def whole(logs: Logs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the arrays that every training by the plan `SHORT` must end with."""
    return toy_arrays(logs, tmp_path_factory)


@pytest.fixture
def model(several: SeveralCluster) -> Iterator[str]:
    """Yield the URI of a model that is to be; afterwards all machines are there again."""
    yield f"{several.default_fs}/tests/{uuid.uuid4().hex[:8]}/model"
    for number in range(1, WORKERS + 1):
        several.recover(number)
    wait_for(several, WORKERS)


def wait_for(several: SeveralCluster, workers: int, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while several.live() != (workers, workers):
        assert time.monotonic() < end, several.live()
        time.sleep(0.5)


@pytest.mark.parametrize(
    ("phase", "where"), [("map", MAP), ("reduce", REDUCE), ("commit", REDUCE)], ids=["map", "reduce", "commit"]
)
def test_a_machine_that_is_lost_for_good_costs_at_most_a_second_command(
    phase, where, several, logs, whole, model, python_that, gate
):
    """F38: with the task that it runs, or in the commit with the application master, and one copy of some blocks."""
    with driver(logs.uri, model, *python_that(gate.script(where))) as process:
        attempt = gate.wait_for(process)
        number = "_".join(attempt.split("_")[:2])
        if phase == "commit":  # what a master writes before it begins to
            staging = f"{several.default_fs}/tmp/hadoop-yarn/staging/{getpass.getuser()}/.staging/job_{number}"
            storage_of(staging).write(f"{staging}/COMMIT_STARTED", b"")
            variable = f"CONTAINER_ID=container_{number}_01_000001"
        else:
            variable = f"mapreduce_task_attempt_id=attempt_{attempt}"
        several.lose(several.worker_of(variable))
        if phase != "commit":
            gate.open()
        code = process.process.wait(900)
    gate.open()
    assert code or phase != "commit"
    if code:
        train_on(logs.uri, model)

    assert arrays_of(model) == whole
    assert several.live() == (WORKERS - 1, WORKERS - 1)


def test_a_machine_that_comes_back_with_what_was_on_its_disk_does_no_harm(several, logs, whole, model, python_that, gate):
    """F39: the others have given it up meanwhile, and made other copies of its blocks."""
    with driver(logs.uri, model, *python_that(gate.script(REDUCE))) as process:
        lost = several.worker_of(f"mapreduce_task_attempt_id=attempt_{gate.wait_for(process)}")
        several.lose(lost)
        wait_for(several, WORKERS - 1)
        several.recover(lost)
        wait_for(several, WORKERS)
        gate.open()
        code = process.process.wait(900)
    if code:
        train_on(logs.uri, model)

    assert arrays_of(model) == whole


def test_a_task_that_does_not_come_on_is_overtaken_on_another_machine(several, logs, whole, model, python_that, attempts, tmp_path):
    """F40: with speculation on. Where the first attempt hangs, its second one would, too, and so would a third."""
    hangs = tmp_path / "hangs"
    script = f'here=${{PWD%%/usercache*}}\ncase "$id" in *_m_000001_0*--solved?users*) echo $here > {hangs};; esac\n'
    script += f'case "$id" in *_m_000001_*--solved?users*) [ "$(cat {hangs})" = $here ] && exec sleep 3600;; esac'
    speculation = ("-D", "mapreduce.map.speculative=true", "-D", "mapreduce.task.timeout=60000")

    with driver(logs.uri, model, *python_that(script), *speculation) as process:
        assert process.process.wait(900) == 0

    assert arrays_of(model) == whole
    assert "m_000001_1" in attempts("--solved users")


def test_when_the_active_namenode_dies_the_other_one_takes_over(several, logs, whole, model, python_that, gate):
    """F41: by hand, while a reducer is to write; the driver and the job find the other one by themselves."""
    with driver(logs.uri, model, *python_that(gate.script(REDUCE))) as process:
        gate.wait_for(process)
        several.kill("namenode")
        assert several.fail_over()
        gate.open()
        code = process.process.wait(900)
    if code:
        train_on(logs.uri, model)

    assert arrays_of(model) == whole
