"""The arithmetic of one row after the other, compiled by numba. Same equations as `mr_als.maths.solving.kernels`.

Nothing is padded, and what a row gathers stays in a core's cache until it is solved. A row's arithmetic depends on
nothing but the row: not on its neighbours, nor on the thread that runs it. All is float32 but the loss.

    (I + Z~' E Z~) v = Z~' t,       Z~ = Z (D + lambda)^(-1/2)                                       (2)

is solved by conjugate gradients or exactly. With U = E^(1/2) Z~ the exact system is I + U'U (rank x rank) or, for
rows with less than rank observations, I + U U' (equation 3 there); both are I + A A', A = U' or U.

Inner loops are written for vector instructions: sums over rows of numbers and sums of rows, four at a time; A A' and
its factorisation in tiles of 4 x 4 sums, kept in registers. Compiled code is kept beside this file, or in the user's
cache directory, so only the first call on a machine compiles. This file is long because numba looks for changes in no
other: all that is compiled has to be in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numba import njit, types

from mr_als.maths.array import Array

try:
    from mr_als.maths.solving.prefetch import prefetch
except Exception:  # it reaches into numba's inside, which any version may change
    prefetch = None

__all__ = ["compiled", "compiled_product"]

Function = TypeVar("Function", bound=Callable[..., Any])

_ZERO = np.float32(0.0)
# the square of the relative residual that float32 can tell from zero; below, r.r underflows in time
_FLOOR = 1e-13
# observations summed together before they are added to a longer sum: keeps the rounding of long sums small
_BLOCK = 1024
# observations whose vectors are asked for ahead, by who solves and by who only adds up, and the numbers of a cache line: they
# lie anywhere, so waiting for one after the other would take longer than all of the arithmetic
_AHEAD, _FAR, _LINE = 16, 32, 16
# a multiple of every vector register's length: sums over so many numbers leave no rest
_LANES = 16
# sums may be reordered and fused, but NaN stays NaN
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}


def _read(kind: Any, dimensions: int = 1) -> Any:
    """Return the type of a contiguous, read-only array."""
    return types.Array(kind, dimensions, "C", readonly=True)


_ROWS = (
    _read(types.int64), _read(types.uint32), _read(types.float32, 2),
    _read(types.uint32), _read(types.float64), _read(types.float64), _read(types.float64),
    _read(types.float32, 2), _read(types.float64),
)  # fmt: skip
_RESULTS = (types.float32[:, ::1], types.float64[:, ::1], types.boolean[::1])


@cache
def compiled(exact: bool) -> Callable[..., None]:
    """Compile the function that solves rows.

    Its arguments are

    indptr : int64 (n_rows + 1,), from 0
    indices : uint32 (nnz,)
    vectors : float32 (n, rank)
    level : uint32 (nnz,), which of the terms are those of an observation
    excess, target, square : float64 (n_levels,)
    scale : float32 (n_rows, rank), (D + lambda_row)^(-1/2); NaN for a row that is not to be solved
    spectrum : float64 (rank,)
    tolerance, max_steps : of conjugate gradients; not there if exact
    w : float32 (n_rows, rank), written
    sums : float64 (n_rows, 3), written: a row's squared error, excess and square; zeros if it was not solved
    solved : bool (n_rows,), written: False where steps or precision did not suffice
    """
    function = _solve_exactly if exact else _solve_by_conjugate_gradients
    return _compile(function, (*_ROWS, *(() if exact else (types.float64, types.int64)), *_RESULTS))


@cache
def compiled_product() -> Callable[..., None]:
    """Compile the function that sums t z over what each row observed, and divides the sum by a number of the row's.

    Its arguments are indptr, indices, vectors and level as those of `compiled`, then

    target : float64 (n_levels,)
    divisor : float64 (n_rows,)
    x : float32 (n_rows, rank), written
    """
    return _compile(_multiply, (*_ROWS[:4], _read(types.float64), _read(types.float64), types.float32[:, ::1]))


def _compile(function: Callable[..., None], signature: tuple[Any, ...]) -> Callable[..., None]:
    global prefetch
    prefetch = prefetch or _no_prefetch
    try:
        return _compiled(function, signature)
    except Exception:  # see above; it is a hint, without which the same numbers come out
        prefetch = _no_prefetch
        return _compiled(function, signature)


def _compiled(function: Callable[..., None], signature: tuple[Any, ...], cache: bool = True) -> Callable[..., None]:
    try:
        made: Callable[..., None] = njit(signature, cache=cache, **_OPTIONS)(function)
    except RuntimeError:  # no directory to keep it in
        if not cache:
            raise
        return _compiled(function, signature, cache=False)
    return made


def _inner(function: Function) -> Function:
    """Compile a function into each compiled function that calls it.

    A process that compiles would else call what it compiled for the inner function alone, and one that loads the compiled
    code the copy in there: their sums are in different orders, and so would be the last bits of the results.
    """
    made: Function = njit(forceinline=True, **_OPTIONS)(function)
    return made


@_inner
def _no_prefetch(array: Array, row: int, column: int) -> None:
    """Stand for `prefetch` where that does not work."""


def _solve_by_conjugate_gradients(
    indptr: Array, indices: Array, vectors: Array, level: Array, excess: Array, target: Array, square: Array, scale: Array,
    spectrum: Array, tolerance: float, max_steps: int, w: Array, sums: Array, solved: Array,
) -> None:  # fmt: skip
    rank, longest = vectors.shape[1], _longest(indptr)
    z, e, t = np.empty((longest, rank), np.float32), np.empty(longest, np.float32), np.empty(longest, np.float32)
    # four arrays: the rows of one would not be known to be contiguous, and loops over them not vectorised
    v, r = np.empty(rank, np.float32), np.empty(rank, np.float32)
    p, q = np.empty(rank, np.float32), np.empty(rank, np.float32)
    for row in range(len(solved)):
        part = slice(indptr[row], indptr[row + 1])
        n = part.stop - part.start
        _gather(vectors, indices, part.start, level[part], excess, target, scale[row], z, e, t, r, q)
        solved[row] = _conjugate_gradient(z[:n], e[:n], tolerance, max_steps, v, r, p, q)
        _finish(z[:n], v, scale[row], spectrum, level[part], excess, target, square, w[row], sums[row], solved[row])


def _solve_exactly(
    indptr: Array, indices: Array, vectors: Array, level: Array, excess: Array, target: Array, square: Array, scale: Array,
    spectrum: Array, w: Array, sums: Array, solved: Array,
) -> None:  # fmt: skip
    rank, longest = vectors.shape[1], _longest(indptr)
    z, e, t = np.empty((longest, rank), np.float32), np.empty(longest, np.float32), np.empty(longest, np.float32)
    v, right, work = np.empty(rank, np.float32), np.empty(rank, np.float32), np.empty(rank, np.float32)
    size = _up(rank, 4)
    # a row of the first holds one block of observations, or one vector
    a, matrix = np.empty((size, max(rank, _up(min(longest, _BLOCK), _LANES))), np.float32), np.empty((size, size), np.float32)
    for row in range(len(solved)):
        part = slice(indptr[row], indptr[row + 1])
        n = part.stop - part.start
        _gather(vectors, indices, part.start, level[part], excess, target, scale[row], z, e, t, right, work)
        solved[row] = _factorise(z[:n], e[:n], t[:n], right, a, matrix, v)
        _finish(z[:n], v, scale[row], spectrum, level[part], excess, target, square, w[row], sums[row], solved[row])


def _multiply(
    indptr: Array, indices: Array, vectors: Array, level: Array, target: Array, divisor: Array, x: Array,
) -> None:  # fmt: skip
    total = np.empty(vectors.shape[1], np.float64)
    for row in range(len(divisor)):
        total[:] = 0.0
        first, end = indptr[row], indptr[row + 1]
        fours = end - (end - first) % 4
        for i in range(first, fours, 4):
            _add_four(vectors, indices, level, target, i, total)
        for i in range(fours, end):
            _ask_for(vectors, indices, i + _FAR)
            t, y = target[level[i]], vectors[indices[i]]
            for j in range(len(total)):
                total[j] += t * y[j]
        if end > first:
            for j in range(len(total)):
                x[row, j] = total[j] / divisor[row]


@_inner
def _add_four(vectors: Array, indices: Array, level: Array, target: Array, i: int, total: Array) -> None:
    """Add t y of the observations i to i + 3, one after the other, so that the sum is that of single ones."""
    for k in range(4):
        _ask_for(vectors, indices, i + k + _FAR)
    t0, t1, t2, t3 = target[level[i]], target[level[i + 1]], target[level[i + 2]], target[level[i + 3]]
    y0, y1, y2, y3 = vectors[indices[i]], vectors[indices[i + 1]], vectors[indices[i + 2]], vectors[indices[i + 3]]
    for j in range(len(total)):
        part = total[j] + t0 * y0[j]
        part += t1 * y1[j]
        part += t2 * y2[j]
        total[j] = part + t3 * y3[j]


@_inner
def _ask_for(vectors: Array, indices: Array, i: int) -> None:
    """Ask for the vector of observation i, or of the last one, before it is needed."""
    ahead = np.int64(indices[min(i, len(indices) - 1)])
    for j in range(0, vectors.shape[1], _LINE):
        prefetch(vectors, ahead, j)


@_inner
def _longest(indptr: Array) -> int:
    longest = 1
    for row in range(len(indptr) - 1):
        longest = max(longest, indptr[row + 1] - indptr[row])
    return longest


@_inner
def _up(n: int, multiple: int) -> int:
    return (n + multiple - 1) // multiple * multiple


@_inner
def _gather(
    vectors: Array, indices: Array, first: int, level: Array, excess: Array, target: Array, scale: Array,
    z: Array, e: Array, t: Array, right: Array, part: Array,
) -> None:  # fmt: skip
    """Collect Z~, e and t of a row's observations, from indices[first] on; right = Z~' t; `part` is room for its parts."""
    n, rank = len(level), len(right)
    for i in range(n):
        # beyond the row's end, too: the next row's vectors come while this one is solved
        _ask_for(vectors, indices, first + i + _AHEAD)
        y, zi = vectors[indices[first + i]], z[i]
        for j in range(rank):
            zi[j] = y[j] * scale[j]
        e[i], t[i] = excess[level[i]], target[level[i]]
    right[:] = _ZERO
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        part[:] = _ZERO
        _add_rows(z[start:stop], t[start:stop], part)
        for j in range(rank):
            right[j] += part[j]


@_inner
def _add_rows(a: Array, factor: Array, out: Array) -> None:
    """Add the rows of a to `out`, times `factor` each, four at once."""
    n, i = len(a), 0
    while i + 4 <= n:
        f0, f1, f2, f3 = factor[i], factor[i + 1], factor[i + 2], factor[i + 3]
        a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
        for j in range(len(out)):
            out[j] += f0 * a0[j] + f1 * a1[j] + f2 * a2[j] + f3 * a3[j]
        i += 4
    while i < n:
        f0, a0 = factor[i], a[i]
        for j in range(len(out)):
            out[j] += f0 * a0[j]
        i += 1


@_inner
def _conjugate_gradient(z: Array, e: Array, tolerance: float, max_steps: int, v: Array, r: Array, p: Array, q: Array) -> bool:
    """Solve (2) from v = 0 and r its right side; say whether |residual| <= tolerance |right side| was reached."""
    v[:] = _ZERO
    for j in range(len(v)):
        p[j] = r[j]
    rr = _dot(r, r)
    enough = np.float32(tolerance * tolerance + _FLOOR) * rr
    for _ in range(max_steps):
        if not rr > enough:
            break
        for j in range(len(v)):
            q[j] = p[j]
        _apply(z, e, p, q)
        step = rr / _dot(p, q)
        for j in range(len(v)):
            v[j] += step * p[j]
            r[j] -= step * q[j]
        new = _dot(r, r)
        grown = new / rr
        for j in range(len(v)):
            p[j] = r[j] + grown * p[j]
        rr = new
    return bool(rr <= enough)  # not `not rr > enough`: a residual that is not a number has not converged


@_inner
def _apply(z: Array, e: Array, p: Array, q: Array) -> None:
    """Add Z~' E Z~ p to q, four observations at once."""
    n, i = len(z), 0
    while i + 4 <= n:
        z0, z1, z2, z3 = z[i], z[i + 1], z[i + 2], z[i + 3]
        s0 = s1 = s2 = s3 = _ZERO
        for j in range(len(p)):
            s0 += z0[j] * p[j]
            s1 += z1[j] * p[j]
            s2 += z2[j] * p[j]
            s3 += z3[j] * p[j]
        s0, s1, s2, s3 = e[i] * s0, e[i + 1] * s1, e[i + 2] * s2, e[i + 3] * s3
        for j in range(len(p)):
            q[j] += s0 * z0[j] + s1 * z1[j] + s2 * z2[j] + s3 * z3[j]
        i += 4
    while i < n:
        z0 = z[i]
        s0 = e[i] * _dot(z0, p)
        for j in range(len(p)):
            q[j] += s0 * z0[j]
        i += 1


@_inner
def _dot(a: Array, b: Array) -> Any:
    total = _ZERO
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


@_inner
def _finish(
    z: Array, v: Array, scale: Array, spectrum: Array, level: Array, excess: Array, target: Array, square: Array,
    w: Array, sums: Array, solved: bool,
) -> None:  # fmt: skip
    """Write w, and in float64 the sums of e s^2 - 2 t s + q with w'D w, of e and of q; s = z~.v."""
    w[:] = _ZERO
    sums[:] = 0.0
    if not solved or len(z) == 0:
        return
    error = excesses = squares = 0.0
    for i in range(len(z)):
        s = np.float64(_dot(z[i], v))
        k = level[i]
        error += (excess[k] * s - 2.0 * target[k]) * s + square[k]
        excesses += excess[k]
        squares += square[k]
    for j in range(len(v)):
        w[j] = scale[j] * v[j]
        error += spectrum[j] * np.float64(w[j]) * np.float64(w[j])
    sums[0], sums[1], sums[2] = error, excesses, squares


@_inner
def _factorise(z: Array, e: Array, t: Array, right: Array, a: Array, matrix: Array, v: Array) -> bool:
    """Solve (2) exactly, by the smaller of two systems I + A A'; v is the solution. Overwrites `right`."""
    n, rank = z.shape
    v[:] = _ZERO
    if n >= rank:
        _primal(z, e, a, matrix)
        for j in range(rank):
            v[j] = right[j]
        return _solve_positive(matrix, rank, v)
    _dual(z, e, t, a, right, matrix)
    good = _solve_positive(matrix, n, right)
    _add_rows(a[:n], right, v)
    return good


@_inner
def _primal(z: Array, e: Array, a: Array, matrix: Array) -> None:
    """Fill the lower triangle of I + U'U, a block of observations after the other; A = U'. Overwrites e by its root."""
    n, rank = z.shape
    _begin(a, matrix, rank)
    for start in range(0, n, _BLOCK):
        length = min(_BLOCK, n - start)
        width = _up(length, _LANES)
        root, block = e[start : start + length], z[start : start + length]
        for i in range(length):
            root[i] = np.sqrt(root[i])
        # a transposition that writes a row after the other: the other way around each number would fill a cache line
        for j in range(rank):
            aj = a[j]
            for i in range(length):
                aj[i] = root[i] * block[i, j]
            for i in range(length, width):
                aj[i] = _ZERO
        _add_product(a, rank, width, matrix)


@_inner
def _dual(z: Array, e: Array, t: Array, a: Array, y: Array, matrix: Array) -> None:
    """Fill the lower triangle of I + U U', y = E^(-1/2) t, and A = U."""
    n, rank = z.shape
    _begin(a, matrix, n)
    for i in range(n):
        # c - 1 underflows for strengths below 1e-16 only; any tiny number then gives t in the end
        root = np.sqrt(max(e[i], np.float32(1e-30)))
        y[i] = t[i] / root
        zi, ai = z[i], a[i]
        for j in range(rank):
            ai[j] = root * zi[j]
    _add_product(a, n, rank, matrix)


@_inner
def _begin(a: Array, matrix: Array, size: int) -> None:
    """Set the matrix to I, and the rows of a to zero that fill it up to a multiple of 4."""
    for i in range(_up(size, 4)):
        matrix[i] = _ZERO
        matrix[i, i] = np.float32(1.0)
        if i >= size:
            a[i] = _ZERO


@_inner
def _add_product(a: Array, size: int, n: int, out: Array) -> None:
    """Add A A' of the first n columns to the lower triangle of `out`."""
    for i in range(0, size, 4):
        for j in range(0, i + 1, 4):
            _add_tile(a, i, j, n, np.float32(1.0), out)


@_inner
def _solve_positive(a: Array, size: int, x: Array) -> bool:
    """Solve a x = x in place, a positive definite and overwritten; say whether precision sufficed."""
    if not _cholesky(a, size):
        return False
    for i in range(size):
        line = a[i]
        total = _ZERO
        for j in range(i):
            total += line[j] * x[j]
        x[i] = (x[i] - total) * line[i]
    for i in range(size - 1, -1, -1):
        line = a[i]
        x[i] *= line[i]
        xi = x[i]
        for j in range(i):
            x[j] -= xi * line[j]
    return True


@_inner
def _cholesky(a: Array, size: int) -> bool:
    """Replace the lower triangle of a by that of L with L L' = a, in tiles; its diagonal by the reciprocals."""
    for j in range(0, size, 4):
        for i in range(j, size, 4):
            _add_tile(a, i, j, j, np.float32(-1.0), a)
            for column in range(j, j + 4):
                for row in range(max(i, column), i + 4):
                    rest = a[row, column]
                    for k in range(j, column):
                        rest -= a[row, k] * a[column, k]
                    if row > column:
                        a[row, column] = rest * a[column, column]
                    elif rest > np.float32(0.5):  # no eigenvalue is below 1: less is rounding
                        a[row, column] = np.float32(1.0) / np.sqrt(rest)
                    else:
                        return False
    return True


@_inner
def _add_tile(a: Array, i: int, j: int, n: int, sign: Any, out: Array) -> None:
    """Add sign times the 4 x 4 dot products of rows i and j onwards, over the first n numbers, at out[i, j]."""
    p0, p1, p2, p3 = a[i], a[i + 1], a[i + 2], a[i + 3]
    q0, q1, q2, q3 = a[j], a[j + 1], a[j + 2], a[j + 3]
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = _ZERO
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = _ZERO
    for k in range(n):
        s00 += p0[k] * q0[k]
        s01 += p0[k] * q1[k]
        s02 += p0[k] * q2[k]
        s03 += p0[k] * q3[k]
        s10 += p1[k] * q0[k]
        s11 += p1[k] * q1[k]
        s12 += p1[k] * q2[k]
        s13 += p1[k] * q3[k]
        s20 += p2[k] * q0[k]
        s21 += p2[k] * q1[k]
        s22 += p2[k] * q2[k]
        s23 += p2[k] * q3[k]
        s30 += p3[k] * q0[k]
        s31 += p3[k] * q1[k]
        s32 += p3[k] * q2[k]
        s33 += p3[k] * q3[k]
    out[i, j] += sign * s00
    out[i, j + 1] += sign * s01
    out[i, j + 2] += sign * s02
    out[i, j + 3] += sign * s03
    out[i + 1, j] += sign * s10
    out[i + 1, j + 1] += sign * s11
    out[i + 1, j + 2] += sign * s12
    out[i + 1, j + 3] += sign * s13
    out[i + 2, j] += sign * s20
    out[i + 2, j + 1] += sign * s21
    out[i + 2, j + 2] += sign * s22
    out[i + 2, j + 3] += sign * s23
    out[i + 3, j] += sign * s30
    out[i + 3, j + 1] += sign * s31
    out[i + 3, j + 2] += sign * s32
    out[i + 3, j + 3] += sign * s33
