"""The normal equations of ALS: one small dense system a row.

Hu, Koren & Volinsky (ICDM 2008), eq. 4. With the factors Y of the *fixed* side, a row that observed the
fixed rows S with confidences c solves

    A = Y'Y + sum_{i in S} (c_i - 1) y_i y_i' + lambda I     (rank, rank)
    b =       sum_{i in S}  c_i      y_i                     (rank,)
    x = A^-1 b                                               (rank,)

Y'Y, the Gram matrix, is the same for every row, so it is computed once a half-iteration; what remains a row
touches only S. That is why the method scales: O(rank^2 |S| + rank^3) a row, never O(n_fixed).

In the eigenbasis of the Gram matrix, Y'Y = Q D Q', with Z = Y Q, the same system reads

    (D + lambda I + sum_{i in S} (c_i - 1) z_i z_i') w = sum_{i in S} c_i z_i,      x = Q w

and its shared part is diagonal whatever lambda is. So every row may have a lambda of its own, and D + lambda
is at once the preconditioner that `mr_als.maths.solving.kernels` needs.

With explicit feedback (Zhou et al. 2008) only what was observed counts. In the terms of `mr_als.maths.weighing.weights`,
c_0, e and t, both kinds are

    A = c_0 Y'Y + sum_{i in S} e_i y_i y_i' + lambda I,      b = sum_{i in S} t_i y_i

which is what `row_equations` builds, in full: for what looks at single rows. Who solves all of them does it by
`mr_als.maths.solve`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mr_als.errors import SingularSystemError
from mr_als.maths.array import Array
from mr_als.maths.weighing.weights import Weights

__all__ = ["Equations", "eigenbasis", "gram_matrix", "project", "relative_residual", "row_equations", "solve_row"]

# rows turned into float64 at a time: 1 MB at rank 64, which stays in a core's cache until they are multiplied
_CHUNK = 2048
# those of a Gram matrix, whose last bits depend on it
_SUMMED = 8192
# solvers stop at 1e-4, and float32 tells 1e-7: where the terms of a sum are a thousand times what is left, rounding shows first
_CANCELLED = 2.0**-10


class Equations(NamedTuple):
    """The normal equations A x = b of one row: A float64 (rank, rank), b float64 (rank,), and the row's lambda."""

    a: Array
    b: Array
    regularization: float


def gram_matrix(factors: Array, lengths: Array | None = None) -> Array:
    """Compute Y'Y, float64 (rank, rank), of factors (n, rank); the Gram matrices of parts add up to that of the whole.

    With `lengths`, float64 (n,), each > 0, it is Y' diag(lengths) Y.

    >>> gram_matrix(np.array([[1, 0], [2, 1]], np.float32))
    array([[5., 2.],
           [2., 1.]])
    """
    gram, step = np.zeros((factors.shape[1], factors.shape[1])), _SUMMED if lengths is None else _CHUNK
    for start in range(0, len(factors), step):
        part = factors[start : start + step].astype(np.float64)
        if lengths is not None:
            part *= np.sqrt(lengths[start : start + step, None])
        gram += part.T @ part
    return gram


def eigenbasis(gram: Array) -> tuple[Array, Array]:
    """Compute the spectrum D (rank,), all >= 0, and the orthogonal basis Q (rank, rank) of gram = Q diag(D) Q'.

    >>> spectrum, basis = eigenbasis(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> spectrum.round(6)
    array([1., 3.])
    """
    spectrum, basis = np.linalg.eigh(gram)
    # a Gram matrix has no negative eigenvalue; what eigh finds below its own rounding error is zero
    rounding = len(spectrum) * np.finfo(np.float64).eps * spectrum.max(initial=0.0)
    return np.where(spectrum > rounding, spectrum, 0.0), basis


def project(factors: Array, basis: Array, out: Array | None = None) -> Array:
    """Project factors (n, rank) onto basis: Z = Y Q, float32 (n, rank), in `out` if given; a float64 product, rounded once."""
    projected = np.empty((len(factors), basis.shape[1]), np.float32) if out is None else out
    for start in range(0, len(factors), _CHUNK):
        projected[start : start + _CHUNK] = factors[start : start + _CHUNK].astype(np.float64) @ basis
    return projected


def row_equations(gram: Array, observed: Array, strengths: Array, weights: Weights, n_fixed: int) -> Equations:
    """Build one row's equations, of either kind of feedback.

    Parameters
    ----------
    gram : ndarray of shape (rank, rank)
        Gram matrix of *all* rows of the fixed side, not only the observed.
    observed : ndarray of shape (n_observed, rank)
        Factors of the fixed rows this row was observed with.
    strengths : ndarray of shape (n_observed,)
        Strength (plays, or rating) of each observation, in the order of `observed`.
    n_fixed : int
        Number of rows of the fixed side.

    Examples
    --------
    >>> Y = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> row_equations(gram_matrix(Y), Y[[1]], np.array([3.0]), Weights("linear", 1.0, regularization=0.0), 2).a
    array([[ 1.,  0.],
           [ 0., 16.]])
    >>> ratings = Weights(regularization=0.5, feedback="explicit")
    >>> row_equations(gram_matrix(Y), Y[[1]], np.array([3.0]), ratings, 2)[:2]
    (array([[0.5, 0. ],
           [0. , 4.5]]), array([0., 6.]))
    """
    excess, target, _ = weights.terms(strengths)
    regularization = float(weights.row_regularization(np.array([len(observed)]), n_fixed)[0])
    return _equations(weights.unobserved * gram, observed, excess, target, regularization)


def _equations(shared: Array, observed: Array, excess: Array, target: Array, regularization: float) -> Equations:
    y = observed.astype(np.float64)
    a = shared + (y.T * excess) @ y
    a += regularization * np.eye(len(shared))
    return Equations(a, y.T @ target, regularization)


def relative_residual(equations: Equations, x: Array, spectrum: Array, basis: Array) -> float:
    """Compute |P (b - A x)| / |P b|, the solver's stopping criterion, for a float32 x.

    P = (D + lambda)^-1/2 Q' whitens what all rows share, Q D Q'. Rounding leaves a few units in the last place of what is
    summed, and where large terms cancel these are much of what is left: so a thousandth of the terms counts as size, too.

    Parameters
    ----------
    x : ndarray of shape (rank,)
    spectrum, basis : ndarrays of shape (rank,) and (rank, rank)
        D and Q of the equations' shared part: D is zero for explicit feedback.
    """
    scale = spectrum + equations.regularization
    if not scale.any():
        scale = np.ones(len(scale))  # nothing is shared
    whiten = basis.T / np.sqrt(np.where(scale > 0, scale, np.inf))[:, None]
    a, b, w = whiten @ equations.a @ basis, whiten @ equations.b, basis.T @ x.astype(np.float64)
    size = float(np.linalg.norm(b) + _CANCELLED * np.linalg.norm(np.abs(a) @ np.abs(w)))
    return float(np.linalg.norm(b - a @ w)) / size if size else 0.0


def solve_row(gram: Array, observed: Array, confidence: Array, regularization: float) -> Array:
    """Solve one row's normal equations of implicit feedback for its factors, in float64.

    Parameters
    ----------
    gram : ndarray of shape (rank, rank)
        Gram matrix of *all* rows of the fixed side, not only the observed.
    observed : ndarray of shape (n_observed, rank)
        Factors of the fixed rows this row was observed with.
    confidence : ndarray of shape (n_observed,)
        Confidence of each observation, in the order of `observed`.
    regularization : float
        lambda, added to the diagonal; any value > 0 makes the system solvable whatever the data.

    Returns
    -------
    ndarray of shape (rank,)

    Raises
    ------
    SingularSystemError
        If the system has no unique solution.

    Examples
    --------
    >>> Y = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.2]])
    >>> x = solve_row(gram_matrix(Y), Y[[0]], np.array([41.0]), 0.1)
    >>> (Y @ x).round(2)  # observed, unlike it, like it
    array([ 0.98, -0.14,  0.76])
    """
    # gram already counted each observed pair once, hence c - 1 and not c
    a, b, _ = _equations(gram, observed, confidence - 1.0, confidence, regularization)
    try:
        return np.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        raise singular(len(gram), len(observed), regularization) from None


def singular(rank: int, n_observed: int, regularization: float) -> SingularSystemError:
    """Make the error of a row whose system has no unique solution."""
    msg = (
        f"normal equations of rank {rank} from {n_observed} observations are singular: "
        f"the row's regularization is {regularization:.3g}, try a larger one"
    )
    return SingularSystemError(msg)
