"""`mr_als.fit`: plays of a program, or logs, in; a model out."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mr_als.api.keywords import FIT, documented, training_of
from mr_als.api.model import Model
from mr_als.api.progress import reporting
from mr_als.engine.engine import Engine
from mr_als.engine.runners.runner import RUNNERS, runner_of
from mr_als.errors import UsageError, did_you_mean
from mr_als.preparing.arrays import Arrays
from mr_als.preparing.prepare import Source
from mr_als.training.train import train

__all__ = ["engine_on", "fit", "source_of"]


@documented(FIT)
def fit(
    plays: Any,
    *,
    path: str | os.PathLike[str] | None = None,
    runner: str = "inline",
    callback: Callable[[dict[str, Any]], object] | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Model:
    """Train a model: `mr-als train`, for plays that a program has.

    The same plays and options give the bytes of the command line, whatever form the plays have. Where the numbers of blocks are
    `auto`, they follow from the size of a log of the pairs, with one digit of plays each.

    Parameters
    ----------
    plays : sparse matrix, table, iterable of tuples, or paths of logs
        A `scipy.sparse` matrix or array, users x items: an entry is the plays of a pair, and the ids are the row and column
        numbers, as int. A table with an Arrow C stream (pandas, polars, pyarrow, DuckDB; needs the extra `parquet`): columns
        user and item, and plays, or timestamp and ms_played, of which a short one does not count; other names by `columns`. Tuples
        (user, item), (user, item, plays) or (timestamp, user, item, ms_played), or what `columns` says. Or a path, URI or glob of
        logs, or several. Ids of a column are all integers or all strings, and are given back as such. Bad rows are counted as bad
        lines are.
    path : str or path, optional
        Directory of the model, here or elsewhere. There a run that was interrupted goes on when the same is called again. Without,
        the model lies in a temporary directory that goes with it; `Model.save` keeps it.
    runner : str, default "inline"
        "local" uses all cores by processes; "hadoop", "emr" and "spark" work on logs by their URIs.
    callback : callable, optional
        Called after each half with its history entry: `half`, `iteration`, `solved`, `wrmse`, `objective`, `seconds` ...
    progress : bool, optional
        True: a line for each step, as the command line; False: nothing; by default a bar, on a terminal and in a notebook.
    OPTIONS

    Returns
    -------
    Model

    Raises
    ------
    UsageError
        If an option is unknown or out of range, or the plays are nothing that can be read.
    BadInputError
        If too many rows are bad, or none can be used.
    ResumeError
        If there is an unfinished run at `path`, of other plays or options.

    Examples
    --------
    >>> import mr_als
    >>> plays = [("ann", "jazz", 9), ("ann", "soul", 3), ("bob", "jazz", 5), ("bob", "soul", 1), ("cid", "jazz", 2)]
    >>> model = mr_als.fit(plays, rank=2, regularization=0.01)
    >>> [item for item, _ in model.recommend("cid")]
    ['soul']

    References
    ----------
    Hu, Koren and Volinsky: Collaborative filtering for implicit feedback datasets. ICDM 2008.
    """
    chosen, rules = training_of(options, ("plays", "path", "runner", "callback", "progress"))
    source = source_of(plays, lasting=path is not None)
    engine = engine_on(runner, source, tempfile.gettempdir() if path is None else os.fspath(path))
    # nobody goes on with a run in a temporary directory
    engine = replace(engine, lasting=path is not None)
    directory = os.fspath(path) if path is not None else tempfile.mkdtemp(prefix="mr-als-model-")
    said = reporting(progress, callback)
    try:
        train(source, directory, chosen, engine=engine, rules=rules, progress=said)
    except BaseException:
        if path is None:
            shutil.rmtree(directory, ignore_errors=True)
        raise
    finally:
        said.done()
        engine.how.let_go()
    model = Model.open(directory)
    if path is None:
        weakref.finalize(model, shutil.rmtree, directory, ignore_errors=True)
    return model


def source_of(plays: Any, *, lasting: bool = False) -> Sequence[str] | Source:
    """Tell paths of logs from plays that a program has.

    Parameters
    ----------
    lasting : whether a run of the plays may be gone on with
    """
    if isinstance(plays, str | os.PathLike):
        return [os.fspath(plays)]
    if isinstance(plays, list | tuple) and plays and all(isinstance(path, str | os.PathLike) for path in plays):
        return [os.fspath(path) for path in plays]
    return Arrays(plays, lasting=lasting)


def engine_on(runner: str, source: Sequence[str] | Source = (), *paths: str) -> Engine:
    """Build the engine of a runner's name, for what is read and written.

    Raises
    ------
    UsageError
        If there is no such runner, or its tasks do not see what is read or written.
    """
    if runner not in RUNNERS:
        msg = f"runner is {runner!r}; expected one of {', '.join(RUNNERS)}{did_you_mean(runner, RUNNERS)}"
        raise UsageError(msg)
    places = [*paths, *([] if isinstance(source, Source) else source)]
    runner_of(runner).check_master("", places)
    return Engine.of(runner, (), places)
