"""What jobs on Hadoop are told, and what is made of its answers: all that needs no cluster."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mr_als.engine import engine as engines
from mr_als.engine import job
from mr_als.engine.runners import hadoop, yarn
from mr_als.engine.runners.runner import Call
from mr_als.errors import UsageError

RUNNER = hadoop.Hadoop()


def jobconf(task_memory: int) -> dict[str, object]:
    with RUNNER.arguments(Call("mr_solve", [], "hdfs:///m/attempt/output", tasks=4, task_memory=task_memory)) as (before, _):
        options = json.loads(Path(before[before.index("-c") + 1]).read_text())
    return options["runners"]["hadoop"]["jobconf"]


@pytest.mark.parametrize("memory", [256 << 20, 1 << 30, 4 << 30])
def test_a_container_holds_the_task_its_jvm_and_a_margin(memory):
    conf = jobconf(memory)
    container = conf["mapreduce.map.memory.mb"] << 20

    assert container == conf["mapreduce.reduce.memory.mb"] << 20
    assert memory + (300 << 20) < container < 1.2 * memory + (600 << 20)
    assert conf["mapreduce.job.heap.memory-mb.ratio"] * container == pytest.approx(320 << 20, rel=0.05)


def test_output_counts_only_when_the_job_is_done_and_no_task_runs_twice_at_a_time():
    conf = jobconf(1 << 30)

    assert conf["mapreduce.fileoutputcommitter.algorithm.version"] == 1
    assert conf["mapreduce.map.speculative"] is conf["mapreduce.reduce.speculative"] is False


def test_our_settings_come_before_those_of_the_user_and_the_tag_behind():
    with RUNNER.arguments(Call("mr_solve", [], "hdfs:///m/a/output", owner="hdfs:///m")) as (before, after):
        assert before[0] == "-c"
        assert after == ["-D", f"mapreduce.job.tags={yarn.tag_of('hdfs:///m')}"]


def test_output_on_this_machine_is_refused():
    with (
        pytest.raises(UsageError, match="-r hadoop: the job would write to /tmp/x/output on this machine"),
        RUNNER.arguments(Call("mr_solve", [], "/tmp/x/output")),
    ):
        pass


@pytest.mark.parametrize("name", ["my models", "a,b", "50%", "a#b"])
def test_output_in_a_directory_that_hadoop_takes_no_files_from_is_refused(name):
    with (
        pytest.raises(UsageError, match="Hadoop hands files to tasks by URI, and takes none with '.'; give another name"),
        RUNNER.arguments(Call("mr_solve", [], f"hdfs:///{name}/a/output")),
    ):
        pass


def test_a_tag_is_one_that_yarn_takes_and_each_model_has_its_own():
    tags = {yarn.tag_of(f"hdfs://host/models/{name}") for name in ("a", "A", "ä" * 500)}

    assert len(tags) == 3
    assert all(tag.isascii() and tag == tag.lower() and len(tag) <= 100 for tag in tags)


def test_the_resource_managers_of_a_pair_are_both_asked():
    pair = {"yarn.resourcemanager.ha.rm-ids": "rm1, rm2", "yarn.resourcemanager.hostname.rm1": "a"}
    pair |= {"yarn.resourcemanager.webapp.address.rm2": "b:1234"}

    assert yarn.resource_managers(pair) == ["http://a:8088", "http://b:1234"]
    assert yarn.resource_managers({}) == ["http://localhost:8088"]
    assert yarn.resource_managers({"yarn.http.policy": "HTTPS_ONLY", "yarn.resourcemanager.hostname": "a"}) == ["https://a:8090"]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("PipeMapRed.waitOutputThreads(): subprocess failed with code 97", "cannot run a task, because a package is missing"),
        ('Cannot run program "venv/bin/python": error=2, No such file or directory', "there is no venv/bin/python on a node"),
        (
            "Container [pid=7,containerID=c_1] is running 9B beyond the 'PHYSICAL' memory limit. Current usage: 1.1 GB of 1 GB",
            "a task took more memory than its container has .*; raise --task-memory",
        ),
        (
            "Killing the Job. mapResourceRequest: <memory:9524, vCores:1> maxContainerCapability:<memory:4096, vCores:2>",
            "^a task asks for 9524 MB, and no container there may have more than 4096; lower --task-memory",
        ),
        (
            "Error: org.apache.hadoop.hdfs.protocol.DSQuotaExceededException: The DiskSpace quota of /m is exceeded: quota = 1 MB",
            "there is no space for the output of a task .The DiskSpace quota of /m is exceeded: quota = 1 MB.; make room and",
        ),
        ("Error: java.io.IOException: No space left on device\n\tat java", "no space .* .No space left on device.; make room"),
        (
            "Error Launching job : org.apache.hadoop.yarn.exceptions.YarnException: Failed to submit, unknown queue: q\nStreaming",
            "^Hadoop rejects it: Failed to submit, unknown queue: q; logs",
        ),
        ("subprocess failed with code 1", "^logs: yarn logs -applicationId application_1_2$"),
    ],
)
def test_the_words_of_java_are_said_so_that_one_knows_what_to_do(log, words):
    runner = SimpleNamespace(
        _opts={"python_bin": ["venv/bin/python"]}, _log_interpretations=[{"step": {"application_id": "application_1_2"}}]
    )

    explained = RUNNER.explain(log, runner)

    assert re.search(words, explained)
    assert "yarn logs -applicationId application_1_2" in explained


def test_names_of_files_are_uris_to_hadoop():
    def named(prefix):
        yield f"hdfs://n:8020/{prefix} models/Jürgen, #1/a.py#a.py"

    assert list(hadoop._quoted(named, "My")) == ["hdfs://n:8020/My%20models/J%C3%BCrgen%2C%20%231/a.py#a.py"]


def test_a_task_that_solves_for_long_shows_that_it_lives(monkeypatch, capsys):
    monkeypatch.setattr(job, "SIGN_OF_LIFE", -1.0)
    vectors = np.arange(12, dtype=np.float32).reshape(6, 2)

    taken = job.Watched(vectors)[np.array([4, 1])]

    assert capsys.readouterr().err == "reporter:status:solving\n"
    np.testing.assert_array_equal(taken, vectors[[4, 1]])


@pytest.mark.parametrize(
    ("runner", "sizes", "expected"),
    [
        ("hadoop", [5 << 20, 5 << 20], 1),
        ("hadoop", [30 << 20, 5 << 20], 3),
        ("hadoop", [1 << 40], 12),
        ("emr", [5 << 20], 1),
        ("local", [5 << 20], 64),
    ],
)
def test_a_task_more_has_to_be_worth_its_start(runner, sizes, expected, tmp_path, monkeypatch):
    """Of 64 that can run at a time; there are 12 blocks on a cluster, and more on this machine."""
    asked = []

    class Done(Exception):
        pass

    def run_job(call, runner):
        asked.append((runner, call.reduces))
        raise Done

    monkeypatch.setattr(engines, "run_job", run_job)
    entries = range(12 if engines.Engine(runner).on_cluster else 100)
    inputs = [SimpleNamespace(n_bytes=size, entries=entries, write_input=lambda *_: ["hdfs:///part"]) for size in sizes]

    with pytest.raises(Done):
        engines.Engine(runner, tasks=64).run(engines.Job("mr_solve", inputs, []), str(tmp_path))

    assert asked == [(runner, expected)]
