"""Fixtures for all tests: small logs, the command line, one job in this process."""

from __future__ import annotations

import os
from io import BytesIO

import pytest
from hypothesis import settings

from mr_als import cli as command_line
from mr_als.engine.launch import load_job
from tests.emr.stand_in import aws  # noqa: F401  (one stand-in for tests of all folders)
from tests.hadoop.fixtures import folder, hadoop, toy, trained, undisturbed  # noqa: F401  (one cluster for tests of all folders)
from tests.spark.standalone import QUICK_JVM
from tests.toy import toy_lines, write

# drivers of Spark, and masters and workers; executors are told by a property
os.environ.setdefault("SPARK_SUBMIT_OPTS", QUICK_JVM)
os.environ.setdefault("SPARK_DAEMON_JAVA_OPTS", QUICK_JVM)

# pytest explains the assertions of test modules, and of these
pytest.register_assert_rewrite("tests.storage.storage_promises")

# no test measures time: what takes long on a busy machine is no fault; and what passes here passes everywhere. To search
# for what nobody has thought of: --hypothesis-profile search
settings.register_profile("search", deadline=None)
settings.register_profile("mr_als", deadline=None, derandomize=True)
settings.load_profile("mr_als")


@pytest.fixture(scope="session")
def small_logs(tmp_path_factory):
    """Write the counts lines of `toy_lines`, 120 users of four tastes, and return the path."""
    return write(tmp_path_factory.mktemp("small-logs") / "counts.tsv", toy_lines())


@pytest.fixture
def cli(capfd):
    """Run `mr-als` in this process; give exit code, stdout and stderr."""

    def run(*arguments):
        code = command_line.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def run_job():
    """Run the job `name` inline on lines of bytes; give the lines of its output, without their ends."""

    def run(name, lines, *arguments):
        job = load_job(name)(["-r", "inline", "--no-conf", *arguments, "-"]).sandbox(stdin=BytesIO(b"".join(lines)))
        with job.make_runner() as runner:
            runner.run()
            return b"".join(runner.cat_output()).splitlines()

    return run
