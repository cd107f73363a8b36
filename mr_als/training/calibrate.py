"""What a half costs on this machine: trains on a smaller copy of the data, with the real jobs, and measures the time.

The copy has as many pairs per row and as large blocks as the data, but fewer of both, so that its time scales up in proportion.
A tiny data set shows what it takes to start a half; a training with the other join, what it costs to send a vector.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from dataclasses import replace
from typing import Any

import numpy as np

from mr_als.engine.engine import Engine
from mr_als.maths.regularization import mean_excess
from mr_als.options import InputOptions, LoopOptions, PlanOptions, Training, WeightOptions, share_of_auto
from mr_als.planning.estimate import Measured
from mr_als.planning.sizes import ACTIVITY, POPULARITY, Sizes
from mr_als.preparing.plays import Plays
from mr_als.preparing.prepare import prepare
from mr_als.training.train import train

# pairs x rank of the copy: a second or two of solving by the NumPy kernel
WORK = {"cg": 1 << 26, "cholesky": 1 << 24}
# a copy must not be denser than this, or hardly any pair is left to draw
DENSEST = 0.1
ITERATIONS = 3
# of the copy, where lambda is to come from the data
LAMBDA = 0.003
TINY = (40, 20, 200)


def calibrate(sizes: Sizes, options: Training, engine: Engine, join: str, kernel: str) -> Measured:
    """Measure what halves of data of these sizes cost.

    Parameters
    ----------
    options : weights, solver and memory of the training; its data, loop and plan are replaced
    """
    options = replace(options, weights=_numbers(options.weights, sizes))
    shape, scale = shape_of_copy(sizes, WORK[options.solver.solver])
    # a block for each task and thread, or some of them would have nothing to do
    least = max(engine.tasks, engine.threads)
    blocks = tuple(min(n, max(least, round(scale * n))) for n in sizes.blocks)
    joins = (join,) if join == "broadcast" else (join, "broadcast")
    with tempfile.TemporaryDirectory() as work:
        copy = _prepared(os.path.join(work, "copy"), shape, blocks, engine)
        _prepared(os.path.join(work, "tiny"), TINY, (least, least), engine)
        starts, halves = {}, {}
        for name in joins:
            plan = PlanOptions(name, kernel, options.plan.task_memory)
            # the tiny run is first: it pays for loading the kernel
            starts[name] = min(_halves(os.path.join(work, "tiny"), options, plan, engine))
            halves[name] = _halves(os.path.join(work, "copy"), options, plan, engine)
        solving = [max(seconds - starts["broadcast"], 0.0) for seconds in halves["broadcast"]]
        vector = 0.0
        if join == "shuffle":
            sending = sum(halves["shuffle"]) - 2 * starts["shuffle"] - sum(solving)
            vector = max(sending, 0.0) / sum(copy.info["vectors"])
    pair = (solving[0] / copy.pairs, solving[1] / copy.pairs)
    return Measured(starts[join], pair, vector, min(least, *blocks))


def _numbers(weights: WeightOptions, sizes: Sizes) -> WeightOptions:
    """Put numbers, about those of the data, in place of `auto`, which would be those of the copy."""
    alpha = mean_excess(sizes.pairs / (sizes.rows[0] * sizes.rows[1])) if share_of_auto(weights.alpha) else weights.alpha
    return replace(weights, alpha=alpha, regularization=LAMBDA if share_of_auto(weights.regularization) else weights.regularization)


def shape_of_copy(sizes: Sizes, work: int) -> tuple[tuple[int, int, int], float]:
    """Compute the users, items and pairs of the copy, and its share of the data.

    Both sides shrink as the pairs do, unless the copy became too dense: then the smaller side shrinks less.
    """
    scale = min(1.0, work / sizes.rank / sizes.pairs)
    density = sizes.pairs / (sizes.rows[0] * sizes.rows[1])
    less = min(1.0, max(scale, density / DENSEST))
    scales = (scale, less) if sizes.rows[0] >= sizes.rows[1] else (less, scale)
    users, items = (max(1, round(n * share)) for n, share in zip(sizes.rows, scales, strict=True))
    return (users, items, max(1, round(scale * sizes.pairs))), scale


def _prepared(directory: str, shape: tuple[int, int, int], blocks: Any, engine: Engine) -> Plays:
    """Write a log of random plays of a shape, and prepare it."""
    os.makedirs(directory)
    log = os.path.join(directory, "counts.tsv")
    with open(log, "w", encoding="ascii") as file:
        file.writelines(lines_of(*shape))
    options = InputOptions(format="counts", user_blocks=str(blocks[0]), item_blocks=str(blocks[1]))
    return prepare([log], os.path.join(directory, "plays"), options, engine)


def lines_of(users: int, items: int, pairs: int) -> list[str]:
    """Generate the lines of a counts file; activity and popularity fall off as `mr_als.planning.sizes` assumes."""
    rng = np.random.default_rng(0)
    keys = np.zeros(0, np.int64)
    pairs = min(pairs, users * items // 2 + 1)
    until = np.cumsum(rng.lognormal(0.0, ACTIVITY, users))
    while len(keys) < pairs:
        wanted = 2 * (pairs - len(keys)) + 100
        drawn = np.minimum(np.searchsorted(until, until[-1] * rng.random(wanted), side="right"), users - 1)
        keys = np.unique(np.concatenate([keys, drawn * items + _items(rng, items, wanted)]))
    keys = rng.permutation(keys)[:pairs]
    counts = np.minimum(rng.zipf(1.9, pairs), 5000)
    return [f"{key // items}\t{key % items}\t{n}\n" for key, n in zip(keys.tolist(), counts.tolist(), strict=True)]


def _items(rng: np.random.Generator, n: int, count: int) -> Any:
    """Draw items, the k-th of n in proportion to 1 / k^POPULARITY: by the inverse of the integral."""
    power = 1 - POPULARITY
    return np.minimum((((n + 1) ** power - 1) * rng.random(count) + 1) ** (1 / power) - 1, n - 1).astype(np.int64)


def _halves(directory: str, options: Training, plan: PlanOptions, engine: Engine) -> tuple[float, float]:
    """Train on prepared plays; return the median seconds of a user half and of an item half, without the first two."""
    chosen = replace(options, inputs=InputOptions(), loop=LoopOptions("0", max_iterations=ITERATIONS), plan=plan)
    model = os.path.join(directory, f"model-{plan.join}")
    history = train([], model, chosen, plays=os.path.join(directory, "plays"), engine=engine)["history"]
    users, items = (statistics.median(e["seconds"] for e in history[2:] if e["solved"] == side) for side in ("users", "items"))
    return users, items
