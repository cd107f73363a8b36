"""What was collected becomes the files of an attempt: the blocks of both sides, merged, packed and written by several threads."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from mr_als.engine.datasets import Dataset, Writer
from mr_als.engine.engine import Output
from mr_als.options import InputOptions
from mr_als.planning.choices import choose_blocks
from mr_als.plays.matrix import Cutting, MatrixTable
from mr_als.plays.merging import finished
from mr_als.plays.pairs import merged_blocks
from mr_als.preparing.collecting import Collected
from mr_als.preparing.ingesting import add_up
from mr_als.records.blocks import SIDES, Packed, PlaysBlock
from mr_als.records.lines import Record

__all__ = ["first_choice", "lay_down"]

# threads: each holds the blocks that it makes, and there is little to gain from more, as they share one memory
THREADS = 4

T = TypeVar("T")


class _Made(NamedTuple):
    """A block as it is written, what is reported of it, and the bytes of a log with the same plays."""

    block: int
    packed: Packed
    total: list[int]
    n_bytes: int


class _Side(NamedTuple):
    """The blocks of one side as they were written, what is reported of them, and the bytes of a log with the same plays."""

    dataset: Dataset
    reports: list[Record]
    n_bytes: int


def first_choice(found: Collected, task_memory: int) -> int:
    """Choose a number of blocks: of a matrix the one that is right, else the least."""
    least = choose_blocks(0, task_memory)
    if (matrix := _matrix(found)) is None or choose_blocks(matrix.most_log_bytes, task_memory) == least:
        return least
    return choose_blocks(matrix.log_bytes(), task_memory)


def lay_down(found: Collected, base: str, blocks: Sequence[int], options: InputOptions, *, lasting: bool) -> dict[str, Any]:
    """Write the blocks of both sides; give what `plays.json` says of them, and the bytes of a log with the same plays.

    Parameters
    ----------
    base : directory for them
    lasting : whether they are to be there after a power cut
    """
    least = (options.min_user_plays, options.min_item_plays)

    def write(number: int, made: Iterable[_Made]) -> _Side:
        return _written(SIDES[number], made, base, lasting=lasting)

    with ThreadPoolExecutor(max(2, min(os.cpu_count() or 1, THREADS))) as pool:
        if (matrix := _matrix(found)) is not None:
            cutting = Cutting(matrix, blocks[0])
            users = write(0, _in_order(pool, [partial(_made, task, least[0]) for task in cutting.of_users()]))
            items = write(1, _in_order(pool, [partial(_made, task, least[1]) for task in cutting.of_items(blocks[1])]))
        else:
            merged = [
                (_finished(*block, threshold) for block in merged_blocks(found.tables, side, n, options.duplicates))
                for side, n, threshold in zip(SIDES, blocks, least, strict=True)
            ]
            users, items = pool.map(write, range(2), merged)
    reports = [*users.reports, *items.reports, Record("bad", 0, json.dumps(found.report).encode())]
    output = Output(dict(zip(SIDES, (users.dataset, items.dataset), strict=True)), reports)
    return {**add_up(output), "n_bytes": users.n_bytes + items.n_bytes}


def _matrix(found: Collected) -> MatrixTable | None:
    """Return the matrix that all plays are in, if so."""
    return found.tables[0] if len(found.tables) == 1 and isinstance(found.tables[0], MatrixTable) else None


def _made(task: Callable[[], Iterator[tuple[int, PlaysBlock]]], threshold: float) -> list[_Made]:
    return [_finished(*block, threshold) for block in task()]


def _finished(block: int, plays: PlaysBlock, threshold: float) -> _Made:
    # of a line with a digit of plays: `user TAB item TAB 1 LF`
    n_bytes = int(np.diff(plays.indptr) @ (plays.ids.lengths.astype(np.int64) + 2))
    return _Made(block, *finished(plays, threshold), n_bytes)


def _written(side: str, made: Iterable[_Made], base: str, *, lasting: bool) -> _Side:
    """Write the blocks of a side, in their order."""
    reports, n_bytes = [], 0
    with Writer(side, os.path.join(base, f"{side}.raw"), lasting=lasting) as writer:
        for block, packed, total, size in made:
            writer.add_packed(block, packed, total[-1])
            reports.append(Record("total", block, json.dumps([side, *total]).encode()))
            n_bytes += size
        return _Side(writer.close(), reports, n_bytes)


def _in_order(pool: Executor, calls: Iterable[Callable[[], list[T]]]) -> Iterator[T]:
    """Yield what calls return, in their order; a few of them are ahead of what was yielded."""
    running: deque[Future[list[T]]] = deque()
    for call in calls:
        running.append(pool.submit(call))
        if len(running) > THREADS:
            yield from running.popleft().result()
    while running:
        yield from running.popleft().result()
