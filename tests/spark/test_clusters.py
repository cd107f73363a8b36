"""Spark on clusters, over HDFS alone: a standalone one of two workers, and YARN in both modes. Same bytes as inline."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from mr_als.cli import main
from mr_als.engine.runners import spark
from mr_als.engine.spark import session
from mr_als.engine.spark.submit import write_package
from mr_als.preparing.plays import read_plays
from mr_als.records.blocks import SIDES
from mr_als.storage.places import storage_of
from tests.hadoop.runs import arrays_of
from tests.spark.standalone import QUICK_JVM, spark_home, standalone
from tests.toy import write

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]
PLAN = (
    *("--rank", "5", "--max-iterations", "1", "--tolerance", "0", "--user-blocks", "3", "--item-blocks", "2", "-q"),
    *("--alpha", "10", "--regularization", "0.003", "--task-memory", "300M"),
)
ON_LOOPBACK = ("spark.driver.host=127.0.0.1", "spark.driver.bindAddress=127.0.0.1", "spark.ui.enabled=false")
SMALL = ("spark.executor.memory=512m", f"spark.executor.extraJavaOptions={QUICK_JVM}", *ON_LOOPBACK)


def for_yarn():
    return (
        *SMALL, f"spark.yarn.jars=local:{spark_home()}/jars/*", "spark.yarn.am.memory=512m",
        "spark.driver.memory=512m", "spark.executor.instances=1", "spark.yarn.submit.file.replication=1",
        f"spark.driver.extraJavaOptions={QUICK_JVM}", f"spark.yarn.am.extraJavaOptions={QUICK_JVM}",
    )  # fmt: skip


def words(flag, properties):
    return [word for text in properties for word in (flag, text)]


@pytest.fixture(scope="module")
def cluster(hadoop, tmp_path_factory):
    with standalone(tmp_path_factory.mktemp("standalone")) as made:
        yield made
        session.stop()


@pytest.fixture(scope="module")
def undisturbed(toy, tmp_path_factory):
    """The arrays of the plan by each join, trained inline."""
    place = tmp_path_factory.mktemp("inline")
    found = {}
    for join in ("shuffle", "broadcast"):
        assert main(["train", toy.local, "--model", str(place / join), "--join", join, *PLAN]) == 0
        found[join] = arrays_of(str(place / join))
    return found


@pytest.mark.parametrize("join", ["shuffle", "broadcast"])
def test_workers_that_share_nothing_but_hdfs_end_with_the_bytes_of_inline(join, cluster, toy, undisturbed, folder):
    on = ["-r", "spark", "--master", cluster.url, *words("-D", SMALL)]

    assert main(["train", toy.uri, "--model", f"{folder}/m", "--join", join, *PLAN, *on]) == 0

    assert arrays_of(f"{folder}/m") == undisturbed[join]
    # the package came to the workers in a zip
    context = session.session(session.wanted(("--spark-master", cluster.url, *words("-D", SMALL))))
    files = context.parallelize([0], 1).map(lambda _: __import__("mr_als").__file__).collect()
    assert ".zip" in files[0]


def test_plays_in_hdfs_grow_to_the_bytes_of_all_logs_at_once(cluster, toy, folder, tmp_path):
    on, blocks = ["-r", "spark", "--master", cluster.url, *words("-D", SMALL)], ["--user-blocks", "3", "--item-blocks", "2", "-q"]
    lines, storage = Path(toy.local).read_text().splitlines(keepends=True), storage_of(folder)
    storage.make_directory(f"{folder}/logs")
    for n in range(2):
        storage.upload(write(tmp_path / f"{n}.tsv", lines[n::2]), f"{folder}/logs/{n}.tsv")
        assert main(["prepare", f"{folder}/logs", "--plays", f"{folder}/plays", "--add", *blocks, *on]) == 0

    assert main(["plan", "--plays", f"{folder}/plays", "--no-measure", "-q", *on]) == 0

    assert main(["prepare", toy.local, "--plays", str(tmp_path / "whole"), *blocks]) == 0
    grown, whole = (read_plays(place) for place in (f"{folder}/plays", str(tmp_path / "whole")))
    assert [(n, bytes(b)) for side in SIDES for n, b in getattr(grown, side).blocks()] == [
        (n, bytes(b)) for side in SIDES for n, b in getattr(whole, side).blocks()
    ]


def test_workers_that_share_a_directory_read_references_and_end_with_the_bytes_of_inline(
    cluster, toy, undisturbed, tmp_path, monkeypatch
):
    """As on NFS: here all see the files of this machine."""
    monkeypatch.setattr(spark, "_file_system", lambda path: "nfs4")
    on = ["-r", "spark", "--master", cluster.url, *words("-D", SMALL)]

    assert main(["train", toy.local, "--model", str(tmp_path / "m"), "--join", "shuffle", *PLAN, *on]) == 0

    assert arrays_of(str(tmp_path / "m")) == undisturbed["shuffle"]


def test_recommends_splits_and_evaluates_over_hdfs_as_inline_does(cluster, toy, folder, tmp_path):
    on = ["-r", "spark", "--master", cluster.url, *words("-D", SMALL)]
    split = ["--share", "0.2", "-q"]
    assert main(["split", toy.local, "--train", str(tmp_path / "train"), "--test", str(tmp_path / "test"), *split]) == 0
    assert main(["split", toy.uri, "--train", f"{folder}/train", "--test", f"{folder}/test", *split, *on]) == 0
    assert main(["train", f"{folder}/train", "--model", f"{folder}/m", *PLAN, *on]) == 0

    assert main(["recommend", "--model", f"{folder}/m", "--output", str(tmp_path / "out"), "-q"]) == 0
    assert main(["recommend", "--model", f"{folder}/m", "--output", f"{folder}/out", "-q", *on]) == 0
    assert main(["evaluate", "--model", f"{folder}/m", f"{folder}/test", "-q", *on]) == 0

    for here, there in ((tmp_path / "train", f"{folder}/train"), (tmp_path / "out", f"{folder}/out")):
        assert lines_there(there) == sorted(line for path in here.glob("part-*") for line in path.read_bytes().splitlines())


def lines_there(place):
    storage = storage_of(place)
    parts = [name for name in storage.names(place) if name.startswith("part-")]
    return sorted(line for name in parts for line in storage.read(f"{place}/{name}").splitlines())


def test_a_driver_that_was_killed_is_followed_by_another_engine_of_that_storage(cluster, toy, undisturbed, folder):
    """Half 1 on Spark, the others inline on the parts that it left, in the order that the killed one began."""
    on = ["-r", "spark", "--master", cluster.url, *words("-D", SMALL)]
    command = ["train", toy.uri, "--model", f"{folder}/m", "--join", "shuffle", *PLAN]
    session.stop()  # the workers have a core each
    died = subprocess.run(
        [sys.executable, "-m", "mr_als", *command, *on],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MR_ALS_CRASH_AT": "after-half-001"}, check=False,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL

    given = ["-r", "hadoop", *words("-D", ("mapreduce.map.memory.mb=768", "mapreduce.reduce.memory.mb=768"))]
    assert main([*command, *given]) == 0

    assert arrays_of(f"{folder}/m") == undisturbed["shuffle"]


def test_on_yarn_the_client_ends_with_the_bytes_of_inline(hadoop, toy, undisturbed, folder):
    on = ["-r", "spark", "--master", "yarn", *words("-D", for_yarn())]

    assert main(["train", toy.uri, "--model", f"{folder}/m", "--join", "shuffle", *PLAN, *on]) == 0

    session.stop()
    assert arrays_of(f"{folder}/m") == undisturbed["shuffle"]


def test_on_yarn_a_driver_that_was_itself_submitted_ends_with_the_bytes_of_inline(hadoop, toy, undisturbed, folder, tmp_path):
    """In cluster mode: one file, which has the package in it."""
    session.stop()
    file = str(tmp_path / "mr-als.py")
    write_package(file)
    python = f"PYSPARK_PYTHON={sys.executable}"
    # who has no say in where they listen
    local = [f"spark.{where}.SPARK_LOCAL_IP=127.0.0.1" for where in ("yarn.appMasterEnv", "executorEnv")]
    given = [text for text in for_yarn() if text not in ON_LOOPBACK] + local
    given += [f"spark.yarn.appMasterEnv.{python}", f"spark.executorEnv.{python}", "spark.executor.memoryOverhead=600m"]
    command = ["train", toy.uri, "--model", f"{folder}/m", "--join", "broadcast", *PLAN, "-r", "spark"]

    done = subprocess.run(
        [str(spark_home() / "bin/spark-submit"), "--master", "yarn", "--deploy-mode", "cluster",
         "--name", uuid.uuid4().hex, *words("--conf", given), file, *command],
        env={name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr[-3000:]
    assert arrays_of(f"{folder}/m") == undisturbed["broadcast"]
