"""A block whose rows are to be solved, and what every way of solving them needs.

Which rows are solved together, and by which arithmetic, is the *kernel's* choice: `mr_als.maths.solving.padded` (NumPy)
or `mr_als.maths.solving.flat` (numba).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mr_als.errors import NonFiniteError, SingularSystemError
from mr_als.maths.array import Array
from mr_als.maths.solving.normal_equations import singular
from mr_als.maths.weighing.weights import Weights

__all__ = ["MAX_STEPS", "Fixed", "Method", "Observed", "Problem", "Sums", "check_finite", "not_finite"]

# conjugate gradients take 4 to 12 steps; beyond this many an exact solution is cheaper
MAX_STEPS = 32
# bytes of an observation that is gathered, besides its vector: its place, the terms of the loss, and what is made of them
GATHERED = 64


class Observed(NamedTuple):
    """What the rows of a block observed, in CSR form.

    indptr : int64 (n_rows + 1,), row r observed the entries indptr[r] to indptr[r + 1] of the other two
    indices : integers (nnz,), which row of the fixed side each observation is with
    strengths : float64 or integers (nnz,), > 0; for explicit feedback ratings, >= 0
    """

    indptr: Array
    indices: Array
    strengths: Array


class Fixed(NamedTuple):
    """The fixed side, and the eigenbasis of the Gram matrix of *all* its factors Y.

    vectors : the projected factors Z = Y Q, or those of them that are observed: anything whose `vectors[places]`, for
        one-dimensional integer `places`, is float32 (len, rank), an array or a store backed by a file
    spectrum, basis : float64 (rank,) and (rank, rank), D and Q, from `mr_als.maths.solving.normal_equations.eigenbasis`
    n : number of rows of the fixed side
    """

    vectors: Any
    spectrum: Array
    basis: Array
    n: int


class Method(NamedTuple):
    """How rows are solved.

    solver : "cg" or "cholesky"; explicit feedback is always solved exactly, as it has no shared part to precondition by
    tolerance : relative residual at which conjugate gradients stop
    max_steps : steps after which a row is solved exactly instead
    max_gather : bytes of a row's observations held at once; a row with more accumulates its equations and is solved exactly
    kernel : "numpy" or "numba"; part of the plan, never guessed: a task that was asked for numba and has none fails
    threads : of the numba kernel; changes no result
    """

    solver: str = "cg"
    tolerance: float = 1e-4
    max_steps: int = MAX_STEPS
    max_gather: int = 64 << 20
    kernel: str = "numpy"
    threads: int = 1


class Sums(NamedTuple):
    """What some rows contribute to the loss; `+` joins those of different rows.

    squared_error : float, sum over all cells of the rows of c (p - s)^2
    excess, square : float, sums over the observed pairs of e and q
    """

    squared_error: float = 0.0
    excess: float = 0.0
    square: float = 0.0

    def __add__(self, other: tuple[Any, ...]) -> Sums:
        """Add term by term; a tuple would be appended."""
        return Sums(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Problem(NamedTuple):
    """What was `Observed`, the `Fixed` side, weights and `Method`, side by side, and what follows from them.

    `spectrum` is D, float64 (rank,), of the equations' shared part: zeros for explicit feedback.
    `regularization` is lambda_row, float64 (n_rows,).
    """

    indptr: Array
    indices: Array
    strengths: Array
    vectors: Any
    spectrum: Array
    basis: Array
    weights: Weights
    regularization: Array
    exact: bool
    method: Method

    @property
    def rank(self) -> int:
        """Length of the factors."""
        return len(self.spectrum)

    def gather(self, wanted: Array) -> Array:
        """Gather the vectors z at the wanted places, float32 (n, rank)."""
        if isinstance(self.vectors, np.ndarray):
            gathered: Array = self.vectors.take(wanted.astype(np.intp), axis=0)  # twice as fast as vectors[wanted]
        else:
            gathered = self.vectors[wanted]
        return gathered

    @property
    def rounding(self) -> float:
        """What an element of D + lambda must exceed to be safely above 0, as a preconditioner must be."""
        return float(self.rank * np.finfo(np.float64).eps * self.spectrum.max())

    def well_posed(self, rows: Array) -> bool:
        """Say whether D + lambda of all these rows is safely above 0."""
        return bool(self.spectrum.min() + self.regularization[rows].min() > self.rounding)

    def store(self, rows: Array, w: Array, factors: Array) -> Array:
        """Store x = Q w, rounded to float32; give w = Q'x of the rounded x, float64."""
        factors[rows] = w.astype(np.float64) @ self.basis.T
        stored: Array = factors[rows].astype(np.float64) @ self.basis
        return stored

    def singular(self, row: int) -> SingularSystemError:
        """Make the error of a row whose equations have no unique solution."""
        n_observed = int(self.indptr[row + 1] - self.indptr[row])
        return singular(self.rank, n_observed, float(self.regularization[row]))


def check_finite(factors: Array) -> None:
    """Raise NonFiniteError if a factor is NaN or infinite."""
    if not np.isfinite(factors).all():
        raise not_finite()


def not_finite() -> NonFiniteError:
    """Make the error of factors that are not finite."""
    msg = "a row's factors came out as NaN or infinity: a strength or a fixed factor is not finite, or far too large"
    return NonFiniteError(msg)
