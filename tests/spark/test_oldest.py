"""The oldest PySpark that the extra allows: `make test-spark` lays it out in a directory of its own, MR_ALS_OLDEST_SPARK."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mr_als.cli import main
from tests.toy import generation_bytes, toy_lines, write

ROOT = Path(__file__).resolve().parents[2]
OLDEST = os.environ.get("MR_ALS_OLDEST_SPARK", "")
PLAN = ("--rank", "4", "--max-iterations", "1", "--user-blocks", "2", "--item-blocks", "2", "--join", "shuffle", "-q")


@pytest.mark.spark
@pytest.mark.skipif(not OLDEST, reason="only make test-spark fetches it")
def test_the_oldest_version_ends_with_the_bytes_of_inline(tmp_path):
    logs = write(tmp_path / "counts.tsv", toy_lines())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.abspath(OLDEST), str(ROOT)])}
    found = subprocess.run(
        [sys.executable, "-c", "import pyspark; print(pyspark.__version__)"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    command = ["train", logs, "--model", str(tmp_path / "spark"), *PLAN, "-r", "spark", "--master", "local[2]"]

    subprocess.run([sys.executable, "-m", "mr_als", *command], env=environment, check=True)

    assert found.stdout.startswith(re.search(r"pyspark>=([0-9.]+)", (ROOT / "pyproject.toml").read_text())[1])
    assert main(["train", logs, "--model", str(tmp_path / "inline"), *PLAN]) == 0
    assert generation_bytes(tmp_path / "spark") == generation_bytes(tmp_path / "inline")
