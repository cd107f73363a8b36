"""From the utility matrix to the first half-iteration: what is minimised, and how one row is solved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mr_als.maths.array import Array
from mr_als.teaching import formulas
from mr_als.teaching.lesson import Lesson, Section
from mr_als.teaching.text import equation, exactly, grid, number, table, vector

# matrices of a larger rank are too wide for a cell of a table
NARROW = 2


def code(*functions: Callable[..., object]) -> Iterator[str]:
    """Show functions, set off from the numbers."""
    yield ""
    for function in functions:
        yield from (f"    {line}" for line in formulas.source(function))
        yield ""


def plays(lesson: Lesson) -> Iterator[str]:
    """Show R."""
    users, items, r = lesson.matrix
    yield "r_ui: how often user u played item i; a dot is a cell without a play"
    yield ""
    yield from grid(users, items, r, 0)
    yield ""
    n_pairs = int((r > 0).sum())
    yield f"{len(users)} users x {len(items)} items = {r.size} cells, {n_pairs} of them played, {number(r.sum())} plays"


def preference(lesson: Lesson) -> Iterator[str]:
    """Show P."""
    yield "p_ui = 1 if r_ui > 0, else 0"
    yield from code(formulas.preference_of)
    yield from grid(lesson.matrix.users, lesson.matrix.items, lesson.preference)


def confidence(lesson: Lesson) -> Iterator[str]:
    """Show C."""
    yield f"c_ui = 1 + alpha r_ui      with alpha = {number(lesson.alpha)}"
    yield from code(formulas.confidence_of)
    yield from grid(lesson.matrix.users, lesson.matrix.items, lesson.confidence)
    yield ""
    yield f"sum of all c = {number(lesson.confidence.sum())}"


def start(lesson: Lesson) -> Iterator[str]:
    """Show the vectors to begin with."""
    yield f"rank {lesson.rank}; the item vectors Y to begin with, the user vectors X are not needed yet"
    yield ""
    yield from vectors(lesson.matrix.items, lesson.start)


def loss(lesson: Lesson) -> Iterator[str]:
    """Show the objective, at X = 0."""
    yield "objective = sum over all u, i of c_ui (p_ui - x_u.y_i)^2  +  lambda (sum of |x_u|^2 + sum of |y_i|^2)"
    yield "wRMSE     = sqrt( sum over all u, i of c_ui (p_ui - x_u.y_i)^2  /  sum over all u, i of c_ui )"
    yield from code(formulas.loss, formulas.weighted_rmse)
    zero = np.zeros((len(lesson.matrix.users), lesson.rank))
    error, penalty, wrmse = lesson.losses(zero, lesson.start)
    terms = " + ".join(number(c) for c in lesson.confidence[lesson.matrix.plays > 0])
    yield "with all x_u = 0 every score is 0, so each played cell costs its c and all others nothing:"
    yield ""
    yield f"    squared error  {terms} = {number(error)}"
    yield f"    penalty        {number(lesson.regularization)} x (0 + {number((lesson.start**2).sum())}) = {number(penalty)}"
    yield f"    objective      {number(error)} + {number(penalty)} = {number(error + penalty)}"
    yield f"    wRMSE          sqrt({number(error)} / {number(lesson.confidence.sum())}) = {number(wrmse)}"


def derivative(lesson: Lesson) -> Iterator[str]:
    """Derive the closed form, and check it by the derivative."""
    user, Y = lesson.matrix.users[lesson.user], lesson.start
    yield f"what user {user} adds to the objective, the item vectors fixed:"
    yield ""
    yield "    L(x)  = sum_i c_i (p_i - x.y_i)^2 + lambda x.x"
    yield "    dL/dx = sum_i c_i 2 (p_i - x.y_i) (-y_i) + 2 lambda x"
    yield "          = -2 sum_i c_i p_i y_i + 2 (sum_i c_i y_i y_i') x + 2 lambda x"
    yield "          = -2 b + 2 A x                     A = sum_i c_i y_i y_i' + lambda I,   b = sum_i c_i p_i y_i"
    yield "    dL/dx = 0   where   A x = b,   so   x = A^-1 b"
    yield from code(formulas.gradient)
    c, p = lesson.confidence[lesson.user], lesson.preference[lesson.user]
    solution = lesson.first_users[lesson.user]
    for name, x in (("0", np.zeros(lesson.rank)), (vector(solution), solution)):
        yield f"dL/dx at x = {name}:  {vector(formulas.gradient(Y, c, p, x, lesson.regularization))}"


def row(lesson: Lesson) -> Iterator[str]:
    """Solve one user, cell by cell."""
    u, Y = lesson.user, lesson.start
    c, p = lesson.confidence[u], lesson.preference[u]
    yield f"user {lesson.matrix.users[u]}:"
    yield "    A = sum over all items of c_i y_i y_i' + lambda I,   b = sum over all items of c_i p_i y_i"
    yield from code(formulas.over_all_cells)
    a, b = formulas.over_all_cells(Y, c, p, lesson.regularization)
    header, rows = ["item", "c", "p", "y", "c p y"], []
    for i, item in enumerate(lesson.matrix.items):
        rows.append([item, number(c[i]), number(p[i]), vector(Y[i]), vector(c[i] * p[i] * Y[i])])
    rows.append(["sum", "", "", "", vector(b)])
    if lesson.rank <= NARROW:
        rows.insert(-1, ["lambda I", "", "", "", ""])
        terms = [*(c[i] * np.outer(Y[i], Y[i]) for i in range(len(c))), lesson.regularization * np.eye(lesson.rank), a]
        header.insert(4, "c y y'")
        for cells, term in zip(rows, terms, strict=True):
            cells.insert(4, flat(term))
    yield from table(header, rows)
    if lesson.rank > NARROW:
        yield ""
        yield from equation("A = ", a)
    yield ""
    yield from solution(a, b)


def gram(lesson: Lesson) -> Iterator[str]:
    """Solve the same user by the Gram trick, and count."""
    u, Y = lesson.user, lesson.start
    items = lesson.played(u)
    c = lesson.confidence[u, items]
    yield "sum over all items of c_i y_i y_i'  =  Y'Y  +  sum over the played items of (c_i - 1) y_i y_i'"
    yield from code(formulas.by_the_gram_trick)
    gram = Y.T @ Y
    yield from equation("Y'Y = ", gram, "      once for all users")
    yield ""
    parts: list[str | Array] = ["A = ", gram]
    for i, weight in zip(items, c, strict=True):
        parts += [f" + {number(weight - 1)} ", np.outer(Y[i], Y[i])]
    a, b = formulas.by_the_gram_trick(gram, Y[items], c, lesson.regularization)
    yield from equation(*parts, f" + {number(lesson.regularization)} ", np.eye(lesson.rank), " = ", a)
    yield ""
    terms = " + ".join(f"{number(weight)} {vector(Y[i])}" for i, weight in zip(items, c, strict=True))
    yield f"b = {terms} = {vector(b)}"


def operations(lesson: Lesson) -> Iterator[str]:
    """Count the multiplications of both ways, here and at scale; solving a system takes about rank^3 / 3."""
    n_users, n_items = lesson.matrix.plays.shape
    n_pairs, k = int((lesson.matrix.plays > 0).sum()), lesson.rank
    yield "multiplications to build the matrices A of all users, rank x rank for each term y y', and to solve A x = b:"
    yield "    all cells   users x items x rank^2"
    yield "    Gram trick  (items + pairs) x rank^2"
    yield "    solving     users x rank^3 / 3, whichever way A was built; ratio: with it"
    yield ""
    rows = []
    for name, users, items, pairs, rank in (
        ("this matrix", n_users, n_items, n_pairs, k),
        ("1M users, 100k items, 100M pairs", 10**6, 10**5, 10**8, 64),
    ):
        everything, trick, solving = users * items * rank**2, (items + pairs) * rank**2, users * rank**3 / 3
        ratio = number((everything + solving) / (trick + solving), 1)
        rows.append([name, str(rank), f"{everything:.3g}", f"{trick:.3g}", f"{solving:.3g}", ratio])
    yield from table(["", "rank", "all cells", "Gram trick", "solving", "ratio"], rows)


def users(lesson: Lesson) -> Iterator[str]:
    """Solve all users."""
    yield "half 1: the same for every user"
    yield ""
    rows = []
    for row, name in enumerate(lesson.matrix.users):
        a, b = lesson.equations(row, lesson.start)
        rows.append([name, flat(a), vector(b), number(np.linalg.det(a)), exactly(np.linalg.solve(a, b))])
    keep = [0, 1, 2, 3, 4] if lesson.rank <= NARROW else [0, 3, 4]
    header = ["user", "A", "b", "det A", "x = A^-1 b"]
    yield from table([header[n] for n in keep], [[row[n] for n in keep] for row in rows])


def solution(a: Array, b: Array) -> Iterator[str]:
    """Solve a x = b in the open."""
    if len(b) == 2:
        (p, q), (_, s) = a
        det = p * s - q * q
        yield f"det A = {number(p)} x {number(s)} - {number(q)} x {number(q)} = {number(det)}"
        swapped = np.array([[s, -q], [-q, p]])
        yield from equation(f"x = 1/{number(det)} ", swapped, " ", b[:, None], " = ", f"1/{number(det)} ", (swapped @ b)[:, None])
        yield f"  = {exactly(np.linalg.solve(a, b))}"
    else:
        yield f"det A = {number(float(np.linalg.det(a)))}"
        yield f"x = A^-1 b = {exactly(np.linalg.solve(a, b))}"


def small(name: str, values: Array) -> list[str]:
    """Show a named matrix on one line if it is small, else as it stands."""
    return [f"{name} = {flat(values)}"] if len(values) <= NARROW else ["", *equation(f"{name} = ", values), ""]


def flat(values: Array) -> str:
    """Format a matrix on one line, rows separated by semicolons."""
    return "[" + "; ".join(" ".join(number(v) for v in row) for row in values) + "]"


def vectors(names: Sequence[str], factors: Array) -> list[str]:
    """Show named vectors, one a line."""
    rows = [[name, *map(number, row)] for name, row in zip(names, factors, strict=True)]
    return table(["", *(f"[{t}]" for t in range(factors.shape[1]))], rows)


SECTIONS = (
    Section("plays", "The utility matrix", plays),
    Section("preference", "Preferences: what was played is liked", preference),
    Section("confidence", "Confidences: the more often, the surer", confidence),
    Section("start", "Vectors to begin with", start),
    Section("loss", "What is minimised", loss),
    Section("derivative", "The best vector of a user: the derivative is zero", derivative),
    Section("row", "One user over all cells", row),
    Section("gram", "The same by the Gram trick", gram),
    Section("operations", "What the trick saves", operations),
    Section("users", "All users", users),
)
