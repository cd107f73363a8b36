"""Logs of a music service day by day: users and items come, tastes stay; in form like `sample_logs/`, but small."""

from __future__ import annotations

import numpy as np

GENRES, FIRST_USERS, FIRST_ITEMS = 6, 240, 90
# who comes each day, and how many of all users play on a day
NEW_USERS, NEW_ITEMS, ACTIVE = 6, 2, 0.3
BAD = 2


def day_of(day: int, *, bad: int = BAD, odd: bool = False) -> list[str]:
    """Generate the lines of a day, counted from 1.

    bad : lines that are no plays
    odd : whether tastes count for nothing, as when somebody's program plays whatever it finds
    """
    rng = np.random.default_rng([2024, day])
    n_users, n_items = FIRST_USERS + NEW_USERS * day, FIRST_ITEMS + NEW_ITEMS * day
    lines = []
    for user in np.flatnonzero(rng.random(n_users) < ACTIVE).tolist():
        liked = np.arange(user % GENRES, n_items, GENRES)
        for _ in range(4):
            # few are famous: the square makes the first ones more likely
            item = int(rng.integers(n_items)) if odd else int(liked[int(len(liked) * rng.random() ** 2)])
            seconds = int(rng.integers(86400))
            time = f"2024-05-{day:02d}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}Z"
            lines.append(f"{time}\tuser-{user:03d}\titem-{item:03d} (genre {item % GENRES})\t{rng.integers(31, 400) * 1000}\n")
    return lines + [f"2024-05-{day:02d}T00:00:00Z\ttorn {number}\n" for number in range(bad)]
