"""Write two small data sets in the forms in which published ones come, for docs/evaluation.md.

loo.train.rating     user, item, rating, time: the training part of a leave-one-out data set
loo.test.rating      the same, one line a user: the item that was left out
loo.test.negative    (user,item) and 99 items that the user never met, between tabs
pairs.train.csv      a header and pairs of user and item; pairs.test.csv likewise

    python docs/examples/data_sets.py
"""

from pathlib import Path

import numpy as np

N_USERS, N_ITEMS, N_TASTES = 400, 300, 6


def main() -> None:
    """Draw for each user items of two tastes, popular ones more often, and write the files into the current directory."""
    rng = np.random.default_rng(0)
    popularity = 1.0 / np.arange(2, N_ITEMS // N_TASTES + 2)
    files = {"loo.train.rating": [], "loo.test.rating": [], "loo.test.negative": [], "pairs.train.csv": ["user,item"]}
    files["pairs.test.csv"] = ["user,item"]
    for user in range(N_USERS):
        share = np.repeat(0.1 + 5 * (rng.permutation(N_TASTES) < 2), N_ITEMS // N_TASTES) * np.tile(popularity, N_TASTES)
        met = rng.choice(N_ITEMS, 12 + rng.integers(0, 20), replace=False, p=share / share.sum())
        lines = [f"{user}\t{item}\t{rng.integers(1, 6)}\t{978300000 + 60 * n}" for n, item in enumerate(met)]
        files["loo.train.rating"] += lines[:-1]
        files["loo.test.rating"] += lines[-1:]
        negatives = rng.choice(np.setdiff1d(np.arange(N_ITEMS), met), 99, replace=False)
        files["loo.test.negative"].append(f"({user},{met[-1]})\t" + "\t".join(map(str, negatives)))
        held_out = len(met) // 5
        files["pairs.test.csv"] += [f"{user},{item}" for item in met[:held_out]]
        files["pairs.train.csv"] += [f"{user},{item}" for item in met[held_out:]]
    for name, text in files.items():
        Path(name).write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
