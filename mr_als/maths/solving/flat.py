"""Solve rows one after the other with compiled code: the numba kernel.

    groups           neighbouring rows with at most so many observations in all
    solve            `mr_als.maths.solving.kernels_numba`, a group at a time, groups shared among threads
    x = Q w          one product for all rows, rounded once to float32
    left over        rows that a fast solver could not solve: exactly, by `mr_als.maths.solving.padded`

A row's result depends on the row alone, so neither on groups nor on threads. The loss is summed with w as it was
before x was rounded: at the minimum that makes a difference of the rounding's square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from mr_als.errors import UsageError
from mr_als.maths.array import Array
from mr_als.maths.solving.normal_equations import project
from mr_als.maths.solving.padded import multiply_padded, solve_padded
from mr_als.maths.solving.problem import GATHERED, Problem, Sums
from mr_als.maths.weighing.weights import Terms

__all__ = ["multiply_flat", "solve_flat"]

# observations of a group, to be solved and to be multiplied: enough to hide what Python does for each, few enough to share
# groups evenly
GROUP, LARGE_GROUP = 1 << 15, 1 << 17
# strengths below are levels of their own if all are whole, as plays are: what they add to the loss is computed once
LEVELS = 1 << 16


def solve_flat(problem: Problem, factors: Array) -> Sums:
    """Solve all rows of a block into `factors`, and give their part of the loss.

    Raises
    ------
    UsageError
        If numba is not installed.
    """
    degrees = np.diff(problem.indptr)
    w, sums = np.zeros(factors.shape, np.float32), np.zeros((len(degrees), 3))
    solved = np.zeros(len(degrees), bool)
    # the vectors as they are stored, and scaled: twice the bytes
    most = max(1, problem.method.max_gather // (8 * problem.rank + GATHERED))
    solve_rows = _kernels().compiled(problem.exact)
    levels = _levels(problem)

    def solve_group(rows: slice) -> None:
        with np.errstate(all="ignore"):  # a thread has its own
            arrays = *_gathered(problem, rows, levels), *_method(problem, rows)
        solve_rows(*arrays, w[rows], sums[rows], solved[rows])

    _share(solve_group, problem, GROUP, most)
    project(w, problem.basis.T, out=factors)
    left_over = np.flatnonzero(~solved & (degrees > 0))
    total = Sums(*(float(s) for s in sums.sum(axis=0)))
    return total + solve_padded(problem, left_over, factors, exact=True)


def multiply_flat(problem: Problem, factors: Array) -> None:
    """Sum t z over what each row of a block observed, divide by its regularization, and write that into `factors`.

    Raises
    ------
    UsageError
        If numba is not installed.
    """
    most = max(1, problem.method.max_gather // (4 * problem.rank + GATHERED))
    multiply, levels = _kernels().compiled_product(), _levels(problem)

    def multiply_group(rows: slice) -> None:
        indptr, indices, vectors, level, _, target, _ = _gathered(problem, rows, levels)
        multiply(indptr, indices, vectors, level, target, problem.regularization[rows], factors[rows])

    _share(multiply_group, problem, LARGE_GROUP, most)
    multiply_padded(problem, np.flatnonzero(np.diff(problem.indptr) > most), factors)


def _kernels() -> Any:
    try:
        import mr_als.maths.solving.kernels_numba as kernels
    except ImportError as error:
        reason = "is not installed here" if error.name == "numba" else f"cannot be loaded here ({error})"
        msg = f"--kernel numba: numba {reason}; pip install 'numba>=0.59', or use --kernel numpy"
        raise UsageError(msg) from None
    return kernels


def _share(work: Callable[[slice], None], problem: Problem, size: int, most: int) -> None:
    """Do the work for all groups, on all threads, but for rows of more than `most` observations: who is done takes the next."""
    groups = (rows for rows in _groups(problem.indptr, min(size, most)) if _count(problem.indptr, rows) <= most)
    lock = Lock()

    def work_off() -> None:
        while True:
            with lock:
                rows = next(groups, None)
            if rows is None:
                return
            work(rows)

    # the caller is one of them
    with ThreadPoolExecutor(max(1, problem.method.threads - 1)) as pool:
        others = [pool.submit(work_off) for _ in range(1, problem.method.threads)]
        work_off()
    for other in others:
        other.result()  # raises what a thread raised


def _groups(indptr: Array, size: int) -> Iterator[slice]:
    """Cut the rows into neighbours with at most `size` observations, or one row with more."""
    start, n_rows = 0, len(indptr) - 1
    while start < n_rows:
        stop = int(np.searchsorted(indptr, indptr[start] + size, side="right")) - 1
        stop = max(stop, start + 1)
        yield slice(start, stop)
        start = stop


def _count(indptr: Array, rows: slice) -> int:
    return int(indptr[rows.stop] - indptr[rows.start])


class Levels(NamedTuple):
    """Each observation's level, unsigned (nnz,), and what one of a level adds to the loss."""

    of: Array
    terms: Terms


def _levels(problem: Problem) -> Levels | None:
    """Return the levels of all observations if their strengths are small whole numbers, else None."""
    level = problem.strengths
    if not len(level) or not 0 <= level.min() <= level.max() < LEVELS:  # nor is one that is not a number
        return None
    if level.dtype.kind == "f":
        level = level.astype(np.uint32)
        if not np.array_equal(level, problem.strengths):
            return None
    return Levels(level, problem.weights.terms(np.arange(float(level.max()) + 1.0)))


def _gathered(problem: Problem, rows: slice, levels: Levels | None) -> tuple[Array, ...]:
    """Gather a group's indptr from 0, indices, vectors, levels and their terms; from a store, only the vectors it needs."""
    indptr = problem.indptr[rows.start : rows.stop + 1].astype(np.int64)
    part = slice(int(indptr[0]), int(indptr[-1]))
    indices, vectors = problem.indices[part], problem.vectors
    if not isinstance(vectors, np.ndarray):
        indices, vectors = np.arange(len(indices), dtype=np.uint32), vectors[indices]
    if levels is None:  # each observation has one of its own
        own = Levels(np.arange(len(indices), dtype=np.uint32), problem.weights.terms(problem.strengths[part]))
    else:
        own = Levels(levels.of[part].astype(np.uint32, copy=False), levels.terms)
    arrays = indices.astype(np.uint32, copy=False), vectors, own.of, *own.terms
    return indptr - indptr[0], *(np.ascontiguousarray(array) for array in arrays)


def _method(problem: Problem, rows: slice) -> tuple[Any, ...]:
    """Compute a group's (D + lambda_row)^(-1/2), NaN where that is unsafe, and select how to solve it."""
    diagonal = problem.spectrum + problem.regularization[rows, None]
    unsafe = diagonal.min(axis=1) <= problem.rounding
    scale = (1.0 / np.sqrt(diagonal)).astype(np.float32)
    scale[unsafe] = np.nan
    method = problem.method
    return scale, problem.spectrum, *(() if problem.exact else (method.tolerance, method.max_steps))
