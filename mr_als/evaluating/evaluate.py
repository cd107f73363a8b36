"""Evaluate a model on held-out plays: the driver of `jobs/mr_evaluate.py`.

What can not be evaluated (users and items that the model does not know, pairs played in training) is counted,
never dropped silently.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mr_als.engine.datasets import Dataset, read_parts
from mr_als.engine.engine import Engine, Job
from mr_als.engine.outputs import scratch
from mr_als.errors import BadInputError, DamagedDataError
from mr_als.evaluating.matching import LeftOut, Reading, unknown_items, write_blocks
from mr_als.evaluating.measure import Sums
from mr_als.evaluating.split import FOLD_IN
from mr_als.maths.array import Array
from mr_als.maths.ranking.bootstrap import interval
from mr_als.maths.ranking.metrics import metric_names
from mr_als.models.model import Model
from mr_als.options import TASK_MEMORY, InputOptions, to_arguments
from mr_als.preparing.prepare import Source
from mr_als.progress import Progress
from mr_als.recommending.popularity import listeners_of
from mr_als.recommending.recommend import write_tiles
from mr_als.records.blocks import pack, unpack
from mr_als.records.held_out import Popularity
from mr_als.storage.places import storage_of

__all__ = ["Asked", "evaluate"]


@dataclass(frozen=True)
class Asked:
    """What to evaluate.

    ks : ranks that count
    history : logs of users who were not in training, to be folded in; if empty, TEST/_fold_in where there is one
    candidates : a file of the items to rank for each user, instead of all
    """

    ks: tuple[int, ...] = (10, 20)
    history: Sequence[str] | Source = ()
    candidates: str = ""
    seed: int = 0
    task_memory: int = TASK_MEMORY


def evaluate(
    model: Model, tests: Sequence[str] | Source, asked: Asked, inputs: InputOptions, engine: Engine, progress: Progress
) -> dict[str, Any]:
    """Compare the model with popularity on held-out plays.

    Raises
    ------
    BadInputError
        If no test pair can be evaluated, or an input can not be read.
    """
    with scratch("mr-als-evaluate-") as work, _workplace(engine, tests, work) as place:
        reading = Reading(model, inputs, engine, progress, work, place, asked.task_memory)
        test = reading.plays("test", tests)
        history = reading.plays("history", found) if (found := asked.history or _folded_in_beside(tests)) else None
        candidates = reading.candidates(asked.candidates) if asked.candidates else None
        left_out = LeftOut(cold_items=unknown_items(model, test))
        parts = {"history": history, "test": test, "candidates": candidates}
        blocks = write_blocks(model, parts, reading.n_blocks, os.path.join(work, "heldout.raw"), engine.form, left_out)
        _check_any(left_out, model)
        progress.say(
            f"evaluate: {left_out['users']} users, {left_out['pairs']} pairs; job mr_evaluate on {engine.runner}: "
            "each map task ranks the items for its blocks of users, one reducer adds up"
        )
        output = engine.run(_job(model, asked, blocks, work), place)
        return _report(model, asked, *_found(output.parts, engine.form), left_out)


def _found(parts: Sequence[str], form: str) -> tuple[Sums, Array]:
    """Read what the job wrote: the sums, and the bits of what was recommended."""
    found = {record.kind: record.payload for record in read_parts(parts, form)}
    if set(found) != {"sums", "seen"}:
        msg = (
            f"job mr_evaluate gave {', '.join(sorted(found)) or 'nothing'} where sums and seen are expected: its output is damaged"
        )
        raise DamagedDataError(msg)
    return Sums.unpack(found["sums"]), unpack(found["seen"])[0]


def _workplace(engine: Engine, tests: Sequence[str] | Source, work: str) -> AbstractContextManager[str]:
    """Find a directory that tasks see."""
    return nullcontext(work) if isinstance(tests, Source) else engine.workplace(tests[0], work)


def _folded_in_beside(tests: Sequence[str] | Source) -> tuple[str, ...]:
    if isinstance(tests, Source):
        return ()
    return tuple(path for path in (os.path.join(test, FOLD_IN) for test in tests) if storage_of(path).names(path))


def _check_any(left_out: LeftOut, model: Model) -> None:
    if left_out["pairs"]:
        return
    reasons = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in left_out.items() if n) or "none has plays"
    msg = f"no test pair can be evaluated with {model.path} ({reasons}); is it the model of this split's training part?"
    raise BadInputError(msg)


def _job(model: Model, asked: Asked, blocks: Dataset, work: str) -> Job:
    """Write the files that all tasks read, and build the job."""
    spectrum, basis = model.item_eigenbasis
    shared, popular = os.path.join(work, "shared.bin"), os.path.join(work, "popularity.bin")
    Path(shared).write_bytes(pack([spectrum, basis.ravel()]))
    Path(popular).write_bytes(Popularity.of(listeners_of(model)).pack())
    tiles = [("--items", tile) for tile in write_tiles(model, work, asked.task_memory)]
    arguments = [f"--solver={model.info['options']['solver']['solver']}", f"--seed={asked.seed}", *to_arguments(model.weights)]
    arguments += [*[f"--k={k}" for k in asked.ks], *["--within"] * bool(asked.candidates)]
    files = [*tiles, ("--shared", shared), ("--popularity", popular)]
    # each block of users is much work: it meets all items
    return Job("mr_evaluate", [blocks], arguments, files, task_memory=asked.task_memory, worth_a_task=1)


def _means(names: Sequence[str], sums: Sums) -> dict[str, Any]:
    """Turn the sums of each metric into means of model and popularity, and the interval of their difference."""
    m, metrics = len(names), {}
    n_users, weight = sums.values[2 * m :]
    for n, name in enumerate(names):
        # the percentile rank is weighted by plays, all others by user
        last = n == m - 1
        by, replicated = (weight, sums.replicates[:, m + 1]) if last else (n_users, sums.replicates[:, m])
        ours, theirs = float(sums.values[n] / by), float(sums.values[m + n] / by)
        bounds = interval(sums.replicates[:, n], replicated)
        metrics[name] = {"model": ours, "popularity": theirs, "difference": ours - theirs, "interval": list(bounds)}
    return metrics


def _report(model: Model, asked: Asked, sums: Sums, seen: Array, left_out: LeftOut) -> dict[str, Any]:
    """Turn sums into means, intervals and shares."""
    report: dict[str, Any] = {
        "model": model.path,
        "ranked": "given candidates" if asked.candidates else "all items not played",
        "k": list(asked.ks),
        "users": left_out.pop("users"),
        "pairs": left_out.pop("pairs"),
        "left_out": dict(left_out),
        "metrics": _means(metric_names(asked.ks), sums),
    }
    if not asked.candidates:
        shape = (2, len(asked.ks), len(model.item_hashes))
        shares = np.unpackbits(seen, count=int(np.prod(shape))).reshape(shape).mean(2)
        report["coverage"] = {
            f"coverage@{k}": {"model": float(shares[0, n]), "popularity": float(shares[1, n])} for n, k in enumerate(asked.ks)
        }
    squared, confidence, zero, pairs = sums.errors
    name = "rmse" if model.weights.explicit else "wrmse"
    report["held_out"] = {name: float(np.sqrt(max(squared, 0.0) / confidence)), "zero_model": float(np.sqrt(zero / confidence))}
    report["held_out"]["pairs"] = int(pairs)
    return report
