"""What breaks on a cluster of Spark during a training, on purpose, and that the bytes are those of an undisturbed run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from mr_als.engine.spark import session
from mr_als.storage.places import storage_of
from tests.hadoop.runs import Driver, arrays_of
from tests.spark.standalone import standalone
from tests.spark.test_clusters import SMALL, words

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]
# the initial items, and one half, which solves users
PLAN = (
    *("--rank", "5", "--max-iterations", "0", "--tolerance", "0", "--user-blocks", "2", "--item-blocks", "2", "-q"),
    *("--alpha", "10", "--regularization", "0.003", "--join", "shuffle", "--task-memory", "300M"),
)


@pytest.fixture(scope="module")
def cluster(hadoop, tmp_path_factory):
    session.stop()
    with standalone(tmp_path_factory.mktemp("standalone")) as made:
        yield made


@pytest.fixture(scope="module")
def expected(toy, tmp_path_factory):
    from mr_als.cli import main

    model = str(tmp_path_factory.mktemp("inline") / "m")
    assert main(["train", toy.local, "--model", model, *PLAN]) == 0
    return arrays_of(model)


@contextmanager
def training(cluster, logs, model, *given, fault="", times=1, place="", crash_at=""):
    """Start a training in a process of its own; in the end it is dead."""
    properties = list(SMALL)
    if fault:
        named = {"PYTHONPATH": str(ROOT / "tests/spark/faulty"), "FAULT": fault, "FAULT_TIMES": times, "FAULT_PLACE": place}
        properties += [f"spark.executorEnv.{name}={value}" for name, value in named.items()]
    command = [sys.executable, "-m", "mr_als", "train", logs, "--model", model, *PLAN, "-r", "spark", "--master", cluster.url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MR_ALS_CRASH_AT": crash_at}
    process = subprocess.Popen([*command, *words("-D", properties), *given], env=environment, cwd=ROOT, stderr=subprocess.PIPE)
    try:
        yield Driver(process, model)
    finally:
        process.kill()
        process.communicate()


def ended(driver, seconds=400):
    """Return the exit code, and what was said."""
    said = driver.process.communicate(timeout=seconds)[1].decode()
    print(said)
    return driver.process.returncode, said


@pytest.mark.parametrize("phase", ["map", "reduce"])
def test_an_executor_that_is_killed_is_replaced(phase, cluster, toy, expected, folder, tmp_path):
    """F31: its blocks are read again, what it had sent is made again."""
    with training(cluster, toy.uri, f"{folder}/m", fault=f"{phase}-executor", place=tmp_path) as driver:
        assert ended(driver)[0] == 0

    assert (tmp_path / "0").exists()
    assert arrays_of(f"{folder}/m") == expected


def test_an_attempt_whose_input_broke_off_has_written_less_and_does_not_count(cluster, toy, expected, folder, tmp_path):
    """F31 as a reducer sees it whose map output is gone: Python is told of an end, and only Spark knows that it was not the end."""
    with training(cluster, toy.uri, f"{folder}/m", fault="reduce-cut", place=tmp_path) as driver:
        assert ended(driver)[0] == 0

    assert (tmp_path / "0").exists()
    assert arrays_of(f"{folder}/m") == expected


def test_a_worker_and_its_disk_are_lost_for_good(cluster, toy, expected, folder):
    """F32: the other one does all of it."""
    with training(cluster, toy.uri, f"{folder}/m") as driver:
        driver.wait_for("half-000.json")
        cluster.lose(1)
        assert ended(driver)[0] == 0
    cluster.add(1)
    cluster.wait_for(2)

    assert arrays_of(f"{folder}/m") == expected


def test_python_workers_that_are_killed_for_their_memory_are_replaced_or_the_error_names_the_options(
    cluster, toy, expected, folder, tmp_path
):
    """F33: once, a task runs again; again and again, the run fails, and goes on where there is memory."""
    model = f"{folder}/m"
    with training(cluster, toy.uri, model, fault="reduce-worker", times=50, place=tmp_path) as driver:
        code, said = ended(driver)
    assert code == 1
    assert "a Python worker was killed" in said
    assert "--task-memory" in said
    assert "Traceback" not in said

    for path in tmp_path.iterdir():
        path.unlink()
    with training(cluster, toy.uri, model, fault="reduce-worker", times=1, place=tmp_path) as driver:
        assert ended(driver)[0] == 0

    assert (tmp_path / "0").exists()
    assert arrays_of(model) == expected


@pytest.mark.parametrize("point", ["before-half-001", "after-half-001"])
def test_a_killed_driver_is_followed_by_one_that_goes_on(point, cluster, toy, expected, folder):
    """F34."""
    with training(cluster, toy.uri, f"{folder}/m", crash_at=point) as driver:
        assert ended(driver)[0] == -signal.SIGKILL

    with training(cluster, toy.uri, f"{folder}/m") as driver:
        assert ended(driver)[0] == 0

    assert arrays_of(f"{folder}/m") == expected


def test_a_block_that_is_delivered_twice_counts_once(cluster, toy, expected, folder, tmp_path):
    """F35: with speculation, another attempt overtakes one that sleeps, and then writes the same."""
    eager = (
        "spark.speculation=true",
        "spark.speculation.quantile=0.1",
        "spark.speculation.multiplier=1.1",
        "spark.speculation.interval=100ms",
    )

    with training(cluster, toy.uri, f"{folder}/m", *words("-D", eager), fault="reduce-slow", place=tmp_path) as driver:
        assert ended(driver)[0] == 0

    assert (tmp_path / "0").exists()
    assert arrays_of(f"{folder}/m") == expected
    assert [name for name in written(f"{folder}/m", "half-001-") if name.startswith("part-")] == ["part-00000", "part-00001"]


def written(model, start):
    """List what the attempt of a half has written."""
    storage, generations = storage_of(model), f"{model}/generations"
    runs = [f"{generations}/{run}" for run in storage.names(generations)]
    (attempt,) = [f"{run}/{name}" for run in runs for name in storage.names(run) if name.startswith(start)]
    return storage.names(f"{attempt}/output")


def test_ctrl_c_leaves_no_application_behind(cluster, toy, folder):
    """F37."""
    with training(cluster, toy.uri, f"{folder}/m", "--max-iterations", "100") as driver:
        driver.wait_for("half-002.json")
        assert driver.kill(signal.SIGINT) == 130

    end = time.monotonic() + 30
    while (found := applications(cluster)) and time.monotonic() < end:
        time.sleep(0.2)
    assert found == []


def applications(cluster):
    with urllib.request.urlopen(f"http://127.0.0.1:{cluster.web}/json/", timeout=5) as page:
        return json.load(page)["activeapps"]


PYTHONS = Path("~/.pyenv/versions").expanduser()


def other_python():
    """Find a Python of another minor version that Spark's workers start with; None if there is none on this machine."""
    places = [*PYTHONS.glob("3.*/bin/python3"), *(Path(found) for n in range(10, 15) if (found := shutil.which(f"python3.{n}")))]
    ours = ".".join(map(str, sys.version_info[:2]))
    for place in sorted(places):
        asked = [str(place), "-c", "import sys; print('.'.join(map(str, sys.version_info[:2])))"]
        version = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        if version not in ("", ours) and tuple(map(int, version.split("."))) >= (3, 10):
            return str(place), version
    return None


def bare_python(place):
    """Make an environment with no packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    return str(place / "bin/python")


@pytest.mark.parametrize("lacks", ["packages", "version"])
def test_nodes_with_a_python_that_does_not_fit_are_told_of_before_anything_runs(lacks, cluster, toy, folder, tmp_path, monkeypatch):
    """F36: in one line, and no model is begun."""
    if lacks == "packages":
        python, said = (
            bare_python(tmp_path / "bare"),
            r"a worker on \S+ cannot run a task: .*/bare/bin/python.* lacks numpy and mrjob",
        )
    elif (other := other_python()) is None:
        pytest.skip("no other Python on this machine")
    else:
        python, said = other[0], rf"a worker's Python is not that of the driver \(.*{re.escape(other[1])}.*\)"
    monkeypatch.setenv("PYSPARK_PYTHON", python)

    with training(cluster, toy.uri, f"{folder}/m") as driver:
        code, err = ended(driver)

    assert code == 1
    assert re.search(rf"^mr-als: {said}; set PYSPARK_PYTHON to one with mr_als' requirements", err, re.MULTILINE), err
    assert "Traceback" not in err
    assert "model.json" not in storage_of(folder).names(f"{folder}/m")
