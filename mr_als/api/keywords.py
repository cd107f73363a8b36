"""The keywords of `fit`: fields of the dataclasses in `mr_als.options`, read, checked and documented as by the command line."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, fields
from typing import Any

from mr_als.errors import UsageError, did_you_mean
from mr_als.options import (
    InputOptions,
    LoopOptions,
    PlanOptions,
    RunOptions,
    SolverOptions,
    Training,
    WeightOptions,
    check,
)

__all__ = ["FIT", "READ", "SWEEP", "documented", "options_of", "training_of"]

TRAINING = {"inputs": InputOptions, "weights": WeightOptions, "solver": SolverOptions, "loop": LoopOptions, "plan": PlanOptions}
SWEEP = (SolverOptions, WeightOptions, LoopOptions, InputOptions, PlanOptions)
FIT = (*SWEEP, RunOptions)
# how implicit, Spark, LensKit and scikit-learn call some of them
ELSEWHERE = {
    **dict.fromkeys(("factors", "n_factors", "num_factors", "n_components", "embedding_size", "embedding_dim"), "rank"),
    **dict.fromkeys(("iterations", "maxIter", "max_iter", "n_iter", "epochs"), "max_iterations"),
    **dict.fromkeys(("reg", "regParam"), "regularization"),
    **dict.fromkeys(("random_state", "random_seed"), "seed"),
    "weight": "alpha",
    "use_cg": "solver",
    "implicitPrefs": "feedback",
    "show_progress": "progress",
    "fit_callback": "callback",
}
# of what is read beside a model, which decides the rest
READ = (InputOptions,)


def options_of(kinds: Iterable[type[Any]], given: Mapping[str, Any], known: Iterable[str] = ()) -> list[Any]:
    """Build options dataclasses of keywords; one that is None has its default.

    Parameters
    ----------
    known : other keywords of the function, which may have been meant

    Raises
    ------
    UsageError
        If there is no such keyword, or its value is none that it can have.
    """
    kinds = list(kinds)
    known = [f.name for kind in kinds for f in fields(kind)] + list(known)
    for name in given:
        if name not in known:
            ours = ELSEWHERE.get(name)
            msg = f"no keyword is named {name!r}{f'; here it is {ours!r}' if ours in known else did_you_mean(name, known)}"
            raise UsageError(msg)
    built = []
    for kind in kinds:
        values = {f.name: _value(f, given[f.name]) for f in fields(kind) if given.get(f.name) is not None}
        built.append(kind(**values))
        check(built[-1])
    return built


def training_of(given: Mapping[str, Any], known: Iterable[str] = ()) -> tuple[Training, RunOptions]:
    """Build the options of a training of keywords."""
    *parts, rules = options_of([*TRAINING.values(), RunOptions], given, known)
    return Training(**dict(zip(TRAINING, parts, strict=True))), rules


def _value(field: Field[Any], value: Any) -> Any:
    """Read a value as the command line reads its text; columns may be a dictionary."""
    if field.name == "columns" and isinstance(value, Mapping):
        value = ",".join(f"{column}={name}" for column, name in value.items())
    try:
        return field.metadata["type"](str(value))
    except ValueError as error:
        msg = f"{field.name} is {value!r}, which it cannot be: {error}"
        raise UsageError(msg) from None


def documented(kinds: Iterable[type[Any]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a decorator that writes the keywords of a function where its docstring says OPTIONS, and into its signature."""
    found = [f for kind in kinds for f in fields(kind)]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        entries = "\n".join(f"{f.name} : {_kind(f)}\n{textwrap.indent(textwrap.fill(_help(f), 110), '    ')}" for f in found)
        text = inspect.cleandoc(function.__doc__ or "").replace("OPTIONS", entries)
        function.__doc__ = text
        own = [p for p in inspect.signature(function).parameters.values() if p.kind != p.VAR_KEYWORD]
        more = [inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default) for f in found]
        function.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
        return function

    return decorate


def _kind(field: Field[Any]) -> str:
    choices = field.metadata["choices"]
    kind = "{" + ", ".join(repr(choice) for choice in choices) + "}" if choices else type(field.default).__name__
    return f"{kind}, default {field.default!r}"


def _help(field: Field[Any]) -> str:
    text: str = field.metadata["help"]
    return text if text.endswith(".") else f"{text}."
