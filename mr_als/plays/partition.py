"""Which part each pair of a user and an item belongs to: training, validation or test.

What is split are *pairs*, never plays: in music most later plays are replays, and a replay of a training pair can not be
recommended once played items are left out. All rules look at one user at a time, and draw from (seed, user, item)
alone, so no part depends on how users are cut into blocks.

    random  a share of all pairs
    users   all pairs of a share of users: 80 % of a held-out user's items are folded in, the others are to be found
    time    a pair belongs to the time of its first play: before, between or after the cut-offs
    last    the last n items each user came to play, by their first plays

By time and last, a pair keeps the plays of its own part's time only: later ones are replays, counted and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.drawing.mixing import mix, seed_key
from mr_als.plays.dated import DatedBlock

__all__ = ["PARTS", "RULES", "Partition", "Rule", "mark_of", "partition"]

TRAIN, VALIDATION, TEST, VALIDATION_FOLD_IN, TEST_FOLD_IN = range(5)
PARTS = ("train", "validation", "test", "validation_fold_in", "test_fold_in")
RULES = ("time", "last", "random", "users")

# of a held-out user's items, one in five is to be found
SCORED = 0.2
_NEVER = np.iinfo(np.int64).max


class Rule(NamedTuple):
    """How to split: `share` for random and users, `last` for last; the validation part gets as much as the test part."""

    by: str
    validation: bool
    share: float = 0.1
    last: int = 1
    seed: int = 0


class Partition(NamedTuple):
    """The pairs of a block, in its order.

    user, item : int64 (n,), places among the block's users and items
    part : int64 (n,), place in `PARTS`
    units : int64 (n,), plays that count
    replays : int64 (n,), plays left out
    undivided : int, users with too few items to hold any out
    """

    user: Array
    item: Array
    part: Array
    units: Array
    replays: Array
    undivided: int


def mark_of(by: str, cuts: Sequence[float], seconds: Array | None, n: int) -> Array:
    """Keep of the times (n,) what a rule needs, int64: milliseconds for last, the number of cut-offs before for time, else 0."""
    if by == "time":
        return np.searchsorted(np.array(cuts), np.asarray(seconds), "right").astype(np.int64)
    if by == "last":
        rounded: Array = np.rint(np.asarray(seconds) * 1000).astype(np.int64)
        return rounded
    return np.zeros(n, np.int64)


def partition(block: DatedBlock, rule: Rule) -> Partition:
    """Split the pairs of a block.

    `mark` of the block's plays are milliseconds for last, the number of cut-offs before them for time.
    """
    starts, pair = _pairs(block)
    user, item, first = block.user[starts], block.item[starts], block.mark[starts]
    until = np.full(len(starts), _NEVER)
    undivided = 0
    if rule.by == "time":
        # without a validation part the only cut-off begins the test
        part, until = np.where(first > 0, first + (not rule.validation), TRAIN), first + 1
    elif rule.by == "last":
        part, until, undivided = _last(user, first, _draws(block, user, item, rule), rule)
    elif rule.by == "users":
        part, undivided = _held_out_users(block, user, _draws(block, user, item, rule), rule)
    else:
        part = _share(_draws(block, user, item, rule), rule)
    counts = block.mark < until[pair]
    units, every = (_sums(values, starts) for values in (np.where(counts, block.units, 0), block.units))
    return Partition(user, item, part, units, every - units, undivided)


def _pairs(block: DatedBlock) -> tuple[Array, Array]:
    """Find where each pair's plays begin, and which pair each play belongs to."""
    first = np.ones(len(block.user), bool)
    first[1:] = (block.user[1:] != block.user[:-1]) | (block.item[1:] != block.item[:-1])
    return np.flatnonzero(first), np.cumsum(first) - 1


def _sums(values: Array, starts: Array) -> Array:
    sums: Array = np.add.reduceat(values, starts) if len(starts) else values
    return sums


def _draws(block: DatedBlock, user: Array, item: Array, rule: Rule) -> Array:
    """Draw a number in [0, 1) for each pair, a function of (seed, user, item) alone."""
    state = mix(block.users.hashes ^ seed_key(f"split/{rule.seed}"))
    return mix(state[user] ^ block.items.hashes[item]) / 2.0**64


def _share(draws: Array, rule: Rule) -> Array:
    """Assign one share of the draws to the test part, an equal share to the validation part, and the rest to training."""
    held_out = (draws < rule.share).astype(np.int64) * TEST
    if rule.validation:
        held_out[(draws >= rule.share) & (draws < 2 * rule.share)] = VALIDATION
    return held_out


def _held_out_users(block: DatedBlock, user: Array, draws: Array, rule: Rule) -> tuple[Array, int]:
    """Hold users out; of their items every fifth, drawn at random, is to be found, at least one if there are two."""
    of_users = mix(block.users.hashes ^ seed_key(f"split-users/{rule.seed}")) / 2.0**64
    part = _share(of_users, rule)[user]
    counts = np.bincount(user, minlength=len(block.users.hashes))
    scored = np.where(counts > 1, np.maximum(np.rint(SCORED * counts), 1), 0)
    place = _place_from_last(user, counts, np.lexsort((draws, user)))
    fold_in = (part != TRAIN) & (place >= scored[user])
    part[fold_in] += TEST_FOLD_IN - TEST
    return part, int(((counts == 1) & (_share(of_users, rule) != TRAIN)).sum())


def _place_from_last(user: Array, counts: Array, order: Array) -> Array:
    """Find each pair's place from the end among its user's pairs, in an order by user: 0 is the last, 1 the one before it."""
    place = np.empty(len(user), np.int64)
    place[order] = np.cumsum(counts)[user[order]] - 1 - np.arange(len(user))
    return place


def _last(user: Array, first: Array, draws: Array, rule: Rule) -> tuple[Array, Array, int]:
    """Hold out each user's last pairs by first play; equal times in random order. Give parts, ends of time, undivided users."""
    n_users = int(user.max(initial=-1)) + 1
    counts = np.bincount(user, minlength=n_users)
    n_held = rule.last * (1 + rule.validation)
    place = _place_from_last(user, counts, np.lexsort((draws, first, user)))
    divided = (counts > n_held)[user]
    part = np.full(len(user), TRAIN)
    part[divided & (place < n_held)] = VALIDATION
    part[divided & (place < rule.last)] = TEST
    # a part ends when the first item of a later part is played for the first time
    until = np.full((n_users, TEST + 1), _NEVER)
    np.minimum.at(until, (user, part), first)
    until[:, TRAIN] = np.minimum(until[:, VALIDATION], until[:, TEST])
    until[:, VALIDATION] = until[:, TEST]
    until[:, TEST] = _NEVER
    # plays of that very moment belong to no future
    until[until < _NEVER] += 1
    return part, until[user, part], int((counts <= n_held).sum())
