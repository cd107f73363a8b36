"""How the work is laid out: from logs to recommendations, one half on two machines, three ways to join."""

from __future__ import annotations

from collections.abc import Sequence

from drawing import Drawing

from mr_als.teaching.full_grid import full_grid
from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS
from mr_als.teaching.trace import N_BLOCKS, Half, Traced


def blocks(traced: Traced) -> list[tuple[str, str]]:
    """List the names of each user block and of the item block of the same number."""
    sides = (traced.blocks(names) for names in (EXAMPLE.users, EXAMPLE.items))
    return [(" ".join(users), " ".join(items)) for users, items in zip(*sides, strict=True)]


def mapreduce() -> Drawing:
    """Draw two machines: splits, map tasks, shuffle, reduce tasks, output; the half grid's records on the arrows."""
    traced = Traced(Lesson(EXAMPLE, EXAMPLE_FACTORS))
    d = Drawing(900, 385, "One half-iteration on two machines")
    for x, words in zip((80, 240, 445, 655, 825), ("disk", "map tasks", "shuffle (network)", "reduce tasks", "disk"), strict=True):
        d.text(x, 28, words, css="faint")
    for n, (users, items) in enumerate(blocks(traced)):
        y = 60 + 180 * n
        d.shape("rect", "open l-faint dashed", x=14, y=y - 22, width=872, height=150, rx=10)
        d.text(24, y + 122, f"machine {n}", anchor="start", size=12, css="faint")
        d.box(30, y - 8, 116, 44, [f"plays {n}", users], "blue")
        d.box(30, y + 50, 116, 44, [f"items {n}", items], "orange")
        d.box(190, y + 16, 100, 50, [f"map {n}", "routes"])
        d.arrow(146, y + 14, 190, y + 34)
        d.arrow(146, y + 72, 190, y + 50)
        d.box(600, y + 16, 110, 50, [f"reduce {n}", "joins, solves"])
        d.box(780, y + 16, 90, 50, [f"x of {users}"], "green")
        d.arrow(710, y + 41, 780, y + 41)
    for sent, what in traced.half_grid().sent:
        start, end = int(sent.producer[-1]), sent.partition
        shift = 0 if start != end else (-12 if what.startswith("plays") else 12)
        y0, y1 = 60 + 180 * start + 41 + shift, 60 + 180 * end + 41 + shift
        label = what.split(",")[0].replace("vectors of", "y of")
        d.arrow(290, y0, 600, y1, f"{label}: {len(sent.line)} B")
    return d


def joins() -> Drawing:
    """Draw what travels in each of the three joins."""
    traced = Traced(Lesson(EXAMPLE, EXAMPLE_FACTORS))
    named = blocks(traced)
    everywhere = {(start, end): items for start, (_, items) in enumerate(named) for end in range(N_BLOCKS)}
    full, half = (_labels(traced, found) for found in (full_grid(traced), traced.half_grid()))
    vectors, parts = (sum(len(words.split()) for words in found.values()) for found in (half, full))
    rank = traced.lesson.rank
    counts = (
        f"{N_BLOCKS} tasks x {len(EXAMPLE.items)} vectors",
        f"{parts} parts of {rank * (rank + 3) // 2} numbers",
        f"{vectors} vectors of {rank} numbers",
    )
    columns = (
        ("broadcast", "all item vectors to every map task", counts[0], "all fit into a task's memory"),
        ("full grid", "parts of A and b to the user's reducer", counts[1], "an item block fits into it"),
        ("half grid", "vectors to the blocks that need them", counts[2], "always, the rest waits on disk"),
    )
    d = Drawing(900, 330, "Three ways to join plays and vectors")
    for n, (words, labels) in enumerate(zip(columns, (everywhere, full, half), strict=True)):
        _join(d, 20 + 295 * n, words, labels, named)
    return d


def _labels(traced: Traced, half: Half) -> dict[tuple[int, int], str]:
    """Map (map task, reduce task) to the names of whom vectors, or parts, were sent."""
    order = [*EXAMPLE.users, *EXAMPLE.items]
    sent = ((int(s.producer[-1]), s.partition, what.rsplit(" of ", 1)[1].split()) for s, what in half.sent if "pairs" not in what)
    return {(start, end): " ".join(sorted(names, key=order.index)) for start, end, names in sent}


def _join(
    d: Drawing, x: float, words: tuple[str, str, str, str], labels: dict[tuple[int, int], str], named: Sequence[tuple[str, str]]
) -> None:
    name, what, count, suits = words
    d.box(x, 16, 270, 298, [])
    d.text(x + 135, 42, name, size=16, bold=True)
    d.text(x + 135, 62, what, size=12, css="faint")
    for n, (users, items) in enumerate(named):
        d.box(x + 10 + 130 * n, 80, 120, 40, [items], "orange")
        d.box(x + 10 + 130 * n, 210, 120, 40, [users], "blue")
    for (start, end), label in labels.items():
        x0, x1 = (x + 70 + 130 * n for n in (start, end))
        # beside each other where they would cross
        d.arrow(x0, 120, x1, 210, label, ground="grey", at=0.6 if start == end else (0.22, 0.9)[start], lift=0)
    d.text(x + 135, 276, count, bold=True)
    d.text(x + 135, 298, f"when: {suits}", size=11, css="faint")


def loop() -> Drawing:
    """Draw the way from logs to recommendations."""
    d = Drawing(900, 250, "From logs to recommendations")
    d.box(14, 90, 126, 60, ["play logs", "who, what, when"], "blue")
    d.box(180, 90, 120, 60, ["prepare", "blocks, twice"])
    d.box(360, 30, 170, 60, ["user half", "items fixed"])
    d.box(360, 150, 170, 60, ["item half", "users fixed"])
    d.box(620, 30, 120, 60, ["model", "X, Y, ids, plays"], "green")
    d.box(620, 150, 250, 60, ["recommend, similar, explain", "evaluate, export, report"])
    d.arrow(140, 120, 180, 120)
    d.arrow(300, 110, 360, 70)
    d.arrow(300, 130, 360, 170)
    d.arrow(480, 90, 480, 150, "x of users", lift=-4)
    d.arrow(410, 150, 410, 90, "y of items", lift=-4)
    d.arrow(530, 60, 620, 60, "no change")
    d.arrow(680, 90, 700, 150)
    return d
