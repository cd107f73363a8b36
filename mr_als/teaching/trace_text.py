"""The sections of the trace: what `mr-als walkthrough --trace` prints of splits, jobs, joins and a killed task."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from mr_als.teaching import sums
from mr_als.teaching.cluster import Sent, run_task, shuffle
from mr_als.teaching.full_grid import full_grid, partial_equations, sum_and_solve
from mr_als.teaching.lesson import Lesson, Section
from mr_als.teaching.text import table, vector
from mr_als.teaching.trace import Half, Traced


def splits(lesson: Lesson) -> Iterator[str]:
    """Show the log, its splits and the blocks of both sides."""
    traced = Traced(lesson)
    yield "the log, a line for each pair: user, item, plays; its two splits"
    yield ""
    for n, lines in enumerate(traced.splits):
        shown = "   ".join(line.decode().replace("\t", " ").strip() for line in lines)
        yield f"    split {n} -> map {n}     {shown}"
    yield ""
    yield "blocks: an id's block is the top of its hash, so every task computes it alone and all agree"
    yield ""
    for side, names in (("user", lesson.matrix.users), ("item", lesson.matrix.items)):
        for n, members in enumerate(traced.blocks(names)):
            yield f"    {side} block {n}     {' '.join(members) or '(empty)'}"


def prepare(lesson: Lesson) -> Iterator[str]:
    """Show the records of `prepare`."""
    traced = Traced(lesson)
    yield from sent_table(traced.prepare_sent)
    yield ""
    yield "each reduce task merges what came for a block, and writes"
    yield ""
    for (side, block), line in sorted(traced.prepared.items()):
        yield f"    plays of {side[:-1]} block {block}     {len(line)} bytes"


def broadcast(lesson: Lesson) -> Iterator[str]:
    """Show the user half by the broadcast join."""
    yield from half(lesson, Traced(lesson).broadcast())


def full(lesson: Lesson) -> Iterator[str]:
    """Show the user half by the full grid."""
    yield from half(lesson, full_grid(Traced(lesson)))


def half_grid(lesson: Lesson) -> Iterator[str]:
    """Show the user half by the half grid."""
    yield from half(lesson, Traced(lesson).half_grid())


def half(lesson: Lesson, traced: Half) -> Iterator[str]:
    """Show what is read, what is sent and what comes out."""
    yield "read from files"
    yield ""
    yield from table(["task", "what", "bytes"], [[task, what, str(size)] for task, what, size in traced.reads], left=2)
    yield ""
    if traced.sent:
        yield "sent from map to reduce"
        yield ""
        yield from sent_table(traced.sent)
    else:
        yield "sent from map to reduce: nothing; a map task solves the users of the block that it reads"
    yield ""
    yield "solved"
    yield ""
    yield from (f"    {user}  {vector(traced.factors[user])}" for user in lesson.matrix.users)


def sent_table(sent: Sequence[tuple[Sent, str]]) -> list[str]:
    """Format a table of records and their routes."""
    header = ["from", "key", "partition", "to", "bytes", "what"]
    rows = [[s.producer, s.key, str(s.partition), s.consumer, str(len(s.line)), what] for s, what in sent]
    widths = max(len(row[4]) for row in [header, *rows])
    return table(header, [[*row[:4], row[4].rjust(widths), row[5]] for row in rows], left=6)


def killed(lesson: Lesson) -> Iterator[str]:
    """Kill a map task in the middle of its output, and run it again."""
    traced = Traced(lesson)
    with tempfile.TemporaryDirectory() as directory:
        arguments = traced.arguments(directory, "shuffle")
        inputs = traced.half_grid_input(directory)
        written = {task: run_task("mr_solve", arguments, "map", lines) for task, lines in inputs.items()}
        undisturbed = output_of(arguments, written)
        lost, last = written["map 1"][:1], written["map 1"]
        cut = last[len(lost)][: len(last[len(lost)]) // 2]
        yield f"attempt 0 of map 1 is killed after {len(lost)} record and {len(cut)} of the {len(last[1])} bytes of the next"
        yield "    these lie in a folder of this attempt, which is thrown away; no reduce task has read from it"
        again = run_task("mr_solve", arguments, "map", inputs["map 1"])
        yield f"attempt 1 of map 1 reads the same split on another machine: {len(again)} records"
        yield f"    the same bytes as without the kill: {'yes' if again == written['map 1'] else 'no'}"
        after = output_of(arguments, {**written, "map 1": again})
        yield f"reduce tasks fetch from attempt 1 and solve; the same output: {'yes' if after == undisturbed else 'no'}"
        yield ""
        doubled, _ = shuffle({**written, "map 1, attempt 0": lost}, 2)
        same = [line for lines in doubled for line in run_task("mr_solve", arguments, "reduce", lines)] == undisturbed
        yield "and if the record of attempt 0 were delivered as well?"
        yield f"    half grid: the same output: {'yes' if same else 'no'}; a record is put in its place, twice is as good as once"
        yield from doubled_parts(traced)


def output_of(arguments: Sequence[str], written: dict[str, list[bytes]]) -> list[bytes]:
    """Run the reduce tasks and return everything they write."""
    arrived, _ = shuffle(written, 2)
    return [line for lines in arrived for line in run_task("mr_solve", arguments, "reduce", lines)]


def doubled_parts(traced: Traced) -> Iterator[str]:
    """Show what a record that comes twice does to sums."""
    items = [names for names in traced.blocks(traced.lesson.matrix.items) if names]
    lines = [line for names in items for line in partial_equations(traced, names)]
    right, wrong = sum_and_solve(traced, lines), sum_and_solve(traced, [*lines, lines[-1]])
    user = next(user for user in wrong if not np.allclose(right[user], wrong[user]))
    yield f"    full grid: x_{user} becomes {vector(wrong[user])} instead of {vector(right[user])}; parts are summed,"
    yield "    and one too many is wrong"


SECTIONS = (
    Section("splits", "The log, its splits and blocks", splits),
    sums.COUNTING,
    Section("prepare", "prepare: from lines to blocks", prepare),
    Section("broadcast", "Half 1 by broadcast", broadcast),
    Section("full-grid", "Half 1 by the full grid", full),
    Section("half-grid", "Half 1 by the half grid", half_grid),
    sums.GRAM,
    Section("killed", "A map task is killed", killed),
)
