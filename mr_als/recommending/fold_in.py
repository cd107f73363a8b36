"""Users whom the model does not know: with plays they are folded in, without them there is popularity.

Fold-in solves a user's equations for the published items, as the last half of training did for all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mr_als.errors import BadInputError
from mr_als.maths.array import Array
from mr_als.maths.fold_in import fold_in
from mr_als.maths.solve import Observed
from mr_als.options import TASK_MEMORY, InputOptions, PlanOptions
from mr_als.preparing.plays import Plays
from mr_als.preparing.prepare import prepare
from mr_als.progress import Progress
from mr_als.records.blocks import PlaysBlock
from mr_als.records.catalogue import USERS_PER_BLOCK, UsersBlock
from mr_als.records.csr import row_of
from mr_als.records.join import join, match

if TYPE_CHECKING:
    from mr_als.engine.engine import Engine
    from mr_als.models.model import Model

__all__ = ["FoldIn", "duplicates_of", "prepare_new"]


def prepare_new(
    model: Model, logs: Sequence[str], directory: str, engine: Engine, progress: Progress, task_memory: int = TASK_MEMORY
) -> Plays:
    """Read the plays of new users, any log format, with the model's salt."""
    given = model.info["options"]["inputs"]
    inputs = replace(InputOptions(), salt=given["salt"], min_ms_played=given["min_ms_played"], duplicates=duplicates_of(model))
    plan = PlanOptions(task_memory=task_memory)
    return prepare(logs, directory, inputs, engine, progress, plan, ratings=model.weights.explicit)


def duplicates_of(model: Model) -> str:
    """Say what several lines of one pair make: a model of ratings takes their mean where it was not told otherwise."""
    rule: str = model.info["options"]["inputs"].get("duplicates", "sum")
    return "mean" if rule == "sum" and model.weights.explicit else rule


class FoldIn:
    """Solves new users for a model's items.

    n_unknown : int, pairs left out so far because the model does not know their item
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._eigenbasis = model.item_eigenbasis
        self.n_unknown = 0

    def solve(self, indptr: Array, items: Array, plays: Array) -> Array:
        """Solve for the factors of users, float32 (n_users, rank), from the items (rows) they played."""
        model = self.model
        return fold_in(
            Observed(indptr, items, plays),
            lambda rows: np.asarray(model.item_factors[rows]),
            self._eigenbasis,
            len(model.item_hashes),
            model.weights,
            model.info["options"]["solver"]["solver"],
        )

    def blocks(self, plays: Plays, only: Sequence[str] = ()) -> Iterator[UsersBlock]:
        """Yield users with their factors and what they played, block by block; only the users in `only`, if it names any.

        Raises
        ------
        BadInputError
            If a named user has no plays.
        """
        wanted = {name.encode("utf-8", "surrogateescape") for name in only}
        found: set[bytes] = set()
        for _, buffer in plays.users.blocks():
            block = PlaysBlock.unpack(buffer, checked=True)
            rows = np.arange(len(block.hashes))
            if wanted:
                names = block.ids.to_list()
                rows = np.array([n for n in rows if names[n] in wanted], np.int64)
                found |= {names[n] for n in rows}
            for start in range(0, len(rows), USERS_PER_BLOCK):
                yield self._block(block, rows[start : start + USERS_PER_BLOCK])
        if missing := sorted(wanted - found):
            name = missing[0].decode(errors="replace")
            msg = f"--plays: no plays of {name!r} in it; name users that it has, or none for all of them"
            raise BadInputError(msg)

    def _block(self, block: PlaysBlock, rows: Array) -> UsersBlock:
        positions, known = match(block.columns, self.model.item_hashes)
        explicit = self.model.weights.explicit
        joined = join(block, positions, known, zeros=explicit)
        mask = np.zeros(len(block.hashes), bool)
        mask[rows] = True
        owners = row_of(block.indptr)
        self.n_unknown += int((mask[owners] & ~known[block.indices] & ((block.strengths > 0) | explicit)).sum())
        entries = mask[row_of(joined.indptr)]
        indptr = np.concatenate([[0], np.cumsum(np.diff(joined.indptr)[rows])])
        items = joined.indices[entries].astype(np.int64)
        factors = self.solve(indptr, items, joined.strengths[entries])
        return UsersBlock(block.ids.take(rows), factors, indptr, items)
