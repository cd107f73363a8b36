"""The full grid, Spotify's first design: plays are cut into cells of user block x item block, one task a column of cells.

A map task holds the vectors of one item block only, and writes for each user what these items add to A and b, whose sums
a reducer solves. Nothing needs all item vectors; but parts of A travel, rank (rank + 1) / 2 numbers each, where a vector
has rank. This project sends vectors instead (the half grid, `jobs/mr_solve.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mr_als.maths.array import Array
from mr_als.records.blocks import pack, unpack
from mr_als.records.lines import decode, write_lines
from mr_als.teaching.cluster import Sent, shuffle
from mr_als.teaching.trace import SHARED, Half, Traced


def full_grid(traced: Traced) -> Half:
    """Run a user half on two map tasks, one an item block, and two reduce tasks."""
    lesson = traced.lesson
    written, reads = {}, [(f"reduce {n}", SHARED, traced.shared_bytes) for n in range(2)]
    lines = traced.plays("items")
    for n, items in enumerate(traced.blocks(lesson.matrix.items)):
        if items:
            vectors = len(items) * (8 + 4 * lesson.rank)
            reads += [(f"map {n}", f"vectors of {' '.join(items)}", vectors), (f"map {n}", "plays of these items", len(lines[n]))]
            written[f"map {n}"] = partial_equations(traced, items)
    arrived, sent = shuffle(written, 2)
    factors: dict[str, Array] = {}
    for sorted_lines in arrived:
        factors |= sum_and_solve(traced, sorted_lines)
    return Half(reads, [(s, describe(traced, s)) for s in sent], factors)


def partial_equations(traced: Traced, items: Sequence[str]) -> list[bytes]:
    """Build a line per user block: for each of its users who played some of `items`, the user's part of A and b."""
    lesson, upper = traced.lesson, np.triu_indices(traced.lesson.rank)
    columns = [lesson.matrix.items.index(item) for item in items]
    lines = []
    for block, users in enumerate(traced.blocks(lesson.matrix.users)):
        names, parts, sums = [], [], []
        for user in users:
            row = lesson.matrix.users.index(user)
            played = [i for i in columns if lesson.matrix.plays[row, i] > 0]
            if played:
                y, c = lesson.start[played], lesson.confidence[row, played]
                names.append(user)
                parts.append(((y.T * (c - 1)) @ y)[upper])  # symmetric: half of it is enough
                sums.append(y.T @ c)
        if names:
            payload = pack([traced.hashes(names), np.ravel(parts).astype(np.float32), np.ravel(sums).astype(np.float32)])
            lines += [b"%08d\t%s\t%s\n" % (block, *value) for _, value in write_lines("parts", block, payload)]
    return lines


def sum_and_solve(traced: Traced, lines: Sequence[bytes]) -> dict[str, Array]:
    """Add the parts up and solve: what a reducer does."""
    k, Y = traced.lesson.rank, traced.lesson.start
    shared = Y.T @ Y + traced.lesson.regularization * np.eye(k)
    whole: dict[str, Array] = {}
    for line in lines:
        hashes, parts, sums = unpack(decode(line.rstrip(b"\n").split(b"\t")[2]))
        numbers = np.hstack([parts.reshape(len(hashes), -1), sums.reshape(len(hashes), -1)]).astype(float)
        for user, row in zip(traced.named(hashes), numbers, strict=True):
            whole[user] = whole.get(user, 0.0) + row
    solved = {}
    for user, row in whole.items():
        upper = np.zeros((k, k))
        upper[np.triu_indices(k)] = row[:-k]
        solved[user] = np.linalg.solve(shared + upper + np.triu(upper, 1).T, row[-k:])
    return solved


def describe(traced: Traced, sent: Sent) -> str:
    """Say what a record holds."""
    hashes = unpack(decode(sent.line.rstrip(b"\n").split(b"\t")[2]))[0]
    return f"parts of A and b of {' '.join(traced.named(hashes))}"
