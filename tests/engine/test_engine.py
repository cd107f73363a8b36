"""All jobs are run in one way: what is asked of one reaches all, wherever they run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mr_als.cli import main
from mr_als.engine import engine as engines
from mr_als.engine.engine import Engine, Job
from mr_als.engine.runners import spark
from mr_als.evaluating.split import split
from mr_als.options import InputOptions, SplitOptions
from mr_als.preparing.prepare import prepare
from mr_als.progress import Progress
from mr_als.storage.local import LocalStorage
from tests.toy import toy_lines, write

PLAN = ["--rank", "4", "--max-iterations", "0", "--tolerance", "0", "-q"]


@pytest.fixture
def calls(monkeypatch):
    """Collect what mrjob is told of each job that is run."""
    found, real = [], engines.run_job

    def run_job(call, runner):
        found.append(call)
        return real(call, runner)

    monkeypatch.setattr(engines, "run_job", run_job)
    return found


def test_the_memory_of_a_task_reaches_each_job(calls, tmp_path):
    logs, memory = write(tmp_path / "counts.tsv", toy_lines()), ["--task-memory", "300M"]
    parts = [str(tmp_path / name) for name in ("train", "test")]
    model = ["--model", str(tmp_path / "model")]

    assert main(["split", logs, "--train", parts[0], "--test", parts[1], "--share", "0.2", "-q", *memory]) == 0
    assert main(["train", parts[0], *model, *PLAN, *memory]) == 0
    assert main(["evaluate", *model, parts[1], "-q", *memory]) == 0
    assert main(["recommend", *model, "--plays", logs, "--output", str(tmp_path / "top"), "-q", *memory]) == 0

    for part in parts:
        assert main(["prepare", part, "--plays", str(tmp_path / "plays"), "--add", "-q", *memory]) == 0
    assert main(["prepare", "--plays", str(tmp_path / "plays"), "--replan", "-q", *memory]) == 0

    assert {call.name for call in calls} == {"mr_split", "mr_ingest", "mr_merge", "mr_solve", "mr_evaluate", "mr_recommend"}
    for call in calls:
        assert call.task_memory == 300 << 20, call.name
        assert f"--task-memory={300 << 20}" in call.arguments, call.name


def test_the_memory_of_a_task_changes_no_part_of_a_split(tmp_path):
    logs, found = write(tmp_path / "counts.tsv", toy_lines()), []
    for memory in (1 << 30, 1 << 14):  # the table is full after a few rows
        parts = {name: str(tmp_path / f"{name}-{memory}") for name in ("train", "test")}

        split([logs], parts, SplitOptions(), InputOptions(), Engine(), Progress(quiet=True), memory)

        lines = [[path.read_bytes().splitlines() for path in Path(part).glob("part-*")] for part in parts.values()]
        found.append([sorted(line for file in part for line in file) for part in lines])

    assert found[0] == found[1]


class Elsewhere:
    """Storage that remembers what is uploaded."""

    def __init__(self):
        self.uploaded = []

    def upload(self, local, path):
        self.uploaded.append((local, path))


def test_tasks_on_a_cluster_get_copies_of_files_of_this_machine_and_no_others(tmp_path, monkeypatch):
    cluster, told = Elsewhere(), []
    monkeypatch.setattr(engines, "storage_of", lambda path: cluster)
    monkeypatch.setattr(engines, "run_job", lambda call, runner: told.append(call) or ["hdfs:///d/output/part-0"])
    written = SimpleNamespace(n_bytes=1, entries=[0], write_input=lambda here, n: [f"{here}/users-000.lines"])
    there = SimpleNamespace(n_bytes=1, entries=[0], write_input=lambda here, n: ["hdfs:///m/output/part-0"])
    job = Job(
        "mr_evaluate", [written, there], ["--k=10"], [("--items", str(tmp_path / "items.bin")), ("--fixed", "hdfs:///m/fixed")]
    )

    output = Engine("hadoop", "lines").run(job, "hdfs:///d")

    assert output.parts == ["hdfs:///d/output/part-0"]
    assert told[0].inputs == ["hdfs:///d/users-000.lines", "hdfs:///m/output/part-0"]
    assert told[0].arguments[-5:] == ["--items", "hdfs:///d/items.bin", "--fixed", "hdfs:///m/fixed", "--k=10"]
    assert sorted(copy for _, copy in cluster.uploaded) == ["hdfs:///d/items.bin", "hdfs:///d/users-000.lines"]


def test_files_of_one_name_are_copied_to_places_of_their_own(monkeypatch):
    cluster = Elsewhere()
    monkeypatch.setattr(engines, "storage_of", lambda path: cluster)
    engine = Engine("hadoop", "lines")

    seen = engine.stage(["/day1/part-0.tsv", "/day2/part-0.tsv", "/day2/part-1.tsv"], "hdfs:///d")

    assert seen == ["hdfs:///d/00000/part-0.tsv", "hdfs:///d/00001/part-0.tsv", "hdfs:///d/part-1.tsv"]
    assert [copy for _, copy in cluster.uploaded] == seen


def test_files_that_executors_see_are_not_copied_through_the_driver(monkeypatch):
    """Logs on NFS with a model in HDFS; what the driver wrote on its own disk is copied."""
    cluster = Elsewhere()
    monkeypatch.setattr(engines, "storage_of", lambda path: cluster)
    monkeypatch.setattr(spark, "_file_system", lambda path: "nfs4" if path.startswith("/shared") else "ext4")

    seen = Engine("spark", "lines").stage(["/shared/day1.tsv", "/tmp/fixed.bin", "hdfs:///day2.tsv"], "hdfs:///d")

    assert seen == ["/shared/day1.tsv", "hdfs:///d/fixed.bin", "hdfs:///day2.tsv"]
    assert [copy for _, copy in cluster.uploaded] == ["hdfs:///d/fixed.bin"]


@pytest.mark.parametrize(("worth", "tasks"), [(1, 64), (engines.WORTH_A_TASK, 1)])
def test_a_job_whose_blocks_are_much_work_gets_a_task_for_each(worth, tasks, monkeypatch):
    asked = []
    data = SimpleNamespace(n_bytes=1 << 20, entries=range(100), write_input=lambda here, n: asked.append(n) or [])
    monkeypatch.setattr(engines, "run_job", lambda call, runner: asked.append(call.tasks) or [])

    Engine("emr", "lines", tasks=64).run(Job("mr_recommend", [data], [], worth_a_task=worth), "s3://b/d")

    assert asked == [tasks, tasks]


def test_prepare_asks_for_each_log_once(tmp_path, monkeypatch):
    """Where a file lies elsewhere, each question takes its time."""
    logs = [write(tmp_path / f"{n}.tsv", toy_lines()[n::3]) for n in range(3)]
    asked, identify = [], LocalStorage.identify
    monkeypatch.setattr(LocalStorage, "identify", lambda self, path: asked.append(path) or identify(self, path))

    prepare(logs, str(tmp_path / "plays"), InputOptions())

    assert sorted(asked) == logs
