"""The half in forty lines on Spark, the same by RDDs, and MLlib's ALS: all as the page on scaling shows them."""

from __future__ import annotations

import sys

import pytest

from tests.teaching.tiny import EXAMPLES, ROOT, half_1, run

TINY = str(EXAMPLES / "tiny.tsv")
pytestmark = pytest.mark.spark


def test_the_plain_job_gives_the_numbers_of_the_page():
    printed = run("tiny_als.py", "-r", "spark", "--spark-master", "local[2]", "--python-bin", sys.executable, TINY)

    assert sorted(printed.splitlines()) == half_1()


def test_rdds_give_the_numbers_of_the_page_and_mllib_the_scores_of_our_objective():
    printed = run(
        "tiny_spark.py", TINY, PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1", HADOOP_CONF_DIR=""
    )  # that of other tests names HDFS

    users, _, scores = printed.partition("scores by MLlib\n")
    theirs, _, ours = scores.partition("scores by mr_als\n")
    assert [f"vector\t{line}" for line in users.splitlines()] == half_1()
    assert theirs == ours
    assert printed in (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
