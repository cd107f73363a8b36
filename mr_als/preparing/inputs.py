"""The logs that a command is given: what their records mean, whether the engine can read them, and what jobs are told of it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from mr_als.errors import BadInputError, UsageError
from mr_als.logs.columns import write_columns
from mr_als.logs.detect import detect, only_from_files
from mr_als.logs.logs import Layout
from mr_als.logs.numbers import parse_time
from mr_als.logs.streams import HEAD, as_utf8, open_log
from mr_als.options import InputOptions, check_decay, check_times
from mr_als.records.lines import LINES
from mr_als.storage.places import storage_of

if TYPE_CHECKING:
    from mr_als.engine.engine import Engine

__all__ = ["check_engine", "described", "find_layout", "log_arguments"]


def find_layout(paths: Sequence[str], options: InputOptions) -> Layout:
    """Find what the records of logs mean, from the options and the beginning of the first file that is not empty."""
    return detect(options, paths, read_head)


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


def check_engine(layout: Layout, paths: Sequence[str], engine: Engine) -> None:
    """Check that an engine can read the logs, before anything runs.

    Raises
    ------
    UsageError
        If it hands lines to its tasks, and the records are not in lines.
    """
    if engine.form == LINES and (reason := only_from_files(layout, paths, read_head)):
        msg = (
            f"{reason}, which -r {engine.runner} cannot read: it hands lines to its tasks. Make the plays on one machine, "
            f"`mr-als prepare ... -r local --plays DIR`, and train from them with --plays DIR"
        )
        raise UsageError(msg)


def log_arguments(options: InputOptions, layout: Layout) -> list[str]:
    """Build the arguments for any job that reads logs.

    Raises
    ------
    UsageError
        If they need the times of plays, and the logs have none.
    """
    since, until = check_times(options, parse_time)
    decay = check_decay(options, parse_time)
    if (since, until, decay) != (None, None, None) and "timestamp" not in layout.columns:
        msg = f"--since, --until and --half-life need the time of each play, but the columns are {write_columns(layout)}"
        raise UsageError(msg)
    arguments = [
        f"--syntax={layout.syntax}",
        f"--columns={write_columns(layout)}",
        f"--delimiter={layout.delimiter[0]}",
        f"--min-ms-played={options.min_ms_played}",
        f"--salt={options.salt}",
    ]
    # Hadoop Streaming loses an empty argument
    arguments += [f"--header={quote_from_bytes(layout.header)}"] if layout.header else []
    arguments += [f"--since={since}"] if since is not None else []
    arguments += [f"--until={until}"] if until is not None else []
    arguments += [f"--as-of={decay[0]}", f"--half-life={decay[1]}"] if decay else []
    return arguments


def described(layout: Layout) -> str:
    """Say how the logs are understood."""
    name = {"plain": "columns", "csv": "CSV with columns", "jsonl": "JSON with", "parquet": "Parquet with"}[layout.syntax]
    header = ", one of their lines a header" if layout.header else ""
    return f"{name} {write_columns(layout).replace(',', ', ')}{header}"
