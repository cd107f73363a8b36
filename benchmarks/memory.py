"""Train on logs that are many times as large as the memory of a task, and say what the largest process took.

    python benchmarks/memory.py                 20 times 256 MB, rank 64, both joins; some 12 GB of disk
    python benchmarks/memory.py --times 2       less
    python benchmarks/memory.py --users-of-one-item 10000000 --rank 16 --joins shuffle

A line is a play of one of 400,000 users and 200,000 items with ids as long as people have them (a SHA-1, a Spotify URI); or all
users have played one item, and every tenth of them another one. Every step is a process of its own with `-r local`; its tasks
are its children.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

USERS, ITEMS = 400_000, 200_000
# lines made at a time
PIECE = 200_000
MEASURED = """
import json, resource, sys
from mr_als.cli import main
status = main(sys.argv[1:])
# its own ru_maxrss begins with that of the process that started it
driver = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print(json.dumps([status, driver << 10, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10]))
"""


def lines(n_bytes: int, seed: int = 0) -> Iterator[bytes]:
    """Yield about `n_bytes` bytes of an event log, in pieces; a few users and items have most of the plays."""
    rng = np.random.default_rng(seed)
    while n_bytes > 0:
        users = (USERS * rng.random(PIECE) ** 2).astype(np.int64).tolist()
        items = (ITEMS * rng.random(PIECE) ** 3).astype(np.int64).tolist()
        times, played = rng.integers(0, 60, (2, PIECE)).tolist(), rng.integers(30_000, 300_000, PIECE).tolist()
        rows = zip(*times, users, items, played, strict=True)
        piece = "".join(f"2024-03-01T00:{m:02d}:{s:02d}Z\t{u:040x}\tspotify:track:{i:022d}\t{ms}\n" for m, s, u, i, ms in rows)
        n_bytes -= len(piece)
        yield piece.encode()


def users_of_one_item(n_users: int) -> Iterator[bytes]:
    """Yield, in pieces, a counts log in which all users have played the same item."""
    for first in range(0, n_users, PIECE):
        users = range(first, min(first + PIECE, n_users))
        yield "".join(f"user-{n}\thit\t{n % 5 + 1}\n" for n in users).encode()
        yield "".join(f"user-{n}\titem-{n % 997}\t1\n" for n in users[::10]).encode()


def step(*words: str) -> tuple[int, int]:
    """Run a command of mr-als; return the peak memory of its driver and of its largest task, in bytes."""
    done = subprocess.run([sys.executable, "-c", MEASURED, *words, "-q", "-r", "local"], cwd=HERE.parent, capture_output=True)
    status, driver, tasks = json.loads(done.stdout.splitlines()[-1]) if not done.returncode else (1, 0, 0)
    if status:
        sys.exit(f"mr-als {' '.join(words)}: {done.stderr.decode()}")
    return driver, tasks


def main(arguments: list[str]) -> None:
    """Make the logs, take the steps, print a table."""
    from mr_als.options import memory

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=float, default=20, help="size of the logs over the memory of a task (default: 20)")
    parser.add_argument("--task-memory", type=memory, default=memory("256M"), help="memory of a task (default: 256M)")
    parser.add_argument("--users-of-one-item", type=int, help="let one item have so many users, instead of many plays")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--joins", nargs="+", default=("shuffle", "broadcast"), help="which ones (default: both)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as work:
        log, plays = os.path.join(work, "log.tsv"), os.path.join(work, "plays")
        with open(log, "wb") as file:
            wide = given.users_of_one_item
            file.writelines(users_of_one_item(wide) if wide else lines(int(given.times * given.task_memory)))
        print(f"{os.path.getsize(log) / 2**20:.0f} MB of logs, --task-memory {given.task_memory >> 20}M\n")
        print("| step | largest task, MB | driver, MB |\n|---|---|---|")
        budget = f"--task-memory={given.task_memory}"
        steps = {"prepare": ["prepare", log, "--plays", plays]}
        for join in given.joins:
            model = os.path.join(work, join)
            how = [f"--join={join}", f"--rank={given.rank}", "--max-iterations=1"]
            # very many rows want more blocks than logs of their size, which is known if one trains on the logs
            steps[f"train, {join}"] = ["train", *([log] if wide else ["--plays", plays]), "--model", model, *how]
        for name, words in steps.items():
            driver, tasks = step(*words, budget)
            print(f"| {name} | {tasks / 2**20:.0f} | {driver / 2**20:.0f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
