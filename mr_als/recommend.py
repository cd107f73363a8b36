"""Recommend to many users: the driver of `jobs/mr_recommend.py`.

Users are written as blocks and items as tiles, each read from the memory-mapped model a piece at a time, so that
neither the driver nor a task holds all of either. The output directory appears in one step, when it is complete.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mr_als.data.catalogue import USERS, ItemsTile, UsersBlock
from mr_als.data.ids import Ids, ragged
from mr_als.engine.datasets import Dataset, Writer
from mr_als.engine.launch import run_job
from mr_als.errors import UsageError
from mr_als.maths.scoring import longest_norm
from mr_als.model import Model
from mr_als.progress import Progress

if TYPE_CHECKING:
    from mr_als.engine.engines import Engine

USERS_PER_BLOCK = 2048


def recommend_to(
    model: Model, rows: npt.NDArray[Any], directory: str, engine: Engine, progress: Progress,
    *, n: int = 10, include_played: bool = False, as_json: bool = False, task_memory: int = 1 << 30,
) -> list[str]:  # fmt: skip
    """Write the best n items of the users `rows` to part files in `directory/output`; give their paths.

    Parameters
    ----------
    rows : integers (n_users,)
        The order of the output.
    directory : an existing empty directory, which also takes the job's input
    task_memory : bytes; items are cut into tiles that take an eighth of it
    """
    tiles = write_tiles(model, directory, task_memory)
    users = write_users(model, rows, os.path.join(directory, "users.raw"), engine.form)
    progress.say(
        f"recommend: {len(rows)} users; each map task scores its blocks of users against "
        f"{len(model.item_hashes)} items in {len(tiles)} tile(s), job mr_recommend on {engine.runner}"
    )
    arguments = ["--input", engine.form, f"--number={n}", f"--task-memory={task_memory}"]
    arguments += [word for tile in tiles for word in ("--items", tile)]
    arguments += ["--include-played"] * include_played + ["--as-json"] * as_json
    return run_job(
        "mr_recommend", users.write_input(directory, engine.tasks), os.path.join(directory, "output"), arguments, engine.runner,
        tasks=engine.tasks, mrjob_arguments=engine.mrjob_arguments,
    )  # fmt: skip


def write_tiles(model: Model, directory: str, task_memory: int) -> list[str]:
    """Write the items as tiles of at most an eighth of a task's memory, and give their paths."""
    n_items, starts = len(model.item_hashes), model.item_ids.starts
    step = max(1, task_memory // 8 // (4 * model.rank))
    paths: list[str] = []
    for first in range(0, n_items, step):
        part = slice(first, min(first + step, n_items))
        factors = np.asarray(model.item_factors[part])
        paths.append(os.path.join(directory, f"items-{len(paths):03d}.bin"))
        text = model.item_ids.text[starts[part.start] : starts[part.stop]]
        ItemsTile.write(paths[-1], first, longest_norm(factors), factors, np.asarray(starts[part.start : part.stop + 1]), text)
    return paths


def write_users(model: Model, rows: npt.NDArray[Any], path: str, form: str) -> Dataset:
    """Write users as blocks."""
    writer = Writer(USERS, path, form)
    for block, start in enumerate(range(0, len(rows), USERS_PER_BLOCK)):
        part = rows[start : start + USERS_PER_BLOCK]
        lo, hi = np.asarray(model.plays_start[part]), np.asarray(model.plays_start[part + 1])
        ids = Ids.of([model.user_ids.raw(int(row)) for row in part])
        indptr = np.concatenate([[0], np.cumsum(hi - lo)])
        played = np.asarray(model.plays_item[ragged(lo, hi)])
        writer.add(block, UsersBlock(ids, np.asarray(model.user_factors[part]), indptr, played).pack())
    return writer.close()


@contextmanager
def published(output: str | None) -> Iterator[str]:
    """Give a directory to work in; what is in its `output` becomes the directory `output` when the work is done.

    Raises
    ------
    UsageError
        If `output` exists, or cannot be written.
    """
    parent = os.path.dirname(os.path.abspath(output)) if output else None
    if output and os.path.lexists(output):
        msg = f"--output {output} exists; name a new directory, or remove it first"
        raise UsageError(msg)
    try:
        scratch = tempfile.mkdtemp(prefix=".mr-als-", dir=parent)
    except OSError as error:
        msg = f"--output {output}: cannot be written ({error.strerror}); name a directory that you may write to"
        raise UsageError(msg) from None
    try:
        yield scratch
        if output:
            done = Path(scratch, "output")
            (done / "_SUCCESS").touch()
            done.rename(output)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
