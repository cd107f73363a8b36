"""Tasks that read and write parts themselves, as on a cluster: on `local[2]`, in a directory taken for a shared one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mr_als.engine.engine import Engine
from mr_als.engine.runners import spark
from mr_als.engine.spark import session
from mr_als.records.lines import LINES
from mr_als.training.train import train
from tests.hadoop.runs import arrays_of
from tests.toy import options, run, toy_lines, write

pytestmark = pytest.mark.spark

THERE = Engine("spark", LINES, 2, ("--spark-master", "local[2]"))


@pytest.fixture
def logs(tmp_path, monkeypatch):
    monkeypatch.setattr(spark, "_file_system", lambda path: "nfs4")
    return write(tmp_path / "counts.tsv", toy_lines())


def with_memory(chosen, n_bytes):
    return replace(chosen, plan=replace(chosen.plan, task_memory=n_bytes))


def workers():
    """List the processes of the Python workers: of those of the JVM that never end, each forked by the one daemon."""
    jvm = session._made.gateway.proc.pid
    return [worker for daemon in below(jvm) if "pyspark.daemon" in words_of(daemon) for worker in below(daemon)]


def below(pid):
    return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]


def words_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


@pytest.mark.parametrize("join", ["shuffle", "broadcast"])
@pytest.mark.parametrize("memory", [1 << 20, 1 << 30])
def test_what_memory_does_not_hold_waits_in_files_and_the_bytes_are_those_of_inline(join, memory, logs, tmp_path):
    chosen = with_memory(options(join, iterations=1), memory)
    run([logs], tmp_path / "inline", chosen)

    train([logs], str(tmp_path / "spark"), chosen, engine=THERE)

    assert arrays_of(str(tmp_path / "spark")) == arrays_of(str(tmp_path / "inline"))


def test_a_core_has_one_python_worker(logs, tmp_path):
    """One and the same sorts what came and reduces it, beside the blocks that lie there."""
    session.stop()

    train([logs], str(tmp_path / "m"), options("shuffle", iterations=1, blocks=4), engine=THERE)

    assert 1 <= len(workers()) <= 2


def test_trainings_in_threads_keep_their_plays_in_the_executors(logs, tmp_path):
    """Each reads its own; what one lays out does not push out what the other needs."""
    session.stop()
    chosen, others = options("shuffle", iterations=2), write(tmp_path / "others.tsv", toy_lines()[5:])
    for name, log in (("a", logs), ("b", others)):
        run([log], tmp_path / f"inline-{name}", chosen)

    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(lambda given: train([given[1]], str(tmp_path / given[0]), chosen, engine=THERE), (("a", logs), ("b", others)))
        )

    for name in ("a", "b"):
        assert arrays_of(str(tmp_path / name)) == arrays_of(str(tmp_path / f"inline-{name}"))


def test_plays_are_read_once_and_stay_until_the_program_has_trained(logs, tmp_path):
    session.stop()

    train([logs], str(tmp_path / "m"), options("shuffle", iterations=1, blocks=3), engine=THERE)

    context = session.session(session.wanted(THERE.mrjob_arguments))
    kept = {found.id(): found.numCachedPartitions() for found in context._jsc.sc().getRDDStorageInfo()}
    assert [*kept.values()] == [3, 3]  # the blocks of users, and of items
    THERE.how.let_go()
    assert not context._jsc.getPersistentRDDs()
