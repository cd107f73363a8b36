"""`mr_als.sweep`: a model for each point of a grid of options, and the best of them."""

from __future__ import annotations

import itertools
import os
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from shutil import rmtree
from typing import Any

from mr_als.api.fit import engine_on, source_of
from mr_als.api.functions import lengths
from mr_als.api.keywords import SWEEP, TRAINING, documented, options_of
from mr_als.api.model import Model
from mr_als.api.progress import reporting
from mr_als.api.report import Report, html_table
from mr_als.errors import UsageError
from mr_als.evaluating.evaluate import Asked
from mr_als.evaluating.sweep import Parts, select_by, value_of
from mr_als.evaluating.sweep import sweep as sweep_grid
from mr_als.options import Training
from mr_als.preparing.prepare import prepare

__all__ = ["Sweep", "sweep"]


@dataclass(frozen=True)
class Sweep:
    """What a sweep found.

    points : of each point its name, iterations and validation report
    select : the metric that decided
    winner : name of the best point
    model : the best model
    test : its report on the test part, or None
    """

    points: list[dict[str, Any]]
    select: str
    winner: str
    model: Model
    test: Report | None = None

    def columns(self) -> dict[str, list[Any]]:
        """Return the points as columns, of which any library makes a DataFrame."""
        metrics = [name for name in [self.select] if name == "rmse"] + list(self.points[0]["validation"]["metrics"])
        found: dict[str, list[Any]] = {name: [point[name] for point in self.points] for name in ("name", "iterations")}
        return found | {name: [value_of(point["validation"], name) for point in self.points] for name in metrics}

    def to_pandas(self) -> Any:
        """Return the points as a pandas.DataFrame, the best first."""
        import pandas

        frame = pandas.DataFrame(self.columns()).set_index("name")
        return frame.sort_values(self.select, ascending=self.select in ("percentile_rank", "rmse"))

    def _repr_html_(self) -> str:
        return html_table(self.columns())


@documented(SWEEP)
def sweep(
    train: Any, validation: Any, *, test: Any = None, path: str | os.PathLike[str] | None = None, select: str = "",
    k: int | Sequence[int] = (10, 20), runner: str = "inline", progress: bool | None = None, **options: Any,
) -> Sweep:  # fmt: skip
    """Fit a model for each combination of options, choose the best by the validation part, and test that one: `mr-als sweep`.

    Parameters
    ----------
    train, validation, test : plays, as of `fit`
    path : str or path, optional
        Directory of the models, where an unfinished sweep goes on and more values may be added; by default a temporary one.
    select : str
        Metric to choose by; by default the NDCG, of ratings the RMSE.
    k, runner, progress
        As of `evaluate` and `fit`.
    OPTIONS

    Of an option, a list of values makes a dimension of the grid.

    Returns
    -------
    Sweep

    Examples
    --------
    >>> import mr_als
    >>> parts = mr_als.split([(user, item, 1) for user in range(20) for item in range(user % 2, 40, 2)], share=0.2)
    >>> found = mr_als.sweep(parts.train, parts.test, rank=[1, 2], regularization=0.01, k=5)
    >>> [point["name"] for point in found.points]
    ['regularization=0.01,rank=1', 'regularization=0.01,rank=2']
    """
    known = ("train", "validation", "test", "path", "select", "k", "runner", "progress")
    grid = [Training(*options_of(TRAINING.values(), point, known)) for point in _combinations(options)]
    ks = lengths(k)
    source, inputs, said = source_of(train, lasting=True), grid[0].inputs, reporting(progress, None)
    engine = engine_on(runner, source, tempfile.gettempdir() if path is None else os.fspath(path))
    directory = os.fspath(path) if path is not None else tempfile.mkdtemp(prefix="mr-als-sweep-")
    try:
        plays = os.path.join(directory, "plays")
        prepare(source, plays, inputs, engine, said, grid[0].plan, max(p.solver.rank for p in grid))
        held = [() if part is None else source_of(part, lasting=True) for part in (validation, test)]
        parts = Parts(plays, held[0], held[1], inputs)
        asked = Asked(ks, task_memory=grid[0].plan.task_memory)
        found = sweep_grid(grid, parts, directory, asked, select_by(select, ks, grid), engine, said)
        model = Model.open(found["model"])
    except BaseException:
        if path is None:
            rmtree(directory, ignore_errors=True)
        raise
    finally:
        said.done()
        engine.how.let_go()
    if path is None:
        weakref.finalize(model, rmtree, directory, ignore_errors=True)
    report = Report(found["test"]) if found["test"] else None
    return Sweep(found["points"], found["select"], found["winner"], model, report)


def _combinations(options: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Yield a dictionary of options for each point of the grid; the last one in the order of the options varies fastest.

    Raises
    ------
    UsageError
        If an option that all points share has several values, or any has none.
    """
    shared = {f.name for name in ("inputs", "plan") for f in fields(TRAINING[name])}
    order = [f.name for name in ("weights", "solver", "loop") for f in fields(TRAINING[name])]
    lists = {name: value if isinstance(value, list | tuple) else [value] for name, value in options.items()}
    for name, values in lists.items():
        if not values or (name in shared and len(values) != 1):
            rule = "all points of a sweep share one" if name in shared else "a sweep needs one at least"
            msg = f"{name} has {len(values)} values, and {rule}"
            raise UsageError(msg)
    names = sorted(lists, key=lambda name: order.index(name) if name in order else -1)
    return (dict(zip(names, point, strict=True)) for point in itertools.product(*(lists[name] for name in names)))
