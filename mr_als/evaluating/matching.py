"""Match held-out plays with a published model: what `mr_als.evaluating.evaluate` evaluates, and what it can not.

Test plays, the history of new users and given candidates are prepared like any log, in blocks of the same users. Plays and
model are sorted by hash, so each join is a merge of two sorted lists, one block of users at a time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mr_als.engine.datasets import Dataset, Writer
from mr_als.errors import BadInputError
from mr_als.logs.streams import open_log
from mr_als.maths.array import Array
from mr_als.models.model import Model
from mr_als.options import InputOptions, PlanOptions
from mr_als.preparing.plays import Plays
from mr_als.preparing.prepare import Source, prepare
from mr_als.progress import Progress
from mr_als.recommending.fold_in import duplicates_of
from mr_als.records.blocks import PlaysBlock
from mr_als.records.catalogue import USERS_PER_BLOCK
from mr_als.records.csr import row_of
from mr_als.records.held_out import HELD_OUT, HeldOutBlock, Rows
from mr_als.records.ids import block_of, ragged
from mr_als.records.join import join, match

if TYPE_CHECKING:
    from mr_als.engine.engine import Engine

__all__ = ["LeftOut", "Reading", "candidate_pairs", "unknown_items", "write_blocks"]

_PAIR = re.compile(rb"\((.+),(.+)\)")


class LeftOut(dict[str, int]):
    """What could not be evaluated, counted by reason."""

    def count(self, reason: str, n: int) -> None:
        """Count n more."""
        self[reason] = self.get(reason, 0) + int(n)


class Reading:
    """Reads logs as blocks of users that fit the model's hashes; `work` is a directory here, `place` one that tasks see."""

    def __init__(
        self, model: Model, inputs: InputOptions, engine: Engine, progress: Progress, work: str, place: str, task_memory: int
    ) -> None:
        self.n_blocks = max(1, -(-len(model.user_hashes) // USERS_PER_BLOCK))
        self._inputs = replace(
            inputs,
            salt=model.info["options"]["inputs"]["salt"],
            duplicates=duplicates_of(model),
            user_blocks=str(self.n_blocks),
            item_blocks="auto",
            min_user_plays=0.0,
            min_item_plays=0.0,
        )
        self._engine, self._progress, self._work, self._place = engine, progress, work, place
        self._plan, self._ratings = PlanOptions(task_memory=task_memory), model.weights.explicit

    def plays(self, name: str, logs: Sequence[str] | Source, inputs: InputOptions | None = None) -> Plays:
        """Prepare logs."""
        place = os.path.join(self._place, name)
        chosen = inputs or self._inputs
        return prepare(logs, place, chosen, self._engine, self._progress, self._plan, ratings=self._ratings)

    def candidates(self, path: str) -> Plays:
        """Prepare the candidates in a file."""
        pairs = os.path.join(self._work, "candidates.tsv")
        with open(pairs, "wb") as out:
            out.writelines(candidate_pairs(path))
        return self.plays(
            "candidates",
            self._engine.stage([pairs], self._place),
            replace(self._inputs, format="auto", columns="user,item", delimiter="tab", duplicates="sum"),
        )


def candidate_pairs(path: str) -> Iterator[bytes]:
    """Yield `user TAB item` lines from a file of candidates.

    A line is a user and one item or more, between tabs. In the usual files of 99 negatives it begins with `(user,item)`, where
    item is the test item, instead of the user.

    Raises
    ------
    BadInputError
        If the file can not be read, or a line has no item.
    """
    try:
        with open_log(path) as file:
            for number, line in enumerate(file, 1):
                user, *items = line.rstrip(b"\r\n").split(b"\t")
                if pair := _PAIR.fullmatch(user):
                    user, items = pair[1], [pair[2], *items]
                if not user or not items:
                    msg = f"--candidates {path}:{number}: expected a user and items between tabs, got {line[:60]!r}"
                    raise BadInputError(msg)
                yield from (b"%s\t%s\n" % (user, item) for item in items if item)
    except OSError as error:
        msg = f"--candidates {path}: {error.strerror}; expected a file of lines `user TAB item`"
        raise BadInputError(msg) from None


def unknown_items(model: Model, test: Plays) -> int:
    """Count the items of the test that the model does not know."""
    blocks = (PlaysBlock.unpack(buffer, checked=True).hashes for _, buffer in test.items.blocks())
    return sum(int((~match(hashes, model.item_hashes)[1]).sum()) for hashes in blocks)


def write_blocks(model: Model, parts: dict[str, Plays | None], n_blocks: int, path: str, form: str, left_out: LeftOut) -> Dataset:
    """Join the plays with the model, block by block, and write what the job reads."""
    writer = Writer(HELD_OUT, path, form)
    edges = np.searchsorted(block_of(model.user_hashes, n_blocks), np.arange(n_blocks + 1))
    readers = {name: _BlockReader(plays) for name, plays in parts.items()}
    for block in range(n_blocks):
        given = {name: reader.block(block) for name, reader in readers.items()}
        users = _Users(model, slice(int(edges[block]), int(edges[block + 1])), given["history"])
        writer.add(block, users.held_out(given["test"], given["candidates"], parts["candidates"] is not None, left_out).pack())
    return writer.close()


class _BlockReader:
    """Reader of the blocks of prepared plays, in ascending order; some are missing."""

    def __init__(self, plays: Plays | None) -> None:
        self._blocks = iter(plays.users.blocks() if plays else ())
        self._next: Any = next(self._blocks, None)

    def block(self, number: int) -> PlaysBlock | None:
        """Read a block; None if it is missing."""
        if self._next is None or self._next[0] != number:
            return None
        buffer, self._next = self._next[1], next(self._blocks, None)
        return PlaysBlock.unpack(buffer, checked=True)


class _Users:
    """The users of one block: those of the model, and new ones by their history, which goes before the model's."""

    def __init__(self, model: Model, rows: slice, history: PlaysBlock | None) -> None:
        self.model = model
        known = np.asarray(model.user_hashes[rows])
        fresh = np.zeros(0, np.uint64) if history is None else history.hashes
        self.hashes = np.union1d(known, fresh)
        self.new = np.isin(self.hashes, fresh)
        stored = rows.start + np.searchsorted(known, self.hashes[~self.new])
        self.factors = np.zeros((len(self.hashes), model.rank), np.float32)
        self.factors[~self.new] = model.user_factors[stored]
        self.played = self._history(history) if history is not None else Rows.empty(len(self.hashes))
        if not self.new.all():
            self._add_stored(stored)

    def _history(self, history: PlaysBlock) -> Rows:
        return self.aligned(history, LeftOut())

    def _add_stored(self, stored: Array) -> None:
        """Put the plays of the model's users between those of the new ones."""
        lo, hi = np.asarray(self.model.plays_start[stored]), np.asarray(self.model.plays_start[stored + 1])
        places, owners = ragged(lo, hi), np.repeat(np.flatnonzero(~self.new), hi - lo)
        owners = np.concatenate([self.played.owners, owners])
        order = np.argsort(owners, kind="stable")
        items = np.concatenate([self.played.items, np.asarray(self.model.plays_item[places])])
        plays = np.concatenate([self.played.plays, np.asarray(self.model.plays_amount[places])])
        self.played = _rows(owners[order], items[order], plays[order], len(self.hashes))

    def aligned(self, block: PlaysBlock, left_out: LeftOut) -> Rows:
        """Align plays with these users and the model's items, as rows; count the plays of others."""
        explicit = self.model.weights.explicit
        known, columns = match(block.columns, self.model.item_hashes)
        joined = join(block, known, columns, zeros=explicit)
        place, mine = match(block.hashes, self.hashes)
        if not explicit:  # plays of 0 are none
            block = block._replace(strengths=np.where(block.strengths > 0, 1, 0))
        counted = block.strengths > 0 if not explicit else np.ones(len(block.strengths), bool)
        owners = row_of(block.indptr)
        left_out.count("cold_users", len(np.unique(owners[counted & ~mine[owners]])))
        left_out.count("cold_user_pairs", (counted & ~mine[owners]).sum())
        left_out.count("cold_item_pairs", (counted & mine[owners] & ~columns[block.indices]).sum())
        joined_owners = row_of(joined.indptr)
        keep = mine[joined_owners]
        return _rows(
            place[joined_owners[keep]],
            joined.indices[keep].astype(np.int64),
            joined.strengths[keep].astype(np.float64),
            len(self.hashes),
        )

    def held_out(self, test: PlaysBlock | None, candidates: PlaysBlock | None, within: bool, left_out: LeftOut) -> HeldOutBlock:
        """Build what the job reads, without the test pairs and candidates that were played in training."""
        n = len(self.hashes)
        rows = self.aligned(test, left_out) if test is not None else Rows.empty(n)
        replayed = self.played.contains(rows)
        left_out.count("played_in_training", replayed.sum())
        rows = rows.keep(~replayed)
        ranked = Rows.empty(n)
        if within:
            unknown = LeftOut()
            ranked = self.aligned(candidates, unknown) if candidates is not None else ranked
            left_out.count("unknown_candidates", unknown.get("cold_item_pairs", 0) + unknown.get("cold_user_pairs", 0))
            seen = self.played.contains(ranked)
            left_out.count("played_candidates", seen.sum())
            ranked = _union(ranked.keep(~seen), rows, n)
        left_out.count("users", (np.diff(rows.indptr) > 0).sum())
        left_out.count("pairs", len(rows.items))
        return HeldOutBlock(self.hashes, self.new.astype(np.uint8), self.factors, self.played, rows, ranked)


def _rows(owners: Array, items: Array, plays: Array, n_users: int) -> Rows:
    """Make rows of entries in the order of their owners."""
    return Rows(np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=n_users))]), items, plays)


def _union(one: Rows, other: Rows, n_users: int) -> Rows:
    """Join the entries of two rows, each once."""
    top = int(max(one.items.max(initial=0), other.items.max(initial=0))) + 1
    keys = np.union1d(one.owners * top + one.items, other.owners * top + other.items)
    return _rows(keys // top, keys % top, np.ones(len(keys)), n_users)
