"""Measure what a program calls: plays in memory become blocks, a model, and recommendations to all users.

    python benchmarks/from_python.py blocks M-counts.tsv
    python benchmarks/from_python.py fit M-counts.tsv --iterations 10
    python benchmarks/from_python.py recommend MODEL

The clock starts when the matrix is there and the library imported, as for the peer.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import numpy as np
from common import ALPHA, read_counts, report
from scipy.sparse import coo_matrix, csr_matrix

import mr_als
from mr_als.options import InputOptions
from mr_als.preparing.arrays import Arrays
from mr_als.preparing.prepare import prepare


def read(path: str) -> csr_matrix:
    """Read a counts file into a CSR matrix of plays, float32, as the peer does."""
    users, items, plays, n_users, n_items = read_counts(path)
    return coo_matrix((plays.astype(np.float32), (users, items)), shape=(n_users, n_items)).tocsr()


def blocks(path: str) -> None:
    """Seconds from a CSR to blocks of users and of items on disk, checked."""
    matrix = read(path)
    with tempfile.TemporaryDirectory() as work:
        started = time.perf_counter()
        plays = prepare(Arrays(matrix, lasting=False), work, InputOptions())
        report(time.perf_counter() - started, lines=plays.pairs, score=plays.plays)


def fit(path: str, rank: int, iterations: int) -> None:
    """Seconds from a CSR to a model."""
    matrix = read(path)
    mr_als.fit  # noqa: B018  (a name is imported when it is first used)
    started = time.perf_counter()
    model = mr_als.fit(
        matrix, rank=rank, max_iterations=iterations, tolerance=0, alpha=ALPHA, regularization=1, regularization_scaling="none",
        progress=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    # the peer ends with the items; we go on with one more half of the users
    wrmse = next(entry["wrmse"] for entry in model.info["history"] if entry["half"] == 2 * iterations)
    report(seconds, wrmse=wrmse, kernel=model.info["plan"].get("kernel"))


def recommend(path: str) -> None:
    """Seconds to the best ten of all users, from an open model."""
    model = mr_als.load(path)
    started = time.perf_counter()
    ids, scores = model.recommend(n=10)
    report(time.perf_counter() - started, lines=ids.size, score=float(scores[np.isfinite(scores)].sum(dtype=np.float64)))


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("blocks", "fit", "recommend"))
    parser.add_argument("path", help="a file of benchmarks/data.py, or a model")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--rank", type=int, default=64)
    given = parser.parse_args()
    if given.task == "fit":
        fit(given.path, given.rank, given.iterations)
    else:
        {"blocks": blocks, "recommend": recommend}[given.task](given.path)


if __name__ == "__main__":
    main()
