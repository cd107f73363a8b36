"""Serve from the index that `mr-als export --format voyager` wrote: pip install '.[ann]'.

python docs/examples/nearest.py MODEL INDEX
"""

import json
import sys
from pathlib import Path

import numpy as np
from voyager import Index, RecallError

import mr_als

N = 10


def ask(index: Index, vector: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and distances of the k nearest items; of fewer where the graph does not lead to as many."""
    try:
        return index.query(vector, k=k, query_ef=max(100, 2 * k))
    except RecallError:
        return ask(index, vector, k // 2)


def best(blocks: list[Index], vector: np.ndarray, played: set[int]) -> list[int]:
    """Return the rows of the N best items: ask each block, and keep the best of all answers."""
    found = []
    for index in blocks:
        # as many more as the user played, which are then left out
        rows, distances = ask(index, vector, min(N + len(played), len(index)))
        found += [(distance, row) for row, distance in zip(rows.tolist(), distances.tolist(), strict=True) if row not in played]
    return [row for _, row in sorted(found)[:N]]


def main(path: str, folder: str) -> None:
    """Print which share of the exact top 10 of all users the index finds."""
    model, said = mr_als.load(path), json.loads(Path(folder, "manifest.json").read_text())
    assert said["generation"] == model.info["generation"], "the index is of another generation: export it again"
    blocks = [Index.load(str(Path(folder, block["file"]))) for block in said["files"]]
    ids = Path(folder, "ids.txt").read_text(encoding="utf-8").split("\n")
    hits = 0
    for row, user in enumerate(model.user_ids):
        played = set(model.played(row)[0].tolist())
        found = best(blocks, np.array(model.user_factors[row]), played)
        hits += len({item for item, _ in model.recommend(user, n=N)} & {ids[i] for i in found})
    n_users = len(model.user_ids)
    print(f"{n_users} users, {said['items']} items: recall@{N} of the index against exact search {hits / (N * n_users):.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
