"""Measure how time and memory grow: with plays, users, rank, tasks and blocks, one thing at a time.

    python benchmarks/curves.py                 all curves; about half an hour, on a machine that does nothing else
    python benchmarks/curves.py --only rank     one curve, the others stay as they are
    python benchmarks/curves.py --scale 0.02    tiny data: tries the script, writes nothing

Each point is a process of its own, in an order that mixes the points. Seconds are those of an iteration, from the difference of a
long and a short training, and the median of three counts; memory hardly varies and is measured once. Results go to
benchmarks/curves.json, from which docs/pictures/make.py draws. Plays are synthetic (benchmarks/data.py).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "curves.json"
sys.path[:0] = [str(HERE), str(HERE.parent)]


class Point(NamedTuple):
    """A training: its data, and how it is run."""

    users: int = 20_000
    items: int = 10_000
    pairs: int = 1_000_000
    rank: int = 64
    join: str = "broadcast"
    blocks: int = 8
    runner: str = "inline"
    tasks: int = 1
    task_memory: str = "1G"


class Curve(NamedTuple):
    """What is varied, over which values, what is measured ("seconds" or "peak_mb"), and how often."""

    varied: str
    values: tuple[int, ...]
    measured: str
    base: Point
    times: int = 3


CURVES = {
    # from the size of S to that of L, see benchmarks/data.py
    "plays": Curve(
        "pairs", (1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000), "seconds", Point(users=100_000, items=50_000)
    ),
    "users": Curve("users", (5_000, 10_000, 20_000, 40_000, 80_000), "seconds", Point()),
    "rank": Curve("rank", (16, 32, 64, 128, 256), "seconds", Point()),
    "tasks": Curve("tasks", (1, 2), "seconds", Point(pairs=4_000_000, runner="local")),
    "memory": Curve(
        "blocks",
        (2, 4, 8, 16),
        "peak_mb",
        Point(users=100_000, items=50_000, pairs=8_000_000, join="shuffle", runner="local"),
        times=1,
    ),
}


def scaled(point: Point, scale: float) -> Point:
    """Scale a point down to less data, at the same density or lower."""
    side = math.sqrt(scale)
    return point._replace(users=int(side * point.users), items=int(side * point.items), pairs=int(scale * point.pairs))


def measure(point: Point) -> None:
    """Train in this process, and print what it took."""
    from common import per_iteration, report
    from data import Shape, counts_lines

    from mr_als.options import InputOptions, LoopOptions, PlanOptions, SolverOptions, Training, memory
    from mr_als.preparing.prepare import prepare
    from mr_als.progress import Progress
    from mr_als.training.train import Engine, train

    with tempfile.TemporaryDirectory() as work:
        log = os.path.join(work, "counts.tsv")
        with open(log, "wb") as file:
            file.writelines(counts_lines(Shape(point.users, point.items, point.pairs)))
        engine = Engine(point.runner, tasks=point.tasks)
        inputs = InputOptions(format="counts", user_blocks=str(point.blocks), item_blocks=str(point.blocks))
        plan = PlanOptions(join=point.join, task_memory=memory(point.task_memory))

        plays = os.path.join(work, "plays")
        prepare([log], plays, inputs, engine, Progress(quiet=True), plan, point.rank)

        def run(n: int) -> dict[str, Any]:
            options = Training(solver=SolverOptions(rank=point.rank), loop=LoopOptions(tolerance="0", max_iterations=n), plan=plan)
            return train([], os.path.join(work, f"model-{n}"), options, plays=plays, engine=engine)

        seconds, _ = per_iteration(run, [1, 4])
        report(seconds)


def measure_memory(point: Point) -> None:
    """Train on prepared plays, in processes of their own, and print the peak of the largest task; this one must stay small."""
    from memory import step

    with tempfile.TemporaryDirectory() as work:
        log = os.path.join(work, "counts.tsv")
        shape = f"Shape({point.users}, {point.items}, {point.pairs})"
        write = f"import data; open({log!r}, 'wb').writelines(data.counts_lines(data.{shape}))"
        subprocess.run([sys.executable, "-c", write], check=True, cwd=HERE)
        plays, model, memory = os.path.join(work, "plays"), os.path.join(work, "model"), f"--task-memory={point.task_memory}"
        blocks = (f"--user-blocks={point.blocks}", f"--item-blocks={point.blocks}")
        step("prepare", log, "--plays", plays, "--format=counts", *blocks, memory)
        how = (f"--rank={point.rank}", f"--join={point.join}", "--max-iterations=1", "--tolerance=0")
        _, tasks = step("train", "--plays", plays, "--model", model, *how, memory)
    print(json.dumps({"peak_mb": tasks / (1 << 20)}))


def points_of(curve: Curve, scale: float) -> dict[int, Point]:
    """Map each varied value of a curve to its point."""
    return {value: scaled(curve.base._replace(**{curve.varied: value}), scale) for value in curve.values}


def run_curve(name: str, scale: float, times: int) -> dict[str, Any]:
    """Measure all points of a curve, in mixed order."""
    curve = CURVES[name]
    points = points_of(curve, scale)
    order = list(points) * times
    random.Random(0).shuffle(order)
    found: dict[int, list[float]] = {value: [] for value in points}
    for value in order:
        command = [sys.executable, __file__, "--only", name, "--point", json.dumps(points[value]._asdict())]
        done = subprocess.run(
            command, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True, check=True
        )
        found[value].append(json.loads(done.stdout.splitlines()[-1])[curve.measured])
        print(f"{name}: {curve.varied} {value}: {found[value][-1]:.3f} {curve.measured}", file=sys.stderr, flush=True)
    medians = [statistics.median(values) for values in found.values()]
    return {"varied": curve.varied, "measured": curve.measured, "x": list(found), "y": medians, "all": list(found.values())}


def exponent(x: list[float], y: list[float]) -> float:
    """Compute the slope of log y over log x between the last two points: 1 is linear.

    >>> exponent([1, 2, 4], [5, 6, 12])
    1.0
    """
    return math.log(y[-1] / y[-2]) / math.log(x[-1] / x[-2])


def main(arguments: list[str]) -> None:
    """Measure, print a table, and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CURVES)
    parser.add_argument("--times", type=int, help="how often each point is measured (default: 3; memory once)")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.point:
        point = Point(**json.loads(given.point))
        measure_memory(point) if CURVES[given.only].measured == "peak_mb" else measure(point)
        return
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in [given.only] if given.only else list(CURVES):
        curve = run_curve(name, given.scale, given.times or (CURVES[name].times if given.scale == 1 else 1))
        results[name] = {**curve, "base": CURVES[name].base._asdict(), "machine": f"{os.cpu_count()} cores, {platform.machine()}"}
        print(f"{name}: exponent {exponent(curve['x'], curve['y']):.2f} at the end")
        for x, y in zip(curve["x"], curve["y"], strict=True):
            print(f"    {curve['varied']} {x}: {y:.3f} {curve['measured']}")
    if given.scale == 1:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
