"""The same numbers out of the MapReduce job: with the settings of the example, and with the defaults."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.reference import reference_als
from mr_als.maths.regularization import PASSES, mean_excess
from mr_als.maths.weighing.weights import Weights
from mr_als.teaching.first_half import vectors
from mr_als.teaching.lesson import Lesson, Section, best_new
from mr_als.teaching.matrix import write_counts, write_factors
from mr_als.teaching.text import number, table


class Run(NamedTuple):
    """A training by the real job: X and Y in the order of the matrix, the weights it used, and its model.json."""

    X: Array
    Y: Array
    weights: Weights
    info: dict[str, Any]


def run_job(lesson: Lesson, **options: Any) -> Run:
    """Train on the plays of a lesson, from its initial vectors, with these fields of `mr_als.options.Training`."""
    import mr_als
    from mr_als.options import InputOptions, LoopOptions, Training
    from mr_als.training.train import train

    with tempfile.TemporaryDirectory() as directory:
        plays, items, path = (os.path.join(directory, name) for name in ("plays.tsv", "items.tsv", "model"))
        write_counts(lesson.matrix, plays)
        write_factors(lesson.matrix.items, lesson.start, items)
        loop = LoopOptions(f"{100 * lesson.tolerance:g}%", initial_factors=items, max_iterations=lesson.max_iterations)
        info = train([plays], path, Training(InputOptions(format="counts"), loop=loop, **options))
        opened = mr_als.load(path)
        X = np.array([opened.user_factors[opened.user_index(user)] for user in lesson.matrix.users])
        Y = np.array([opened.item_factors[opened.item_index(item)] for item in lesson.matrix.items])
        return Run(X, Y, opened.weights, info)


def mapreduce(lesson: Lesson) -> Iterator[str]:
    """Run the real job on the same numbers."""
    from mr_als.options import PlanOptions, SolverOptions, WeightOptions

    numbers = f"--rank {lesson.rank} --alpha {lesson.alpha:g} --regularization {lesson.regularization:g}"
    yield f"    mr-als train plays.tsv --format counts --model model --initial-factors items.tsv {numbers}"
    yield "        --confidence linear --regularization-scaling none --solver cholesky --join shuffle"
    yield ""
    run = run_job(
        lesson,
        weights=WeightOptions("linear", lesson.alpha, 1.0, lesson.regularization, "none"),
        solver=SolverOptions(rank=lesson.rank, solver="cholesky"),
        plan=PlanOptions(join="shuffle"),
    )
    yield from history(run)
    yield ""
    yield from vectors((*lesson.matrix.users, *lesson.matrix.items), np.concatenate([run.X, run.Y]))
    yield ""
    mine, theirs, _ = lesson.trained
    difference = max(np.abs(run.X - mine).max(), np.abs(run.Y - theirs).max())
    yield f"largest difference from the vectors worked out here: {below(difference, 1e-6)}"


def history(run: Run) -> Iterator[str]:
    """Show what the job wrote of every half."""
    rows = [[str(e["half"]), e["solved"], number(e["wrmse"]), number(e["objective"])] for e in run.info["history"]]
    yield from table(["half", "solved", "wRMSE", "objective"], rows, left=2)
    yield ""
    yield f"stopped: {run.info['stopped']}"


def below(difference: float, least: float) -> str:
    """Bound a difference by a power of ten, because its digits depend on the machine."""
    return f"below 1e{math.ceil(math.log10(max(float(difference), least))):+03d}"


def defaults(lesson: Lesson) -> Iterator[str]:
    """Run the real job with nothing chosen but the rank, and show what it chose."""
    from mr_als.options import SolverOptions

    yield f"    mr-als train plays.tsv --format counts --model model --initial-factors items.tsv --rank {lesson.rank}"
    yield ""
    run = run_job(lesson, solver=SolverOptions(rank=lesson.rank))
    yield from chosen_alpha(lesson, run.weights)
    yield ""
    yield from chosen_lambda(lesson, run)
    yield ""
    yield from history(run)
    yield ""
    users, items, plays = lesson.matrix
    scores = run.X @ run.Y.T
    for user, row, played in zip(users, scores, plays, strict=True):
        new = "   ".join(f"{items[i]} {number(row[i], 2)}" for i in best_new(row, played))
        yield f"{user}:  {new or 'played everything'}"
    X, Y, _ = reference_als(plays, lesson.start, run.weights, lesson.tolerance, lesson.max_iterations)
    yield ""
    yield f"largest difference from the scores of the exact solver: {below(np.abs(scores - X @ Y.T).max(), 1e-3)}"


def chosen_alpha(lesson: Lesson, weights: Weights) -> Iterator[str]:
    """Show how alpha follows from the plays, and what plays are then worth."""
    plays = lesson.matrix.plays
    played = plays[plays > 0]
    density, excess = len(played) / plays.size, float(np.log1p(played).mean())
    yield f"{len(played)} of {plays.size} cells played: {number(density)}. So the mean of c - 1 over the played cells shall be"
    yield f"    0.1 / {number(density)}, but within 3 and 100: {number(mean_excess(density))}"
    yield f"mean of log(1 + r) over the played cells: {number(excess)}"
    yield f"alpha = {number(mean_excess(density))} / {number(excess)} = {weights.alpha:g}"
    yield ""
    some = np.array([1.0, 3.0, 100.0])
    linear = Weights("linear", lesson.alpha, 1.0, lesson.regularization, "none").confidence_of(some)
    rows = [
        [f"c = 1 + {weights.alpha:g} log(1 + r)", *(number(c, 2) for c in weights.confidence_of(some))],
        [f"c = 1 + {lesson.alpha:g} r", *(number(c, 2) for c in linear)],
    ]
    yield from table(["plays", *(f"{r:g}" for r in some)], rows)


def chosen_lambda(lesson: Lesson, run: Run) -> Iterator[str]:
    """Show how lambda follows from the plays, and what it is multiplied by in each user's row."""
    plays, auto, alpha, n_items = lesson.matrix.plays, run.info["auto"], run.weights.alpha, len(lesson.matrix.items)
    yield f"lambda = {auto['share']} x {number(auto['sigma_rank'])} = {run.weights.regularization:g}, from {PASSES} passes"
    yield "    in the row of a user with n items: lambda (1 + alpha) (n + items / alpha)"
    counts = (plays > 0).sum(axis=1)
    for user, n, lam in zip(lesson.matrix.users, counts, run.weights.row_regularization(counts, n_items), strict=True):
        product = f"{run.weights.regularization:g} x {1 + alpha:g} x ({n} + {n_items} / {alpha:g})"
        yield f"    {user}  {product} = {number(lam)}"


SECTIONS = (
    Section("mapreduce", "The same numbers out of the MapReduce job", mapreduce),
    Section("defaults", "The MapReduce job with its defaults", defaults),
)
