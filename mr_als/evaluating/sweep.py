"""Sweep: train a grid of options over the same prepared plays, choose by the validation part, and test the winner once.

    <directory>/sweep.json                  what all points share: plays, validation and test part, ranks that count
    <directory>/<point>/model               the model of a grid point, which is named by its options that are no defaults
    <directory>/<point>/validation.json     its report; with it a point is done, and is not trained again
    <directory>/<point>/test.json           the report of a winner on the test part

A grid point is a `train` and an `evaluate`, so whatever these promise holds here. A grid may grow: the same directory
with more values trains the new points only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mr_als.engine.outputs import held
from mr_als.errors import DamagedDataError, UsageError
from mr_als.evaluating.evaluate import Asked, evaluate
from mr_als.maths.ranking.metrics import metric_names
from mr_als.models.model import Model
from mr_als.options import InputOptions, Training, to_arguments
from mr_als.preparing.plays import reading
from mr_als.preparing.prepare import Source, fingerprint_of
from mr_als.preparing.summing import identify, open_plays
from mr_als.progress import Progress
from mr_als.storage.ours import NUMBER, wrong_fields
from mr_als.storage.places import storage_of
from mr_als.training.train import train

if TYPE_CHECKING:
    from mr_als.engine.engine import Engine

__all__ = ["Parts", "choose", "name_of", "select_by", "sweep", "value_of"]

# of a report, what is printed of it
REPORT = {"users": int, "pairs": int, "ranked": str, "k": [int], "left_out": dict, "held_out": {"zero_model": NUMBER}}
LOWER_IS_BETTER = ("percentile_rank", "rmse")


@dataclass(frozen=True)
class Parts:
    """What a sweep reads: the plays directory of the training part, and logs of the validation and perhaps of the test part."""

    plays: str
    validation: Sequence[str] | Source
    test: Sequence[str] | Source = ()
    inputs: InputOptions = InputOptions()


def sweep(
    grid: Sequence[Training], parts: Parts, directory: str, asked: Asked, select: str, engine: Engine, progress: Progress
) -> dict[str, Any]:
    """Train and evaluate all points of a grid; give {"points": [...], "winner": name, "select": metric, "test": report or None}.

    Each of the points has its "name", "options", "iterations" and the "validation" report.

    Raises
    ------
    UsageError
        If the directory holds the sweep of other parts.
    BusyError
        If another process sweeps in it.
    """
    storage = storage_of(directory)
    plays = open_plays(parts.plays, engine, progress)  # refuses a damaged directory before anything is made
    storage.make_directory(directory)
    # all points have the same plays, even if logs are added meanwhile
    with held(directory), reading(plays):
        _begin(parts, identify(plays), directory, asked)
        points = []
        for number, options in enumerate(grid, 1):
            name = name_of(options)
            progress.say(f"sweep: point {number} of {len(grid)}, {name}")
            model = os.path.join(directory, name, "model")
            if storage.size(os.path.join(model, "model.json")) < 0:
                train([], model, options, plays=plays, engine=engine, progress=progress)
            report = _report(directory, name, "validation", parts, asked, engine, progress)
            points.append({"name": name, "iterations": Model.open(model).info["history"][-1]["iteration"], "validation": report})
        winner = choose(points, select)
        test = _report(directory, winner, "test", parts, asked, engine, progress) if parts.test else None
    return {"points": points, "select": select, "winner": winner, "model": os.path.join(directory, winner, "model"), "test": test}


def name_of(options: Training) -> str:
    """Name a grid point by the options that are no defaults.

    >>> from mr_als.options import WeightOptions
    >>> name_of(Training()), name_of(Training(weights=WeightOptions(regularization="auto*0.5")))
    ('defaults', 'regularization=autox0.5')
    """
    given = [word for part in (options.weights, options.solver, options.loop) for word in to_arguments(part)]
    # the name is one of a directory, and to a shell or Hadoop `auto*0.5` would be a pattern
    return ",".join(word.removeprefix("--").replace("*", "x") for word in given) or "defaults"


def _begin(parts: Parts, plays: dict[str, Any], directory: str, asked: Asked) -> None:
    """Write what all points share, or check that it is the same as before."""
    storage = storage_of(directory)
    shared: dict[str, Any] = {
        "plays": plays,
        "validation": fingerprint_of(parts.validation, parts.inputs),
        "test": fingerprint_of(parts.test, parts.inputs) if parts.test else None,
        "k": list(asked.ks),
    }
    shared = json.loads(json.dumps(shared))
    path = os.path.join(directory, "sweep.json")
    if not storage.create(path, json.dumps(shared, indent=1).encode()):
        if not (before := _read(directory, "sweep.json")):
            msg = f"{path} is damaged, so it is not known what the figures in {directory} are of; name a new directory"
            raise DamagedDataError(msg)
        if other := [name for name in shared if before.get(name) != shared[name]]:
            msg = (
                f"{directory} holds a sweep with other {' and '.join(other)}: its figures cannot be compared; name a new directory"
            )
            raise UsageError(msg)


def _report(directory: str, name: str, part: str, parts: Parts, asked: Asked, engine: Engine, progress: Progress) -> dict[str, Any]:
    """Evaluate a point on a part, unless that is done already; a report that was damaged is made again."""
    found = _read(directory, name, f"{part}.json")
    row = {"model": NUMBER, "popularity": NUMBER, "difference": NUMBER, "interval": [NUMBER]}
    metrics = dict.fromkeys(metric_names(asked.ks), row)
    if wrong_fields(found, {**REPORT, "metrics": metrics}):
        model = Model.open(os.path.join(directory, name, "model"))
        text = json.dumps(evaluate(model, getattr(parts, part), asked, parts.inputs, engine, progress), indent=1)
        storage_of(directory).replace(os.path.join(directory, name, f"{part}.json"), text.encode())
        found = json.loads(text)
    return found


def _read(directory: str, *names: str) -> dict[str, Any]:
    """Read a JSON object; empty if there is none, or it is torn."""
    try:
        found = json.loads(storage_of(directory).read(os.path.join(directory, *names)) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def choose(points: Sequence[dict[str, Any]], select: str) -> str:
    """Find the name of the point that is best by a metric on the validation part; among ties, the first."""
    best = min if select in LOWER_IS_BETTER else max
    name: str = best(points, key=lambda point: value_of(point["validation"], select))["name"]
    return name


def value_of(report: dict[str, Any], metric: str) -> float:
    """Look up the model's value of a metric in a report, or its RMSE on held-out ratings."""
    row = report["held_out"] if metric == "rmse" else report["metrics"][metric]
    return float(row["rmse" if metric == "rmse" else "model"])


def select_by(metric: str, ks: Sequence[int], grid: Sequence[Training]) -> str:
    """Choose the metric to select by; if none is named, the RMSE for ratings, and the NDCG for plays.

    Raises
    ------
    UsageError
        If there is no such metric. The weighted RMSE is none: it is not comparable across options.
    """
    explicit = all(options.weights.feedback == "explicit" for options in grid)
    known = [*metric_names(ks), *["rmse"] * explicit]
    metric = metric or ("rmse" if explicit else f"ndcg@{ks[0]}")
    if metric not in known:
        msg = f"--select {metric}: no such metric here; choose one of {', '.join(known)}"
        raise UsageError(msg)
    return metric
