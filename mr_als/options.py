"""All options, each in one place: frozen dataclasses whose fields carry flag, default, help and check.

argparse, the jobs' arguments, the manifests, resume's comparison and the docs' tables are made from them.

It is long because it is that list, help texts included.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mr_als.errors import UsageError


def option(
    default: Any,
    help: str,
    *,
    type: Callable[[str], Any] = str,
    choices: tuple[str, ...] | None = None,
    check: tuple[Callable[[Any], bool], str] | None = None,
    metavar: str | None = None,
) -> Any:
    """Declare an option; `check` is (predicate, what is expected)."""
    extra = {"help": help, "type": type, "choices": choices, "check": check, "metavar": metavar}
    return field(default=default, metadata=extra)


def flag_of(name: str) -> str:
    """Format a field's name as its command-line flag: `max_iterations` becomes `--max-iterations`."""
    return "--" + name.replace("_", "-")


# beyond these no option means anything, and products of a few of them stay far from overflow
LARGEST, SMALLEST = 1e15, 1e-15


def number(text: str) -> float:
    """Read a number that is neither too large nor too close to 0 to be calculated with."""
    value = float(text)
    if not abs(value) <= LARGEST or 0 < abs(value) < SMALLEST:
        msg = f"{text!r} is not 0, and not a number from {SMALLEST:g} to {LARGEST:g}"
        raise ValueError(msg)
    return value


def whole(text: str) -> int:
    """Read a whole number of at most 63 bits."""
    value = int(text)
    if abs(value) >= 1 << 63:
        msg = f"{text!r} is not a whole number below 2^63"
        raise ValueError(msg)
    return value


def memory(text: str) -> int:
    """Read a size such as 512M or 2G, in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", str(text).strip(), re.IGNORECASE)
    if not match:
        msg = f"{text!r} is not a size such as 512M or 2G"
        raise ValueError(msg)
    value = float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " ")
    if value > LARGEST:
        msg = f"{text!r} is not a size below 900T"
        raise ValueError(msg)
    return int(value)


# resident memory of a task where none is given, bytes
TASK_MEMORY = 1 << 30


def share(text: str) -> str:
    """Check a share such as 0.1%, or a plain number; kept as text, so that messages show what was typed."""
    value = float(text.removesuffix("%"))
    if not (math.isfinite(value) and value >= 0):
        msg = f"{text!r} is neither a share such as 0.1% nor a number of at least 0"
        raise ValueError(msg)
    return text


def share_if_any(text: str) -> str:
    """Check a share, or nothing."""
    return share(text) if text else text


def auto_or_number(text: str) -> float | str:
    """Check `auto`, or a multiple of it such as auto*0.5, kept as text; or read a number.

    >>> auto_or_number("auto*0.5"), auto_or_number("0.01")
    ('auto*0.5', 0.01)
    """
    if share_of_auto(text):
        return text
    try:
        return number(text)
    except ValueError:
        msg = (
            f"{text!r} is neither auto, nor a multiple of it such as auto*0.5, from auto*1e-6 to auto*1e6, nor 0, nor a number "
            f"from {SMALLEST:g} to {LARGEST:g}"
        )
        raise ValueError(msg) from None


def share_of_auto(value: float | str) -> float:
    """Return how many times `auto` a value is, from a millionth to a million; 0 for anything else.

    >>> share_of_auto("auto"), share_of_auto("auto*0.5"), share_of_auto("auto*1e-9"), share_of_auto(0.01)
    (1.0, 0.5, 0.0, 0.0)
    """
    match = re.fullmatch(r"auto(?:\*((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?))?", str(value))
    times = float(match[1] or 1) if match else 0.0
    return times if 1e-6 <= times <= 1e6 else 0.0


def multiple_in_words(value: float | str, of: str) -> str:
    """Say what a multiple of `auto` is where `auto` is `of`.

    >>> multiple_in_words("auto", "the default"), multiple_in_words("auto*0.5", "the default")
    ('the default', '0.5 times the default')
    """
    times = share_of_auto(value)
    return of if times == 1 else f"{times:g} times {of}"


def blocks(text: str) -> str:
    """Check a number of blocks, or `auto`."""
    if text != "auto" and not 1 <= int(text) <= 100_000:
        msg = f"{text!r} is neither auto nor a number from 1 to 100000"
        raise ValueError(msg)
    return text


# infinity and NaN, which no command line can give, are refused where values come from a program or a file
_POSITIVE = (lambda v: 0 < v < math.inf, "a number above 0")
_SIZE = (lambda v: v >= 1 << 20, "at least 1M")
_NOT_NEGATIVE = (lambda v: 0 <= v < math.inf, "a number of at least 0")
_AUTO_OR_POSITIVE = (lambda v: share_of_auto(v) > 0 or 0 < float(v) < math.inf, "auto or a number above 0")
_AUTO_OR_NOT_NEGATIVE = (lambda v: share_of_auto(v) > 0 or 0 <= float(v) < math.inf, "auto or a number of at least 0")

CONFIDENCES = ("log", "linear")
SCALINGS = ("frequency", "count", "none")
FEEDBACKS = ("implicit", "explicit")


@dataclass(frozen=True)
class InputOptions:
    """What counts as a play."""

    format: str = option(
        "auto",
        "events: timestamp user item ms_played; counts: user item plays; csv, jsonl, parquet: files that name their fields; "
        "auto: from the first bytes of each file",
        choices=("auto", "events", "counts", "csv", "jsonl", "parquet"),
    )
    columns: str = option(
        "",
        "columns in order, with '-' for one to ignore, e.g. user,-,item,plays; or by name, e.g. user=user_id,item=artist; "
        "user==NAME, alone or with others, if all records belong to one user",
        metavar="COLUMNS",
    )
    delimiter: str = option(
        "auto", "what separates columns, such as ';' or '::', or the word 'tab'; auto: from the first lines", metavar="TEXT"
    )
    time_unit: str = option(
        "auto",
        "what numbers mean as times: s, ms or us since 1970, or date for YYYYMMDD; auto: whichever makes them a time from 1995 "
        "to 2100, the only ones accepted",
        choices=("auto", "s", "ms", "us", "date"),
    )
    min_ms_played: int = option(
        30000, "ignore plays shorter than this, in milliseconds", type=whole, check=_NOT_NEGATIVE, metavar="MS"
    )
    since: str = option("", "ignore plays before this time, e.g. 2024-03-01 or 2024-03-01T12:00:00Z (UTC)", metavar="TIME")
    until: str = option("", "ignore plays from this time on", metavar="TIME")
    half_life: float = option(
        0.0, "days in which a play loses half of its strength; 0: never", type=number, check=_NOT_NEGATIVE, metavar="DAYS"
    )
    as_of: str = option("", "the time from which --half-life looks back; later plays are ignored", metavar="TIME")
    duplicates: str = option(
        "sum",
        "how to combine several lines of the same user and item: sum of plays; for ratings, last by timestamp, or mean",
        choices=("sum", "last", "mean"),
    )
    min_user_plays: float = option(
        0.0, "leave out users with fewer plays in total", type=number, check=_NOT_NEGATIVE, metavar="PLAYS"
    )
    min_item_plays: float = option(
        0.0, "leave out items with fewer plays in total", type=number, check=_NOT_NEGATIVE, metavar="PLAYS"
    )
    max_bad_lines: str = option("1%", "stop if more lines than this are bad: a percentage or a number", type=share, metavar="LIMIT")
    user_blocks: str = option("auto", "number of blocks of users", type=blocks, metavar="N")
    item_blocks: str = option("auto", "number of blocks of items", type=blocks, metavar="N")
    salt: int = option(0, "changes the hash of all ids, for the rare case that two ids collide", type=whole, metavar="N")


@dataclass(frozen=True)
class SplitOptions:
    """How logs are split into training, validation and test parts."""

    by: str = option(
        "random",
        "time: pairs first played from --cut on; last: the last pairs of each user, by first play; random: a share of all pairs; "
        "users: a share of the users",
        choices=("time", "last", "random", "users"),
    )
    cut: str = option("", "for time: when the test part begins, e.g. 2024-03-07 or 2024-03-07T12:00:00Z (UTC)", metavar="TIME")
    validation_cut: str = option("", "for time, with --validation: when the validation part begins, before --cut", metavar="TIME")
    share: float = option(
        0.1,
        "for random and users: what fraction goes into the test part, and into the validation part",
        metavar="FRACTION",
        type=number,
        check=(lambda v: 0 < v < 0.5, "a number above 0 and below 0.5"),
    )
    last: int = option(
        1, "for last: pairs of each user in the test part, and in the validation part", type=whole, check=_POSITIVE, metavar="N"
    )
    seed: int = option(0, "random seed", type=whole, metavar="N")


@dataclass(frozen=True)
class WeightOptions:
    """Confidence and regularisation as they are asked for: what is `auto` becomes a number when the plays are known.

    `mr_als.maths.weighing.weights.Weights` are the numbers, and what they do to strengths.
    """

    confidence: str = option("log", "log: c = 1 + alpha log(1 + r/epsilon); linear: c = 1 + alpha r", choices=CONFIDENCES)
    alpha: float | str = option(
        "auto",
        "how much a play adds to the confidence: a number, or auto, or a multiple such as auto*2; auto lets all played pairs "
        "together weigh a tenth of all pairs that were not played, where it adds 3 to 100 to a pair on average, and the nearer "
        "of these where it would add less or more",
        metavar="NUMBER",
        type=auto_or_number,
        check=_AUTO_OR_POSITIVE,
    )
    epsilon: float = option(1.0, "plays at which the logarithm begins to bend", type=number, check=_POSITIVE, metavar="PLAYS")
    regularization: float | str = option(
        "auto",
        "lambda: a number, or auto, or a multiple such as auto*0.5; auto is a fraction of the singular value at which the last "
        "of --rank dimensions would vanish, found in four passes over the plays (0.1 for ratings). Nothing is learnt if lambda is "
        "sigma_1, which mr-als report shows, or larger",
        metavar="LAMBDA",
        type=auto_or_number,
        check=_AUTO_OR_NOT_NEGATIVE,
    )
    regularization_scaling: str = option(
        "frequency",
        "the penalty of a row with n of N possible pairs: none: lambda; count: lambda n; frequency: lambda (1 + alpha)(n + "
        "N/alpha)^exponent",
        choices=SCALINGS,
    )
    regularization_exponent: float = option(
        1.0, "the exponent of 'frequency'", type=number, check=(lambda v: 0 <= v <= 4, "a number from 0 to 4"), metavar="NUMBER"
    )
    feedback: str = option(
        "implicit",
        "implicit: plays, all cells count; explicit: the plays column holds ratings, only rated cells count (ALS-WR)",
        choices=FEEDBACKS,
    )


@dataclass(frozen=True)
class SolverOptions:
    """How a row is solved."""

    rank: int = option(
        64, "length of the factor vectors", type=whole, check=(lambda v: 1 <= v <= 2048, "a number from 1 to 2048"), metavar="K"
    )
    solver: str = option("cg", "cg: whitened conjugate gradient; cholesky: exact", choices=("cg", "cholesky"))
    seed: int = option(0, "random seed of the initial item factors", type=whole, metavar="N")


@dataclass(frozen=True)
class LoopOptions:
    """When training stops."""

    tolerance: str = option(
        "0.1%",
        "stop when the weighted RMSE changes by less than this between two user halves: a percentage of it, or a number",
        type=share,
        metavar="CHANGE",
    )
    initial_factors: str = option(
        "",
        "start from the item factors in FILE instead of random ones: lines of an item and --rank numbers, separated by tabs",
        metavar="FILE",
    )
    warm_start: str = option(
        "",
        "start from the item factors of the model in DIR; items it does not know start from random ones",
        metavar="DIR",
    )
    max_iterations: int = option(
        20, "stop after N item halves", type=whole, check=(lambda v: v >= 0, "a number of at least 0"), metavar="N"
    )


@dataclass(frozen=True)
class PlanOptions:
    """How rows meet and are solved; part of the plan, because it decides the order of float sums."""

    join: str = option(
        "auto", "broadcast: in the mappers; shuffle: in the reducers; auto: by size", choices=("auto", "broadcast", "shuffle")
    )
    kernel: str = option(
        "auto",
        "numpy, or numba: compiled, 2 to 3 times as fast; auto: numba if it is installed, the data are large and the tasks run on "
        "this machine",
        choices=("auto", "numpy", "numba"),
    )
    task_memory: int = option(TASK_MEMORY, "resident memory of a task, e.g. 512M or 2G", type=memory, check=_SIZE, metavar="SIZE")


@dataclass(frozen=True)
class RunOptions:
    """What becomes of an unfinished run, what a new model must pass, and how many stay: no part of the plan."""

    on_change: str = option(
        "fail",
        "if there is an unfinished run with other inputs or options: fail and say how they differ; or restart from scratch, for "
        "use in a crontab",
        choices=("fail", "restart"),
    )
    min_size: float = option(
        0.0,
        "do not publish if users, items or plays are below this share of those of the published model, e.g. 0.5",
        type=number,
        check=_NOT_NEGATIVE,
        metavar="SHARE",
    )
    max_wrmse_rise: str = option(
        "",
        "do not publish if the weighted RMSE exceeds that of the published model by more than this: a percentage, e.g. 5%, or a "
        "number",
        type=share_if_any,
        metavar="RISE",
    )
    keep: int = option(
        2, "how many generations of the model to keep, including the new one", type=int, check=_POSITIVE, metavar="N"
    )


@dataclass(frozen=True)
class Training:
    """All options of a training run."""

    inputs: InputOptions = InputOptions()
    weights: WeightOptions = WeightOptions()
    solver: SolverOptions = SolverOptions()
    loop: LoopOptions = LoopOptions()
    plan: PlanOptions = PlanOptions()


@dataclass(frozen=True)
class ClusterOptions:
    """The assumptions about a cluster when a training run on it is planned."""

    nodes: int = option(4, "machines of the cluster", type=whole, check=_POSITIVE, metavar="N")
    cores: int = option(8, "cores per machine, each as fast as one of this machine", type=whole, check=_POSITIVE, metavar="N")
    price_per_node_hour: float = option(
        0.0, "cost of a machine per hour; 0: unknown", type=number, check=_NOT_NEGATIVE, metavar="PRICE"
    )
    job_seconds: float = option(
        40.0,
        "seconds to start a job, whatever its size; with -r spark 1, if it is not given",
        type=number,
        check=_NOT_NEGATIVE,
        metavar="SECONDS",
    )
    network: int = option(memory("1G"), "bytes per second that a machine can send", type=memory, check=_SIZE, metavar="SIZE")
    disk: int = option(memory("500M"), "bytes per second of a machine's disks", type=memory, check=_SIZE, metavar="SIZE")
    coded: int = option(
        memory("40M"), "bytes per second that a core passes through base64 and pipes", type=memory, check=_SIZE, metavar="SIZE"
    )
    touches: float = option(
        3.0, "how often a byte that is sent is written to or read from a disk", type=number, check=_NOT_NEGATIVE, metavar="TIMES"
    )
    slowest: float = option(
        1.5,
        "time of the slowest task divided by that of an average one",
        type=number,
        check=(lambda v: v >= 1, "a number of at least 1"),
        metavar="RATIO",
    )
    iterations: int = option(12, "iterations of a training run", type=whole, check=_POSITIVE, metavar="N")


def add_arguments(kind: type[Any], add: Callable[..., Any]) -> None:
    """Add the flags of an options dataclass by `add`, which takes what `add_argument` takes."""
    for f in fields(kind):
        shown: Any = f.default
        if f.metadata["type"] is memory:
            shown = f"{shown // 2**20}M"
        elif isinstance(shown, float):
            shown = f"{shown:g}"
        text = f"{f.metadata['help']} (default: {'none' if shown == '' else shown})"
        keys: dict[str, Any] = {"default": f.default, "help": text.replace("%", "%%"), "dest": f.name}
        keys |= (
            {"choices": f.metadata["choices"]} if f.metadata["choices"] else {"type": _parser(f), "metavar": f.metadata["metavar"]}
        )
        add(flag_of(f.name), **keys)


def check(options: Any) -> None:
    """Check the values of an options dataclass that came from a program or a file, as the command line checks its own.

    Raises
    ------
    UsageError
        If one is not among its choices, or out of range.
    """
    for f in fields(options):
        value, choices, bounds = getattr(options, f.name), f.metadata["choices"], f.metadata["check"]
        if choices and value not in choices:
            msg = f"{f.name} must be one of {', '.join(choices)}, got {value!r}"
            raise UsageError(msg)
        if bounds and not bounds[0](value):
            msg = f"{f.name} must be {bounds[1]}, got {value}"
            raise UsageError(msg)


def _parser(f: dataclasses.Field[Any]) -> Callable[[str], Any]:
    """Make the argparse type of a field, whose message says what is expected."""
    kind, check = f.metadata["type"], f.metadata["check"]

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError as error:
            reason = str(error) if "is n" in str(error) else f"{text!r} is not {'a whole number' if kind is whole else 'a number'}"
            raise argparse.ArgumentTypeError(reason) from None
        if check and not check[0](value):
            msg = f"{text} is out of range: expected {check[1]}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return parse


def from_namespace(kind: type[Any], namespace: Any) -> Any:
    """Build an options dataclass from parsed arguments."""
    return kind(**{f.name: getattr(namespace, f.name) for f in fields(kind)})


def to_arguments(options: Any) -> list[str]:
    """Format `options` as the command-line arguments that recreate them, only where they differ from the defaults."""
    return [f"{flag_of(f.name)}={getattr(options, f.name)}" for f in fields(options) if getattr(options, f.name) != f.default]


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Say how the options of an unfinished run differ from those given now; empty if they do not."""
    names = [name for name in theirs if ours.get(name) != theirs[name]]
    return "; ".join(f"{flag_of(name)} was {theirs[name]}, now {ours.get(name)}" for name in names)


def check_times(options: InputOptions, parse_time: Callable[[str], float]) -> tuple[float | None, float | None]:
    """Read --since and --until.

    Raises
    ------
    UsageError
        If one is not a time, or the window is empty.
    """
    times: list[float | None] = []
    for name in ("since", "until"):
        text = getattr(options, name)
        try:
            times.append(parse_time(text) if text else None)
        except ValueError:
            msg = f"--{name}: {text!r} is not a time such as 2024-03-01 or 2024-03-01T12:00:00Z"
            raise UsageError(msg) from None
    since, until = times
    if since is not None and until is not None and since >= until:
        msg = f"--since {options.since} is not before --until {options.until}: no play can lie between them"
        raise UsageError(msg)
    return since, until


def check_decay(options: InputOptions, parse_time: Callable[[str], float]) -> tuple[float, float] | None:
    """Read --as-of and --half-life, in seconds; None where plays do not decay.

    Raises
    ------
    UsageError
        If only one of them is given, or --as-of is not a time.
    """
    if not options.half_life:
        if options.as_of:
            msg = f"--as-of {options.as_of} does nothing without --half-life; give both, or --until to leave out later plays"
            raise UsageError(msg)
        return None
    if not options.as_of:
        msg = "--half-life needs --as-of TIME, the moment it looks back from; the clock is never used, so that runs can be repeated"
        raise UsageError(msg)
    try:
        return parse_time(options.as_of), 86400.0 * options.half_life
    except ValueError:
        msg = f"--as-of: {options.as_of!r} is not a time such as 2024-03-01 or 2024-03-01T12:00:00Z"
        raise UsageError(msg) from None
