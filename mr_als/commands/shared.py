"""What the sub-commands share: the common options, the engine they name, and how results are printed.

It is long because every command uses some of it.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mr_als import __version__
from mr_als.engine.runners.runner import RUNNERS, runner_of
from mr_als.errors import ModelError, UsageError
from mr_als.options import FEEDBACKS, TASK_MEMORY, add_arguments, memory

if TYPE_CHECKING:
    from mr_als.engine.engine import Engine
    from mr_als.models.model import Model
    from mr_als.progress import Progress

# for --help
SCORE = """\
A score is the dot product of the user's and the item's vectors. Higher is better: near 1 for items that look like what the
user plays, near 0 for items that do not. It is not a probability, can be above 1 or below 0, and can be compared only
between items of the same user. In a model of ratings it is the expected rating."""

# input options of a held-out part that are the model's: thresholds, blocks, salt, and what repeated ratings make
LEFT_TO_THE_MODEL = ("--duplicates", "--min-user-plays", "--min-item-plays", "--user-blocks", "--item-blocks", "--salt")


def add_command(subparsers: Any, name: str, usage: str, *, summary: str, description: str, example: str) -> argparse.ArgumentParser:
    """Add a sub-command with the options that all have; `usage` is what follows its name."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, usage=f"mr-als {name} {usage}", help=summary, description=description, epilog=f"example:\n{example}"
    )
    group = parser.add_argument_group("what is printed")
    group.add_argument("-q", "--quiet", action="store_true", help="print only warnings and errors on stderr (default: off)")
    group.add_argument("-v", "--verbose", action="store_true", help="also show the log of mrjob (default: off)")
    group.add_argument(
        "--log-format", choices=("text", "json"), default="text",
        help="format of messages on stderr; json: one object per line, with time, level, event and figures (default: text)",
    )  # fmt: skip
    group.add_argument("--json", action="store_true", help="print results as JSON (default: text)")
    group.add_argument("--version", action="version", version=f"mr-als {__version__}", help="print the version")
    return parser


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where jobs run."""
    group = parser.add_argument_group("where the jobs run")
    group.add_argument(
        "-r", "--runner", choices=RUNNERS, default="inline",
        help=f"{'; '.join(f'{name}: {known.words}' for name, known in RUNNERS.items())} (default: inline)",
    )  # fmt: skip
    group.add_argument(
        "--master", default="", metavar="URL",
        help="with -r spark: where Spark runs, e.g. local[4], yarn or spark://HOST:7077 (default: local[*], this machine)",
    )  # fmt: skip
    group.add_argument(
        "-c", "--conf-path", action="append", default=[], metavar="FILE", help="read this mrjob.conf (default: none)"
    )
    group.add_argument(
        "-D", dest="jobconf", action="append", default=[], metavar="NAME=VALUE", type=_assignment,
        help="set a Hadoop or Spark property for all jobs; may be repeated (default: none)",
    )  # fmt: skip


def add_task_memory(parser: argparse.ArgumentParser, effect: str = "") -> None:
    """Add --task-memory of a command without `PlanOptions`; `effect` is what follows from it besides."""
    parser.add_argument(
        "--task-memory", type=size, default=TASK_MEMORY, metavar="SIZE",
        help=f"memory of a task, e.g. 512M or 2G{effect} (default: {TASK_MEMORY >> 20}M)",
    )  # fmt: skip


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add --model of a command that reads one."""
    parser.add_argument("--model", required=True, metavar="DIR", help="directory of a trained model (required)")


def add_options(parser: argparse.ArgumentParser, title: str, kind: type[Any], hidden: Sequence[str] = ()) -> None:
    """Add the flags of an options dataclass as a group of their own; `hidden` ones only have their default."""
    group = parser.add_argument_group(title)

    def add(flag: str, **keys: Any) -> None:
        if flag in hidden:
            parser.set_defaults(**{keys["dest"]: keys["default"]})
        else:
            group.add_argument(flag, **keys)

    add_arguments(kind, add)


def add_feedback(parser: argparse.ArgumentParser) -> None:
    """Add --feedback of a command that only reads logs: whether they may hold ratings."""
    parser.add_argument(
        "--feedback", choices=FEEDBACKS, default="implicit",
        help="explicit: the logs hold ratings; without it, ratings are rejected, because they are not plays (default: implicit)",
    )  # fmt: skip


def count(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text!r} is out of range: expected a whole number of at least 1"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def ranks(text: str) -> tuple[int, ...]:
    """Read ranks such as 10,20: ascending, each once; beyond 10^15 they would be no exact float."""
    found = tuple(sorted({count(part) for part in text.split(",")}))
    if found[-1] > 10**15:
        msg = f"{found[-1]} is out of range: expected at most 10^15"
        raise argparse.ArgumentTypeError(msg)
    return found


def size(text: str) -> int:
    """Read a size such as 512M or 2G, in bytes; at least 1M."""
    try:
        value = memory(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if value < 1 << 20:
        msg = f"{text} is out of range: expected at least 1M"
        raise argparse.ArgumentTypeError(msg)
    return value


def _assignment(text: str) -> str:
    if not text.partition("=")[0] or "=" not in text:
        msg = f"{text!r} is not of the form NAME=VALUE"
        raise argparse.ArgumentTypeError(msg)
    return text


def engine_of(args: argparse.Namespace) -> Engine:
    """Build the engine that the options name.

    Raises
    ------
    UsageError
        If an mrjob.conf is missing, or --master does not fit.
    """
    from mr_als.engine.engine import Engine

    given, paths = mrjob_arguments(args), [*_paths(args)]
    runner_of(args.runner).check_master(args.master, paths, given)
    return Engine.of(args.runner, given, paths)


def mrjob_arguments(args: argparse.Namespace) -> list[str]:
    """List what mrjob is told of the options that name an engine and configure it.

    Raises
    ------
    UsageError
        If an mrjob.conf is missing.
    """
    for path in args.conf_path:
        if not Path(path).is_file():
            msg = f"-c {path}: no such file; expected an mrjob.conf"
            raise UsageError(msg)
    extra = [word for path in args.conf_path for word in ("-c", path)] + [word for text in args.jobconf for word in ("-D", text)]
    return [*extra, *(["--spark-master", args.master] if args.master else [])]


def _paths(args: argparse.Namespace) -> Iterator[str]:
    """Yield all places that the arguments of a command name."""
    for name in ("logs", "plays", "model", "output", "train", "validation", "test"):
        given = getattr(args, name, None) or []
        yield from [given] if isinstance(given, str) else given


def unknown_id(model: Model, side: str, name: str) -> str:
    """Say that a user or an item is unknown, what may have been meant, and where all ids are; `side` is "users" or "items"."""
    from mr_als.models.near import did_you_mean_id

    ids = getattr(model, f"{side[:-1]}_ids")
    close, examples = did_you_mean_id(ids, name), ", ".join(repr(ids[i]) for i in range(min(3, len(ids))))
    return (
        f"{model.path}: none of its {len(ids)} {side} is {name!r}{f'{close} Ids' if close else '; ids'} are as in the logs, "
        f"e.g. {examples}; all of them: {model.generation}/{side}/ids.txt"
    )


def user_row(model: Model, user: str) -> int:
    """Look up the row of a named user."""
    try:
        return model.user_index(user)
    except KeyError:
        raise ModelError(unknown_id(model, "users", user)) from None


def damage_of(args: argparse.Namespace) -> str:
    """Say what is damaged in the model that a command reads, after something went wrong; an empty string if nothing is known."""
    if not getattr(args, "model", None):
        return ""
    try:
        from mr_als.models.kept import described
        from mr_als.models.model import Model
        from mr_als.models.verify import check_files

        model = Model.open(args.model)
        files = check_files(model)
        if not files.ok:
            return f"{model.generation}: {files.found}"
        published = described(model.path, model.info["generation"])
        return f"{model.path}: model.json is not what was published; train again" if published not in ({}, model.info) else ""
    except Exception:  # what went wrong at first is of more use
        return ""


def progress_of(args: argparse.Namespace) -> Progress:
    """Build the progress reporter; with -v also send the log of mrjob to stderr."""
    from mr_als.progress import LogLines, Progress

    log = logging.getLogger("mrjob")
    # an earlier command in this process may have left one, whose stderr is closed
    log.handlers = [handler for handler in log.handlers if type(handler) is not logging.StreamHandler]
    log.setLevel(logging.INFO if args.verbose else logging.WARNING)
    if args.verbose:
        handler = logging.StreamHandler(sys.stderr)
        if args.log_format == "json":
            handler.setFormatter(LogLines())
        log.addHandler(handler)
    return Progress(quiet=args.quiet, as_json=args.log_format == "json")


def complain(args: argparse.Namespace, text: str, level: str = "warning", event: str = "warning", **figures: Any) -> None:
    """Write to stderr what has to be known, quiet or not: a line `mr-als: TEXT`, or an object as --log-format json asks for."""
    if args.log_format == "json":
        from mr_als.progress import log_line

        text = log_line(level, event, text, **figures)
    else:
        text = f"mr-als: {text}"
    print(text, file=sys.stderr)


def print_text(text: str) -> None:
    """Write text to stdout, in UTF-8 whatever the locale."""
    print_bytes(text.encode("utf-8", "surrogateescape"))


def print_bytes(data: bytes) -> None:
    """Write bytes to stdout at once, so that a reader who left is noticed here."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_json(data: Any) -> None:
    """Write one JSON object as one line."""
    print_text(json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n")


def write_html(args: argparse.Namespace, name: str, flag: str, path: str, page: str) -> int:
    """Write a page to the file that an option names, say where it is, and return the exit code.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        msg = f"{flag} {path}: cannot be written ({error.strerror}); name a file in a directory that you may write to"
        raise UsageError(msg) from None
    if args.json:
        print_json({name: path, "bytes": len(page.encode())})
    else:
        print_text(f"{path}\n")
    progress_of(args).say("next: open it in a browser")
    return 0
