"""prepare: play logs become plays, blocks of users and blocks of items (`jobs/mr_ingest.py`).

<directory>/plays.json        written last: without it nothing below counts
<directory>/<attempt>/users.raw, items.raw; on a cluster output/part-*, the parts of the job
<directory>/bad-lines.tsv     samples of the lines that were left out
"""

from __future__ import annotations

import json
import os
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mr_als.engine.engine import Engine, Job, Output, Written
from mr_als.engine.outputs import held
from mr_als.errors import DamagedDataError, UsageError
from mr_als.logs.logs import COMPRESSED
from mr_als.logs.tally import HEADER
from mr_als.options import InputOptions, PlanOptions
from mr_als.planning.choices import COMPRESSION, choose_blocks, fitting_blocks, given_or
from mr_als.planning.sizes import counted
from mr_als.preparing.became import check_lines, check_usable, tell_lines
from mr_als.preparing.inputs import Understood, check_engine, find_layouts, log_arguments
from mr_als.preparing.log_files import Logs, by_archive, place_of, unpacking
from mr_als.preparing.plays import Plays, read_plays
from mr_als.progress import Progress
from mr_als.records.blocks import SIDES, STRENGTH_UNIT
from mr_als.records.lines import REFERENCES, Record
from mr_als.storage.places import scheme_of, storage_of

if TYPE_CHECKING:
    pass


class Source(ABC):
    """Plays that come from elsewhere than from log files."""

    @abstractmethod
    def fingerprint(self, options: InputOptions, *, ratings: bool = False) -> dict[str, Any]:
        """Identify them, as log files are by path, size and time of change."""

    @abstractmethod
    def prepare(
        self,
        directory: str,
        options: InputOptions,
        engine: Engine,
        progress: Progress,
        plan: PlanOptions,
        rank: int,
        *,
        ratings: bool,
    ) -> Plays:
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
    progress = progress or Progress(quiet=True)
    if isinstance(logs, Source):
        return logs.prepare(directory, options, engine, progress, plan, rank, ratings=ratings)
    engine.check_place(*logs)
    engine = engine.owned_by(directory)
    found_logs = Logs.of(logs, engine.form)
    if engine.form == REFERENCES and scheme_of(directory) != "file":
        msg = f"{directory}: -r {engine.runner} keeps plays on this machine; name a local directory"
        raise UsageError(msg)
    storage_of(directory).make_directory(directory)
    with held(directory), unpacking(directory):
        return _prepare(found_logs, directory, options, engine, progress, plan, rank, ratings=ratings)


def _prepare(
    found_logs: Logs,
    directory: str,
    options: InputOptions,
    engine: Engine,
    progress: Progress,
    plan: PlanOptions,
    rank: int,
    *,
    ratings: bool,
) -> Plays:
    """Prepare in a directory that is held."""
    storage, inputs, chosen = storage_of(directory), found_logs.fingerprint(), asdict(options)
    if (found := storage.read(os.path.join(directory, "plays.json"))) is not None:
        if same(found, inputs, {"options": chosen, "ratings": ratings}):
            return read_plays(directory, engine)
        storage.remove(os.path.join(directory, "plays.json"))
    started = time.monotonic()
    found_logs = found_logs.unpacked(directory)
    understood = find_layouts(found_logs.paths, options, ratings=ratings, scratch=place_of(directory))
    check_engine(understood, engine)
    found_logs = found_logs.understood(understood.kinds, understood.left_out)
    found_logs.tell(progress, "prepare")
    understood.tell(progress, "prepare")
    progress.say(
        f"prepare: {len(found_logs.paths)} log file(s); job mr_ingest: "
        "mappers parse and sum plays, the shuffle brings each block of users and each block of items to a reducer, which merges it"
    )

    def ingest(blocks: list[int]) -> dict[str, Any]:
        for name in storage.names(directory):
            if name.startswith("attempt-"):
                storage.remove(os.path.join(directory, name))
        attempt = f"attempt-{uuid.uuid4().hex[:8]}"
        base = os.path.join(directory, attempt)
        storage.make_directory(base)
        arguments = job_arguments(options, understood, blocks)
        job = Job("mr_ingest", [found_logs], arguments, kinds=SIDES, written=written, task_memory=plan.task_memory)
        return {**by_archive(add_up(engine.run(job, base)), directory), "attempt": attempt, "blocks": blocks}

    info = ingest(count_blocks(found_logs, options, plan.task_memory))
    if said := check_lines(info, options, os.path.join(directory, "bad-lines.tsv"), storage):
        progress.say(f"prepare: {said}")
    tell_lines(info, options, progress, "prepare")
    check_usable(info, info["plays"] and info["n_users"] and info["n_items"])
    if rank and (fitting := [*fitting_blocks(counted(info, rank), options, plan)]) != info["blocks"]:
        rows = f"{info['n_users']} users and {info['n_items']} items"
        progress.say(f"prepare: {rows} are too many for {info['blocks']} blocks; reading the logs again for {fitting}")
        info = ingest(fitting)
    info |= {"inputs": inputs, "options": chosen, "ratings": ratings, "columns": list(understood.layouts[0].columns)}
    info["seconds"] = time.monotonic() - started
    storage.replace(os.path.join(directory, "plays.json"), json.dumps(info, indent=1).encode())
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


def count_blocks(logs: Logs, options: InputOptions, task_memory: int) -> list[int]:
    """Choose the numbers of user blocks and item blocks."""
    dense = (*COMPRESSED, ".parquet")
    n_bytes = sum(size * (COMPRESSION if path.endswith(dense) else 1) for path, size in logs.sizes.items())
    auto = choose_blocks(n_bytes, task_memory)
    return list(given_or((auto, auto), options))


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


def add_up(output: Output) -> dict[str, Any]:
    """Add up the reports of the job, and check that both sides hold the same plays."""
    totals, most = {side: [0] * 6 for side in SIDES}, dict.fromkeys(SIDES, 0)
    info: dict[str, Any] = {side: output.data[side].to_json() for side in SIDES}
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
