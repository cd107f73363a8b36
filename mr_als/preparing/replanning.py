"""prepare --replan: plays are written in as many blocks as they need by now, without their logs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mr_als.engine.outputs import held
from mr_als.errors import DamagedDataError
from mr_als.planning.choices import choose_blocks, fitting_blocks, given_or
from mr_als.planning.sizes import counted
from mr_als.preparing.ingesting import Task, clean, place_for, plain_bytes
from mr_als.preparing.plays import Plays, read_plays
from mr_als.preparing.segments import Segments, check_options, read_segments, write_segments
from mr_als.preparing.summing import in_use, merged, publish_sum, sum_of

__all__ = ["replan"]


def replan(task: Task) -> Plays:
    """Write the plays of a directory in as many blocks as they need by now, without their logs.

    Raises
    ------
    DamagedDataError
        If it is no plays directory.
    BusyError
        If another process works in the directory.
    """
    directory = task.directory
    task = task._replace(engine=place_for(directory, task.engine))
    with held(directory):
        segments = read_segments(directory)
        info = read_plays(directory).info if segments is None else {}
        asked = segments or Segments(info["options"], info.get("ratings", False), info["blocks"], [info])
        others = replace(task.options, user_blocks="auto", item_blocks="auto")
        check_options(asked, others, directory, ratings=task.ratings, reads=False)
        # plays that a program had in memory are of no files
        sizes = {} if "ids" in info else {path: int(mark[0]) for path, mark in asked.inputs.items()}
        auto = choose_blocks(plain_bytes(sizes), task.plan.task_memory)
        cut = _cut_at_once if segments is None else _cut
        grown, info = cut(asked, [*given_or((auto, auto), task.options)], task)
        fitting = [*fitting_blocks(counted(info, task.rank), task.options, task.plan)]
        if fitting != info["blocks"]:
            grown, info = cut(asked, fitting, task)
        if segments:
            write_segments(directory, grown, "replan")
        publish_sum(directory, info)
    task.progress.say(f"prepare: {info['blocks'][0]} blocks of users and {info['blocks'][1]} of items")
    return read_plays(directory, task.engine)


def _cut(segments: Segments, blocks: list[int], task: Task) -> tuple[Segments, dict[str, Any]]:
    """Add up all segments in other numbers of blocks, as a run; return them with it, and what `plays.json` is to say of the sum."""
    directory, memory = task.directory, task.plan.task_memory
    clean(directory, in_use(directory, segments))
    run = {**merged(directory, segments.parts, blocks, task.engine, memory), "of": segments.names}
    shorter = [one for one in segments.runs if one["of"] != run["of"]]  # that of all in the blocks before has no more use
    segments = replace(segments, blocks=blocks, options=_options_of(segments, task), runs=[*shorter, run])
    return segments, sum_of(directory, segments, task.engine, task.progress, memory)


def _cut_at_once(segments: Segments, blocks: list[int], task: Task) -> tuple[Segments, dict[str, Any]]:
    """Do so with plays that were prepared at once; what thresholds left out is not in them any more.

    Raises
    ------
    DamagedDataError
        If not the same plays came out.
    """
    clean(task.directory, in_use(task.directory, segments))
    before = segments.each[0]
    info = merged(task.directory, [before], blocks, task.engine, task.plan.task_memory, thresholded=True)
    for name in ("n_users", "n_items", "pairs", "plays"):
        if info[name] != before[name]:
            what = f"{before[name]} {name} became {info[name]}"
            msg = f"{task.directory}: {what}: a task's output was lost; run the same command again"
            raise DamagedDataError(msg)
    new = {name: info[name] for name in ("users", "items", "vectors", "most_pairs", "attempt", "blocks", "seconds")}
    return segments, {**before, **new, "options": _options_of(segments, task)}


def _options_of(segments: Segments, task: Task) -> dict[str, Any]:
    return {**segments.options, "user_blocks": task.options.user_blocks, "item_blocks": task.options.item_blocks}
