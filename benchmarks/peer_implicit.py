"""Measure `implicit` (C++, everything in memory), as its documentation uses it.

    python benchmarks/peer_implicit.py iteration S-counts.tsv --rank 64
    python benchmarks/peer_implicit.py iteration S-counts.tsv --solver cholesky
    python benchmarks/peer_implicit.py end-to-end M-counts.tsv
    python benchmarks/peer_implicit.py recommend MODEL M-counts.tsv
    python benchmarks/peer_implicit.py fit M-counts.tsv --iterations 10
    python benchmarks/peer_implicit.py transpose M-counts.tsv

Its matrix holds the confidence itself, so it gets c = 1 + 10 log(1 + r), and the same lambda for every row.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import os  # noqa: E402
import tempfile  # noqa: E402
import warnings  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from common import ALPHA, confidence_of, per_iteration, read_counts, report, weighted_rmse  # noqa: E402

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))


def untrained(rank: int, iterations: int, *, cg: bool) -> Any:
    """Make a model, to be fitted to confidences."""
    from implicit.cpu.als import AlternatingLeastSquares

    return AlternatingLeastSquares(
        factors=rank, regularization=1.0, alpha=1.0, iterations=iterations, use_cg=cg, num_threads=THREADS, random_state=0
    )


def fit(matrix: Any, rank: int, iterations: int, *, cg: bool) -> Any:
    """Train a model on a CSR matrix of confidences; the item factors begin as ours do, N(0, 1 / rank)."""
    model = untrained(rank, iterations, cg=cg)
    rng = np.random.default_rng(0)
    model.item_factors = rng.normal(0.0, rank**-0.5, (matrix.shape[1], rank)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(matrix, show_progress=False)
    return model


def load(path: str) -> tuple[Any, tuple[Any, ...]]:
    """Read a counts file into a CSR matrix of confidences, float32, the usual way: np.loadtxt and SciPy."""
    from scipy.sparse import coo_matrix

    users, items, plays, n_users, n_items = read_counts(path)
    confidence = confidence_of(plays)
    matrix = coo_matrix((confidence.astype(np.float32), (users, items)), shape=(n_users, n_items)).tocsr()
    return matrix, (users, items, confidence)


def recommend(model_path: str, path: str, rank: int) -> None:
    """Seconds of recommending to all users, factors and plays in memory already."""
    import sys

    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    import mr_als

    trained = mr_als.load(model_path)
    matrix, _ = load(path)
    model = untrained(rank, 0, cg=True)
    for name in ("user", "item"):
        order = np.argsort([int(i) for i in getattr(trained, f"{name}_ids")])
        setattr(model, f"{name}_factors", np.ascontiguousarray(getattr(trained, f"{name}_factors")[order]))
    started = time.perf_counter()
    total = 0.0
    for first in range(0, matrix.shape[0], 2000):
        users = np.arange(first, min(first + 2000, matrix.shape[0]))
        _, scores = model.recommend(users, matrix[users], N=10, filter_already_liked_items=True)
        total += float(scores.sum(dtype=np.float64))
    report(time.perf_counter() - started, lines=10 * matrix.shape[0], score=total)


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("iteration", "end-to-end", "recommend", "fit", "transpose"))
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--iterations", default="2,7")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--solver", choices=("cg", "cholesky"), default="cg")
    given = parser.parse_args()
    counts = [int(n) for n in given.iterations.split(",")]
    cg = given.solver == "cg"
    if given.task == "recommend":
        recommend(*given.paths, given.rank)
        return
    matrix, pairs = load(given.paths[0])
    if given.task == "transpose":
        started = time.perf_counter()
        other = matrix.T.tocsr()
        report(time.perf_counter() - started, lines=other.nnz, score=float(np.expm1((pairs[2] - 1) / ALPHA).sum()))
        return
    if given.task == "fit":
        untrained(given.rank, 0, cg=cg)  # the import is no part of it
        started = time.perf_counter()
        model = fit(matrix, given.rank, counts[-1], cg=cg)
        report(time.perf_counter() - started, wrmse=weighted_rmse(model.user_factors, model.item_factors, *pairs))
        return
    if given.task == "iteration":
        seconds, model = per_iteration(lambda n: fit(matrix, given.rank, n, cg=cg), counts)
    else:
        model = fit(matrix, given.rank, counts[-1], cg=cg)
        with tempfile.TemporaryDirectory() as work:
            np.save(os.path.join(work, "users.npy"), model.user_factors)
            np.save(os.path.join(work, "items.npy"), model.item_factors)
            seconds = time.perf_counter() - STARTED
    report(seconds, wrmse=weighted_rmse(model.user_factors, model.item_factors, *pairs))


if __name__ == "__main__":
    main()
