"""Training on Spark (`local[2]`, a spark-submit a job) ends with the bytes of the inline runner, in both joins."""

from __future__ import annotations

import sys
import zipfile

import pytest

from mr_als.cli import main
from mr_als.engine import spark
from mr_als.engine.launch import run_job
from mr_als.errors import DamagedDataError, UsageError
from tests.toy import generation_bytes, options, run, toy_lines, write

LOCAL = ("--spark-master", "local[2]")


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("logs") / "counts.tsv", toy_lines())


@pytest.mark.spark
@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_the_same_plan_gives_the_same_bytes_as_inline(join, logs, tmp_path):
    run([logs], tmp_path / "inline", options(join, iterations=1))

    run([logs], tmp_path / "spark", options(join, iterations=1), runner="spark", tasks=2, mrjob_arguments=LOCAL)

    assert generation_bytes(tmp_path / "spark") == generation_bytes(tmp_path / "inline")


@pytest.mark.spark
def test_an_error_of_ours_in_a_task_comes_out_as_itself(tmp_path):
    lines = write(tmp_path / "damaged.lines", ["plays\t00000000.0000.0001\tbm90IGEgYmxvY2s=\n"])

    with pytest.raises(DamagedDataError, match="does not begin with MRB1"):
        run_job("mr_solve", [lines], str(tmp_path / "out"), ["--init=items", "--rank=4"], "spark", mrjob_arguments=LOCAL)


def test_without_pyspark_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(spark, "find_spec", lambda name: None)

    with pytest.raises(UsageError, match=r"pip install 'mr_als\[spark\]'"):
        spark.arguments(2)


def test_the_zip_holds_the_package_and_what_left_python(monkeypatch):
    monkeypatch.setattr(spark, "find_spec", lambda name: object())

    arguments = spark.arguments(2)
    names = zipfile.ZipFile(arguments[arguments.index("--py-files") + 1]).namelist()

    assert {"mr_als/__init__.py", "mr_als/maths/solve.py", "mr_als/engine/loose_version.py"} <= set(names)
    assert ("pipes.py" in names) == (sys.version_info >= (3, 12))


@pytest.mark.spark
def test_recommends_the_same_as_inline_whatever_alphabet_the_ids_are_in(tmp_path, monkeypatch):
    lines = [line.replace("taste", "Geschmäcker-味").replace("user", "Björk") for line in toy_lines()]
    run([write(tmp_path / "counts.tsv", lines)], tmp_path / "model", options(iterations=1))
    command = ["recommend", "--model", str(tmp_path / "model"), "-q"]

    assert main([*command, "--output", str(tmp_path / "inline")]) == 0
    assert main([*command, "--output", str(tmp_path / "spark"), "-r", "spark"]) == 0

    inline, on_spark = (
        sorted(line for part in (tmp_path / name).glob("part-*") for line in part.read_bytes().splitlines())
        for name in ("inline", "spark")
    )
    assert len(inline) == 10 * 120
    assert on_spark == inline
