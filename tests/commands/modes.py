"""The modes in which every command has to work, each a small log and how it is trained, and what must then be in the model."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import numpy as np

import mr_als
from mr_als import cli
from mr_als.maths.reference import dense_problem

RANK = 3
PLAN = ("--rank", str(RANK), "--max-iterations", "2", "--tolerance", "0", "--user-blocks", "2", "--item-blocks", "2")
# said, so that no default of another version decides what is expected here
PLAYS = ("--alpha", "10", "--regularization", "0.003")
RATINGS = ("--feedback", "explicit", "--regularization", "0.05", "--regularization-scaling", "count")

TASTES = {(f"fan-{u}", f"song-{i}"): float(1 + (u * i) % 5) for u in range(8) for i in range(6) if i != u % 5 and (u + i) % 3}
STARS = {pair: float((len(TASTES) - n) % 6) for n, pair in enumerate(TASTES)}
# plays that do not count: of nothing at all, and of a user below the threshold
NO_PLAYS = {("fan-0", "ghost"): 0.0, ("idle", "song-1"): 0.0, ("idle", "ghost"): 0.0, ("rare", "rarity"): 1.0}
YESTERDAY = {(user, item): plays for (user, item), plays in TASTES.items() if item != "song-5"}


class Mode:
    """A log, the options it is trained with, and the model that comes of it.

    learnt : the pairs that count, with their strengths
    """

    def __init__(self, name, folder, learnt, options, others=None, where=""):
        self.name, self.folder, self.learnt, self.options = name, Path(folder), learnt, (*PLAN, *options)
        self.others = others or {}
        self.model = f"{where or folder}/model"
        self.log = str(self.folder / "log.tsv")
        write_log(self.log, {**learnt, **self.others})

    @property
    def explicit(self):
        return "explicit" in self.options

    @property
    def inputs(self):
        """Options that `prepare` and `plan` take, too."""
        at = self.options.index("--min-user-plays") if "--min-user-plays" in self.options else len(self.options)
        return self.options[at : at + 2]

    def train(self):
        assert cli.main(["train", self.log, "--model", self.model, *self.options, "-q"]) == 0
        return self

    @cached_property
    def opened(self):
        return mr_als.load(self.model)

    @cached_property
    def users(self):
        return sorted({user for user, _ in self.learnt})

    @cached_property
    def items(self):
        return sorted({item for _, item in self.learnt})

    @cached_property
    def scores(self):
        """Scores of all pairs of the model: {(user, item): score}, of its factors."""
        m = self.opened
        dense = m.user_factors.astype(np.float64) @ m.item_factors.astype(np.float64).T
        return {(u, i): float(dense[a, b]) for a, u in enumerate(m.user_ids) for b, i in enumerate(m.item_ids)}

    def unseen(self, user):
        """Items that a user has not played or rated, best first."""
        return sorted((i for i in self.items if (user, i) not in self.learnt), key=lambda i: -self.scores[user, i])

    def dense(self):
        """Return strengths in the order of the model's rows, NaN or 0 where there is none, with all that follows from them."""
        m = self.opened
        matrix = np.full((len(m.user_ids), len(m.item_ids)), np.nan if self.explicit else 0.0)
        for (user, item), strength in self.learnt.items():
            matrix[m.user_index(user), m.item_index(item)] = strength
        return dense_problem(matrix, m.weights)


def write_log(path, strengths):
    Path(path).write_text("".join(f"{user}\t{item}\t{strength:g}\n" for (user, item), strength in strengths.items()))
    return str(path)


def implicit(folder):
    return Mode("implicit", folder, TASTES, PLAYS).train()


def explicit(folder):
    """Ratings, some of them 0: they are learnt from, and what was rated so is not recommended."""
    assert 0.0 in STARS.values()
    return Mode("explicit", folder, STARS, RATINGS).train()


def warm_start(folder):
    """Begin with the model of the day before, which does not know an item of today."""
    (Path(folder) / "yesterday").mkdir()
    before = Mode("yesterday", Path(folder) / "yesterday", YESTERDAY, PLAYS).train()
    return Mode("warm start", folder, TASTES, (*PLAYS, "--warm-start", before.model)).train()


def one_user(folder):
    return Mode("one user", folder, {("me", f"song-{i}"): float(i + 1) for i in range(4)}, PLAYS).train()


def one_item(folder):
    return Mode("one item", folder, {(f"fan-{u}", "the song"): float(u + 1) for u in range(4)}, PLAYS).train()


def unplayed(folder):
    """An item that nobody played, one that only a user below the threshold did, and a user who played nothing."""
    return Mode("unplayed", folder, TASTES, (*PLAYS, "--min-user-plays", "2"), NO_PLAYS).train()


def shuffled(folder):
    """The same, with the other join."""
    return Mode("shuffle", folder, TASTES, (*PLAYS, "--min-user-plays", "2", "--join", "shuffle"), NO_PLAYS).train()


HERE = (implicit, explicit, warm_start, one_user, one_item, unplayed, shuffled)


def lines_of(text):
    """Split lines of a table at its tabs."""
    return [line.split("\t") for line in text.splitlines()]


def last_json(text):
    return json.loads(text.splitlines()[-1])
