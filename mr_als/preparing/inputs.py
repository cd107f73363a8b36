"""The logs that a command is given: what their records mean, whether the engine can read them, and what jobs are told of it.

It is long because of its checks, which all come before a job is started.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from mr_als.errors import BadInputError, UsageError
from mr_als.logs.formats import SYNTAXES
from mr_als.logs.logs import Layout
from mr_als.logs.meaning.columns import RATINGS, constant_user, differ, plain_name, write_columns
from mr_als.logs.meaning.detect import Detected, detect
from mr_als.logs.streams import HEAD, as_utf8, open_log
from mr_als.logs.times import in_words, parse_moment, parse_time
from mr_als.options import InputOptions, check_decay, check_times
from mr_als.preparing.personal import Refused, check_twice, export_in, looked_at, none_of_the_plays, said_of
from mr_als.progress import Progress
from mr_als.records.lines import LINES
from mr_als.storage.places import scheme_of, storage_of

if TYPE_CHECKING:
    from mr_als.engine.engine import Engine

__all__ = ["Understood", "check_engine", "find_layouts", "log_arguments"]

# bytes of headers and of what stands above them that tasks are told of: an argument must not be longer than 128 kB
HEADERS = 32_000


Look = TypeVar("Look")


@dataclass(frozen=True)
class Understood:
    """What the records of logs mean.

    examples : of each layout, the first file that has it
    kinds : number of the layout of each file, in the order of the paths; that of an empty one does not matter
    left_out : files that hold no plays, and what they are instead; their kind is -1
    unfit : what keeps them from being read as lines, as Hadoop hands them to tasks; empty if nothing does
    """

    examples: tuple[Detected, ...]
    kinds: tuple[int, ...]
    unfit: str = ""
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def layouts(self) -> list[Layout]:
        """The layouts, each once."""
        return [example.layout for example in self.examples]

    @property
    def names(self) -> dict[str, str]:
        """What the first files that name users and items call them."""
        found = ((column, one.names[column]) for one in self.examples for column in ("user", "item") if one.names.get(column))
        return dict(reversed(list(found)))

    def tell(self, progress: Progress, command: str) -> None:
        """Say how the files of each layout are read, and warn of numbers that are not used, though they may be meant to be."""
        for text in read_as(self):
            progress.say(f"{command}: {text}")
        for text in warnings(self):
            progress.warn(f"warning: {command}: {text}")

    def without(self, column: str) -> Detected | None:
        """Find a file that does not have a column."""
        return next((example for example in self.examples if column not in example.layout.columns), None)


def find_layouts(paths: Sequence[str], options: InputOptions, *, ratings: bool = False, scratch: str = "") -> Understood:
    """Find what the records of logs mean, each file by itself, from the options and its beginning.

    Parameters
    ----------
    ratings : whether they may hold ratings, which are then what their `plays` are
    scratch : directory that is no part of the names that people see of files in it

    Raises
    ------
    BadInputError
        If all are empty, one of them is not understood, or they do not fit together.
    """

    def look(path: str) -> Detected | Refused | None:
        head = read_head(path)
        if not head:
            return None
        return looked_at(path, head, lambda: detect(options, path, head, ratings=ratings), given=given)

    given = bool(constant_user(options.columns)[0])
    looks = list(_each(look, paths))
    left_out = none_of_the_plays(looks)
    every = [
        one._replace(path=one.path.removeprefix(scratch)) if isinstance(one, Detected) and one.path not in left_out else None
        for one in looks
    ]
    found = [one for one in every if one is not None]
    if not found:
        msg = f"{paths[0].removeprefix(scratch)}: empty, and so are all other logs; there is nothing to learn from"
        raise BadInputError(msg)
    if not given:
        different = list({(one.layout, *one.names.items()): one for one in reversed(found)}.values())[::-1]
        _check_fit(different)
        check_twice(different)
    examples, kinds = _by_layout(every)
    kinds = tuple(-1 if path in left_out else kind for path, kind in zip(paths, kinds, strict=True))
    return Understood(examples, kinds, _unfit(found, kinds), {path.removeprefix(scratch): why for path, why in left_out.items()})


def _by_layout(every: Sequence[Detected | None]) -> tuple[tuple[Detected, ...], tuple[int, ...]]:
    """Assign files that differ only in their headers one layout with all of these; return the first of each, and their numbers."""
    examples: dict[Layout, Detected] = {}
    headers: dict[Layout, dict[bytes, None]] = {}
    bare = [replace(one.layout, header=()) if one else None for one in every]
    for layout, one in zip(bare, every, strict=True):
        if layout and one:
            examples.setdefault(layout, one)
            known = headers.setdefault(layout, {})
            # the names themselves come last, and matter most
            known |= {line: None for line in reversed(one.layout.header) if sum(map(len, known)) < HEADERS}
    numbers = {layout: number for number, layout in enumerate(examples)}
    whole = tuple(one._replace(layout=replace(layout, header=tuple(headers[layout]))) for layout, one in examples.items())
    return whole, tuple(numbers[layout] if layout else 0 for layout in bare)


def _each(found: Callable[[str], Look], paths: Sequence[str]) -> Iterator[Look]:
    """Look at each file, at several at a time where they are not here."""
    if all(scheme_of(path) == "file" for path in paths):
        yield from map(found, paths)
        return
    with ThreadPoolExecutor(8) as pool:
        yield from pool.map(found, paths)


def _check_fit(examples: Sequence[Detected]) -> None:
    """Check that files mean the same things.

    Raises
    ------
    BadInputError
        If they do not, or it is not known of one that has no header.
    """
    first, *others = examples
    for other in others:
        for column in ("user", "item"):
            name, its = first.names.get(column, ""), other.names.get(column, "")
            if name and its and differ(column, name, its):
                _refuse(other, first, f"its {column} is {its!r}, that of {first.path} is {name!r}")
        rated = [plain_name(one.names["plays"]) in RATINGS for one in (first, other) if "plays" in one.names]
        if len(set(rated)) == 2:
            _refuse(other, first, f"of it and {first.path}, one has ratings and the other plays")
    named = [one for one in examples if one.names and not one.layout.keys]
    for other in examples:
        # as many columns in another order: perhaps pieces of one file, whose first one alone has the header
        like = (one for one in named if len(one.layout.columns) == len(other.layout.columns)) if not other.names else iter(())
        if (one := next(like, None)) and one.layout.columns != other.layout.columns:
            columns = ",".join(one.layout.columns)
            why = f"it has no header, and {one.path} names its columns in another order, {columns}"
            _refuse(other, one, f"{why}; if that is the order of both, use --columns {columns}")


def _refuse(other: Detected, first: Detected, why: str) -> None:
    msg = f"{other.path}: {why}; say what is meant with --columns, or prepare {first.path} by a command of its own"
    raise BadInputError(msg)


def _unfit(some: Sequence[Detected], kinds: Sequence[int]) -> str:
    for one in some:
        if not SYNTAXES[one.layout.syntax].lines:
            return f"{one.path} is {one.layout.syntax}"
        if one.path.endswith(".zst"):
            return f"{one.path} is compressed by zstd"
        if one.array:
            return f"{one.path} is an array of JSON"
    if len({*kinds} - {-1}) > 1:
        first, *others = (replace(one.layout, header=()) for one in some)
        other = next(one for one, layout in zip(some[1:], others, strict=True) if layout != first)
        return f"{other.path} has other columns than {some[0].path}"
    return ""


def read_head(path: str) -> bytes:
    """Read the first 64 kB of a log, decompressed, as lines of UTF-8.

    Raises
    ------
    BadInputError
        If it cannot be read.
    """
    try:
        with storage_of(path).open(path) as file, open_log(path, file) as stream:
            return as_utf8(stream.read(HEAD))
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{path}: cannot be read, or its compressed data are damaged ({error}); fetch or write the file again"
        raise BadInputError(msg) from None


def check_engine(understood: Understood, engine: Engine) -> None:
    """Check that an engine can read the logs, before anything runs.

    Raises
    ------
    UsageError
        If it hands lines to its tasks, and the records are not in lines, or not all of one layout.
    """
    if engine.form == LINES and understood.unfit:
        msg = (
            f"{understood.unfit}, which -r {engine.runner} cannot read: it hands lines to its tasks. "
            f"Make the plays on one machine, `mr-als prepare ... -r local --plays DIR`, and train from them with --plays DIR"
        )
        raise UsageError(msg)


def log_arguments(options: InputOptions, understood: Understood) -> list[str]:
    """Build the arguments for any job that reads logs.

    Raises
    ------
    UsageError
        If they need the times of plays, and the logs have none.
    """
    since, until = check_times(options, parse_moment)
    decay = check_decay(options, parse_moment)
    if (since, until, decay) != (None, None, None) and (other := understood.without("timestamp")):
        columns = write_columns(other.layout)
        msg = f"--since, --until and --half-life need the time of each play, but the columns are {columns} in {other.path}"
        raise UsageError(msg)
    arguments = [f"--layout={layout.to_text()}" for layout in understood.layouts]
    arguments += [f"--min-ms-played={options.min_ms_played}", f"--salt={options.salt}"]
    # Hadoop Streaming loses an empty argument
    arguments += [f"--since={since}"] if since is not None else []
    arguments += [f"--until={until}"] if until is not None else []
    arguments += [f"--as-of={decay[0]}", f"--half-life={decay[1]}"] if decay else []
    return arguments


def read_as(understood: Understood) -> Iterator[str]:
    """Say how the files of each layout are read, with the first record."""
    for number, example in enumerate(understood.examples):
        line, first = example.first
        more = understood.kinds.count(number) - 1
        place = example.path.rpartition("/")[2]
        place += f", {'line' if not example.layout.keys else 'record'} {line}" if line else ""
        place += f", and {more} more file{'s' * (more > 1)}" if more else ""
        place += f"; not used: {', '.join(example.unused)}" if example.unused else ""
        yield f"read as: {', '.join(_shown(example.layout, first)) or 'no record yet'} ({place})"
        yield from said_of(example)


def _shown(layout: Layout, first: dict[str, str]) -> Iterator[str]:
    for column, text in first.items():
        if column in ("user", "item"):
            yield f"{column} {text!r}"
        elif column == "timestamp":
            yield f"time {_time(text, layout.unit)}"
        else:
            yield f"{column} {text}"
    if first and "plays" not in first and "ms_played" not in first:
        yield "one play"


def _time(text: str, unit: str) -> str:
    try:
        return in_words(parse_time(text, unit))
    except (ValueError, OverflowError):
        return text


def warnings(understood: Understood) -> Iterator[str]:
    """Say which columns of numbers are not used, though they may be meant to be."""
    for example in understood.examples:
        if example.layout.user and not example.names and example.layout.found:
            yield (
                f"{example.path}: read as Last.fm's scrobbles, artist, album, track and time, all of one user, "
                f"{example.layout.user!r}. If the first column is of users, use --columns user,item,-,timestamp"
            )
        if example.numbers and not export_in(example):
            columns = {column: name for column, name in example.names.items() if column != "plays"} | {"plays": example.numbers[0]}
            given = ",".join(f"{column}={name}" for column, name in columns.items())
            what = "each line counts as one play" if "plays" not in example.names else "plays are those of another column"
            yield (
                f"{example.path}: numbers that are not used: {', '.join(example.numbers)}; {what}. "
                f"If they are numbers of plays, use --columns {given}"
            )
