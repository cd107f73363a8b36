"""The sum of segments, which is what is trained on: the bytes of all their logs prepared at once (`jobs/mr_merge.py`).

It is made when it is asked for, and kept: nights on which nobody trains cost nothing. Thresholds apply to it, once. A reader
may still have the sum before open, so that stays until the next one; what a training reads stays until it is done (`reading`).
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Sequence
from typing import Any

from mr_als.engine.engine import Engine, Job
from mr_als.engine.outputs import held
from mr_als.engine.runs import crash_point
from mr_als.engine.together import Together
from mr_als.errors import DamagedDataError, UsageError
from mr_als.logs.tally import added
from mr_als.options import TASK_MEMORY
from mr_als.preparing.became import check_usable
from mr_als.preparing.ingesting import add_up, clean, new_attempt, place_for, written
from mr_als.preparing.log_files import fingerprint
from mr_als.preparing.plays import Plays, read_plays, write_plays
from mr_als.preparing.segments import Segments, read_info, read_segments
from mr_als.progress import Progress
from mr_als.records.blocks import SIDES
from mr_als.storage.places import scheme_of, storage_of

__all__ = ["identify", "in_use", "merged", "open_plays", "publish_sum", "sum_of"]


def open_plays(
    directory: str, engine: Engine = Engine(), progress: Progress | None = None, task_memory: int = TASK_MEMORY
) -> Plays:
    """Open a plays directory; where logs were added to it since it was last read, sum up its segments first.

    Raises
    ------
    DamagedDataError
        If it is none, or a file is missing or has another size.
    BusyError
        If the sum is to be made, and another process works in the directory.
    """
    if (segments := read_segments(directory)) is None:
        return read_plays(directory, engine)
    if not _is_sum_of(read_info(directory), segments):
        adding = _engine_for(directory, engine)
        with held(directory):
            segments = read_segments(directory) or segments
            if not _is_sum_of(read_info(directory), segments):
                clean(directory, in_use(directory, segments))
                publish_sum(directory, sum_of(directory, segments, adding, progress or Progress(quiet=True), task_memory))
    return read_plays(directory, engine)


def _engine_for(directory: str, engine: Engine) -> Engine:
    """Choose the engine that adds up segments: plays on this machine here, wherever they are then trained on.

    Raises
    ------
    UsageError
        If they lie elsewhere, and the engine does not.
    """
    if scheme_of(directory) == "file":
        return place_for(directory, Engine() if engine.on_cluster else engine)
    if not engine.on_cluster:
        msg = f"{directory}: its segments have not been added up yet, which is done where they lie: give -r hadoop, emr or spark"
        raise UsageError(msg)
    return place_for(directory, engine)


def _is_sum_of(info: dict[str, Any], segments: Segments) -> bool:
    asked = [segments.names, segments.blocks, segments.options]
    return [info.get(name) for name in ("segments", "blocks", "options")] == asked


def in_use(directory: str, segments: Segments) -> set[str]:
    """Return the attempts that somebody may read: segments and runs of them, the sum, and the sum before."""
    info = read_info(directory)
    return {*segments.names, *(run["attempt"] for run in segments.runs), info.get("attempt", ""), info.get("before", "")}


def sum_of(directory: str, segments: Segments, engine: Engine, progress: Progress, task_memory: int) -> dict[str, Any]:
    """Sum up the segments of a directory that is held; return what `plays.json` is to say of it.

    Raises
    ------
    BadInputError
        If nothing is left above the thresholds.
    """
    parts = segments.parts
    one = parts[0]
    if len(parts) == 1 and segments.thresholds == (0, 0) and one["blocks"] == segments.blocks:
        info = {name: value for name, value in one.items() if name != "of"}
    else:
        what = f"{len(segments.each)} segment(s) in {len(parts)} part(s)"
        progress.say(f"prepare: adding up {what}; job mr_merge: mappers pass blocks on, reducers sum them")
        info = merged(directory, parts, segments.blocks, engine, task_memory, segments.thresholds)
    check_usable(info, info["plays"] and info["n_users"] and info["n_items"])
    return {**info, "options": segments.options, "ratings": segments.ratings, "segments": segments.names}


def publish_sum(directory: str, info: dict[str, Any]) -> None:
    """Let a sum count; the one before stays for its readers."""
    before = read_info(directory).get("attempt", "")
    if before not in (info["attempt"], ""):
        info = {**info, "before": before}
    crash_point("before-sum")
    write_plays(directory, info)
    crash_point("after-sum")


def merged(
    directory: str,
    each: Sequence[dict[str, Any]],
    blocks: Sequence[int],
    engine: Engine,
    task_memory: int,
    thresholds: tuple[float, float] = (0, 0),
    *,
    thresholded: bool = False,
) -> dict[str, Any]:
    """Merge segments into the files of a new attempt, and return all that is known of it.

    Parameters
    ----------
    thresholds : plays of users and of items below which they are left out
    thresholded : whether some were left out already
    """
    started = time.monotonic()
    data = []
    for one in each:
        for side in SIDES:
            data.append(engine.load(one[side], os.path.join(directory, one["attempt"])))
            _check(data[-1], one)
    attempt, base = new_attempt(directory)
    arguments = [f"--user-blocks={blocks[0]}", f"--item-blocks={blocks[1]}"]
    arguments += [f"--min-user-plays={thresholds[0]}", f"--min-item-plays={thresholds[1]}"]
    arguments += ["--cut"] * any(one["blocks"] != [*blocks] for one in each)
    job = Job("mr_merge", [Together(data)], arguments, kinds=SIDES, written=written, task_memory=task_memory)
    info = add_up(engine.run(job, base), added(each), thresholded=thresholded)
    info |= {"attempt": attempt, "blocks": [*blocks], "columns": each[0]["columns"], "names": each[0].get("names", {})}
    info["inputs"] = {path: known for one in each for path, known in one["inputs"].items()}
    return {**info, "seconds": time.monotonic() - started}


def _check(data: Any, segment: dict[str, Any]) -> None:
    """Check that the files of a segment are there."""
    try:
        data.check_sizes()
    except DamagedDataError as error:
        first, *more = sorted(segment["inputs"])
        logs = f"{first}{f' and {len(more)} more logs' if more else ''}"
        msg = f"{error}; it held {logs}: prepare all logs again, into another directory"
        raise DamagedDataError(msg) from None


def identify(plays: Plays) -> dict[str, Any]:
    """Identify opened plays: by their file, or where they are a sum by what it is the sum of, whichever segments hold it."""

    def absolute(name: str) -> str:
        return storage_of(plays.directory).absolute(os.path.join(plays.directory, name))

    if "segments" not in plays.info:
        return fingerprint([absolute("plays.json")])
    of = {name: plays.info[name] for name in ("inputs", "options", "ratings", "blocks")}
    return {absolute("segments.json"): zlib.crc32(json.dumps(of, sort_keys=True).encode())}
