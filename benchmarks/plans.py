"""Compare what `mr-als plan` says with what `mr-als train` takes, over runs of different shape.

    python benchmarks/plans.py               all runs, some minutes; writes the table in docs/scaling.md anew
    python benchmarks/plans.py --only 2      one run; writes nothing

Each run is two processes, a plan of a log and a training on it, one after the other. Seconds are those of an iteration, bytes
those that both halves of it read, shuffle and write, memory that of the largest process. The last column plans the bytes from
the numbers of users, items and pairs alone. Plays are synthetic (benchmarks/data.py).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "scaling.md"
BEGIN, END = "<!-- written by benchmarks/plans.py -->\n", "<!-- end of benchmarks/plans.py -->\n"
sys.path[:0] = [str(HERE), str(HERE.parent)]

ITERATIONS = 5
# the most that a plan may be wrong, in percent
BOUNDS = {"seconds": 30, "bytes": 20, "memory": 20, "guessed": 20}


class Run(NamedTuple):
    """A log, and how it is trained on."""

    users: int
    items: int
    pairs: int
    rank: int
    join: str
    runner: str = "inline"
    more: tuple[str, ...] = ()

    def options(self) -> list[str]:
        """List the options that plan and train share."""
        return ["--format=counts", f"--rank={self.rank}", f"--join={self.join}", f"--runner={self.runner}", *self.more]


RUNS = (
    Run(2_000, 1_000, 50_000, 32, "broadcast"),
    Run(20_000, 10_000, 1_000_000, 64, "broadcast"),
    Run(20_000, 10_000, 1_000_000, 64, "shuffle", more=("--user-blocks=16", "--item-blocks=8")),
    Run(80_000, 5_000, 1_000_000, 32, "broadcast", "local"),
    Run(5_000, 20_000, 2_000_000, 32, "shuffle", "local", ("--task-memory=256M",)),
    Run(20_000, 10_000, 500_000, 32, "broadcast", more=("--solver=cholesky",)),
    Run(50_000, 25_000, 4_000_000, 128, "broadcast"),
    Run(100_000, 50_000, 4_000_000, 16, "broadcast"),
)


def command(*words: str) -> dict[str, Any]:
    """Run a command in a process of its own, and return the JSON that it prints."""
    done = subprocess.run([sys.executable, "-m", "mr_als", *words, "--json", "-q"], cwd=HERE.parent, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"mr-als {' '.join(words)}: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compare(run: Run, work: str) -> dict[str, tuple[float, float]]:
    """Compare planned and actual figures, by name."""
    from data import Shape, counts_lines

    log = os.path.join(work, "counts.tsv")
    with open(log, "wb") as file:
        file.writelines(counts_lines(Shape(run.users, run.items, run.pairs)))
    plan = command("plan", log, *run.options())
    numbers = [f"--users={plan['users']}", f"--items={plan['items']}", f"--pairs={plan['pairs']}"]
    size = f"--log-size={os.path.getsize(log)}"
    guess = command("plan", *numbers, size, "--no-measure", *run.options())
    model = os.path.join(work, "model")
    info = command("train", log, "--model", model, "--tolerance=0", f"--max-iterations={ITERATIONS}", *run.options())
    took = info["plan"]["actual"]
    moved = sum(value for name, value in took.items() if name.startswith(("bytes_written", "bytes_shuffled")))
    actual = moved + sum(half["read"] for half in plan["halves"].values())
    return {
        "seconds": (plan["seconds_of_an_iteration"], took["seconds_of_an_iteration"]),
        "bytes": (bytes_of(plan), actual),
        "memory": (plan["memory_of_this_machine"], took["bytes_of_memory"]),
        "guessed": (bytes_of(guess), actual),
    }


def bytes_of(plan: dict[str, Any]) -> float:
    """Sum the bytes that an iteration reads, shuffles and writes."""
    return sum(float(half[key]) for half in plan["halves"].values() for key in ("read", "sent", "written"))


def error(planned: float, actual: float) -> float:
    """Compute the error of a plan as a percentage of the actual value.

    >>> round(error(1.3, 1.0))
    30
    """
    return 100 * (planned / actual - 1)


def table(rows: list[tuple[Run, dict[str, tuple[float, float]]]]) -> str:
    """Format the table of the page."""
    lines = [
        "| users x items, pairs | rank | run | seconds: plan, actual | bytes | memory | bytes from numbers alone |",
        "|---|---|---|---|---|---|---|",
    ]
    for run, found in rows:
        how = " ".join([run.join, run.runner, *run.more])
        cells = [f"{found['seconds'][0]:.2f}, {found['seconds'][1]:.2f}: {error(*found['seconds']):+.0f} %"]
        cells += [
            f"{planned / 1e6:.1f}, {actual / 1e6:.1f} MB: {error(planned, actual):+.0f} %"
            for planned, actual in (found[name] for name in ("bytes", "memory", "guessed"))
        ]
        lines.append(f"| {run.users} x {run.items}, {run.pairs} | {run.rank} | {how} | " + " | ".join(cells) + " |")
    beyond = [
        f"{name} of run {n}"
        for n, (_, found) in enumerate(rows, 1)
        for name, bound in BOUNDS.items()
        if abs(error(*found[name])) > bound
    ]
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    lines += ["", f"{machine}. Beyond 30 % of time or 20 % of bytes or memory: {', '.join(beyond) or 'none'}"]
    return "\n".join(lines) + ".\n"


def main(arguments: list[str]) -> None:
    """Compare all runs, print the table, and write it to the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, choices=range(len(RUNS)))
    given = parser.parse_args(arguments)
    rows = []
    for run in RUNS if given.only is None else [RUNS[given.only]]:
        with tempfile.TemporaryDirectory() as work:
            rows.append((run, compare(run, work)))
        print({name: f"{error(*pair):+.0f} %" for name, pair in rows[-1][1].items()}, *run, file=sys.stderr, flush=True)
    print(table(rows))
    if given.only is None:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
