"""prepare --add and --drop: a plays directory takes in new logs, and lets old ones go, without reading the others again.

Everything is done in a directory that is held, and counts when `segments.json` is replaced: what was killed before that has not
been, and the same command does it.

It is long because both ways to change a directory, and what is refused of them, have to be read together.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from mr_als.engine.outputs import held
from mr_als.errors import BadInputError, UsageError
from mr_als.logs.times import in_words, parse_moment
from mr_als.options import flag_of
from mr_als.planning.choices import choose_blocks, given_or
from mr_als.preparing.ingesting import Task, clean, place_for, plain_bytes, read_logs
from mr_als.preparing.log_files import Logs, unpacking
from mr_als.preparing.plays import read_plays
from mr_als.preparing.segments import (
    BLOCKS,
    THRESHOLDS,
    Segments,
    check_names,
    check_options,
    of_segments,
    read_info,
    read_segments,
    write_segments,
)
from mr_als.preparing.summing import in_use, merged

__all__ = ["Grown", "grow"]

DAY = 86400
# neighbours that are added up as soon as there are so many: 91 nights are then seven parts
TOGETHER = 8


class Grown(NamedTuple):
    """What became of a plays directory.

    info : what is known of the new segment, as in `plays.json`; empty if there is none
    added, skipped : logs that were given, and are now in it; and those that are not added, as they were before
    dropped : segments that were taken away
    segments, logs : how many there are now
    """

    info: dict[str, Any]
    added: int
    skipped: int
    dropped: int
    segments: int
    logs: int


def grow(logs: Sequence[str], task: Task, drop: str = "", many: int = TOGETHER) -> Grown:
    """Add what is new of some logs to a plays directory as a segment, and take away segments older than `drop`.

    Parameters
    ----------
    drop : a moment; or a number of days such as 90d, the last of which stay, counted from the last time in the plays
    many : neighbours that are added up before they are asked for

    Raises
    ------
    BadInputError
        If a log that is in has changed, or there is no usable line in the new ones, or too many bad ones.
    UsageError
        If the sum of the segments would be another one than that of all logs prepared at once.
    BusyError
        If another process works in the directory.
    """
    directory = task.directory
    if drop:
        _moment(drop, 0.0)  # what is no moment is refused before anything is read
    task.engine.check_place(*logs)
    task = task._replace(engine=place_for(directory, task.engine))
    with held(directory), unpacking(directory):
        segments = _segments_of(task, reads=bool(logs))
        new, skipped = _new_logs(logs, segments, task) if logs else (None, 0)
        added = _read(new, segments, task) if new else {}
        if added:
            segments = replace(segments, blocks=added["blocks"], each=[*segments.each, added])
        dropped = len(segments.each)
        if drop:
            segments = _without(segments, drop, task)
        dropped -= len(segments.each)
        if added or dropped:
            write_segments(directory, segments, "segment")
        _tell(segments, task)
        segments = _run_together(segments, many, task)
        clean(directory, in_use(directory, segments))
    return Grown(added, len(added.get("inputs", {})), skipped, dropped, len(segments.each), len(segments.inputs))


def _segments_of(task: Task, *, reads: bool) -> Segments:
    """Read the segments of a directory; plays that were prepared at once are the first one, and nothing is none yet."""
    directory, options = task.directory, task.options
    if options.duplicates != "sum":
        msg = (
            f"--duplicates {options.duplicates} looks at all ratings of a user and item, and of those that are in one is left; "
            "prepare all logs at once, without --add"
        )
        raise UsageError(msg)
    if (segments := read_segments(directory)) is None:
        segments = _at_once(directory) or Segments(asdict(options), task.ratings, [])
    if not segments.each and not reads:
        msg = f"{directory}: no plays in it; begin with `mr-als prepare LOGS --plays {directory} --add`"
        raise UsageError(msg)
    check_options(segments, options, directory, ratings=task.ratings, reads=reads)
    return segments


def _at_once(directory: str) -> Segments | None:
    """Take plays that were prepared at once for a segment; None if there are none.

    Raises
    ------
    UsageError
        If they cannot be one, as something was left out that counts when more comes.
    """
    if not (info := read_info(directory)):
        return None
    read_plays(directory)
    if "ids" in info:
        msg = f"{directory} was made of what a program had in memory; prepare logs into a directory of their own"
        raise UsageError(msg)
    options = info["options"]
    for name in (*THRESHOLDS, "duplicates"):
        if options[name] not in (0, "sum"):
            flag = f"{flag_of(name)} {options[name]:{'' if isinstance(options[name], str) else 'g'}}"
            msg = (
                f"{directory} was prepared with {flag}, and what that left out is not known, which more plays might bring back; "
                "prepare all its logs with --add into another directory, where such options apply to the sum"
            )
            raise UsageError(msg)
    kept = {name: value for name, value in info.items() if name not in ("format", "options", "ratings", "before")}
    kept = {"others": {}, "times": None, **kept}  # of which 0.1.0 says nothing
    return Segments(options, info.get("ratings", False), info["blocks"], [kept])


def _new_logs(logs: Sequence[str], segments: Segments, task: Task) -> tuple[Logs | None, int]:
    """Find the logs that are not in yet, and count the others, which are named."""
    known, gone = segments.inputs, segments.dropped
    found = Logs.of(logs, task.engine.form, {**known, **gone})
    prints = {path: [*mark] for path, mark in found.fingerprint().items()}
    if changed := [path for path in prints if path in known and prints[path] != known[path]]:
        msg = (
            f"{changed[0]} has changed (size or time) since it was added to {task.directory}, and what it held is not taken out; "
            "prepare all logs again into another directory"
        )
        raise BadInputError(msg)
    new = tuple(path for path in found.paths if path not in known and prints[path] != gone.get(path))
    for others, what in ((known, "in already"), (gone.keys() - known.keys(), "dropped before, and stay out")):
        if some := [path for path in found.paths if path in others and path not in new]:
            more = f" and {len(some) - 1} more" if len(some) > 1 else ""
            task.progress.say(
                f"prepare: {len(some)} of {len(found.paths)} log(s) {'are' if more else 'is'} {what}: {some[0]}{more}"
            )
    return (replace(found, paths=new) if new else None), len(found.paths) - len(new)


def _read(new: Logs, segments: Segments, task: Task) -> dict[str, Any]:
    """Make a segment of logs: nothing is left out of it for being below a threshold."""
    options = replace(task.options, min_user_plays=0.0, min_item_plays=0.0)
    if segments.each:
        options = replace(options, user_blocks=str(segments.blocks[0]), item_blocks=str(segments.blocks[1]))
    info = read_logs(new, task._replace(options=options), in_use(task.directory, segments))
    check_names(segments, info["names"], task.directory)
    return {name: value for name, value in info.items() if name not in ("options", "ratings")}


def _without(segments: Segments, drop: str, task: Task) -> Segments:
    """Take away the segments that are older than a moment as a whole, and say of which a part is."""
    if timeless := next((one for one in segments.each if not one["times"]), None):
        msg = f"--drop {drop}: the plays of {min(timeless['inputs'])} have no times, so it is not known how old they are"
        raise UsageError(msg)
    bound = _moment(drop, max(one["times"][1] for one in segments.each))
    kept = [one for one in segments.each if one["times"][1] >= bound]
    gone = [one for one in segments.each if one["times"][1] < bound]
    _check_drop(kept, gone, drop, bound)
    for one in kept:
        if (first := one["times"][0]) < bound:
            task.progress.warn(
                f"warning: prepare: plays from {in_words(first)} to {in_words(one['times'][1])} are one segment, which stays, "
                f"though --drop {drop} is {in_words(bound)}; what is added a day at a time can be dropped a day at a time"
            )
    paths = {path: mark for one in gone for path, mark in one["inputs"].items()}
    task.progress.say(f"prepare: dropped {len(gone)} segment(s) of {len(paths)} log(s), older than {in_words(bound)}")
    names = {one["attempt"] for one in kept}
    runs = [run for run in segments.runs if names.issuperset(run["of"])]
    return replace(segments, each=kept, runs=runs, dropped={**segments.dropped, **paths})


def _check_drop(kept: list[dict[str, Any]], gone: list[dict[str, Any]], drop: str, bound: float) -> None:
    """Raise UsageError if nothing, or only what a wrong clock dated, would be left."""
    if not kept:
        msg = f"--drop {drop}: all plays are older than {in_words(bound)}, so nothing would be left"
        raise UsageError(msg)
    if len(kept) == 1 < len(gone) and drop.endswith("d"):
        # a clock that was wrong, once, would take all plays away
        msg = (
            f"--drop {drop}: the last play of {min(kept[0]['inputs'])} is of {in_words(kept[0]['times'][1])}, and all other "
            f"{len(gone)} segments end before {in_words(bound)}; if that is right, name that date: --drop {in_words(bound)[:10]}"
        )
        raise UsageError(msg)


def _moment(drop: str, last: float) -> float:
    """Read a moment, or a number of days back from the end of that of the last play (UTC): never from now."""
    if days := re.fullmatch(r"(\d{1,6})d", drop):
        return float((math.floor(last / DAY) + 1 - int(days[1])) * DAY)
    try:
        return parse_moment(drop)
    except (ValueError, OverflowError):
        msg = f"--drop {drop!r} is neither a time such as 2024-03-01 nor a number of days such as 90d"
        raise UsageError(msg) from None


def _tell(segments: Segments, task: Task) -> None:
    """Say when there are too few blocks for so much."""
    sizes = {path: int(mark[0]) for path, mark in segments.inputs.items()}
    auto = choose_blocks(plain_bytes(sizes), task.plan.task_memory)
    wanted = given_or((auto, auto), replace(task.options, **{name: segments.options[name] for name in BLOCKS}))
    if any(asked >= 2 * have for asked, have in zip(wanted, segments.blocks, strict=True)):
        task.progress.warn(
            f"warning: prepare: {segments.blocks[0]} blocks of users and {segments.blocks[1]} of items are few for all of them, "
            f"and tasks take more memory than they should; next: mr-als prepare --plays {shlex.quote(task.directory)} --replan"
        )


def _run_together(segments: Segments, many: int, task: Task) -> Segments:
    """Add up neighbours, and then neighbours of these sums, so that there are never many parts to be added up.

    The segments stay, and with them the shorter runs: when one is dropped, only the runs that it is in go.
    """
    while some := _neighbours(segments.parts, many):
        of = [name for one in some for name in of_segments(one)]
        task.progress.say(f"prepare: adding up {len(of)} segments, so that the sum of all takes less")
        run = merged(task.directory, some, segments.blocks, task.engine, task.plan.task_memory)
        segments = replace(segments, runs=[*segments.runs, {**run, "of": of}])
        write_segments(task.directory, segments, "merge")
    return segments


def _neighbours(parts: list[dict[str, Any]], many: int) -> list[dict[str, Any]]:
    """Find the first so many neighbours that are sums of equally many segments; none if there are no such."""
    for at in range(len(parts) - many + 1):
        some = parts[at : at + many]
        if len({len(of_segments(one)) for one in some}) == 1:
            return some
    return []
