"""The same half-iterations on Spark: what stays in the executors, what a lost machine costs, and what a checkpoint is for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from mr_als.records.lines import decode
from mr_als.teaching.cluster import run_task, shuffle
from mr_als.teaching.lesson import Lesson, Section
from mr_als.teaching.text import table
from mr_als.teaching.trace import Traced


def cache(lesson: Lesson) -> Iterator[str]:
    """Compare the bytes of a user half by `-r hadoop` and by `-r spark` on a cluster."""
    traced = Traced(lesson)
    with tempfile.TemporaryDirectory() as directory:
        arguments, inputs = traced.arguments(directory, "shuffle"), traced.half_grid_input(directory)
        written = {task: run_task("mr_solve", arguments, "map", lines) for task, lines in inputs.items()}
        arrived, sent = shuffle(written, 2)
        solved = [line for lines in arrived for line in run_task("mr_solve", arguments, "reduce", lines)]
    plays = sum(len(line) for line in traced.plays("users").values())
    plays_sent = sum(len(s.line) for s in sent if traced.describe(s).startswith("plays"))
    lines = [s.line for s in sent if not traced.describe(s).startswith("plays")]
    vectors = sum(map(len, lines))
    packed = sum(len(line) - len(text := line.rstrip(b"\n").split(b"\t")[2]) + len(decode(text)) for line in lines)
    read = sum(len(line) for lines in inputs.values() for line in lines) - plays
    out = sum(len(line) for line in solved if line.startswith(b"factors\t"))
    rows: list[tuple[str, int, int, str]] = [
        ("plays read from disk", plays, 0, "they stay in the executors after the first half"),
        ("plays sent", plays_sent, 0, "each block lies in the partition that solves it"),
        ("vectors of the other side read", read, read, "the same: from where the half before wrote them"),
        ("vectors sent", vectors, packed, "new in every half; between Spark's tasks no bytes have to be text"),
        ("vectors written", 3 * out, 3 * out, "the same: three copies in HDFS, from which a killed run goes on"),
    ]
    yield "bytes of a user half after the first"
    yield ""
    shown = [[what, str(hadoop).rjust(6), str(spark).rjust(5), why] for what, hadoop, spark, why in rows]
    yield from table(["", "Hadoop", "Spark", ""], shown, left=4)


def lineage(lesson: Lesson) -> Iterator[str]:
    """Lose an executor in half 3 and list what has to be computed again."""
    traced = Traced(lesson)
    blocks = {"users": traced.blocks(lesson.matrix.users), "items": traced.blocks(lesson.matrix.items)}
    yield "executor 0 holds partition 0 of everything, executor 1 partition 1. Executor 1 is lost in half 3."
    yield "what executor 0 has computed or sent is still there; what was on executor 1 is computed again, in this order:"
    yield ""
    for side in ("items", "users"):
        yield f"    plays of {side[:-1]} block 1 ({' '.join(blocks[side][1])})  <- the file that `prepare` wrote"
    for half in range(4):
        side, other = ("users", "items") if half % 2 else ("items", "users")
        name = f"half {half}, vectors of {' '.join(blocks[side][1])}"
        needs = [f"half {half - 1}, vectors of {' '.join(members)}" for members in routed(traced, side, other)]
        yield f"    {name}  <- {' and '.join(needs) if half else 'seed and ids'}"
    yield ""
    yield "one task for each half so far, each waiting for the one before: in half 21 it would be 22."
    yield "A checkpoint (vectors written to disk) ends the chain there. Every half of this project is one, on Hadoop and on Spark:"
    yield ""
    yield f"    plays of user block 1 ({' '.join(blocks['users'][1])})  <- the file that `prepare` wrote"
    yield f"    half 3, vectors of {' '.join(blocks['users'][1])}  <- the files of half 2"


def routed(traced: Traced, side: str, other: str) -> list[list[str]]:
    """List, by block of the other side, the names that block 1 of `side` needs."""
    plays, names = traced.lesson.matrix.plays, {"users": traced.lesson.matrix.users, "items": traced.lesson.matrix.items}
    plays = plays if side == "users" else plays.T
    rows = [names[side].index(name) for name in traced.blocks(names[side])[1]]
    needed = [[name for name in members if plays[rows, names[other].index(name)].any()] for members in traced.blocks(names[other])]
    return [members for members in needed if members]


SECTIONS = (
    Section("cache", "On Spark: what stays in the executors", cache),
    Section("lineage", "On Spark: a machine is lost", lineage),
)
