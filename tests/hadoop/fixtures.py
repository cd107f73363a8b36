"""One real Hadoop for all tests that ask for it: fetched, started and stopped by the fixture `hadoop`.

`MR_ALS_HADOOP_RUN=DIR` names a cluster that `cluster.py start --run DIR` has started: it is used as it is and left running,
which saves 20 seconds each time while one works on a test. Sessions of tests wait for each other, unless
`MR_ALS_HADOOP_NAME` names a cluster of their own.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local_hadoop.cluster import Cluster, ClusterError
from local_hadoop.fetch import CACHE
from mr_als.storage.places import storage_of
from tests.hadoop.runs import ONE, SHORT, Logs, arrays_of, train_on
from tests.toy import run, toy_lines, write


@contextmanager
def running(cluster: Cluster, lent: bool) -> Iterator[Cluster]:
    """Start a cluster of our own, set the variables by which clients find it, and remove it in the end; use a lent one as it is."""
    cluster.run.mkdir(parents=True, exist_ok=True)
    patch = pytest.MonkeyPatch()
    with open(cluster.run.with_name(f"{cluster.run.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one test session at a time
        try:
            if not lent:
                cluster.clean()  # what a killed session left
                cluster.start()
            if not cluster.is_ours():
                msg = f"{cluster.run}: its NameNode does not answer, or is another's; tests touch only what they started"
                raise ClusterError(msg)
            for name, value in cluster.environment().items():
                patch.setenv(name, value)
            yield cluster
        finally:
            patch.undo()
            if not lent:
                cluster.clean()


@contextmanager
def toy_logs(directory: str, scratch: pytest.TempPathFactory) -> Iterator[Logs]:
    """Yield the logs of the toy data set, here and in a directory of a cluster; models are copied to a cache for the time being."""
    local = write(scratch.mktemp("logs") / "counts.tsv", toy_lines())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(scratch.mktemp("cache")))
        storage_of(directory).upload(local, f"{directory}/counts.tsv")
        yield Logs(local, f"{directory}/counts.tsv")


def toy_arrays(logs: Logs, scratch: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the arrays that every training of the plan `SHORT` must end with."""
    model = scratch.mktemp("models") / "inline"
    run([logs.local], model, SHORT)
    return arrays_of(str(model))


@pytest.fixture(scope="session")
def hadoop() -> Iterator[Cluster]:
    """Yield a running cluster that was started here, and set the variables by which clients find it."""
    lent = os.environ.get("MR_ALS_HADOOP_RUN")
    with running(
        Cluster(Path(lent) if lent else CACHE / os.environ.get("MR_ALS_HADOOP_NAME", "hadoop-test")), bool(lent)
    ) as cluster:
        yield cluster


@pytest.fixture
def folder(hadoop: Cluster) -> str:
    """Return the URI of a folder in HDFS for one test; it does not exist yet."""
    return f"{hadoop.default_fs}/tests/{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def toy(hadoop: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logs]:
    """Yield the logs of the toy data set, on this machine and in HDFS."""
    with toy_logs(f"{hadoop.default_fs}/tests/{uuid.uuid4().hex[:8]}", tmp_path_factory) as logs:
        yield logs


@pytest.fixture(scope="session")
def undisturbed(toy: Logs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the arrays that every training of the plan `SHORT` must end with."""
    return toy_arrays(toy, tmp_path_factory)


@pytest.fixture(scope="session")
def trained(hadoop: Cluster, toy: Logs) -> str:
    """Train a model on the cluster by the plan `ONE`, and return its URI; no test changes it."""
    model = f"{hadoop.default_fs}/tests/{uuid.uuid4().hex[:8]}/model"
    train_on(toy.uri, model, ONE, tasks=2)
    return model
