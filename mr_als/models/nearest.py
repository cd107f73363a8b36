"""Export the items as an index for approximate nearest neighbours: Voyager's, by inner product, in blocks that fit into memory.

    <path>/items-000.voy      the first block of items, items-001.voy the next ...; Voyager's id of an item is its row
    <path>/ids.txt            the ids of all items, one a line, in the order of the rows
    <path>/manifest.json      the model and its generation, the blocks, the recall that was measured

A service asks each block and keeps the best of all answers. Scores are inner products, and Voyager's distance is 1 - score.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from mr_als.errors import UsageError
from mr_als.maths.array import Array
from mr_als.maths.ranking.scoring import norms
from mr_als.models.model import Model

__all__ = ["export_voyager"]

# neighbours of an item in the graph, and how thoroughly they are looked for; as Voyager recommends for high recall
M, EF_CONSTRUCTION = 16, 200
# users whose exact lists are compared, and the length of the lists
SAMPLE, N = 200, 10
# how many candidates a query looks at, at least
QUERY_EF = 100


def export_voyager(model: Model, path: str, task_memory: int) -> dict[str, Any]:
    """Write the index into a new directory; return the number of blocks and the recall against exact search.

    Raises
    ------
    UsageError
        If Voyager is missing.
    """
    try:
        from voyager import Index, Space
    except ImportError:
        msg = "--format voyager needs Voyager, which is not installed; install it with: pip install 'voyager>=2.0'"
        raise UsageError(msg) from None
    Path(path).mkdir()
    with open(os.path.join(path, "ids.txt"), "wb") as file:
        file.writelines(str(item).encode(errors="surrogateescape") + b"\n" for item in model.item_ids)
    recall, blocks = Recall(model), list[dict[str, Any]]()
    step = items_of_a_block(model.rank, task_memory)
    for first in range(0, len(model.item_hashes), step):
        factors = np.array(model.item_factors[first : first + step])  # a copy, as Voyager wants one that it may write
        index = Index(Space.InnerProduct, num_dimensions=model.rank, M=M, ef_construction=EF_CONSTRUCTION, random_seed=1)
        # the longest first: what is added later finds its way by them, and among long ones are the best; else most are not found
        order = np.argsort(-norms(factors), kind="stable")
        index.add_items(factors[order], ids=(first + order).tolist())
        blocks.append({"file": f"items-{len(blocks):03d}.voy", "first": first, "items": len(factors)})
        index.save(os.path.join(path, blocks[-1]["file"]))
        recall.add(index, factors, first)
    measured = recall.value()
    said = {"model": model.source, "generation": model.info["generation"], "published": model.info.get("published")}
    said |= {"space": "InnerProduct", "rank": model.rank, "items": len(model.item_hashes), "files": blocks}
    said["measured"] = {f"recall@{N}": measured, "users": len(recall.users), "query_ef": QUERY_EF}
    Path(path, "manifest.json").write_text(json.dumps({"format": 1, **said}, indent=1), encoding="utf-8")
    return {"blocks": len(blocks), f"recall@{N}": measured}


def items_of_a_block(rank: int, task_memory: int) -> int:
    """Compute how many items fit: vectors twice, links and ids, and the exact scores of the sample.

    >>> items_of_a_block(64, 1 << 30)
    648394
    """
    return max(1, task_memory // (8 * rank + 8 * M + 16 + 4 * SAMPLE + 200))


class Recall:
    """Measure, block by block, which share of the best unplayed items of sampled users an index finds.

    An item that is found counts if its score reaches that of the last of the exact list: items of equal score are as good.
    """

    def __init__(self, model: Model) -> None:
        n = len(model.user_hashes)
        rows = np.unique(np.linspace(0, max(n - 1, 0), min(SAMPLE, n)).astype(np.int64))
        rows = rows[np.any(model.user_factors[rows], axis=1)]  # a zero vector knows nothing
        self.users = np.array(model.user_factors[rows])
        self._played = [np.sort(model.played(int(row))[0]) for row in rows]
        self._exact, self._found = (np.full((len(rows), N), -np.inf, np.float32) for _ in range(2))

    def add(self, index: Any, factors: Array, first: int) -> None:
        """Compare one block: its index, and its factors, float32 (n_items, rank), whose items begin at row `first`."""
        if not len(self.users):
            return
        scores = self.users @ factors.T
        played = [row[(row >= first) & (row < first + len(factors))] - first for row in self._played]
        for user, items in enumerate(played):
            scores[user, items] = -np.inf
        # as many more as the user played, which are then left out
        ids = _query(index, self.users, min(N + max(map(len, played)), len(factors)))
        found = np.take_along_axis(scores, ids.astype(np.int64) - first, axis=1)
        self._exact, self._found = _best(self._exact, scores), _best(self._found, found)

    def value(self) -> float | None:
        """Return the mean over the users who have an item left, None if nobody has."""
        there = np.isfinite(self._exact)
        left = there.any(axis=1)
        if not left.any():
            return None
        last = np.where(there, self._exact, np.inf).min(axis=1, keepdims=True)
        shares = (self._found >= last).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        return round(float(shares[left].mean()), 4)


def _query(index: Any, users: Array, k: int) -> Array:
    """Ask for the ids of the k nearest items of each user, uint64 (n_users, k); for fewer where the graph does not reach k."""
    from voyager import RecallError

    while True:
        try:
            ids: Array = index.query(users, k=k, query_ef=max(QUERY_EF, 2 * k))[0]
            return ids
        except RecallError:
            if k == 1:
                raise
            k //= 2


def _best(some: Array, more: Array) -> Array:
    """Return the N largest of each row of both, (n_users, N); sorts within `more`, of which there is no room for a copy."""
    if more.shape[1] > N:
        more.partition(more.shape[1] - N, axis=1)
    both: Array = np.concatenate([some, more[:, -N:]], axis=1)
    both.partition(both.shape[1] - N, axis=1)
    return both[:, -N:]
