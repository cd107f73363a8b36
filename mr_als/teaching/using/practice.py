"""What a model is for: vectors for somebody new (fold-in), and how well it finds what was hidden from it (evaluation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.ranking.metrics import Groups, hit_rate, ndcg, reciprocal_rank, tie_groups
from mr_als.teaching.first_half import solution
from mr_als.teaching.formulas import by_the_gram_trick, confidence_of
from mr_als.teaching.lesson import Lesson, Section
from mr_als.teaching.text import equation, number, table, vector

# scores that agree to so many decimal places are equal: training stops before the last digits of a 0 have gone
DIGITS = 6


def fold_in(lesson: Lesson) -> Iterator[str]:
    """Solve one row for somebody the model has never seen, the item vectors fixed."""
    Y, item = lesson.trained[1], lesson.item
    name, gram = lesson.matrix.items[item], Y.T @ Y
    c = confidence_of(np.ones(1), lesson.alpha)
    a, b = by_the_gram_trick(gram, Y[[item]], c, lesson.regularization)
    yield f"somebody new played {name} once; the item vectors stay as they are, and one row is solved"
    yield ""
    yield from equation("A = ", gram, f" + {number(c[0] - 1)} ", np.outer(Y[item], Y[item]), f" + {number(lesson.regularization)} ",
                        np.eye(lesson.rank), " = ", a)  # fmt: skip
    yield ""
    yield f"b = {number(c[0])} {vector(Y[item])} = {vector(b)}"
    yield ""
    yield from solution(a, b)
    yield ""
    scores = Y @ np.linalg.solve(a, b)
    new = [i for i in np.argsort(-scores, kind="stable") if i != item]
    yield "scores of the others:  " + ("   ".join(f"{lesson.matrix.items[i]} {number(scores[i])}" for i in new) or "there are none")


class Hidden(NamedTuple):
    """What became of one hidden pair: its candidates, best first, with their scores, and how many of them are above and equal."""

    user: str
    item: str
    ranked: str
    above: int
    equal: int
    popularity: tuple[int, int]
    n_candidates: int


def hide(lesson: Lesson, user: int, item: int) -> Hidden | None:
    """Hide one pair, train on the others, and rank the items that the user has not played then; None if the item is unknown."""
    plays = lesson.matrix.plays.copy()
    plays[user, item] = 0
    if not plays[:, item].any() or not plays[user].any():
        return None
    X, Y, _ = lesson.train(plays)
    scores, listeners = (X[user] @ Y.T).round(DIGITS) + 0.0, (plays > 0).sum(axis=0)
    candidates = np.flatnonzero(plays[user] == 0)
    candidates = candidates[np.argsort(-scores[candidates], kind="stable")]
    ranked = "  ".join(f"{lesson.matrix.items[i]} {number(scores[i])}" for i in candidates)
    above, equal = _place(scores, candidates, item)
    return Hidden(
        lesson.matrix.users[user],
        lesson.matrix.items[item],
        ranked,
        above,
        equal,
        _place(listeners, candidates, item),
        len(candidates),
    )


def _place(scores: Array, candidates: Array, item: int) -> tuple[int, int]:
    """Count the candidates above an item, and those equal to it, itself included."""
    return int((scores[candidates] > scores[item]).sum()), int((scores[candidates] == scores[item]).sum())


def evaluate(lesson: Lesson) -> Iterator[str]:
    """Hide each play in turn, and see how well the model finds it."""
    pairs = [(int(u), int(i)) for u, i in np.argwhere(lesson.matrix.plays > 0)]
    tried = [(pair, hide(lesson, *pair)) for pair in pairs]
    known = [hidden for _, hidden in tried if hidden]
    yield "hide one pair, train on the others, rank what the user has not played then; once for each pair"
    yield ""
    rows = [[h.user, h.item, h.ranked, _rank(h.above, h.equal), _rank(*h.popularity)] for h in known]
    yield from table(["user", "hidden", "the user's candidates, best first", "rank", "by popularity"], rows, left=3)
    if cold := [f"{lesson.matrix.users[u]} {lesson.matrix.items[i]}" for (u, i), hidden in tried if not hidden]:
        yield ""
        yield f"left out: {', '.join(cold)}; without it nobody else has played the item, or the user nothing: a cold start"
    if known:
        yield ""
        yield from _measured(known)


def _rank(above: int, equal: int) -> str:
    return f"{above + 1}" if equal == 1 else f"{above + 1} to {above + equal}"


def _measured(known: list[Hidden]) -> Iterator[str]:
    """Show the means of three metrics, for the model and for popularity."""
    both = [groups_of(known, [(h.above, h.equal) for h in known]), groups_of(known, [h.popularity for h in known])]
    rows = []
    for name, per_user in (("hit rate@1", lambda g: hit_rate(g, 1)), ("ndcg@2", lambda g: ndcg(g, 2)), ("mrr", reciprocal_rank)):
        rows.append([name, *(number(float(per_user(groups).mean())) for groups in both)])
    yield from table([f"mean over {len(known)} hidden pairs", "model", "popularity"], rows)
    terms = " + ".join(number(v) for v in reciprocal_rank(both[0]))
    yield f"mrr of the model: ({terms}) / {len(known)}"


def groups_of(known: list[Hidden], places: list[tuple[int, int]]) -> Groups:
    """Collect the places of hidden items as the metrics want them."""
    above, equal = (np.array(column) for column in zip(*places, strict=True))
    return tie_groups(np.arange(len(known) + 1), above, equal, np.array([h.n_candidates for h in known]))


SECTIONS = (
    Section("fold-in", "A vector for somebody new", fold_in),
    Section("evaluate", "Is it any good? Hide a play and look for it", evaluate),
)
