"""Recommend by an approximate index of inner products, and compare with exact search: pip install voyager.

python docs/examples/nearest.py MODEL
"""

import sys

import numpy as np
from voyager import Index, Space

import mr_als

N = 10


def main(path: str) -> None:
    """Print which share of the exact top 10 the index finds."""
    model = mr_als.load(path)
    # a list by angle would leave out how long, that is how popular, an item is
    index = Index(Space.InnerProduct, num_dimensions=model.rank, M=16, ef_construction=200, random_seed=1)
    index.add_items(
        np.array(model.item_factors), num_threads=1
    )  # a copy, as Voyager wants one that it may write; row i of the factors becomes id i
    found = 0
    for row, user in enumerate(model.user_ids):
        played = {model.item_index(item) for item, _ in model.plays(user)}
        # as many more as the user played, which are then left out
        k = min(N + len(played), len(index))
        ids, _ = index.query(np.array(model.user_factors[row]), k=k, query_ef=max(100, 2 * k))
        best = [model.item_ids[i] for i in ids.tolist() if i not in played][:N]
        found += len({item for item, _ in model.recommend(user, n=N)} & set(best))
    n_users = len(model.user_ids)
    print(f"{n_users} users, {len(index)} items: recall@{N} of the index against exact search {found / (N * n_users):.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
