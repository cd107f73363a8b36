"""prepare: play logs become plays, blocks of users and blocks of items (`jobs/mr_ingest.py`).

<directory>/plays.json        written last: without it nothing below counts
<directory>/<attempt>/users.raw, items.raw; on a cluster output/part-*, the parts of the job
<directory>/bad-lines.tsv     samples of the lines that were left out
"""

from __future__ import annotations

import contextlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mr_als.engine.engine import Engine
from mr_als.engine.outputs import held
from mr_als.errors import DamagedDataError
from mr_als.options import InputOptions, PlanOptions
from mr_als.preparing.ingesting import Task, place_for, read_logs
from mr_als.preparing.log_files import Logs, unpacking
from mr_als.preparing.plays import Plays, read_plays, write_plays
from mr_als.preparing.segments import refuse_segments
from mr_als.progress import Progress
from mr_als.storage.places import storage_of


class Source(ABC):
    """Plays that come from elsewhere than from log files."""

    @abstractmethod
    def fingerprint(self, options: InputOptions, *, ratings: bool = False) -> dict[str, Any]:
        """Identify them, as log files are by path, size and time of change."""

    @abstractmethod
    def prepare(self, task: Task) -> Plays:
        """Write a plays directory, as `prepare` does."""


def fingerprint_of(logs: Sequence[str] | Source, options: InputOptions, *, ratings: bool = False) -> dict[str, Any]:
    """Identify what plays are made of, or ratings."""
    return logs.fingerprint(options, ratings=ratings) if isinstance(logs, Source) else Logs.of(logs).fingerprint()


def prepare(
    logs: Sequence[str] | Source,
    directory: str,
    options: InputOptions,
    engine: Engine = Engine(),
    progress: Progress | None = None,
    plan: PlanOptions = PlanOptions(),
    rank: int = 0,
    *,
    ratings: bool = False,
) -> Plays:
    """Turn play logs into a plays directory; give it as it is if it is finished already.

    Numbers of blocks that are `auto` follow from the size of the logs and the memory of a task. How many rows that makes is
    known when the logs have been read: where factors of `rank` numbers would then not fit, the logs are read again, for more
    blocks; not so with a rank of 0, for plays that nobody trains on. With `ratings` logs may hold ratings instead of plays.

    Raises
    ------
    BadInputError
        If there is no usable line, or too many bad ones.
    BusyError
        If another process prepares plays in the directory.
    """
    task = Task(directory, options, engine, progress or Progress(quiet=True), plan, rank, ratings)
    if isinstance(logs, Source):
        return logs.prepare(task)
    engine.check_place(*logs)
    task = task._replace(engine=place_for(directory, engine))
    found = Logs.of(logs, task.engine.form)
    with held(directory), unpacking(directory):
        refuse_segments(directory)
        return _prepare(found, task)


def _prepare(found: Logs, task: Task) -> Plays:
    """Prepare in a directory that is held."""
    directory, options, engine, progress, *_, ratings = task
    storage, inputs, chosen = storage_of(directory), found.fingerprint(), {"options": asdict(options), "ratings": ratings}
    path = os.path.join(directory, "plays.json")
    if (before := storage.read(path)) is not None:
        if same(before, inputs, chosen):
            with contextlib.suppress(DamagedDataError):  # what was damaged since is made again
                return read_plays(directory, engine)
        storage.remove(path)
    info = read_logs(found, task)
    write_plays(directory, info)
    plays = read_plays(directory, engine)
    counts = f"{plays.n_users} users, {plays.n_items} items, {plays.pairs} pairs, {plays.plays:.0f} plays"
    progress.say(f"prepare: {counts}, {info['seconds']:.1f} s")
    return plays


def same(plays_json: bytes, inputs: dict[str, Any], options: dict[str, Any]) -> bool:
    """Say whether finished plays are those of these inputs and options; a torn file is those of none."""
    try:
        info = json.loads(plays_json)
        return bool(
            info["inputs"] == json.loads(json.dumps(inputs)) and all(info[name] == value for name, value in options.items())
        )
    except (ValueError, KeyError, TypeError):
        return False
