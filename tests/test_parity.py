"""The command line's model is that of other libraries: their equations solved anew, an independent iALS, and implicit itself."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mr_als
from mr_als import cli
from tests.evaluating.test_evaluate import by_hand
from tests.toy import dense_plays, initial_items, toy_lines, write

RANK, LAM = 6, 0.05
COMMON = ["--rank", str(RANK), "--solver", "cholesky", "--tolerance", "0", "-q"]


def trained(folder, lines, *options):
    """Train by the command line; give the model, and the plays of its users and items."""
    log, path = write(folder / "log.tsv", lines), str(folder / "model")
    assert cli.main(["train", log, "--model", path, *COMMON, *options]) == 0
    model = mr_als.load(path)
    return model, dense_plays(lines, list(model.user_ids), list(model.item_ids))


def implicit_equations(r, y, Y, n):
    """A = Y'Y + sum (c - 1) y y' + lambda I, b = sum c y, where c = 1 + 5 r stands in the matrix."""
    c = 1 + 5 * r
    return Y.T @ Y + (y.T * (c - 1)) @ y + LAM * np.eye(RANK), y.T @ c


def spark_equations(r, y, Y, n):
    """A = Y'Y + sum c1 y y' + lambda n I, b = sum (1 + c1) y with c1 = alpha r."""
    return Y.T @ Y + (y.T * (5 * r)) @ y + LAM * len(r) * np.eye(RANK), y.T @ (1 + 5 * r)


def log_equations(r, y, Y, n):
    """C = 1 + alpha log(1 + r / epsilon) of Hu et al., with the lambda of Rendle et al. times 1 + alpha: the defaults' form."""
    c = 1 + 10 * np.log(1 + r / 2)
    return Y.T @ (Y) + (y.T * (c - 1)) @ y + 0.01 * 11 * (len(r) + n / 10) * np.eye(RANK), y.T @ c


@pytest.mark.parametrize(
    ("equations", "options"),
    [
        (implicit_equations, f"--confidence linear --alpha 5 --regularization {LAM} --regularization-scaling none"),
        (spark_equations, f"--confidence linear --alpha 5 --regularization {LAM} --regularization-scaling count"),
        (log_equations, "--alpha 10 --epsilon 2 --regularization 0.01"),
    ],
)  # fmt: skip
def test_every_user_vector_solves_the_equations_of_the_library(equations, options, tmp_path):
    model, plays = trained(tmp_path, toy_lines(), *options.split(), "--max-iterations", "4")
    Y = model.item_factors.astype(np.float64)

    expected = np.array([np.linalg.solve(*equations(r[r > 0], Y[r > 0], Y, len(Y))) for r in plays])

    scale = np.abs(expected).max()
    np.testing.assert_allclose(model.user_factors, expected, rtol=1e-5, atol=1e-5 * scale)


def ials(plays, V, alpha_0, lam, nu, iterations):
    """Minimise sum_played (1 - s)^2 + alpha_0 sum_all s^2 + lam sum_rows (n + alpha_0 N)^nu |x|^2, users first and last."""

    def solved(played, V):
        rows = []
        for row in played:
            v = V[row]
            A = v.T @ v + alpha_0 * V.T @ V + lam * (row.sum() + alpha_0 * len(V)) ** nu * np.eye(V.shape[1])
            rows.append(np.linalg.solve(A, v.sum(axis=0)))
        return np.array(rows)

    played = plays > 0
    U = solved(played, V)
    for _ in range(iterations):
        V = solved(played.T, U)
        U = solved(played, V)
    return U, V


@pytest.mark.parametrize(("alpha_0", "lam", "nu"), [(0.1, 0.003, 1.0), (0.5, 0.02, 0.5)])
def test_ials_by_rendle_has_the_same_value_of_every_metric(alpha_0, lam, nu, tmp_path, capsys):
    lines = [line.rsplit("\t", 1)[0] + "\t1\n" for line in toy_lines(seed=5)]
    train, test = [line for n, line in enumerate(lines) if n % 5], [line for n, line in enumerate(lines) if n % 5 == 0]
    items = sorted({line.split("\t")[1] for line in train})
    start = initial_items(items, rank=RANK).astype(np.float64)
    # ours are theirs times the root of 1 + alpha_0
    scaled = [
        f"{item}\t" + "\t".join(map(repr, row)) + "\n"
        for item, row in zip(items, (start * np.sqrt(1 + alpha_0)).tolist(), strict=True)
    ]
    begun = ["--initial-factors", write(tmp_path / "start.tsv", scaled), "--max-iterations", "6"]
    options = f"--confidence linear --alpha {1 / alpha_0} --regularization {lam} --regularization-exponent {nu}"

    model, plays = trained(tmp_path, train, *options.split(), *begun)
    capsys.readouterr()
    assert cli.main(["evaluate", "--model", model.path, write(tmp_path / "test.tsv", test), "-k", "3,10", "--json", "-q"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]

    order = [items.index(item) for item in model.item_ids]
    U, V = ials(plays, start[order], alpha_0, lam, nu, 6)
    held_out = [line for line in test if line.split("\t")[1] in items]
    expected = by_hand(U @ V.T, plays, dense_plays(held_out, list(model.user_ids), list(model.item_ids)))
    assert {name: row["model"] for name, row in metrics.items()} == pytest.approx(expected, abs=1e-4)
    scores = model.user_factors.astype(float) @ model.item_factors.astype(float).T
    np.testing.assert_allclose(scores / (1 + alpha_0), U @ V.T, atol=1e-4)


@pytest.mark.filterwarnings("ignore:OpenBLAS is configured", "ignore:Intel MKL BLAS is configured")
def test_implicit_itself_finds_the_same_vectors(tmp_path):
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    options = f"--confidence linear --alpha 5 --regularization {LAM} --regularization-scaling none --max-iterations 4"
    model, plays = trained(tmp_path, toy_lines(), *options.split())
    start = initial_items(list(model.item_ids), rank=RANK)
    theirs = AlternatingLeastSquares(RANK, regularization=LAM, alpha=1.0, use_gpu=False, use_cg=False, iterations=4, num_threads=1)
    theirs.item_factors, theirs.user_factors = start.copy(), np.zeros((len(plays), RANK), np.float32)

    theirs.fit(csr_matrix(np.where(plays > 0, 1 + 5 * plays, 0.0)), show_progress=False)

    # they end with the items, we solve the users once more
    np.testing.assert_allclose(model.item_factors, theirs.item_factors, rtol=1e-3, atol=1e-4)
    found = theirs.recalculate_user(np.arange(len(plays)), csr_matrix(np.where(plays > 0, 1 + 5 * plays, 0.0)))
    np.testing.assert_allclose(model.user_factors, found, rtol=1e-3, atol=1e-4)
    theirs.item_factors = np.array(model.item_factors)
    theirs._YtY = None
    found = theirs.recalculate_user(np.arange(len(plays)), csr_matrix(np.where(plays > 0, 1 + 5 * plays, 0.0)))
    # implicit adds up and solves in float32: how far that is off depends on the processor, 2e-5 was seen
    np.testing.assert_allclose(model.user_factors, found, rtol=1e-5, atol=5e-5)
