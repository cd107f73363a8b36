"""The half in forty lines on the real Hadoop."""

from __future__ import annotations

import sys

import pytest

from tests.teaching.tiny import EXAMPLES, half_1, run

pytestmark = pytest.mark.hadoop


@pytest.mark.usefixtures("hadoop")
def test_the_plain_job_gives_the_numbers_of_the_page():
    printed = run("tiny_als.py", "-r", "hadoop", "--python-bin", sys.executable, str(EXAMPLES / "tiny.tsv"))

    assert sorted(printed.splitlines()) == half_1()
