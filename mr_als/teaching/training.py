"""From the first half-iteration to the model: errors, items, iterations, recommendations and their reasons."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mr_als.maths.array import Array
from mr_als.teaching import formulas
from mr_als.teaching.first_half import code, solution, vectors
from mr_als.teaching.lesson import Lesson, Section, best_new
from mr_als.teaching.text import equation, grid, number, sum_of, table, vector

# of a table with more halves, the first and the last ones are shown
MANY = 41
# a score below is 0 but for rounding, and for what training has not finished
NOTHING = 1e-3


def errors(lesson: Lesson) -> Iterator[str]:
    """Show scores and errors after half 1."""
    X, Y = lesson.first_users, lesson.start
    users, items, _ = lesson.matrix
    S = X @ Y.T
    yield "scores X Y' after half 1"
    yield ""
    yield from grid(users, items, S)
    yield ""
    yield "c (p - score)^2 of each cell"
    yield ""
    yield from grid(users, items, lesson.confidence * (lesson.preference - S) ** 2)
    yield ""
    error, penalty, wrmse = lesson.losses(X, Y)
    lam = number(lesson.regularization)
    yield f"squared error  {number(error)}, the sum of these cells"
    yield f"penalty        {lam} x ({number((X**2).sum())} + {number((Y**2).sum())}) = {number(penalty)}"
    yield f"objective      {number(error + penalty)}"
    yield f"wRMSE          sqrt({number(error)} / {number(lesson.confidence.sum())}) = {number(wrmse)}"


def cheap_error(lesson: Lesson) -> Iterator[str]:
    """Show how the error over all cells is had from the played ones."""
    u, X, Y = lesson.user, lesson.first_users, lesson.start
    items = lesson.played(u)
    x, y, c, gram = X[u], Y[items], lesson.confidence[u, items], Y.T @ Y
    yield "sum over all items of c (p - s)^2  =  sum over the played items of [c (1 - s)^2 - s^2]  +  x' (Y'Y) x"
    yield from code(formulas.squared_error_of_row)
    s = y @ x
    terms = c * (1 - s) ** 2 - s**2
    rows = [[lesson.matrix.items[i], number(c[n]), number(s[n]), number(terms[n])] for n, i in enumerate(items)]
    yield from table(["item", "c", "s = x.y", "c (1 - s)^2 - s^2"], rows)
    yield ""
    whole = float(x @ gram @ x)
    yield f"x' (Y'Y) x = {number(whole)}"
    yield f"user {lesson.matrix.users[u]}: {sum_of([*terms, whole])} = {number(terms.sum() + whole)}"
    every = (lesson.confidence[u] * (lesson.preference[u] - Y @ x) ** 2).sum()
    yield f"    and cell by cell, the row of the table above: {number(every)}"


def item(lesson: Lesson) -> Iterator[str]:
    """Solve one item, the users fixed."""
    flipped = lesson.transposed
    row, X = flipped.user, flipped.start
    users = flipped.played(row)
    c = flipped.confidence[row, users]
    yield f"half 2: users fixed, the same code. Item {lesson.matrix.items[lesson.item]}, played by " + ", ".join(
        f"{flipped.matrix.items[u]} {number(flipped.matrix.plays[row, u])}" for u in users
    )
    yield ""
    gram = X.T @ X
    yield "A = X'X + sum over these users of (c_u - 1) x_u x_u' + lambda I,   b = sum over these users of c_u x_u"
    yield ""
    parts: list[str | Array] = ["A = ", gram]
    for u, weight in zip(users, c, strict=True):
        parts += [f" + {number(weight - 1)} ", np.outer(X[u], X[u])]
    a, b = flipped.equations(row, X)
    yield from equation(*parts, f" + {number(lesson.regularization)} ", np.eye(lesson.rank), " = ", a)
    yield ""
    yield "b = " + " + ".join(f"{number(w)} {vector(X[u])}" for u, w in zip(users, c, strict=True)) + f" = {vector(b)}"
    yield ""
    yield from solution(a, b)
    yield ""
    yield "all items after half 2"
    yield ""
    yield from vectors(lesson.matrix.items, lesson.first_items)


def halves(lesson: Lesson) -> Iterator[str]:
    """Show every half until the weighted RMSE stops changing."""
    X, Y, history = np.zeros((len(lesson.matrix.users), lesson.rank)), lesson.start, lesson.trained[2]
    rows = []
    _, _, before = lesson.losses(X, Y)
    for entry in history:
        X, Y = (lesson.solve_users(Y), Y) if entry["solved"] == "users" else (X, _solve_items(lesson, X))
        error, penalty, wrmse = lesson.losses(X, Y)
        numbers = (before, wrmse, error, penalty, error + penalty)
        rows.append([str(entry["half"]), entry["solved"], *map(number, numbers)])
        before = wrmse
    if len(rows) > MANY:
        rows = [*rows[:4], ["...", *[""] * 6], *rows[-4:]]
    yield from table(["half", "solved", "wRMSE before", "wRMSE after", "squared error", "penalty", "objective"], rows, left=2)
    yield ""
    last, previous = history[-1]["wrmse"], history[-3]["wrmse"]
    change = 100 * abs(last - previous) / previous
    yield f"last two user halves: {number(previous)} and {number(last)}, a change of {number(change, 2)} %"


def model(lesson: Lesson) -> Iterator[str]:
    """Show the trained vectors and all scores."""
    X, Y, _ = lesson.trained
    users, items, plays = lesson.matrix
    yield "user vectors X, item vectors Y"
    yield ""
    yield from vectors(users, X)
    yield ""
    yield from vectors(items, Y)
    yield ""
    yield "scores X Y'; in brackets what was played"
    yield ""
    rows = [
        [user, *(f"({number(s)})" if r else f" {number(s)} " for s, r in zip(scores, counts, strict=True))]
        for user, scores, counts in zip(users, X @ Y.T, plays, strict=True)
    ]
    yield from table(["", *(f"{item} " for item in items)], rows)


def recommend(lesson: Lesson) -> Iterator[str]:
    """Show what each user did not play, best first."""
    for user, scores, plays in zip(lesson.matrix.users, lesson.scores, lesson.matrix.plays, strict=True):
        new = best_new(scores, plays)
        yield f"{user}:  " + ("   ".join(f"{lesson.matrix.items[i]} {number(scores[i])}" for i in new) or "played everything")


def explain(lesson: Lesson) -> Iterator[str]:
    """Show which plays earned the best recommendation its score."""
    u, Y = lesson.user, lesson.trained[1]
    users, items, plays = lesson.matrix
    new = best_new(lesson.scores[u], plays[u])
    if not len(new):
        yield f"user {users[u]} played everything, so there is nothing to explain; choose another with --user"
        return
    played = lesson.played(u)
    c, (a, _) = lesson.confidence[u, played], lesson.equations(u, Y)
    yield f"score of {items[new[0]]} for {users[u]} = sum over the played items j of c_j y_new' A^-1 y_j"
    yield from code(formulas.parts_of_score)
    parts = formulas.parts_of_score(a, Y[played], c, Y[new[0]])
    whole = float(parts.sum())
    toward = np.linalg.solve(a, Y[new[0]])
    yield f"A^-1 y_new = {vector(toward)}, with the item vectors of the model"
    yield ""
    rows = [
        [
            items[i],
            number(c[n]),
            vector(Y[i]),
            number(Y[i] @ toward),
            number(parts[n]),
            f"{100 * parts[n] / whole:.0f} %" if abs(whole) > NOTHING else "-",
        ]
        for n, i in enumerate(played)
    ]
    yield from table(["because of", "c", "y", "y A^-1 y_new", "part", "share"], rows)
    yield ""
    yield f"sum of the parts {number(whole)}, score x.y {number(float(lesson.scores[u, new[0]]))}"
    if abs(whole) <= NOTHING:
        yield "a score this close to 0 has no reasons: shares of it would be shares of rounding errors"


def _solve_items(lesson: Lesson, X: Array) -> Array:
    return Lesson.solve_users(lesson.transposed, X)


SECTIONS = (
    Section("errors", "How wrong it is after half 1", errors),
    Section("cheap-error", "The error of all cells from the played ones", cheap_error),
    Section("item", "One item's row", item),
    Section("halves", "Half by half", halves),
    Section("model", "The model", model),
    Section("recommend", "Recommendations", recommend),
    Section("explain", "Why", explain),
)
