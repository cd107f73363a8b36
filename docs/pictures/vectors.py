"""What the numbers of the worked example look like: its four tables, its vectors half by half, one user's parabola."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from drawing import LETTER, Drawing
from plot import Plot, linear, same_unit

from mr_als.maths.array import Array
from mr_als.teaching import formulas
from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS
from mr_als.teaching.text import number, vector

USERS, ITEMS = "blue-edge", "orange-edge"
# halves that have a panel of their own, beside the start and the end
SHOWN = (1, 2, 3, 4)
# the darkest cell, so that its number can still be read
DEEPEST = 0.5
# squared errors above the least one, at which a contour is drawn
CONTOURS = (0.02, 0.1, 0.3, 0.7, 1.3)


def matrices() -> Drawing:
    """Draw plays, preferences, confidences and scores as heat maps."""
    lesson = Lesson(EXAMPLE, EXAMPLE_FACTORS)
    d = Drawing(900, 232, "Plays R, preferences P, confidences C, and the scores X Y' of the model")
    tables = (
        ("R", "plays", EXAMPLE.plays),
        ("P", "preference: 1 if played", lesson.preference),
        ("C", "confidence: 1 + alpha plays", lesson.confidence),
        ("X Y'", "scores of the model", lesson.scores),
    )
    for n, (letter, words, values) in enumerate(tables):
        heat_map(d, 22 + 220 * n, (letter, words), values)
    return d


def heat_map(d: Drawing, left: float, title: tuple[str, str], values: Array) -> None:
    """Draw a table whose cells are the bluer, the larger their number is; below 0 they are orange."""
    users, items, _ = EXAMPLE
    top, side, high = 72, 34, 34
    d.text(left + 20 + side * len(items) / 2, 24, title[0], size=16, bold=True)
    d.text(left + 20 + side * len(items) / 2, 42, title[1], size=12, css="faint")
    for i, item in enumerate(items):
        d.text(left + 26 + side * (i + 0.5), top - 7, item, size=12, width=side - 2)
    for u, user in enumerate(users):
        d.text(left + 20, top + high * (u + 0.5) + 4, user, size=12, anchor="end")
        for i, value in enumerate(values[u]):
            at = {"x": left + 26 + side * i, "y": top + high * u}
            d.shape("rect", "paper l-line", **at, width=side, height=high)
            share = abs(value) / np.abs(values).max()
            d.shape("rect", USERS if value > 0 else ITEMS, **at, width=side, height=high, opacity=DEEPEST * share)
            d.text(at["x"] + side / 2, at["y"] + high / 2 + 4, number(value, 2), size=12)


def vectors() -> Drawing:
    """Draw the vectors at the start, after some halves and at the end; dashed lines lead from where a vector was before."""
    lesson = Lesson(EXAMPLE, EXAMPLE_FACTORS)
    every, panels = halves(lesson), (0, *SHOWN, len(lesson.trained[2]))
    tips = np.concatenate([np.concatenate(pair) for pair in every] + [np.zeros((1, 2))])
    x, y = (same_unit(tips[:, n], room, 0.5) for n, room in enumerate(((0.28, 0.3), (0.22, 0.3))))
    width = 240
    height = round(width * (y.high - y.low) / (x.high - x.low))
    d = Drawing(900, 2 * height + 188, "Users and items as arrows, half by half")
    for n, half in enumerate(panels):
        solved = ("items", "users")[half % 2]
        name = f"half {half}: {solved} solved" if half else "start: item vectors are given"
        frame = (56 + 293 * (n % 3), 62 + (height + 78) * (n // 3), width, height)
        plot = Plot(d, frame, x, y, (name, "first number", "second number" if n % 3 == 0 else ""))
        _arrows(plot, every[half], every[max(half - 1, 0)], solved if half else "")
    for n, (name, colour) in enumerate((("users", USERS), ("items", ITEMS))):
        d.arrow(380 + 90 * n, 22, 408 + 90 * n, 22, colour=colour)
        d.text(414 + 90 * n, 26, name, anchor="start", size=12)
    return d


def halves(lesson: Lesson) -> list[tuple[Array, Array]]:
    """Compute X and Y at the start and after each half of the training."""
    X, Y = np.zeros((len(lesson.matrix.users), lesson.rank)), lesson.start
    found = [(X, Y)]
    for entry in lesson.trained[2]:
        if entry["solved"] == "users":
            X = lesson.solve_users(Y)
        else:
            Y = Lesson.solve_users(lesson.transposed, X)
        found.append((X, Y))
    return found


def _arrows(plot: Plot, now: tuple[Array, Array], before: tuple[Array, Array], solved: str) -> None:
    names: dict[str, tuple[float, float, str]] = {}
    sides = (("users", EXAMPLE.users, USERS), ("items", EXAMPLE.items, ITEMS))
    for (side, ids, colour), vectors, old in zip(sides, now, before, strict=True):
        for name, tip, was in zip(ids, vectors.tolist(), old.tolist(), strict=True):
            if not any(tip):
                continue
            if side == solved:
                plot.curve(*zip(was, tip, strict=True), colour, "dashed", 1)
            plot.arrow((0, 0), tip, colour)
            names[name] = (tip[0], tip[1], colour)
    _names(plot, names)


def _names(plot: Plot, names: dict[str, tuple[float, float, str]]) -> None:
    """Write names beside the tips, those of one place together, each where nothing stands yet."""
    groups: list[tuple[list[str], float, float, str]] = []
    for name, (x, y, colour) in names.items():
        near = next((g for g in groups if g[3] == colour and np.hypot(*np.subtract(plot.at(*g[1:3]), plot.at(x, y))) < 8), None)
        if near:
            near[0].append(name)
        else:
            groups.append(([name], x, y, colour))
    # what a name must not cover: other names, and as little as possible of the arrows
    boxes: list[tuple[float, float, float, float]] = []
    origin = np.array(plot.at(0, 0))
    shafts = np.concatenate([origin + np.linspace(0.1, 1, 40)[:, None] * (plot.at(x, y) - origin) for x, y, _ in names.values()])
    for members, x, y, colour in groups:
        words = ", ".join(members)
        half, tip, angle = 6 * LETTER * len(words), np.array(plot.at(x, y)), np.arctan2(-y, x)
        turns = [(r, angle + t) for r in (10, 17, 25, 33) for t in (0, 0.5, -0.5, 1, -1, 1.6, -1.6, 2.3, -2.3, 3)]
        places = [np.array([np.cos(at) * (r + half), np.sin(at) * (r + 2)]) for r, at in turns]
        dx, dy = min(places, key=lambda place: _covered(plot, (*(tip + place).tolist(), half, 7.0), boxes, shafts))
        boxes.append((tip[0] + dx, tip[1] + dy, half, 7.0))
        plot.label(x, y, words, dx=dx, dy=dy + 4, css=colour)


def _covered(plot: Plot, box: tuple[float, float, float, float], boxes: Sequence[tuple[float, ...]], points: Array) -> float:
    """Count what a box, given by its middle and half its sides, would cover; leaving the frame counts most."""
    x, y, w, h = box
    outside = x - w < plot.left or x + w > plot.left + plot.width or y - h < plot.top or y + h > plot.top + plot.height
    others = sum(abs(x - a) < w + c + 3 and abs(y - b) < h + e + 1 for a, b, c, e in boxes)
    return 1000 * outside + 100 * others + int((np.abs(points - (x, y)) < (w + 1, h)).all(axis=1).sum())


def parabola() -> Drawing:
    """Draw what a user adds to the objective: from above with the path of the conjugate gradient, and along that path.

    The user is the one whose first step is furthest from the solution.
    """
    lesson = Lesson(EXAMPLE, EXAMPLE_FACTORS)
    paths = [path(lesson, row) for row in range(len(EXAMPLE.users))]
    row = int(np.argmax([np.linalg.norm(steps[1] - steps[-1]) for steps in paths]))
    a, b = lesson.equations(row, lesson.start)
    of_zero = float(lesson.confidence[row] @ lesson.preference[row])
    user = EXAMPLE.users[row]
    d = Drawing(900, 390, f"What user {user} adds to the objective, and the path of the conjugate gradient")

    def added(x: Array) -> float:
        return float(x @ a @ x - 2 * b @ x + of_zero)

    _contours(d, user, a, paths[row], added)
    _along(d, paths[row], added)
    return d


def path(lesson: Lesson, row: int) -> list[Array]:
    """Compute x of a user at the start of the whitened conjugate gradient and after each of its two steps."""
    items, Y = lesson.played(row), lesson.start
    z, scale, Q = formulas.whiten(Y.T @ Y, Y[items], lesson.regularization)
    steps = formulas.conjugate_gradient(z, lesson.confidence[row, items], 2)
    return [np.zeros(2), *((v * scale) @ Q.T for v in steps)]


def _contours(d: Drawing, user: str, a: Array, steps: Sequence[Array], added: Callable[[Array], float]) -> None:
    turn = np.linspace(0, 2 * np.pi, 90)
    # where e' A e = 1: with A = K K', e = K'^-1 of a circle
    circle = np.linalg.solve(np.linalg.cholesky(a).T, np.array([np.cos(turn), np.sin(turn)]))
    rings = [steps[-1][:, None] + np.sqrt(level) * circle for level in CONTOURS]
    every = np.concatenate([*(ring.T for ring in rings), np.array(steps)])
    x, y = (same_unit(every[:, n], (0.12, 0.08), 0.2) for n in (0, 1))
    width = 370
    height = round(width * (y.high - y.low) / (x.high - x.low))
    names = (f"L(x), what {user} adds to the objective", "first number of x", "second number of x")
    plot = Plot(d, (66, 44, width, height), x, y, names)
    for level, ring in zip(CONTOURS, rings, strict=True):
        plot.curve(*ring.tolist(), "faint", width=1)
        if level > CONTOURS[1]:
            top = ring[:, int(np.argmax(ring[1]))].tolist()
            plot.label(*top, number(added(steps[-1]) + level, 2), dy=4, css="faint")
    for start, end in pairwise(steps):
        plot.arrow(start.tolist(), end.tolist(), "blue-edge")
    where = (("start", 0, -10, "middle"), ("step 1", -4, -10, "end"), (f"step 2 = {vector(steps[-1], 2)}", 6, 16, "start"))
    for at, (words, dx, dy, anchor) in zip(steps, where, strict=True):
        plot.dot(*at, "ink", 3)
        plot.label(*at, words, dx=dx, dy=dy, anchor=anchor)


def _along(d: Drawing, steps: Sequence[Array], added: Callable[[Array], float]) -> None:
    lengths = [0.0, *np.cumsum([np.linalg.norm(end - start) for start, end in pairwise(steps)]).tolist()]
    curves = []
    for (start, end), (near, far), reach in zip(pairwise(steps), pairwise(lengths), (1.7, 4.2), strict=True):
        shares = np.linspace(-0.1, reach, 60)
        curves.append((near + shares * (far - near), np.array([added(start + t * (end - start)) for t in shares])))
    x, y = linear(np.concatenate([c[0] for c in curves])), linear(np.concatenate([c[1] for c in curves]))
    plot = Plot(d, (516, 44, 360, 286), x, y, ("L along the path: a parabola each step", "way from the start", "L"))
    for n, (across, up) in enumerate(curves):
        plot.curve(across.tolist(), up.tolist(), ("blue-edge", "orange-edge")[n], "" if n == 0 else "dashed")
    for n, (step, length) in enumerate(zip(steps, lengths, strict=True)):
        plot.dot(length, added(step), "ink")
        words = f"{('start', 'step 1', 'step 2')[n]}: {number(added(step))}"
        plot.label(length, added(step), words, dx=(8, -8, 8)[n], dy=(-2, 16, 20)[n], anchor=("start", "end", "start")[n])
