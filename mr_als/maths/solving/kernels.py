"""The arithmetic of many rows at once, in NumPy.

A batch is B rows of similar degree, padded to the longest, m. With z the fixed vectors in the eigenbasis of
their Gram matrix (`mr_als.maths.solving.normal_equations`), e and t the terms of the observations
(`mr_als.maths.weighing.weights`; implicit feedback: e = c - 1, t = c), every row of a batch solves

    (D + lambda I + Z' E Z) w = Z' t,     Z (m, rank), E = diag(e)                                   (1)

`conjugate_gradient` solves (1) in v = (D + lambda)^(1/2) w, that is, with Z~ = Z (D + lambda)^(-1/2),

    (I + Z~' E Z~) v = Z~' t                                                                         (2)

Whatever Y and lambda are, no eigenvalue of (2) is below 1 and few are far above it, so a start from zero
takes 4 to 12 steps of 4 m rank flops each: no previous factors, and the result is a function of its inputs.
Single precision is enough for it. `cholesky` solves systems exactly, in double precision: (1) as it stands, or
for rows with less than rank observations the smaller one of `dual_equations`.

Padding has e = t = 0, so its vectors, which may be anything finite, take no part.
"""

from __future__ import annotations

import numpy as np

from mr_als.maths.array import Array

__all__ = ["cholesky", "conjugate_gradient", "dual_equations", "equations"]

# the square of the relative residual that float32 can tell from zero; below, r.r underflows in time
_FLOOR = 1e-13
# bytes of a float64 copy of gathered vectors made at a time: what a core's cache holds
_COPY_BYTES = 1 << 20
# rows of a triangular matrix worked off together; measured, flat between 8 and 32
_PANEL = 16


def conjugate_gradient(
    gathered: Array, excess: Array, target: Array, scale: Array, tolerance: float, max_steps: int
) -> tuple[Array, Array]:
    """Solve equations (2) from v = 0 until every row's |residual| <= tolerance |Z~'t|, or for max_steps.

    Parameters
    ----------
    gathered : float32 (B, m, rank)
        z of each observation.
    excess, target : float32 (B, m)
        e and t of each observation; both 0 on padding.
    scale : float32 (B, rank)
        (D + lambda_row)^(-1/2).

    Returns
    -------
    w : float32 (B, rank)
    converged : bool (B,)
        False where the steps did not suffice; such rows are to be solved exactly.
    """
    # (B, rank, 1) and (B, m, 1): np.matmul runs one matrix-vector product of BLAS a row
    transposed = gathered.transpose(0, 2, 1)
    scale, excess = scale[:, :, None], excess[:, :, None]
    r = np.matmul(transposed, target[:, :, None])
    r *= scale
    v = np.zeros_like(r)
    p = r.copy()
    rr = _dots(r, r)
    enough = (tolerance * tolerance + _FLOOR) * rr
    active = rr > enough
    for _ in range(max_steps):
        if not active.any():
            break
        t = np.matmul(gathered, scale * p)
        t *= excess
        q = np.matmul(transposed, t)
        q *= scale
        q += p
        # a row that has converged is frozen: its result does not depend on how long its batch mates take
        step = _divide(rr, _dots(p, q), active)
        v += step * p
        r -= step * q
        rr_new = _dots(r, r)
        active = active & (rr_new > enough)
        p *= _divide(rr_new, rr, active)
        p += r
        rr = rr_new
    v *= scale
    # not `~active`: a residual that is not a number has not converged
    return v[:, :, 0], (rr <= enough)[:, 0, 0]


def equations(gathered: Array, excess: Array, target: Array) -> tuple[Array, Array]:
    """Compute the data's part of equations (1), float64: Z' E Z (B, rank, rank) and Z't (B, rank).

    Parameters
    ----------
    gathered : float32 (B, m, rank)
    excess, target : float64 (B, m), 0 on padding
    """
    n_rows, length, rank = gathered.shape
    left, right = np.zeros((n_rows, rank, rank)), np.zeros((n_rows, rank))
    width = max(1, _COPY_BYTES // (8 * rank * n_rows))
    for start in range(0, length, width):
        part = slice(start, start + width)
        z = gathered[:, part].astype(np.float64)
        weighted = (z * excess[:, part, None]).transpose(0, 2, 1)
        left += np.matmul(weighted, z)
        right += np.matmul(target[:, None, part], z)[:, 0]
    return left, right


def dual_equations(gathered: Array, excess: Array, target: Array, scale: Array) -> tuple[Array, Array, Array]:
    """Build the equations of rows that observed fewer than rank vectors, one for each observation.

    With U = E^(1/2) Z~, (2) reads (I + U'U) v = U' g where g = E^(-1/2) t, and the push-through identity
    (I + U'U)^-1 U' = U' (I + U U')^-1 turns it into an m x m system:

        (I + U U') y = g,     v = U' y                                                               (3)

    Parameters
    ----------
    gathered : float32 (B, m, rank)
    excess, target : float64 (B, m), 0 on padding
    scale : float64 (B, rank)
        (D + lambda_row)^(-1/2).

    Returns
    -------
    I + U U' : float64 (B, m, m)
    g : float64 (B, m), 0 on padding
    U : float64 (B, m, rank)
    """
    # c - 1 underflows for strengths below 1e-16 only; any tiny number then gives t in the end
    root = np.sqrt(np.where(target != 0, np.maximum(excess, 1e-30), excess))
    u = gathered * scale[:, None, :]
    u *= root[:, :, None]
    left = np.matmul(u, u.transpose(0, 2, 1))
    places = np.arange(left.shape[1])
    left[:, places, places] += 1.0
    return left, np.divide(target, root, out=np.zeros_like(root), where=target != 0), u


def cholesky(left: Array, right: Array) -> Array:
    """Solve positive definite systems `left` (B, n, n) x = `right` (B, n), float64, for x (B, n).

    One factorisation of (left, right; right', anything large) gives L and, in its last row, L^-1 right.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite to working precision.
    """
    n_rows, n = right.shape
    joined = np.empty((n_rows, n + 1, n + 1))
    joined[:, :n, :n] = left
    joined[:, n, :n] = right  # the factorisation reads the lower triangle only
    joined[:, n, n] = np.finfo(np.float64).max
    lower = np.linalg.cholesky(joined)
    pivots = np.diagonal(lower, axis1=1, axis2=2)[:, :n]
    largest = np.diagonal(left, axis1=1, axis2=2).max(axis=1, keepdims=True)
    # a singular matrix gets past the factorisation when rounding leaves its last pivots above zero
    if not np.all(pivots**2 > n * np.finfo(np.float64).eps * largest):
        msg = "a pivot is zero to working precision"
        raise np.linalg.LinAlgError(msg)
    return _back_substitute(lower, lower[:, n, :n].copy())


def _back_substitute(lower: Array, x: Array) -> Array:
    """Solve L'x = x in place, from the last unknown to the first, a panel of L's rows at a time."""
    for end in range(x.shape[1], 0, -_PANEL):
        start = max(0, end - _PANEL)
        for j in range(end - 1, start - 1, -1):
            x[:, j] /= lower[:, j, j]
            x[:, start:j] -= lower[:, j, start:j] * x[:, j, None]
        x[:, :start] -= np.matmul(x[:, None, start:end], lower[:, start:end, :start])[:, 0]
    return x


def _dots(a: Array, b: Array) -> Array:
    """Compute the dot product of each row of a and b (B, rank, 1), as (B, 1, 1)."""
    dots: Array = np.matmul(a.transpose(0, 2, 1), b)
    return dots


def _divide(numerator: Array, denominator: Array, where: Array) -> Array:
    """Compute numerator / denominator where asked, and 0 elsewhere."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=where)
