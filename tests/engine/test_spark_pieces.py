"""The pieces of the engine on Spark that need no Spark: order in a partition, ranges of logs elsewhere, the file to submit."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from mr_als.engine.spark import session
from mr_als.engine.spark.submit import main as submit
from mr_als.engine.spark.tasks import Step, in_order
from mr_als.logs.logs import ByteRange, chunks
from mr_als.storage import mirror
from mr_als.storage.local import LocalStorage


def sent(*keys):
    return [((key[:1], key[1:]), None) for key in keys]


@pytest.mark.parametrize(
    ("lay", "came", "expected"),
    [
        ((b"10", b"20"), (b"11", b"12", b"21"), (b"10", b"11", b"12", b"20", b"21")),
        ((b"10",), (b"11", b"12"), (b"10", b"11", b"12")),
        ((b"10", b"20"), (), (b"10", b"20")),
        ((), (b"11", b"21"), (b"11", b"21")),
    ],
)
def test_plays_that_lie_in_a_partition_come_before_the_vectors_of_their_block(lay, came, expected):
    assert list(in_order([*((item,) for item in sent(*lay)), *sent(*came)])) == sent(*expected)


@pytest.mark.parametrize("step", [7, 64, 1000, 5000, 1 << 20])
def test_ranges_that_are_fetched_hold_each_line_once(step, tmp_path, monkeypatch):
    """Pieces and heads are made small, so that lines end behind them."""
    monkeypatch.setattr(mirror, "storage_of", lambda path: LocalStorage())
    monkeypatch.setattr(mirror, "PIECE", 50)
    monkeypatch.setattr(mirror, "HEAD", 16)
    data = b"".join(b"%d\t%s\n" % (n, b"x" * (n * 37 % 90)) for n in range(60)) + b"the last\tone"
    source, place = tmp_path / "log.tsv", tmp_path / "here"
    source.write_bytes(data)
    place.mkdir()

    found = []
    for offset in range(0, len(data), step):
        with ByteRange(mirror.fetch_range(str(source), offset, step, str(place)), offset, min(step, len(data) - offset)) as stream:
            found += b"".join(chunks(stream)).splitlines()

    assert found == data.splitlines()


def test_a_part_appears_once_whichever_of_two_attempts_comes_first(tmp_path):
    step = Step("mr_solve", (), str(tmp_path))

    paths = {step.write_part(3, iter([b"a", b"b"])) for _ in range(2)}

    assert paths == {str(tmp_path / "part-00003")}
    assert [path.name for path in tmp_path.iterdir()] == ["part-00003"]
    assert (tmp_path / "part-00003").read_bytes() == b"a\nb\n"


def test_the_file_to_submit_is_the_whole_program(tmp_path):
    file = str(tmp_path / "mr-als.py")
    assert submit([file]) == 0
    plan = ["plan", "-r", "spark", "--users", "100", "--items", "50", "--pairs", "1000", "--no-measure"]

    done = subprocess.run([sys.executable, file, *plan], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "all executors of Spark together" in done.stdout
    assert submit(["mr-als.zip"]) == 2


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("SparkException: Python worker exited unexpectedly (crashed)", "a Python worker was killed.*--task-memory"),
        ("ExecutorLostFailure: Container killed by YARN for exceeding physical memory limits", "spark.executor.memoryOverhead"),
        ("ModuleNotFoundError: No module named 'numpy'", "a worker's Python lacks numpy; set PYSPARK_PYTHON"),
        ('java.io.IOException: Cannot run program "python3.99": error=2', "there is no python3.99"),
        (
            "[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.9 than that in driver: 3.11",
            "not that of the driver",
        ),
    ],
)
def test_what_spark_says_of_workers_is_told_with_the_remedy(log, said):
    assert re.search(said, session.told(log))
    assert session.told("ValueError: something else") == ""
