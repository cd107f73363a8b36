"""Seeded synthetic plays whose *numbers* follow taste, as the choice of defaults needs: who likes an item plays it more often.

    python benchmarks/tastes.py /tmp/tastes.tsv        user <TAB> item <TAB> plays

Users and items have vectors of eight numbers (other shapes: of more, each less important than the one before), items a
heavy-tailed popularity. An affinity is popularity plus the product of the vectors plus noise. A user plays the items of highest
affinity, as many as his lognormal activity says; the plays of a pair are a Poisson number whose mean grows exponentially with
the vectors' product and varies tenfold between users.
In `benchmarks/data.py`, made for measuring time, plays are independent of taste and cannot say which confidence is right.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np


class Shape(NamedTuple):
    """Users, items, numbers of a taste, pairs of a user (about); whether a pair is played but once.

    The n-th number of a taste is as important as n^-decay; all of them as `strength`, where noise is 1.28.
    """

    users: int = 5_000
    items: int = 3_000
    tastes: int = 8
    pairs: int = 40
    once: bool = False
    decay: float = 0.0
    strength: float = 2.0


STANDARD = Shape()


def write(path: str, shape: Shape = STANDARD, seed: int = 0) -> None:
    """Write one file of counts."""
    rng = np.random.default_rng(seed)
    popularity = -1.2 * np.log1p(rng.permutation(shape.items) / 20.0)
    of_items = rng.normal(size=(shape.items, shape.tastes)) / np.sqrt(shape.tastes)
    if shape.decay:
        important = np.arange(1, shape.tastes + 1.0) ** -shape.decay
        of_items *= important / np.sqrt(np.mean(important**2))
    activity = np.minimum(rng.lognormal(np.log(shape.pairs) - 0.3, 0.8, shape.users).astype(int) + 3, shape.items // 3)
    with open(path, "w", encoding="utf-8") as file:
        for user in range(shape.users):
            product = shape.strength * of_items @ rng.normal(size=shape.tastes)
            affinity = popularity + product + rng.gumbel(size=shape.items)
            played = np.argpartition(-affinity, activity[user])[: activity[user]]
            means = np.exp(product[played] / shape.strength + rng.normal(0.0, 0.8, len(played)) + rng.normal(0.5, 0.7))
            counts = 1 + rng.poisson(0.0 * means if shape.once else np.minimum(means, 3000.0))
            rows = zip(played.tolist(), counts.tolist(), strict=True)
            file.writelines(f"user-{user}\titem-{item}\t{plays}\n" for item, plays in rows)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    write(sys.argv[1])
