"""One session for all jobs of a process: found or made, as asked for, quiet; only what we made is stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mr_als.cli import main
from mr_als.engine.spark import session
from tests.toy import generation_bytes, options, run, toy_lines, write

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ("--spark-master", "local[2]")
PLAN = ("--rank", "4", "--max-iterations", "1", "--tolerance", "0", "--user-blocks", "3", "--item-blocks", "2", "-q")
ON_SPARK = ("-r", "spark", "--master", "local[2]")


@pytest.fixture
def logs(tmp_path):
    return write(tmp_path / "counts.tsv", toy_lines())


def test_all_jobs_of_a_process_share_one_session(logs, tmp_path):
    model = str(tmp_path / "model")
    assert main(["train", logs, "--model", model, *PLAN, *ON_SPARK]) == 0
    context = session.session(session.wanted(LOCAL))

    assert main(["recommend", "--model", model, "--output", str(tmp_path / "out"), "-q", *ON_SPARK]) == 0

    assert session.session(session.wanted(LOCAL)) is context
    assert not context._jsc.sc().isStopped()


def test_a_property_of_the_user_holds_and_makes_another_session(logs, tmp_path):
    log = tmp_path / "events"
    log.mkdir()
    before = session.session(session.wanted(LOCAL))
    given = [
        *ON_SPARK,
        "-D",
        "spark.eventLog.enabled=true",
        "-D",
        f"spark.eventLog.dir=file://{log}",
        "-D",
        "spark.eventLog.compress=false",
        "-D",
        "a.b=c",
    ]

    assert main(["prepare", logs, "--plays", str(tmp_path / "plays"), "-q", *given]) == 0

    assert before._jsc is None
    asked = session.wanted(tuple({"--master": "--spark-master"}.get(word, word) for word in given[2:]))
    made = session.session(asked)
    assert made.getConf().get("spark.hadoop.a.b") == "c"
    session.stop()
    assert any("mr_ingest" in path.read_text(errors="replace") for path in log.rglob("*") if path.is_file())


PROGRAM = """
import sys
from pyspark import SparkConf, SparkContext
from mr_als.cli import main
from mr_als.engine.spark import session

quiet = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
theirs = SparkContext(conf=SparkConf().setMaster("local[2]").setAll(quiet.items()))
codes = [main([*sys.argv[1:], *more]) for more in ([], ["-D", "spark.x=1"], ["--master", "local[1]"])]
session.stop()
print(codes, theirs.parallelize([1, 2]).sum())
"""


def in_a_program(command, python):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": python}
    return subprocess.run([sys.executable, "-c", PROGRAM, *command], env=environment, capture_output=True, text=True, check=False)


def test_a_session_of_the_program_is_used_and_left_open(logs, tmp_path):
    done = in_a_program(["train", logs, "--model", str(tmp_path / "spark"), *PLAN, "-r", "spark"], sys.executable)

    assert "[0, 2, 2] 3" in done.stdout, done.stderr
    assert "this program has a Spark session already, on local[2], in which -D spark.x=1 has no effect" in done.stderr
    assert "in which --master local[1] has no effect" in done.stderr


def test_workers_whose_python_lacks_a_package_are_told_at_the_start(logs, tmp_path):
    """The interpreter of the environment without the packages of it."""
    bare = str(Path(sys.executable).resolve())

    done = in_a_program(["prepare", logs, "--plays", str(tmp_path / "p"), "-q", "-r", "spark"], bare)

    assert done.stdout.startswith("[1, "), done.stderr
    assert re.search(
        r"\nmr-als: a worker on \S+ cannot run a task: .* lacks numpy and mrjob; set PYSPARK_PYTHON to one", done.stderr
    )


def test_trainings_in_threads_of_one_program_end_with_the_bytes_of_each_alone(tmp_path):
    """Two use one session at the same time, and the third, which asks for another, waits for its turn."""
    masters = ("local[2]", "local[2]", "local[1]")
    logs = [write(tmp_path / f"{n}.tsv", toy_lines()[n:]) for n in range(3)]
    said = []
    for n, log in enumerate(logs):
        assert main(["train", log, "--model", str(tmp_path / f"alone-{n}"), *PLAN]) == 0

    def one(n):
        said.append(main(["train", logs[n], "--model", str(tmp_path / f"m-{n}"), *PLAN, "-r", "spark", "--master", masters[n]]))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert said == [0, 0, 0]
    for n in range(3):
        assert generation_bytes(tmp_path / f"m-{n}") == generation_bytes(tmp_path / f"alone-{n}")


def test_ctrl_c_ends_spark_too_and_says_nothing_of_java(logs, tmp_path):
    command = [sys.executable, "-m", "mr_als", "train", logs, "--model", str(tmp_path / "m"), "--max-iterations", "500"]
    command += ["--tolerance", "0", *ON_SPARK]
    driver = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "m/work/half-002.json").exists():
        assert driver.poll() is None
        time.sleep(0.1)
    children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()

    driver.send_signal(signal.SIGINT)
    said = driver.communicate(timeout=60)[1]

    assert driver.returncode == 130
    assert said.splitlines()[-1] == "mr-als: interrupted; finished work is kept; repeat the command to resume"
    assert all(line.startswith(WORDS) for line in said.splitlines()), said
    assert children
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


# how what we say ourselves of a training begins
WORDS = ("prepare:", "join:", "plan:", "pass", "lambda", "half", "mr-als:", "  ")


def test_a_session_that_does_not_start_leaves_no_jvm_to_the_next_one(logs, tmp_path, capsys):
    session.stop()
    command = ["prepare", logs, "--plays", str(tmp_path / "p"), "-q", "-r", "spark"]

    assert main([*command, "--master", "local[many]"]) == 1

    assert re.search(r"Spark does not start on local\[many\]: .*Master URL", said := capsys.readouterr().err)
    assert len(said.splitlines()) == 1
    assert session._context_class()._gateway is None
    assert main([*command, "--master", "local[2]"]) == 0


# that of the pipe to a JVM that has died
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_spark_that_does_not_start_says_why(logs, tmp_path, capsys):
    session.stop()

    assert main(["prepare", logs, "--plays", str(tmp_path / "p"), "-q", *ON_SPARK, "-D", "spark.driver.memory=1"]) == 1

    assert "Spark does not start on local[2]: " in (said := capsys.readouterr().err)
    assert "heap" in said
    assert run([logs], tmp_path / "model", options(iterations=0))
