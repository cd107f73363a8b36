"""What is added up on the way: plays by the classic word count, and the Gram matrix Y'Y by the driver."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.solving.normal_equations import eigenbasis
from mr_als.records.blocks import STATS, StatsBlock
from mr_als.records.lines import decode
from mr_als.teaching.cluster import partition, run_task, shuffle
from mr_als.teaching.first_half import flat
from mr_als.teaching.lesson import Lesson, Section
from mr_als.teaching.text import equation, number, table, vector
from mr_als.teaching.trace import Traced


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


COUNTING = Section("word-count", "The word count, with plays", word_count)
GRAM = Section("gram", "Who adds up Y'Y", gram)
