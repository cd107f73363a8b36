"""Seeded synthetic plays of a realistic shape: tastes, popularity, activity and play counts are all heavy-tailed.

    python benchmarks/data.py S counts /tmp/S.tsv        user <TAB> item <TAB> plays, integer ids
    python benchmarks/data.py M events /tmp/M-log.tsv    timestamp <TAB> user <TAB> item <TAB> ms_played, string ids

A user has a mixture of 24 genres (Dirichlet 0.2) and an activity (lognormal); an item has one genre and a popularity in it
(Zipf-Mandelbrot); plays of a pair are Zipf(1.9), at most 5000. Same name and seed, same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

GENRES = 24
# ranks over which popularity is flat before it falls as 1 / rank
HEAD = 1.5


class Shape(NamedTuple):
    """Numbers of users, items and distinct pairs (about)."""

    users: int
    items: int
    pairs: int


SHAPES = {
    "XS": Shape(2_000, 1_000, 50_000),
    # few items, of which everybody has played many
    "D": Shape(5_000, 2_000, 500_000),
    "S": Shape(20_000, 10_000, 1_000_000),
    "M": Shape(100_000, 50_000, 10_000_000),
    # the size of Last.fm-360K
    "L": Shape(360_000, 290_000, 17_000_000),
}


def pairs(shape: Shape, seed: int = 0) -> tuple[Array, Array, Array]:
    """Generate distinct pairs sorted by user: users int64 (n,), items int64 (n,), plays int64 (n,)."""
    rng = np.random.default_rng(seed)
    activity = rng.lognormal(0.0, 1.1, shape.users)
    mixture = np.cumsum(rng.dirichlet(np.full(GENRES, 0.2), shape.users), axis=1)
    genre_of = np.sort(rng.integers(0, GENRES, shape.items))
    first = np.searchsorted(genre_of, np.arange(GENRES + 1))
    name_of = rng.permutation(shape.items)
    keys = np.zeros(0, np.int64)
    while len(keys) < shape.pairs:
        # repeats are many for active users: draw again until there are enough distinct pairs
        wanted = int(1.15 * (shape.pairs - len(keys))) + 1000
        degrees = rng.multinomial(wanted, activity / activity.sum())
        users = np.repeat(np.arange(shape.users), degrees)
        genres = np.minimum((rng.random(wanted)[:, None] > mixture[users]).sum(axis=1), GENRES - 1)
        sizes = (first[1:] - first[:-1])[genres]
        # the inverse of the distribution function of 1 / (rank + HEAD)
        ranks = (HEAD * ((sizes + HEAD) / HEAD) ** rng.random(wanted) - HEAD).astype(np.int64)
        items = name_of[first[genres] + np.minimum(ranks, np.maximum(sizes - 1, 0))]
        keys = np.unique(np.concatenate([keys, users * shape.items + items]))
    keys = np.sort(rng.permutation(keys)[: shape.pairs])
    return keys // shape.items, keys % shape.items, np.minimum(rng.zipf(1.9, len(keys)), 5000)


def counts_lines(shape: Shape, seed: int = 0) -> Iterator[bytes]:
    """Yield the lines of a counts file in random order, in large pieces."""
    users, items, plays = pairs(shape, seed)
    order = np.random.default_rng(seed + 1).permutation(len(users))
    for part in np.array_split(order, max(1, len(order) // 500_000)):
        rows = zip(users[part].tolist(), items[part].tolist(), plays[part].tolist(), strict=True)
        yield "".join(f"{user}\t{item}\t{count}\n" for user, item, count in rows).encode()


def events_lines(shape: Shape, seed: int = 0) -> Iterator[bytes]:
    """Yield the lines of a raw log, one per play, as many as the shape has pairs; pairs repeat as they do in real logs."""
    users, items, plays = pairs(shape, seed)
    rng = np.random.default_rng(seed + 1)
    chosen = rng.choice(len(users), shape.pairs, p=np.sqrt(plays) / np.sqrt(plays).sum())
    for part in np.array_split(chosen, max(1, len(chosen) // 500_000)):
        seconds = rng.integers(0, 86400 * 28, len(part))
        played = rng.integers(5_000, 300_000, len(part))
        rows = zip(seconds.tolist(), users[part].tolist(), items[part].tolist(), played.tolist(), strict=True)
        yield "".join(
            f"2024-03-{1 + s // 86400:02d}T{s // 3600 % 24:02d}:{s // 60 % 60:02d}:{s % 60:02d}Z"
            f"\tuser-{user:07d}\tartist-{item:07d}\t{ms}\n"
            for s, user, item, ms in rows
        ).encode()


FORMATS = {"counts": counts_lines, "events": events_lines}


def main(arguments: list[str]) -> None:
    """Write one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("path")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    with open(given.path, "wb") as file:
        for piece in FORMATS[given.format](SHAPES[given.shape], given.seed):
            file.write(piece)


if __name__ == "__main__":
    main(sys.argv[1:])
