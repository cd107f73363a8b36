"""The worked example as a notebook one can lecture from.

It has the prose of the page, and in place of each command the code that gives its numbers; besides, there are plots, questions
and exercises whose answers are folded away (`lecture`). A cell's functions are those of `mr_als.teaching.formulas`, copied in, so
that a reader can change them. nbclient runs the cells, but for the one that installs.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import nbformat
from lecture import DRAWING, EXERCISES, FORMULAS, INSTALL, INTRO, PLOTS, QUESTIONS
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mr_als.teaching import formulas
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS

PAGE = Path(__file__).resolve().parent / "worked-example.md"
NOTEBOOK = PAGE.with_suffix(".ipynb")

# section of `mr-als walkthrough` -> code; a line `use NAME` stands for the source of that formula
CELLS = {
    "plays": r"""
        import numpy as np
        np.set_printoptions(precision=4, suppress=True)

        users, items = {users}, {items}
        R = np.array({plays})
        print(R.size, (R > 0).sum(), R.sum())""",
    "preference": r"""
        use preference_of
        P = preference_of(R)
        P""",
    "confidence": r"""
        use confidence_of
        alpha = 1
        C = confidence_of(R, alpha)
        C""",
    "start": r"""
        Y0 = np.array({start}, float)
        Y0""",
    "loss": r"""
        use loss
        use weighted_rmse
        lam = 1
        squared_error, penalty = loss(P, C, np.zeros((4, 2)), Y0, lam)
        print(np.round([squared_error, penalty, squared_error + penalty, weighted_rmse(squared_error, C)], 4))""",
    "derivative": r"""
        use gradient
        x = np.array([13 / 18, 1 / 9])
        print(gradient(Y0, C[0], P[0], np.zeros(2), lam), np.allclose(gradient(Y0, C[0], P[0], x, lam), 0))""",
    "row": r"""
        use over_all_cells
        a, b = over_all_cells(Y0, C[0], P[0], lam)
        print(a, b, np.linalg.det(a).round(4), np.linalg.solve(a, b), sep="\n")""",
    "gram": r"""
        use by_the_gram_trick
        gram = Y0.T @ Y0
        played = R[0] > 0
        print(gram, *by_the_gram_trick(gram, Y0[played], C[0][played], lam), sep="\n")""",
    "operations": r"""
        n_users, n_items, n_pairs, rank = 1_000_000, 100_000, 100_000_000, 64
        solving = n_users * rank**3 / 3
        print(round((n_users * n_items * rank**2 + solving) / ((n_items + n_pairs) * rank**2 + solving)))""",
    "users": r"""
        def solve_rows(R, Y, alpha, lam):
            gram, rows = Y.T @ Y, []
            for r in R:
                a, b = by_the_gram_trick(gram, Y[r > 0], 1 + alpha * r[r > 0], lam)
                rows.append(np.linalg.solve(a, b))
            return np.array(rows)

        X1 = solve_rows(R, Y0, alpha, lam)
        X1""",
    "errors": r"""
        squared_error, penalty = loss(P, C, X1, Y0, lam)
        print(C * (P - X1 @ Y0.T) ** 2, np.round([squared_error, penalty, weighted_rmse(squared_error, C)], 4), sep="\n")""",
    "cheap-error": r"""
        use squared_error_of_row
        print(squared_error_of_row(gram, Y0[played], C[0][played], X1[0]).round(4))""",
    "item": r"""
        Y1 = solve_rows(R.T, X1, alpha, lam)  # the same function
        Y1""",
    "halves": r"""
        X, Y, wrmse = X1, Y0, [weighted_rmse(loss(P, C, X1, Y0, lam)[0], C)]
        while len(wrmse) < 2 or abs(wrmse[-1] - wrmse[-2]) > 0.001 * wrmse[-1]:
            Y = solve_rows(R.T, X, alpha, lam)
            X = solve_rows(R, Y, alpha, lam)
            squared_error, penalty = loss(P, C, X, Y, lam)
            wrmse.append(weighted_rmse(squared_error, C))
            print(f"{wrmse[-1]:.4f} {squared_error:.4f} {penalty:.4f} {squared_error + penalty:.4f}")""",
    "model": r"""
        print(X, Y, X @ Y.T, sep="\n\n")""",
    "recommend": r"""
        new = [i for i in np.argsort(-(X @ Y.T)[0]) if R[0, i] == 0]
        [(items[i], (X @ Y.T)[0, i].round(4).item()) for i in new]""",
    "explain": r"""
        use parts_of_score
        a, b = by_the_gram_trick(Y.T @ Y, Y[played], C[0][played], lam)
        parts = parts_of_score(a, Y[played], C[0][played], Y[new[0]])
        print(parts, parts.sum().round(4))""",
    "solver": r"""
        use whiten
        use conjugate_gradient
        z, scale, Q = whiten(gram, Y0[played], lam)
        v = conjugate_gradient(z, C[0][played], 2)
        print(z, v, (v * scale) @ Q.T, sep="\n\n")""",
    "explicit": r"""
        use explicit_equations
        a, b = explicit_equations(Y0[played], R[0][played], 0.1)
        print(a, b, np.linalg.solve(a, b), sep="\n")

        def solve_rated(R, Y):
            return np.array([np.linalg.solve(*explicit_equations(Y[r > 0], r[r > 0], 0.1)) for r in R])

        rated_Y = Y0
        for _ in range(20):
            rated_X = solve_rated(R, rated_Y)
            rated_Y = solve_rated(R.T, rated_X)
        rated = solve_rated(R, rated_Y) @ rated_Y.T
        for user, scores, ratings in zip(users, rated, R):
            print(user, *(f"{score:6.2f}{' ' if rating else '*'}" for score, rating in zip(scores, ratings)))
        print("mean where rated, where not:", rated[R > 0].mean().round(2), rated[R == 0].mean().round(2))""",
    "lambda": r"""
        def trained(lam, rounds=200):
            Y = Y0
            for _ in range(rounds):
                X = solve_rows(R, Y, alpha, lam)
                Y = solve_rows(R.T, X, alpha, lam)
            X = solve_rows(R, Y, alpha, lam)
            return X, Y

        print("singular values of the table c p:", np.linalg.svd(C * P)[1])
        for strength in (0.063, 1, 3.1, 5, 5.9, 6.6):
            X_, Y_ = trained(strength)
            alive = (np.linalg.svd(X_)[1] > 0.001).sum()
            scores = np.where(R[0] > 0, -np.inf, (X_ @ Y_.T)[0])
            best = f"{items[scores.argmax()]} {scores.max():.4f}" if alive else "nothing is left"
            print(f"lambda {strength:<5}  mean |x| {np.linalg.norm(X_, axis=1).mean():.4f}  directions {alive}  best new: {best}")

        # auto: multiply by the table and its transpose in turn, instead of decomposing it
        passed = (C * P) @ Y0
        print("pass 1:", passed.tolist())
        for n in (2, 3, 4):
            passed = ((C * P) if n % 2 else (C * P).T) @ np.linalg.qr(passed)[0]
            print(f"pass {n}:", np.linalg.svd(passed)[1])""",
    "score": r"""
        print((X @ Y.T).min().round(4), (X @ Y.T).max().round(4), (X @ Y.T).sum(axis=1))""",
    "rotation": r"""
        T = np.array([[0.8, -0.6], [0.6, 0.8]])
        print(X @ T, Y @ T, np.allclose((X @ T) @ (Y @ T).T, X @ Y.T), sep="\n\n")""",
    "fold-in": r"""
        a, b = by_the_gram_trick(Y.T @ Y, Y[[0]], np.array([2.0]), lam)  # aria, once
        x_new = np.linalg.solve(a, b)
        print(x_new, Y @ x_new, sep="\n")""",
    "evaluate": r"""
        def trained_on(R, rounds=7):
            Y = Y0
            for _ in range(rounds):
                X = solve_rows(R, Y, alpha, lam)
                Y = solve_rows(R.T, X, alpha, lam)
            return X @ Y.T

        for u, i in np.argwhere(R):
            rest = R.copy()
            rest[u, i] = 0
            if rest[:, i].any():
                scores = trained_on(rest)[u].round(3) + 0.0
                candidates = [j for j in np.argsort(-scores, kind="stable") if rest[u, j] == 0]
                print(users[u], items[i], [(items[j], scores[j].item()) for j in candidates])""",
    "defaults": r"""
        alpha_auto = 3 / np.log1p(R[R > 0]).mean()  # half of the cells are played: the lower bound
        print(round(alpha_auto, 2), 1 + alpha_auto * np.log1p([1, 3, 100]))""",
    "mapreduce": r"""
        import contextlib, os, pathlib, tempfile
        import mr_als
        from mr_als.cli import main

        choices = "--confidence linear --alpha 1 --regularization 1 --regularization-scaling none --solver cholesky --rank 2"
        with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            plays, start, path = (os.path.join(folder, name) for name in ("plays.tsv", "items.tsv", "model"))
            pathlib.Path(plays).write_text("".join(f"{users[u]}\t{items[i]}\t{R[u, i]}\n" for u, i in np.argwhere(R)))
            pathlib.Path(start).write_text("".join(f"{item}\t{y[0]}\t{y[1]}\n" for item, y in zip(items, Y0)))
            files = ["--format", "counts", "--model", path, "--initial-factors", start, "--join", "shuffle"]
            main(["train", plays, "--quiet", *files, *choices.split()])
            model = mr_als.load(path)
            found = np.array([model.user_factors[model.user_index(user)] for user in users])
        print(found, np.abs(found - X).max() < 1e-6)""",
}

_BLOCK = re.compile(r"^```console\n\$ mr-als walkthrough (.*)\n(?:.*\n)*?```$", re.MULTILINE)
_EXERCISES = re.compile(r"^## \d+\. Exercises$", re.MULTILINE)


def build(page: str) -> nbformat.NotebookNode:
    """Turn the page into a notebook with the outputs of its cells."""
    cells = list(cells_of(page))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    book = new_notebook(cells=cells)
    NotebookClient(book, kernel_name="python3", record_timing=False, coalesce_streams=True).execute(cwd=PAGE.parents[1])
    # not the versions of what has run it
    book.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return book


def cells_of(page: str) -> Iterator[nbformat.NotebookNode]:
    """Yield the cells in their order."""
    preface, body = re.split(r"^(?=## )", page, maxsplit=1, flags=re.MULTILINE)
    lessons, exercises = _EXERCISES.split(body)
    yield new_markdown_cell(INTRO)
    # nbclient leaves out a cell of this tag
    yield new_code_cell(INSTALL, metadata={"tags": ["skip-execution"]})
    if glossary := glossary_of(preface):
        yield new_markdown_cell(glossary)
    parts = _BLOCK.split(lessons)
    for text, arguments in zip(parts[::2], [*parts[1::2], None], strict=True):
        if prose := own(text):
            yield new_markdown_cell(prose)
        if arguments:
            yield from section_of(arguments.removeprefix("--only "))
    yield new_markdown_cell(EXERCISES)
    yield from (new_markdown_cell(text) for text in exercises_of(exercises))
    yield new_markdown_cell("## Read on" + exercises.split("## Read on")[1].rstrip())


def section_of(name: str) -> Iterator[nbformat.NotebookNode]:
    """Yield the formulas and the question of a section, its code and its plot."""
    if name in FORMULAS:
        yield new_markdown_cell(textwrap.dedent(FORMULAS[name]).strip())
    if name in QUESTIONS:
        question, answer = (text.format(u=EXAMPLE.users, i=EXAMPLE.items) for text in QUESTIONS[name])
        yield new_markdown_cell(f"**Question.** {question}\n\n{folded(answer)}")
    yield new_code_cell(code_of(name))
    if name == "plays":
        yield new_code_cell(DRAWING)
    if name in PLOTS:
        yield new_code_cell(textwrap.dedent(PLOTS[name]).strip())


def folded(answer: str) -> str:
    """Fold an answer away, until a reader opens it."""
    return f"<details>\n<summary>Answer</summary>\n\n{answer}\n\n</details>"


def glossary_of(preface: str) -> str:
    """Take of what comes before the first section the table of terms, and the line that leads to it."""
    paragraphs = preface.strip().split("\n\n")
    tables = [n for n, paragraph in enumerate(paragraphs) if paragraph.startswith("|")]
    return "\n\n".join(paragraph for n in tables for paragraph in paragraphs[max(n - 1, 0) : n + 1])


def own(text: str) -> str:
    """Take the page's prose: without its pictures, in place of which there are plots, nor links to its own sections."""
    without = re.sub(r"^!\[[^\]]*\]\([^)]*\)$\n*", "", text, flags=re.MULTILINE)
    return re.sub(r"\[([^\]]*)\]\(#[^)]*\)", r"\1", without).strip()


def exercises_of(text: str) -> Iterator[str]:
    """Yield each exercise with its answer folded away."""
    asked, answered = text.split("## Read on")[0].split("### Answers")
    questions = re.findall(r"^\d+\. ((?:.*\n)(?: +.*\n)*)", asked, re.MULTILINE)
    answers = re.split(r"^\*\*\d+\.\*\* ", answered, flags=re.MULTILINE)[1:]
    for number, (question, answer) in enumerate(zip(questions, answers, strict=True), 1):
        words = " ".join(question.split())
        yield f"**Exercise {number}.** {words}\n\n{folded(own(answer))}"


def code_of(section: str) -> str:
    """Build the code of a section, with the formulas it uses and the example's numbers filled in."""
    users, items, plays = EXAMPLE
    given = {
        "users": [*users],
        "items": [*items],
        "plays": plays.astype(int).tolist(),
        "start": EXAMPLE_FACTORS.astype(int).tolist(),
    }
    parts = []
    for line in textwrap.dedent(CELLS[section]).strip().splitlines():
        name = line.removeprefix("use ")
        filled = re.sub(r"\{(users|items|plays|start)\}", lambda found: json.dumps(given[found[1]]), line)
        parts += [*formulas.source(getattr(formulas, name)), ""] if name != line else [filled]
    return "\n".join(parts)
