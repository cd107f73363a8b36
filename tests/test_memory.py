"""Peak memory of every task stays below --task-memory, whatever the data: measured, on processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

MEMORY = 256 << 20
N = 1_000_000
MEASURED = """
import json, sys
from mr_als.cli import main
from mr_als.planning import peak_memory
print(json.dumps([main(sys.argv[1:]), peak_memory()]))
"""


def peak(command, *arguments):
    """Run a command on the local runner with little memory; give the peak of the largest process, driver or task."""
    words = [command, "-q", "-r", "local", f"--task-memory={MEMORY}", *map(str, arguments)]
    done = subprocess.run([sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, check=True)
    status, found = json.loads(done.stdout.splitlines()[-1])
    assert status == 0, done.stderr
    return found


@pytest.fixture(scope="module")
def wide_log(tmp_path_factory):
    """Write a log in which one user plays a million items, and one item has a million users."""
    path = tmp_path_factory.mktemp("wide") / "counts.tsv"
    with path.open("wb") as file:
        file.write("".join(f"listener\titem-{n}\t{n % 7 + 1}\n" for n in range(N)).encode())
        file.write("".join(f"user-{n}\thit\t{n % 5 + 1}\n" for n in range(N)).encode())
    return path


def test_a_user_with_a_million_items_and_an_item_with_a_million_users_are_prepared_within_the_memory(wide_log, tmp_path):
    assert peak("prepare", wide_log, "--plays", tmp_path / "plays") < MEMORY
