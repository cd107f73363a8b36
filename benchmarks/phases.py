"""Say where the time of an iteration goes, from the driver's first byte to its last: seconds of each step, and of what is in it.

    python benchmarks/phases.py M-counts.tsv            a file of benchmarks/data.py
    python benchmarks/phases.py M-counts.tsv --rank 128 what follows goes to `mr-als train`

The job runs inline. Steps of the driver follow each other; a task's blocks are solved by several threads, whose seconds add up.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ours import run, same_objective

from mr_als.engine import engine as engines
from mr_als.engine.launch import load_job
from mr_als.maths import solve
from mr_als.maths.solving import flat
from mr_als.training import halves
from mr_als.training.halves import Halves

FEW, MANY = 1, 6
ITERATIONS = MANY + 0.5  # a run ends with a half of the users
JOB = load_job("mr_solve")
TASK = sys.modules[JOB.__module__]

# what is timed: name as printed, where it is, whether threads do it side by side
STEPS: tuple[tuple[str, Any, str], ...] = (
    ("a half, all of it", Halves, "solve"),
    ("  the fixed side: read, project, write", halves, "write_fixed"),
    ("  the job", engines, "run_job"),
    ("    its task", JOB, "run_mapper"),
    ("      threads: all of a block", JOB, "answer"),
    ("      threads: unpack the plays", TASK.PlaysBlock, "unpack"),
    ("      threads: join", TASK, "join"),
    ("      threads: solve rows", solve, "solve_flat"),
    ("      threads:   x = Q w", flat, "project"),
    ("      threads: Gram matrix", solve, "gram_matrix"),
    ("      threads: pack and sum up", JOB, "packed"),
    ("  lay down what came, check it", engines, "lay_down"),
    ("  record", Halves, "_commit"),
)


def timed(spent: list[float], function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the function in a timer that appends the seconds of each call to `spent`."""

    def clocked(*arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent.append(time.perf_counter() - started)

    return clocked


def main() -> None:
    """Train twice, the second time with a clock around each step."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    spent: dict[str, list[float]] = {name: [] for name, _, _ in STEPS}
    with tempfile.TemporaryDirectory() as work:
        plays, model = os.path.join(work, "plays"), os.path.join(work, "model")
        run("prepare", sys.argv[1], "--plays", plays)
        words = ("--plays", plays, "--model", model, "--kernel=numba", *same_objective(sys.argv[2:]))
        run("train", *words, f"--max-iterations={FEW}")
        for name, place, function in STEPS:
            setattr(place, function, timed(spent[name], getattr(place, function)))
        run("train", *words, f"--max-iterations={MANY}")
    print("seconds an iteration")
    for name, _, _ in STEPS:
        print(f"  {name:<42} {sum(spent[name]) / ITERATIONS:6.3f}")


if __name__ == "__main__":
    main()
