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
from mr_als.planning.plan import peak_memory
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
def wide(tmp_path_factory):
    """Prepare a log in which one user plays a million items, and one item has a million users; give plays and their peak."""
    folder = tmp_path_factory.mktemp("wide")
    with (folder / "counts.tsv").open("wb") as file:
        file.write("".join(f"listener\titem-{n}\t{n % 7 + 1}\n" for n in range(N)).encode())
        file.write("".join(f"user-{n}\thit\t{n % 5 + 1}\n" for n in range(N)).encode())
    return folder / "plays", peak("prepare", folder / "counts.tsv", "--plays", folder / "plays")


def test_a_user_with_a_million_items_and_an_item_with_a_million_users_are_prepared_within_the_memory(wide):
    _, found = wide

    assert found < MEMORY


@pytest.mark.parametrize(("join", "rank"), [("shuffle", 64), ("broadcast", 8)])
def test_both_joins_train_on_them_within_the_memory(join, rank, wide, tmp_path):
    """A million vectors of rank 64 are as large as the memory: they can be shuffled, but not be broadcast."""
    plays, _ = wide

    found = peak("train", "--plays", plays, "--model", tmp_path / "model", f"--join={join}", f"--rank={rank}", "--max-iterations=1")

    assert found < MEMORY


def test_an_item_with_ten_million_users_is_prepared_and_trained_within_the_memory(tmp_path):
    """Its plays and the vectors of its users are several times the memory: they are looked at piece by piece."""
    with (tmp_path / "counts.tsv").open("wb") as file:
        for first in range(0, 10 * N, N):
            file.write("".join(f"user-{n}\thit\t{n % 5 + 1}\n" for n in range(first, first + N)).encode())
        file.write("".join(f"user-{n}\titem-{n % 97}\t1\n" for n in range(N)).encode())
    arguments = ["--model", tmp_path / "model", "--join=shuffle", "--rank=8", "--max-iterations=1"]

    assert peak("train", tmp_path / "counts.tsv", *arguments) < MEMORY


def test_buffers_that_were_read_are_not_kept_in_memory(tmp_path):
    """A task reads references to 400 MB, one after the other."""
    words = [sys.executable, "-c", READS, str(tmp_path)]

    done = subprocess.run(words, capture_output=True, text=True, check=True)

    assert int(done.stdout) < 150 << 20


READS = """
import sys
from mr_als.records.lines import Reader, ShardWriter
from mr_als.planning.plan import peak_memory
writer, piece = ShardWriter(sys.argv[1]), bytes(4 << 20)
pairs = [writer.write("plays", n, piece) for n in range(100)]
reader = Reader("references")
assert sum(len(reader.add(*pair).payload) for pair in pairs) == 100 * len(piece)
print(peak_memory())
"""
