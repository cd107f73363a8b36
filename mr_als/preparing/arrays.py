"""prepare, of what a program has in memory: the same plays directory as of a log with the same plays, without a text of them.

Rows become codes and pairs in a table (`mr_als.plays.pairs`), which is laid aside in a file whenever it is full; a sparse matrix
is one table as it stands (`mr_als.plays.matrix`). The tables are cut into blocks and merged as the ingest job does it, by the
same functions, so the blocks have the same bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from mr_als.errors import UsageError
from mr_als.options import TASK_MEMORY, InputOptions
from mr_als.planning.choices import choose_blocks, fitting_blocks, given_or
from mr_als.planning.sizes import counted
from mr_als.preparing.batches import batches_of, is_matrix
from mr_als.preparing.became import check_lines, check_usable, tell_lines
from mr_als.preparing.collecting import Collected, collect_batches, collect_matrix
from mr_als.preparing.ingesting import Task, clean, new_attempt
from mr_als.preparing.laying import first_choice
from mr_als.preparing.laying import lay_down as laid_down
from mr_als.preparing.plays import Plays, read_plays, write_plays
from mr_als.preparing.prepare import Source, same
from mr_als.records.lines import REFERENCES
from mr_als.storage.places import scheme_of, storage_of

__all__ = ["Arrays"]


class Arrays(Source):
    """Plays in memory, or that come a piece at a time.

    Parameters
    ----------
    plays : a scipy.sparse matrix, users x items; an object with `__arrow_c_stream__`; or an iterable of tuples
    lasting : whether a run of these plays may be gone on with, so that they are identified by their content
    """

    def __init__(self, plays: Any, *, lasting: bool = True) -> None:
        self._plays, self._lasting = plays, lasting
        self._collected: tuple[tuple[InputOptions, bool], Collected] | None = None
        self._checksums: list[int] | None = None

    def __str__(self) -> str:
        return "plays"

    def fingerprint(self, options: InputOptions, *, ratings: bool = False) -> dict[str, Any]:
        """Identify them by their content."""
        found = self.collect(options, ratings=ratings).tables if self._lasting else []
        if self._checksums is None:
            self._checksums = [block.packed().inner for table in found for _, block in table.blocks("users", 1)]
        return {type(self._plays).__name__: self._checksums}

    def collect(self, options: InputOptions, task_memory: int = TASK_MEMORY, *, ratings: bool = False) -> Collected:
        """Read all plays, once for the same options: some can be read only once.

        Raises
        ------
        UsageError
            If they are such, and have been read with other options.
        BadInputError
            If they are not what plays can be.
        """
        # these are of what comes later, and differ between a sweep, which identifies plays, and an evaluation of them
        key = replace(options, user_blocks="auto", item_blocks="auto", min_user_plays=0.0, min_item_plays=0.0), ratings
        if self._collected is None or self._collected[0] != key:
            if self._collected is not None and isinstance(self._plays, Iterator):
                msg = f"plays are a {type(self._plays).__name__}, which can be read once, and are needed again; give a list"
                raise UsageError(msg)
            if is_matrix(self._plays) and options.duplicates == "sum":
                found = collect_matrix(self._plays, options)
            else:
                found = collect_batches(batches_of(self._plays, options, ratings=ratings), options, task_memory)
            self._collected, self._checksums = (key, found), None
        return self._collected[1]

    def prepare(self, task: Task) -> Plays:
        """Write a plays directory, as `mr_als.preparing.prepare.prepare` does."""
        directory, engine, ratings = task.directory, task.engine, task.ratings
        if engine.form != REFERENCES or scheme_of(directory) != "file":
            msg = f"-r {engine.runner} works elsewhere, and plays in memory are prepared here; write logs there, and give paths"
            raise UsageError(msg)
        started, storage = time.monotonic(), storage_of(directory)
        storage.make_directory(directory)
        found = self.collect(task.options, task.plan.task_memory, ratings=ratings)
        inputs, chosen = self.fingerprint(task.options, ratings=ratings), {"options": asdict(task.options), "ratings": ratings}
        if (before := storage.read(os.path.join(directory, "plays.json"))) is not None and same(before, inputs, chosen):
            return read_plays(directory, engine)
        info = self._fitting(found, task) | {"inputs": inputs, **chosen, "columns": list(found.columns), "ids": found.kinds}
        write_plays(directory, {**info, "seconds": time.monotonic() - started})
        return read_plays(directory, engine)

    def _fitting(self, found: Collected, task: Task) -> dict[str, Any]:
        """Lay plays down in as many blocks as they need, known when it has been done once; check what became of them."""
        directory, options, engine, progress, plan, rank, _ = task

        def lay_down(blocks: list[int]) -> dict[str, Any]:
            clean(directory)
            attempt, base = new_attempt(directory)
            lasting = self._lasting and engine.lasting
            return {**laid_down(found, base, blocks, options, lasting=lasting), "attempt": attempt, "blocks": blocks}

        first = first_choice(found, plan.task_memory)
        info = lay_down([*given_or((first, first), options)])
        if said := check_lines(info, options, os.path.join(directory, "bad-lines.tsv"), storage_of(directory)):
            progress.say(f"prepare: {said}")
        tell_lines(info, options, progress, "prepare")
        check_usable(info, info["plays"] and info["n_users"] and info["n_items"])
        auto = choose_blocks(info.pop("n_bytes"), plan.task_memory)
        blocks = given_or((auto, auto), options)
        if rank:
            blocks = fitting_blocks(counted({**info, "blocks": [*blocks]}, rank), options, plan)
        if [*blocks] != info["blocks"]:
            info = lay_down([*blocks])
            info.pop("n_bytes")
        return info
