"""`split` and `evaluate`: what the commands of these names do, for what a program has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mr_als.api.fit import engine_on, source_of
from mr_als.api.frames import ids_like, plays_like
from mr_als.api.ids import is_whole
from mr_als.api.keywords import READ, documented, options_of
from mr_als.api.model import Model
from mr_als.api.progress import reporting
from mr_als.api.report import Report
from mr_als.errors import BadInputError, UsageError
from mr_als.evaluating import evaluate as evaluating
from mr_als.evaluating.partition import partition_of
from mr_als.options import SplitOptions
from mr_als.plays.partition import PARTS
from mr_als.preparing.prepare import Source
from mr_als.records.blocks import STRENGTH_UNIT

__all__ = ["Split", "evaluate", "lengths", "split"]


class Split(NamedTuple):
    """Parts of plays, each in the form of the whole; None where the rule makes none.

    train : to fit a model on
    test, validation : held out
    test_history, validation_history : by users, what a model may be told of the users that are held out (`evaluate(history=...)`)
    """

    train: Any
    test: Any
    validation: Any = None
    test_history: Any = None
    validation_history: Any = None


@documented([SplitOptions, *READ])
def split(plays: Any, *, validation: bool = False, **options: Any) -> Split:
    """Split plays into training, validation and test parts that do not leak into one another: `mr-als split`.

    What is split are pairs of a user and an item, never single plays. What is drawn is a function of the seed, the user and the
    item: a command line with the same plays and options makes the same parts.

    Parameters
    ----------
    plays : sparse matrix, table or iterable of tuples, as of `fit`
        All of them are held in memory; logs are split by the command.
    validation : bool
        Whether there is a validation part, too.
    OPTIONS

    Returns
    -------
    Split
        Tables have the columns user, item and plays, and tuples are of these, in this order.

    Raises
    ------
    UsageError
        If the rule needs times that there are not, or an option is unknown.
    BadInputError
        If a part has no pair, or too many rows are bad.

    Examples
    --------
    >>> import mr_als
    >>> plays = [(user, item, 1) for user in range(10) for item in range(10)]
    >>> parts = mr_als.split(plays, share=0.2)
    >>> len(parts.train) + len(parts.test), parts.validation
    (100, None)
    """
    rule, inputs = options_of([SplitOptions, *READ], options, ("plays", "validation"))
    if not isinstance(source_of(plays), Source):
        msg = "split takes plays in memory; logs are split by the command: mr-als split LOGS... --train DIR --test DIR"
        raise UsageError(msg)
    dated, found, kinds = partition_of(plays, rule, inputs, validation=validation)
    users, items = ids_like(dated.users.ids, kinds["users"]), ids_like(dated.items.ids, kinds["items"])
    parts: dict[str, Any] = {}
    for number, name in enumerate(PARTS):
        rows = (found.part == number).nonzero()[0]
        wanted = name in ("train", "test") or (name == "validation" and validation)
        if wanted and not len(rows):
            msg = f"no pair is in the {name} part; choose another rule"
            raise BadInputError(msg)
        if len(rows):
            amounts = found.units[rows] / STRENGTH_UNIT
            parts[name.replace("fold_in", "history")] = plays_like(plays, users[found.user[rows]], items[found.item[rows]], amounts)
    return Split(**parts)


@documented(READ)
def evaluate(
    model: Model, test: Any, *, k: int | Sequence[int] = (10, 20), history: Any = None, candidates: str = "", seed: int = 0,
    runner: str = "inline", progress: bool | None = None, **options: Any,
) -> Report:  # fmt: skip
    """Measure how well a model ranks held-out plays, beside popularity: `mr-als evaluate`.

    Parameters
    ----------
    model : Model
    test : plays, as of `fit`
        In a matrix, numbers are those of the matrix that the model was fitted to.
    k : int or several, 1 or more
        Lengths of the lists that count.
    history : plays of users who were not in training, to be folded in
    candidates : path of a file of the items to rank for each user, instead of all
    seed : int
        Of the bootstrap.
    runner, progress
        As of `fit`.
    OPTIONS

    Returns
    -------
    Report
        A dictionary, as the command prints it with --json; `to_pandas` makes a DataFrame of it.

    Raises
    ------
    BadInputError
        If no test pair can be evaluated.
    UsageError
        If an argument is nothing that it can be.

    Examples
    --------
    >>> import mr_als
    >>> parts = mr_als.split([(user, item, 1) for user in range(20) for item in range(user % 2, 40, 2)], share=0.2)
    >>> report = mr_als.evaluate(mr_als.fit(parts.train, rank=2, regularization=0.01), parts.test, k=5)
    >>> report["metrics"]["ndcg@5"]["model"] > report["metrics"]["ndcg@5"]["popularity"]
    True
    """
    (inputs,) = options_of(READ, options, ("model", "test", "k", "history", "candidates", "seed", "runner", "progress"))
    if not isinstance(model, Model):
        msg = f"model is a {type(model).__name__}; expected a Model, as of mr_als.fit or mr_als.load"
        raise UsageError(msg)
    if not is_whole(seed):
        msg = f"seed is {seed!r}; expected an integer"
        raise UsageError(msg)
    asked = evaluating.Asked(lengths(k), () if history is None else source_of(history), candidates, int(seed))
    said = reporting(bool(progress), None)
    source = source_of(test)
    return Report(evaluating.evaluate(model, source, asked, inputs, engine_on(runner, source, model.source), said))


def lengths(k: int | Sequence[int]) -> tuple[int, ...]:
    """Return the lengths of lists that count, ascending and each once.

    Raises
    ------
    UsageError
        If there is none, or one is no integer or below 1.

    >>> lengths(5), lengths([20, 10, 20])
    ((5,), (10, 20))
    """
    found: list[Any] = list(k) if np.iterable(k) and not isinstance(k, str | bytes) else [k]
    if not found or not all(is_whole(one) and one >= 1 for one in found):
        msg = f"k is {k!r}; expected the length of the lists that count, an integer of at least 1, or several: k=[10, 20]"
        raise UsageError(msg)
    return tuple(sorted({int(one) for one in found}))
