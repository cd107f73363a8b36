"""Recommend to many users: the driver of `jobs/mr_recommend.py`.

Users are written as blocks and items as tiles, each read from the memory-mapped model a piece at a time, so that
neither the driver nor a task holds all of either. The output directory appears in one step, when it is complete.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mr_als.engine.datasets import Dataset, Writer
from mr_als.engine.engine import Engine, Job
from mr_als.engine.outputs import new_output
from mr_als.errors import UsageError
from mr_als.maths.array import Array
from mr_als.maths.ranking.scoring import best_items, longest_norm
from mr_als.models.model import Model
from mr_als.options import TASK_MEMORY
from mr_als.progress import Progress
from mr_als.records.catalogue import USERS, USERS_PER_BLOCK, ItemsTile, UsersBlock
from mr_als.records.ids import Ids, ragged
from mr_als.records.join import match
from mr_als.storage.mirror import push
from mr_als.storage.places import scheme_of, storage_of


@dataclass(frozen=True)
class Wanted:
    """What is to be recommended.

    n : items a user
    include_played : whether what a user played may be among them
    as_json : one JSON object a user instead of lines; of a job
    task_memory : bytes; items are cut into tiles that take an eighth of it; of a job
    kept : int64 (n_kept,), ascending rows of the items to choose from; all if not given
    """

    n: int = 10
    include_played: bool = False
    as_json: bool = False
    task_memory: int = TASK_MEMORY
    kept: Array | None = None


def recommend_to(
    model: Model, users: Iterable[UsersBlock], wanted: Wanted, directory: str, engine: Engine, progress: Progress, place: str = ""
) -> Sequence[str]:
    """Write the best items of users to part files in `output` of `place` or `directory`, and return their paths.

    Parameters
    ----------
    users : from `stored_users` or `mr_als.recommending.fold_in`, in the order of the output
    directory : an existing empty directory, which also takes the job's input
    place : a directory on the cluster, if the job runs on one
    """
    kept = wanted.kept
    tiles = write_tiles(model, directory, wanted.task_memory, kept)
    written = write_users(users, os.path.join(directory, "users.raw"), engine.form, kept)
    n_items = len(model.item_hashes) if kept is None else len(kept)
    progress.say(
        f"recommend: {len(written.entries)} block(s) of users; each map task scores its blocks against "
        f"{n_items} items in {len(tiles)} tile(s), job mr_recommend on {engine.runner}"
    )
    arguments = [f"--number={min(wanted.n, n_items)}", f"--threads={engine.threads}"]
    arguments += ["--include-played"] * wanted.include_played + ["--as-json"] * wanted.as_json
    # each block of users is much work: it meets all items
    job = Job(
        "mr_recommend", [written], arguments, [("--items", tile) for tile in tiles], task_memory=wanted.task_memory, worth_a_task=1
    )
    return engine.run(job, place or directory).parts


def write_tiles(model: Model, directory: str, task_memory: int, kept: Array | None = None) -> list[str]:
    """Write the items, or those `kept`, as tiles of at most an eighth of a task's memory, and give their paths."""
    starts, n_items = model.item_ids.starts, len(model.item_hashes) if kept is None else len(kept)
    step = max(1, task_memory // 8 // (4 * model.rank))
    paths: list[str] = []
    for first in range(0, n_items, step):
        part = slice(first, min(first + step, n_items))
        paths.append(os.path.join(directory, f"items-{len(paths):03d}.bin"))
        if kept is None:
            factors, ends = np.asarray(model.item_factors[part]), np.asarray(starts[part.start : part.stop + 1])
            text = model.item_ids.text[ends[0] : ends[-1]]
        else:
            rows = kept[part]
            factors, lo, hi = np.asarray(model.item_factors[rows]), np.asarray(starts[rows]), np.asarray(starts[rows + 1])
            ends, text = np.concatenate([[0], np.cumsum(hi - lo)]), model.item_ids.text[ragged(lo, hi)]
        ItemsTile.write(paths[-1], first, factors, ends, text)
    return paths


def stored_users(model: Model, rows: Array) -> Iterator[UsersBlock]:
    """Yield the users `rows` of a model, block by block."""
    for start in range(0, len(rows), USERS_PER_BLOCK):
        part = rows[start : start + USERS_PER_BLOCK]
        lo, hi = np.asarray(model.plays_start[part]), np.asarray(model.plays_start[part + 1])
        names = model.user_ids
        ids = Ids.cut(np.asarray(names.text), np.asarray(names.starts[part]), np.asarray(names.starts[part + 1]) - 1)
        indptr = np.concatenate([[0], np.cumsum(hi - lo)])
        yield UsersBlock(ids, np.asarray(model.user_factors[part]), indptr, np.asarray(model.plays_item[ragged(lo, hi)]))


def write_users(users: Iterable[UsersBlock], path: str, form: str, kept: Array | None = None) -> Dataset:
    """Write blocks of users; what they played is named by its place among the items `kept`."""
    with Writer(USERS, path, form) as writer:
        for number, block in enumerate(users):
            writer.add(number, among(block, kept).pack())
        return writer.close()


def among(block: UsersBlock, kept: Array | None) -> UsersBlock:
    """Map the played items of a block of users to their places among the items `kept`; drop the others."""
    if kept is None:
        return block
    places, found = match(block.played, kept)
    before = np.concatenate([[0], np.cumsum(found)])
    return block._replace(indptr=before[block.indptr], played=places[found])


def recommend_here(model: Model, users: Iterable[UsersBlock], wanted: Wanted) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """Yield a few users and their best items, [(item, score)], computed in this process."""
    kept = wanted.kept
    items = model.item_factors if kept is None else np.asarray(model.item_factors[kept])
    rows_of = np.arange(len(model.item_hashes)) if kept is None else kept
    longest, n = longest_norm(items), min(wanted.n, len(rows_of))
    for whole in users:
        block = among(whole, kept)
        for user, name in enumerate(block.ids.to_list()):
            part = slice(user, user + 1)
            start, played = (None, None) if wanted.include_played else block.played_in(part, 0, len(rows_of))
            rows, scores = best_items(
                block.factors[part], items, n, lambda row: model.item_ids.raw(int(rows_of[row])), longest, start, played
            )
            found = zip(rows[0].tolist(), scores[0].tolist(), strict=True)
            yield name.decode(errors="surrogateescape"), [(model.item_ids[int(rows_of[r])], s) for r, s in found if r >= 0]


@contextmanager
def published(output: str | None) -> Iterator[str]:
    """Yield a work directory on this machine; what is in its `output` becomes the directory `output` when the work is done.

    In S3 or HDFS its files are copied one by one, `_SUCCESS` last.

    Raises
    ------
    UsageError
        If `output` exists, or cannot be written.
    """
    elsewhere = bool(output) and scheme_of(output or "") != "file"
    parent = os.path.dirname(os.path.abspath(output)) if output and not elsewhere else None
    with new_output("--output", output) if output else nullcontext():
        try:
            scratch = tempfile.mkdtemp(prefix=".mr-als-", dir=parent)
        except OSError as error:
            msg = f"--output {output}: cannot be written ({error.strerror}); name a directory that you may write to"
            raise UsageError(msg) from None
        try:
            yield scratch
            if output:
                done = os.path.join(scratch, "output")
                Path(done, "_SUCCESS").touch()
                if elsewhere:
                    push(done, output, last="_SUCCESS")
                else:
                    storage_of(output).rename(done, output)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def published_there(output: str) -> Iterator[str]:
    """Yield a work directory on a cluster likewise; nothing that its jobs wrote into its `output` is copied.

    Raises
    ------
    UsageError
        If `output` exists.
    """
    storage, place = storage_of(output), f"{output.rstrip('/')}.{uuid.uuid4().hex[:8]}.new"
    with new_output("--output", output):
        storage.make_directory(place)
        try:
            yield place
            storage.rename(os.path.join(place, "output"), output)
        finally:
            storage.remove(place)
