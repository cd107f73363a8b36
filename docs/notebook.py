"""The worked example as a notebook: the prose of the page, and in place of each command the code that gives its numbers.

A cell's functions are those of `mr_als.teaching.formulas`, copied in, so that a reader can change them. nbclient runs the cells.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mr_als.teaching import formulas

PAGE = Path(__file__).resolve().parent / "worked-example.md"
NOTEBOOK = PAGE.with_suffix(".ipynb")

# section of `mr-als walkthrough` -> code; a line `use NAME` stands for the source of that formula
CELLS = {
    "plays": r"""
        import numpy as np
        np.set_printoptions(precision=4, suppress=True)

        users, items = ["u1", "u2", "u3", "u4"], ["aria", "blues", "conga", "disco", "etude"]
        R = np.array([[3, 1, 0, 0, 0], [1, 2, 0, 0, 1], [0, 0, 2, 1, 0], [0, 1, 1, 3, 0]])
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
        Y0 = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [1, 0]], float)
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
        print(a, b, np.linalg.solve(a, b), sep="\n")""",
    "lambda": r"""
        def trained(lam, rounds=200):
            Y = Y0
            for _ in range(rounds):
                X = solve_rows(R, Y, alpha, lam)
                Y = solve_rows(R.T, X, alpha, lam)
            return X

        print(f"{np.linalg.svd(C * P)[1][0]:.4f}")
        for strength in (0.063, 1, 3.1, 5, 6.6):
            print(strength, f"{np.linalg.norm(trained(strength), axis=1).mean():.4f}")""",
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


def build(page: str) -> nbformat.NotebookNode:
    """Turn the page, up to its exercises, into a notebook with the outputs of its cells."""
    parts = _BLOCK.split(re.split(r"^## \d+\. Exercises$", page, flags=re.MULTILINE)[0])
    cells = []
    for text, arguments in zip(parts[::2], [*parts[1::2], None], strict=True):
        if text.strip():
            cells.append(new_markdown_cell(text.strip()))
        if arguments:
            cells.append(new_code_cell(code_of(arguments.removeprefix("--only "))))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    book = new_notebook(cells=cells)
    NotebookClient(book, kernel_name="python3", record_timing=False, coalesce_streams=True).execute(cwd=PAGE.parents[1])
    # not the versions of what has run it
    book.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return book


def code_of(section: str) -> str:
    """Build the code of a section, with the formulas it uses copied in."""
    lines = [line[8:] for line in CELLS[section].strip("\n").splitlines()]
    parts = []
    for line in lines:
        name = line.removeprefix("use ")
        parts += [*formulas.source(getattr(formulas, name)), ""] if name != line else [line]
    return "\n".join(parts)
