"""Seeded synthetic plays whose *numbers* follow taste, as the choice of defaults needs: who likes an item plays it more often.

    python benchmarks/tastes.py /tmp/tastes.tsv        user <TAB> item <TAB> plays

Users and items have vectors of eight numbers, items a heavy-tailed popularity. An affinity is popularity plus the product of
the vectors plus noise. A user plays the items of highest affinity, as many as his lognormal activity says; the plays
of a pair are a Poisson number whose mean grows exponentially with the vectors' product and varies tenfold between users.
In `benchmarks/data.py`, made for measuring time, plays are independent of taste and cannot say which confidence is right.
"""

from __future__ import annotations

import sys

import numpy as np

USERS, ITEMS, TASTES, PAIRS = 5_000, 3_000, 8, 40


def main(path: str, seed: int = 0) -> None:
    """Write one file of counts."""
    rng = np.random.default_rng(seed)
    popularity = -1.2 * np.log1p(rng.permutation(ITEMS) / 20.0)
    of_items = rng.normal(size=(ITEMS, TASTES)) / np.sqrt(TASTES)
    activity = np.minimum(rng.lognormal(np.log(PAIRS) - 0.3, 0.8, USERS).astype(int) + 3, ITEMS // 3)
    with open(path, "w", encoding="utf-8") as file:
        for user in range(USERS):
            product = 2.0 * of_items @ rng.normal(size=TASTES)
            affinity = popularity + product + rng.gumbel(size=ITEMS)
            played = np.argpartition(-affinity, activity[user])[: activity[user]]
            means = np.exp(0.5 * product[played] + rng.normal(0.0, 0.8, len(played)) + rng.normal(0.5, 0.7))
            rows = zip(played.tolist(), (1 + rng.poisson(np.minimum(means, 3000.0))).tolist(), strict=True)
            file.writelines(f"user-{user}\titem-{item}\t{plays}\n" for item, plays in rows)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    main(sys.argv[1])
