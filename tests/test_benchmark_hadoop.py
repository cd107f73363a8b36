"""The measurement on Hadoop, without one: each half is told with the job that ran it, and Spark gets the same training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import hadoop
from mr_als.engine.engine import Engine

MODEL = "hdfs://namenode/benchmark/broadcast"
# as they start: with the passes of `auto`, one of which is done again
STARTED = (
    "plays/a1",
    "pass-000-aa",
    "pass-001-aa",
    "pass-001-bb",
    "pass-002-aa",
    "half-000-aa",
    "half-001-aa",
    "half-002-aa",
    "half-003-aa",
)
HISTORY = [{"half": n, "solved": ("items", "users")[n % 2], "seconds": 10.0 + n, "wrmse": 0.5} for n in (1, 2, 3)]


class Daemons:
    """Answers as ResourceManager and JobHistoryServer do: the n-th job takes n seconds."""

    default_fs = "hdfs://namenode"

    def get(self, daemon, path):
        if daemon == "resourcemanager":
            # in no order
            return {"apps": {"app": [{"id": f"application_1_{n}", "startedTime": n} for n in reversed(range(len(STARTED)))]}}
        number = int(path.split("job_1_")[1].split("/")[0])
        if path.endswith("/conf"):
            value = f"{MODEL}/generations/3f/{STARTED[number]}/output"
            return {"conf": {"property": [{"name": "a", "value": "b"}, {"name": hadoop.OUTPUT, "value": value}]}}
        if path.endswith("/counters"):
            return {
                "jobCounters": {"counterGroup": [{"counter": [{"name": "REDUCE_SHUFFLE_BYTES", "totalCounterValue": 1 << 20}]}]}
            }
        return {"job": {"submitTime": 0, "finishTime": 1000 * number, "mapsTotal": 1, "reducesTotal": 2}}


@pytest.fixture
def trained(monkeypatch):
    """Train nothing, and collect what was asked for."""
    asked = []

    def train(logs, model, chosen, *, engine, **others):
        asked.append((model, chosen, engine))
        return {"history": HISTORY}

    monkeypatch.setattr(hadoop, "train", train)
    monkeypatch.setattr(hadoop, "capacity", lambda: 2)
    monkeypatch.setattr(hadoop, "storage_of", lambda path: SimpleNamespace(absolute=lambda path: path))
    return asked


def test_each_half_is_told_with_its_own_job_whatever_ran_before(trained):
    found = hadoop.measure(Daemons(), "hdfs://namenode/logs", "broadcast", 1)

    assert [half["job"]["seconds"] for half in found["halves"]] == [6, 7, 8]
    assert (found["prepare"]["seconds"], found["initial"]["seconds"]) == (0, 5)
    assert {name: job["seconds"] for name, job in found["passes"].items()} == {"pass-000": 1, "pass-001": 3, "pass-002": 4}
    rows = hadoop.table("broadcast", found, [1.0, 2.0, 3.0]).splitlines()
    assert "| pass 1 |  | 3.0 |  | 1.0 | 5 |" in rows
    assert "| half 2, items | 12.0 | 7.0 | 2.0 | 1.0 | 5 |" in rows


@pytest.mark.spark
def test_spark_gets_the_same_training_on_the_same_cluster(trained):
    seconds = hadoop.on_spark(Daemons(), "hdfs://namenode/logs", "shuffle", 1)

    ((model, chosen, engine),) = trained
    assert seconds == 2 * (12 + 13) / 2
    assert model == "hdfs://namenode/benchmark/spark-shuffle"
    assert chosen == hadoop.options("shuffle", 1)
    assert isinstance(engine, Engine)
    assert (engine.runner, engine.on_cluster) == ("spark", True)


def test_mrjob_does_not_take_the_option_for_its_own(monkeypatch, tmp_path, small_logs):
    """It refuses to make a runner where it finds the word among the arguments of the program."""
    cluster = SimpleNamespace(
        start=lambda: None, environment=dict, default_fs=str(tmp_path), clean=lambda: None,
    )  # fmt: skip
    monkeypatch.setattr(hadoop, "Cluster", lambda place: cluster)
    monkeypatch.setattr(hadoop.data, "counts_lines", lambda shape: [Path(small_logs).read_bytes()])
    monkeypatch.setattr(hadoop, "storage_of", lambda path: SimpleNamespace(upload=lambda *paths: None))
    monkeypatch.setattr(hadoop, "measure", lambda *given: {"halves": HISTORY})
    monkeypatch.setattr(hadoop, "table", lambda join, found, work: str(len(work)))
    monkeypatch.setattr(hadoop, "on_spark", lambda *given: 5.0)
    monkeypatch.setattr("sys.argv", ["hadoop.py", "--spark", "--iterations", "1", "--join", "broadcast"])

    hadoop.main()
