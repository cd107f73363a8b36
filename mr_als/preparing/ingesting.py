"""Logs become the files of an attempt in a plays directory, by the job mr_ingest; what is known of them, and its checks."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from mr_als.engine.engine import Engine, Job, Output, Written
from mr_als.errors import DamagedDataError, UsageError
from mr_als.logs.logs import COMPRESSED
from mr_als.logs.tally import HEADER
from mr_als.options import InputOptions, PlanOptions
from mr_als.planning.choices import COMPRESSION, choose_blocks, fitting_blocks, given_or
from mr_als.planning.sizes import counted
from mr_als.preparing.became import check_lines, check_usable, tell_lines
from mr_als.preparing.inputs import Understood, check_engine, find_layouts, log_arguments
from mr_als.preparing.log_files import Logs, by_archive, place_of
from mr_als.preparing.plays import attempts_read
from mr_als.progress import Progress
from mr_als.records.blocks import SIDES, STRENGTH_UNIT
from mr_als.records.lines import REFERENCES, Record
from mr_als.storage.places import scheme_of, storage_of

__all__ = [
    "Task", "add_up", "check_sides", "clean", "count_blocks", "new_attempt", "place_for", "plain_bytes", "read_logs", "written",
]  # fmt: skip


class Task(NamedTuple):
    """Plays that are to be made: where, of what, and how; see `mr_als.preparing.prepare.prepare`."""

    directory: str
    options: InputOptions
    engine: Engine
    progress: Progress
    plan: PlanOptions
    rank: int
    ratings: bool


def read_logs(found: Logs, task: Task, keep: Collection[str] = ()) -> dict[str, Any]:
    """Make an attempt of logs, in a directory that is held, and return all that is known of it.

    Parameters
    ----------
    keep : attempts that stay; all others go

    Raises
    ------
    BadInputError
        If there is no usable line, or too many bad ones.
    """
    started, inputs = time.monotonic(), found.fingerprint()
    directory, options, engine, progress, plan, rank, ratings = task
    found, understood = _understood(found, task)
    progress.say(
        f"prepare: {len(found.paths)} log file(s); job mr_ingest: "
        "mappers parse and sum plays, the shuffle brings each block of users and each block of items to a reducer, which merges it"
    )

    def ingest(blocks: list[int]) -> dict[str, Any]:
        clean(directory, keep)
        attempt, base = new_attempt(directory)
        arguments = job_arguments(options, understood, blocks)
        job = Job("mr_ingest", [found], arguments, kinds=SIDES, written=written, task_memory=plan.task_memory)
        return {**by_archive(add_up(engine.run(job, base)), directory), "attempt": attempt, "blocks": blocks}

    info = ingest(count_blocks(found, options, plan.task_memory))
    if said := check_lines(info, options, os.path.join(directory, "bad-lines.tsv"), storage_of(directory)):
        progress.say(f"prepare: {said}")
    tell_lines(info, options, progress, "prepare")
    check_usable(info, info["plays"] and info["n_users"] and info["n_items"])
    if rank and (fitting := [*fitting_blocks(counted(info, rank), options, plan)]) != info["blocks"]:
        rows = f"{info['n_users']} users and {info['n_items']} items"
        progress.say(f"prepare: {rows} are too many for {info['blocks']} blocks; reading the logs again for {fitting}")
        info = ingest(fitting)
    info |= {"inputs": inputs, "options": asdict(options), "ratings": ratings, "columns": list(understood.layouts[0].columns)}
    info["names"] = understood.names
    return {**info, "seconds": time.monotonic() - started}


def _understood(found: Logs, task: Task) -> tuple[Logs, Understood]:
    """Find out what the records of logs mean, and say it; return those that hold plays, archives unpacked, with it."""
    found = found.unpacked(task.directory)
    understood = find_layouts(found.paths, task.options, ratings=task.ratings, scratch=place_of(task.directory))
    check_engine(understood, task.engine)
    found = found.understood(understood.kinds, understood.left_out)
    found.tell(task.progress, "prepare")
    understood.tell(task.progress, "prepare")
    return found, understood


def place_for(directory: str, engine: Engine) -> Engine:
    """Make a plays directory where tasks of an engine see it, and return the engine as the directory's own.

    Raises
    ------
    UsageError
        If the engine does not work there.
    """
    engine = engine.owned_by(directory)
    if engine.form == REFERENCES and scheme_of(directory) != "file":
        msg = f"{directory}: -r {engine.runner} keeps plays on this machine; name a local directory"
        raise UsageError(msg)
    storage_of(directory).make_directory(directory)
    return engine


def new_attempt(directory: str) -> tuple[str, str]:
    """Make a directory for an attempt in a plays directory; return its name and its path."""
    name = f"attempt-{uuid.uuid4().hex[:8]}"
    storage_of(directory).make_directory(os.path.join(directory, name))
    return name, os.path.join(directory, name)


def clean(directory: str, keep: Collection[str] = ()) -> None:
    """Remove the attempts of a plays directory that nothing needs and nobody reads, and what killed commands left."""
    storage, stay = storage_of(directory), {*keep, *attempts_read(directory)}
    for name in storage.names(directory):
        if name.startswith("attempt-") and name not in stay:
            storage.remove(os.path.join(directory, name))


def count_blocks(logs: Logs, options: InputOptions, task_memory: int) -> list[int]:
    """Choose the numbers of user blocks and item blocks."""
    auto = choose_blocks(plain_bytes(logs.sizes), task_memory)
    return list(given_or((auto, auto), options))


def plain_bytes(sizes: Mapping[str, int]) -> int:
    """Estimate the size of logs as plain text, of the sizes of the files."""
    dense = (*COMPRESSED, ".parquet")
    return sum(size * (COMPRESSION if path.endswith(dense) else 1) for path, size in sizes.items())


def job_arguments(options: InputOptions, understood: Understood, blocks: Sequence[int]) -> list[str]:
    """Build the arguments of the ingest job.

    Raises
    ------
    UsageError
        If they need the times of plays, and the logs have none.
    """
    if options.duplicates == "last" and (other := understood.without("timestamp")):
        columns = ", ".join(other.layout.columns)
        msg = f"--duplicates last needs the time of each rating, but the columns are {columns} in {other.path}; use mean"
        raise UsageError(msg)
    return [
        *log_arguments(options, understood),
        f"--duplicates={options.duplicates}",
        f"--min-user-plays={options.min_user_plays}",
        f"--min-item-plays={options.min_item_plays}",
        f"--user-blocks={blocks[0]}",
        f"--item-blocks={blocks[1]}",
    ]


def written(record: Record) -> Written | None:
    """Read what a task of the job reports of a block."""
    if record.kind != "total":
        return None
    side, *_, length, crc = json.loads(bytes(record.payload))
    return Written(side, record.block, length, crc)


def add_up(output: Output, known: dict[str, Any] | None = None, *, thresholded: bool = False) -> dict[str, Any]:
    """Add up the reports of the job, and check that both sides hold the same plays.

    Parameters
    ----------
    known : what became of the lines, of a job that has not read them itself
    thresholded : whether rows were left out of the input already, so that its sides differ
    """
    totals, most = {side: [0] * 6 for side in SIDES}, dict.fromkeys(SIDES, 0)
    info: dict[str, Any] = {side: output.data[side].to_json() for side in SIDES} | (known or {})
    for record in output.reports:
        report = json.loads(bytes(record.payload))
        if record.kind == "bad":
            info |= report
        else:
            totals[report[0]] = [a + b for a, b in zip(totals[report[0]], report[1:7], strict=True)]
            most[report[0]] = max(most[report[0]], report[2])
    if "bad" not in info:
        msg = "the report of the log lines is missing: a task's output was lost; prepare again"
        raise DamagedDataError(msg)
    if not thresholded:
        check_sides(totals)
    info |= {"n_users": totals["users"][0], "n_items": totals["items"][0]}
    info |= {"pairs": totals["users"][1], "plays": totals["users"][2] / STRENGTH_UNIT}
    used = (
        info["counts"]["lines"] - info["counts"]["filtered"] - info["others"].get(HEADER, 0) - sum(info["bad"]["counts"].values())
    )
    info["repeated"] = used - totals["users"][4]
    # distinct columns of every block, added up: the vectors that travel in a half whose join is a shuffle
    info["vectors"] = [totals[side][3] for side in SIDES]
    # pairs of the largest block: one row of very many makes it larger than the others
    info["most_pairs"] = [most[side] for side in SIDES]
    return info


def check_sides(totals: dict[str, list[int]]) -> None:
    """Check that both sides were made of the same plays, those of rows that are now left out among them."""
    (*_, pairs, units), (*_, other_pairs, other_units) = totals["users"], totals["items"]
    if (pairs, units) != (other_pairs, other_units):
        msg = (
            f"the users have {pairs} pairs and {units / STRENGTH_UNIT} plays, "
            f"the items {other_pairs} and {other_units / STRENGTH_UNIT}: a task's output was lost or doubled; prepare again"
        )
        raise DamagedDataError(msg)
