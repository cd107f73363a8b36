"""Beyond the algorithm: conjugate gradients, explicit feedback, lambda (overfitting), what scores mean."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.regularization import PASSES, SHARE, choose_lambda, orthonormal_basis, singular_values
from mr_als.teaching import formulas
from mr_als.teaching.first_half import code, small, solution, vectors
from mr_als.teaching.lesson import Lesson, Section, best_new
from mr_als.teaching.text import number, table, tiny, vector


def whitened(lesson: Lesson) -> Iterator[str]:
    """Solve one user by whitened conjugate gradient."""
    u, Y = lesson.user, lesson.start
    items = lesson.played(u)
    c, y, gram = lesson.confidence[u, items], Y[items], Y.T @ Y
    yield "Y'Y = Q D Q'      z_i = (D + lambda)^-1/2 Q' y_i      (I + sum_played (c_i - 1) z_i z_i') v = sum_played c_i z_i"
    yield "x = Q (D + lambda)^-1/2 v"
    yield from code(formulas.whiten)
    z, scale, Q = formulas.whiten(gram, y, lesson.regularization)
    D = 1 / scale**2 - lesson.regularization
    yield f"D = {vector(D)}"
    yield from small("Q", Q)
    yield ""
    rows = [[lesson.matrix.items[i], number(c[n]), vector(y[n]), vector(z[n])] for n, i in enumerate(items)]
    yield from table(["item", "c", "y", "z"], rows)
    yield ""
    system = np.eye(lesson.rank) + (z.T * (c - 1)) @ z
    yield from small("I + sum of (c - 1) z z'", system)
    yield f"eigenvalues {vector(np.linalg.eigvalsh(system))}: none is below 1"
    yield f"right-hand side {vector(z.T @ c)}"
    yield from code(formulas.conjugate_gradient)
    yield from steps(z, c, system, scale, Q)
    yield f"exact x = {vector(lesson.first_users[u])}"


def steps(z: Array, c: Array, system: Array, scale: Array, Q: Array) -> Iterator[str]:
    """Show what each step of conjugate gradient computes."""
    r = z.T @ c
    p = r
    for n, v in enumerate(formulas.conjugate_gradient(z, c, min(len(r), len(z))), 1):
        q = system @ p
        step = (r @ r) / (p @ q)
        division = f"{number(r @ r, 6)} / {number(p @ q, 6)}"
        yield f"step {n}:  p = {vector(p)}   q = {vector(q)}   step = r.r / p.q = {division} = {number(step)}"
        r, before = r - step * q, r
        p = r + (r @ r) / (before @ before) * p
        yield f"         v = {vector(v)}   r = {'(rounding only)' if r @ r < 1e-20 else vector(r)}   x = {vector(Q @ (scale * v))}"
    yield ""


# here every cell pulls, there the rated ones alone: they need a smaller lambda
EXPLICIT_SHARE = 0.1


def explicit(lesson: Lesson) -> Iterator[str]:
    """Factorise the same numbers as if they were ratings."""
    u, Y = lesson.user, lesson.start
    users, items, r = lesson.matrix
    played = lesson.played(u)
    yield "explicit: the sum runs over the rated cells only, and aims at the rating itself"
    yield ""
    yield "    objective = sum over rated u, i of (r_ui - x_u.y_i)^2 + sum_u lambda n_u |x_u|^2 + sum_i lambda n_i |y_i|^2"
    yield "    A = sum over rated items of y_i y_i' + lambda n I,   b = sum over rated items of r_i y_i,   n = how many"
    yield from code(formulas.explicit_equations)
    lam = lesson.regularization * EXPLICIT_SHARE
    a, b = formulas.explicit_equations(Y[played], r[u, played], lam)
    yield f"user {users[u]}, n = {len(played)}, lambda = {number(lam)}"
    yield from small("A", a)
    yield f"b = {vector(b)}"
    yield from solution(a, b)
    yield ""
    X, Y_end = _explicit_als(lesson, lam)
    yield "scores after 20 iterations, to be compared with the ratings; a star is where nothing was rated"
    yield ""
    S = X @ Y_end.T
    marked = [[f"{s:.2f}{' ' if rated else '*'}" for s, rated in zip(*row, strict=True)] for row in zip(S, r, strict=True)]
    rows = [[user, *cells] for user, cells in zip(users, marked, strict=True)]
    yield from table(["", *(f"{item} " for item in items)], rows)
    yield ""
    rated = r > 0
    yield f"mean score where something was rated {number(S[rated].mean(), 2)}, where not {_mean(S[~rated])}"
    s = lesson.scores
    yield f"the same of the implicit model above  {number(s[rated].mean(), 2)}, where not {_mean(s[~rated])}"


def _mean(values: Array) -> str:
    return number(float(values.mean()), 2) if values.size else "(there is no such cell)"


def _explicit_als(lesson: Lesson, lam: float) -> tuple[Array, Array]:
    """Alternate 20 times from the same start, users last."""
    r, Y = lesson.matrix.plays, lesson.start
    X = np.zeros((len(r), lesson.rank))
    for half in range(41):
        ratings, fixed = (r, Y) if half % 2 == 0 else (r.T, X)
        rows = [(fixed[row > 0], row[row > 0]) for row in ratings]
        solved = np.array([np.linalg.lstsq(*formulas.explicit_equations(y, given, lam))[0] for y, given in rows])
        X, Y = (solved, Y) if half % 2 == 0 else (X, solved)
    return X, Y


# shares of the lambda at which the model vanishes
SHARES = (0.001, 0.01, 0.05, 0.3, 0.5, 0.8, 0.95, 1.05)


def regularization(lesson: Lesson) -> Iterator[str]:
    """Show what lambda does, from nearly none to the zero model."""
    users, items, r = lesson.matrix
    cp = lesson.confidence * lesson.preference
    zero, singular = math.sqrt(cp.sum() / lesson.confidence.sum()), np.linalg.svd(cp)[1]
    strongest = float(singular[0])
    yield f"zero model X = Y = 0: wRMSE {number(zero)}"
    yield f"singular values of the table c p: {', '.join(f'sigma_{n} {number(value)}' for n, value in enumerate(singular, 1))}"
    yield "lambda from small to large, 200 iterations each"
    yield ""
    rows = []
    for lam in sorted({lesson.regularization, *(float(f"{share * strongest:.2g}") for share in SHARES)}):
        X, Y = alternate(lesson, lam, 200)
        error = (lesson.confidence * (lesson.preference - X @ Y.T) ** 2).sum()
        wrmse = formulas.weighted_rmse(error, lesson.confidence)
        scores = X[lesson.user] @ Y.T
        new = best_new(scores, r[lesson.user])
        best = f"{items[new[0]]} {number(scores[new[0]])}" if len(new) else "-"
        ratio = wrmse / zero
        lengths = (np.linalg.norm(F, axis=1).mean() for F in (X, Y))
        alive = str(int((np.linalg.svd(X)[1] > 0.001).sum()))
        best = best if lam < strongest else "nothing is left"
        rows.append([f"{lam:g}", number(wrmse), f"{100 * ratio:.0f} %", *map(number, lengths), alive, best])
    header = ["lambda", "wRMSE", "of zero model", "mean |x|", "mean |y|", "directions", f"best new for {users[lesson.user]}"]
    yield from table(header, rows)
    yield ""
    yield from passes(lesson, cp)


def passes(lesson: Lesson, cp: Array) -> Iterator[str]:
    """Find lambda as `--regularization auto` does: multiply by the table instead of solving, users and items in turn."""
    sides = (("users", "x = sum of c p y"), ("items", "y = sum of c p x"))
    multiplied = cp @ lesson.start
    yield "auto, pass 1, users: x = sum of c p y over what was played, with the first y; nothing is solved"
    yield from vectors(lesson.matrix.users, multiplied)
    yield from small("G = X'X", multiplied.T @ multiplied)
    for done in range(1, PASSES):
        multiplied = (cp.T if done % 2 else cp) @ (multiplied @ orthonormal_basis(multiplied.T @ multiplied))
        side, what = sides[done % 2]
        values = singular_values(multiplied.T @ multiplied)
        yield f"pass {done + 1}, {side}: {what}, made orthonormal; roots of the eigenvalues of G: {vector(values)}"
    lam, last = choose_lambda(values)
    yield f"lambda = {SHARE} x {number(values[last - 1])} = {lam:g}, {SHARE} of sigma_{last}"


def alternate(lesson: Lesson, lam: float, n_iterations: int) -> tuple[Array, Array]:
    """Alternate from the lesson's start, all rows of a side at once, users last: X and Y."""
    C, P, Y, penalty = lesson.confidence, lesson.preference, lesson.start, lam * np.eye(lesson.rank)

    def solve(c: Array, p: Array, fixed: Array) -> Array:
        a = (fixed.T * c[:, None, :]) @ fixed + penalty
        solved: Array = np.linalg.solve(a, ((c * p) @ fixed)[:, :, None])[:, :, 0]
        return solved

    X = solve(C, P, Y)
    for _ in range(n_iterations):
        Y = solve(C.T, P.T, X)
        X = solve(C, P, Y)
    return X, Y


def score(lesson: Lesson) -> Iterator[str]:
    """Show that a score is no probability."""
    S = lesson.scores
    users, items, _ = lesson.matrix
    low, high = (np.unravel_index(at, S.shape) for at in (S.argmin(), S.argmax()))
    yield f"lowest score   {users[low[0]]} {items[low[1]]}  {number(S[low])}"
    yield f"highest score  {users[high[0]]} {items[high[1]]}  {number(S[high])}"
    yield f"sums of the users' scores  {vector(S.sum(axis=1))}"
    yield f"{int(((S < 0) | (S > 1)).sum())} of {S.size} scores lie outside 0 to 1"


def rotation(lesson: Lesson) -> Iterator[str]:
    """Turn both sides: other vectors, same model."""
    X, Y, _ = lesson.trained
    users, items, _ = lesson.matrix
    T = np.eye(lesson.rank)
    if lesson.rank > 1:
        T[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
        yield "turn all vectors by the same rotation: T = [0.8 -0.6; 0.6 0.8] in the first two numbers, X T and Y T"
    else:
        T = -T
        yield "with rank 1 the only rotation is the sign: T = -1"
    yield ""
    yield from vectors(users, X @ T)
    yield ""
    yield from vectors(items, Y @ T)
    yield ""
    best = best_new(lesson.scores[lesson.user], lesson.matrix.plays[lesson.user])
    at = int(best[0]) if len(best) else 0
    x, y = X[lesson.user] @ T, Y[at] @ T
    yield f"score of {items[at]} for {users[lesson.user]}: before {number(lesson.scores[lesson.user, at])}, after {number(x @ y)}"
    yield f"largest change of any score: {tiny(np.abs(X @ T @ (Y @ T).T - lesson.scores).max())}"
    yield f"objective: before {number(sum(lesson.losses(X, Y)[:2]))}, after {number(sum(lesson.losses(X @ T, Y @ T)[:2]))}"


SECTIONS = (
    Section("solver", "The whitened conjugate gradient", whitened),
    Section("explicit", "Explicit feedback, on the same numbers", explicit),
    Section("lambda", "What lambda does", regularization),
    Section("score", "A score is no probability", score),
    Section("rotation", "Vectors are unique only up to a rotation", rotation),
)
