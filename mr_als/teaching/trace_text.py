"""The sections of the trace: what `mr-als walkthrough --trace` prints of splits, jobs, joins and a killed task."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.solving.normal_equations import eigenbasis
from mr_als.records.blocks import STATS, StatsBlock
from mr_als.records.lines import decode
from mr_als.teaching.cluster import Sent, partition, run_task, shuffle
from mr_als.teaching.first_half import flat
from mr_als.teaching.full_grid import full_grid, partial_equations, sum_and_solve
from mr_als.teaching.lesson import Lesson, Section
from mr_als.teaching.text import equation, number, table, vector
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


def word_count(lesson: Lesson) -> Iterator[str]:
    """Count the plays of each item as the first example of every introduction to MapReduce counts words."""
    traced = Traced(lesson)
    sent: dict[str, list[tuple[str, float]]] = {}
    for n, lines in enumerate(traced.splits):
        counted: dict[str, float] = {}
        for line in lines:
            _, item, plays = line.decode().rstrip("\n").split("\t")
            counted[item] = counted.get(item, 0.0) + float(plays)
            sent.setdefault(item, [])
        for item, plays_of_item in sorted(counted.items()):
            sent[item].append((f"map {n}", plays_of_item))
    rows = []
    for item, parts in sorted(sent.items()):
        terms = " + ".join(number(plays) for _, plays in parts)
        whole = number(sum(plays for _, plays in parts))
        producers = ", ".join(producer for producer, _ in parts)
        rows.append([item, producers, f"reduce {partition(item.encode(), 2)}", terms if terms == whole else f"{terms} = {whole}"])
    yield "the plays of each item: a map task sums those of its split, and sends `item TAB plays`"
    yield ""
    yield from table(["key", "from", "to", "added there"], rows, left=4)


def gram(lesson: Lesson) -> Iterator[str]:
    """Show who adds up Y'Y: the driver, from the last records of the tasks that wrote Y."""
    traced = Traced(lesson)
    with tempfile.TemporaryDirectory() as directory:
        initial = {f"map {n}": lines for n, lines in traced.half_0(directory).items()}
        arguments, inputs = traced.arguments(directory, "shuffle"), traced.half_grid_input(directory)
        arrived, _ = shuffle({task: run_task("mr_solve", arguments, "map", lines) for task, lines in inputs.items()}, 2)
        solved = {f"reduce {n}": run_task("mr_solve", arguments, "reduce", lines) for n, lines in enumerate(arrived)}
    yield "the last record of each task that writes vectors; those of half 0 are the item vectors to begin with"
    yield ""
    yield from added("Y'Y", initial, traced.blocks(lesson.matrix.items))
    spectrum, _ = eigenbasis(lesson.start.T @ lesson.start)
    yield ""
    yield f"The driver adds in the order of the blocks. Every task of half 1 gets the sum, as spectrum {vector(spectrum)} and"
    yield f"basis: {traced.shared_bytes} bytes. The tasks that write the user vectors of half 1 do the same for half 2:"
    yield ""
    yield from added("X'X", solved, traced.blocks(lesson.matrix.users))


def added(name: str, written: dict[str, list[bytes]], members: Sequence[Sequence[str]]) -> Iterator[str]:
    """Show the Gram matrices that tasks wrote, and their sum."""
    rows, terms = [], []
    for task, lines in written.items():
        for line in lines:
            kind, numbered, text = line.rstrip(b"\n").split(b"\t")
            if kind == STATS.encode():
                stats = StatsBlock.unpack(decode(text))
                names = " ".join(members[int(numbered.split(b".")[0])])
                rows.append([task, names, str(len(line)), flat(stats.gram)])
                terms.append(stats.gram)
    width = max(len(row[2]) for row in rows)
    yield from table(
        ["task", "vectors of", "bytes", "Gram matrix"], [[*r[:2], r[2].rjust(max(width, 5)), r[3]] for r in rows], left=4
    )
    yield ""
    parts: list[str | Array] = [f"{name} = ", terms[0]]
    for term in terms[1:]:
        parts += [" + ", term]
    yield from equation(*parts, " = ", np.sum(terms, axis=0))


SECTIONS = (
    Section("splits", "The log, its splits and blocks", splits),
    Section("word-count", "The word count, with plays", word_count),
    Section("prepare", "prepare: from lines to blocks", prepare),
    Section("broadcast", "Half 1 by broadcast", broadcast),
    Section("full-grid", "Half 1 by the full grid", full),
    Section("half-grid", "Half 1 by the half grid", half_grid),
    Section("gram", "Who adds up Y'Y", gram),
    Section("killed", "A map task is killed", killed),
)
