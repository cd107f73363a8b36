r"""Lambda and alpha from the data: when a dimension of the model lives, and what follows for the defaults.

**A dimension lives if its singular value is above lambda.** The objective, with preference p, confidence c, and d what lambda is
multiplied by in a row (`mr_als.maths.weighing.weights`: 1, n, or (1 + alpha)(n + N/alpha)^nu), is

    F(X, Y) = sum_ui c (p - x_u.y_i)^2 + lambda ( sum_u d_u |x_u|^2 + sum_i d_i |y_i|^2 )

Let W be the matrix of c p, which is 0 where nothing was played, D_u and D_i the diagonals of d, and sigma_1 >= sigma_2 >= ...
the singular values of

    M = D_u^(-1/2) W D_i^(-1/2)

*At lambda >= sigma_1 nothing is learnt: X = Y = 0 is the minimum of F.* For let A = D_u^(1/2) X, B = D_i^(1/2) Y, T = A B', and
|T|_* be the sum of T's singular values. (a) 2 |T|_* <= |A|^2 + |B|^2, so the penalty is at least 2 lambda |T|_*. (b) The squared
error is a convex function of X Y' whose gradient at zero is -2 W, so it is at least its value there minus 2 <W, X Y'> = 2 <M, T>.
(c) <M, T> <= sigma_1 |T|_*. Together

    F(X, Y) >= F(0, 0) + 2 (lambda - sigma_1) |T|_*  >=  F(0, 0)

*At lambda < sigma_1 something is:* with a, b the first singular vectors of M, X = s D_u^(-1/2) a and Y = s D_i^(-1/2) b have
F = F(0, 0) - 2 s^2 (sigma_1 - lambda) + O(s^4), which for small s is below F(0, 0).

*So it is for every dimension, to first order.* Near zero, what a half solves loses all that is of second order, Y'Y and
(c - 1) y y', and X <- (lambda D_u)^-1 W Y is left. Two halves multiply the k-th singular direction of M by (sigma_k / lambda)^2:
it grows out of small random factors if sigma_k > lambda, and dies if not. Those that live hold the others down a little.

**So sigma_rank is the unit of lambda**, and `auto` is SHARE times sigma_rank: all dimensions live, the last ones just so. One
number for all data is far too small for some and kills the model of others: sigma_rank differs by a factor of a hundred. (Kin:
the trace norm weighted by counts, Salakhutdinov & Srebro, NIPS 2010, is what `count` minimises; softImpute, Mazumder, Hastie &
Tibshirani, JMLR 2010, begins its path of lambdas at sigma_1.)

**Its estimate is a few cheap halves.** Subspace iteration: begin with random vectors Y; a *pass* over the users is X = D_u^-1 W Y,
one over the items Y = D_i^-1 W' X. That is a half without its solver (`multiply_block`), so the same job does it, with the same
joins. D_u^(1/2) X spans M times what D_i^(1/2) Y spanned; its Gram matrix G = X' D_u X adds up over blocks, and X B with
B = Q E^(-1/2), G = Q E Q', spans the same and is orthonormal (`orthonormal_basis`). The eigenvalues E after a pass over
orthonormal vectors are the squares of the Ritz values (`singular_values`), which approach the singular values from below: after
PASSES passes, two over each side, the last one is 0.7 to 0.85 of sigma_rank. SHARE is made for that number.

**Alpha** is not seen by the theory, but measured: all that was played should weigh a tenth of all that was not, so that the mean
excess c - 1 of a played pair is WEIGHT / density, within BOUNDS (`choose_alpha`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.solve import Method, Observed, Solved
from mr_als.maths.solving.flat import multiply_flat
from mr_als.maths.solving.normal_equations import gram_matrix
from mr_als.maths.solving.padded import multiply_padded
from mr_als.maths.solving.problem import Problem, check_finite
from mr_als.maths.weighing.loss import Loss
from mr_als.maths.weighing.weights import Weights

__all__ = [
    "PASSES",
    "SHARE",
    "choose_alpha",
    "choose_lambda",
    "lambda_of_ratings",
    "mean_excess",
    "multiply_block",
    "orthonormal_basis",
    "singular_values",
]

# passes in all, over users and items in turn
PASSES = 4
# lambda over the estimate of sigma_rank, about a third of sigma_rank itself; from 0.2 to 0.5 of it, quality is near its best on
# most plays, and below that falls faster than above on those with fewer tastes than dimensions
SHARE = 0.45
# what all that was played weighs, over what all that was not weighs; bounds of the mean excess confidence that makes
WEIGHT, BOUNDS = 0.1, (3.0, 100.0)
# lambda of ratings, times the count of a row
EXPLICIT = 0.1
# a singular value below this part of the first one is none: the data have fewer dimensions
NONE = 1e-3


def multiply_block(
    observed: Observed, vectors: Any, rank: int, n_fixed: int, weights: Weights, method: Method = Method(),  # noqa: B008
) -> Solved:  # fmt: skip
    """Multiply a block of W by the fixed vectors: x = sum c p y / d for each row, a half at lambda 1 without its solver.

    The arguments are those of `mr_als.maths.solve.solve_block`; the `vectors` of length `rank` need no eigenbasis, and the
    method no solver.

    Returns
    -------
    factors : float32 (n_rows, rank), x; zero for a row that observed nothing
    gram : float64 (rank, rank), the sum of d x x'
    loss : Loss, of which only the numbers of rows and observed pairs are filled in
    """
    degrees = np.diff(observed.indptr)
    lengths = weights.row_lengths(degrees, n_fixed)
    problem = Problem(*observed, vectors, np.zeros(rank), np.eye(rank), weights, lengths, exact=False, method=method)
    factors = np.zeros((len(degrees), rank), np.float32)
    with np.errstate(all="ignore"):  # what overflows is an error below
        if method.kernel == "numba":
            multiply_flat(problem, factors)
        else:
            multiply_padded(problem, np.arange(len(degrees)), factors)
    check_finite(factors)
    return Solved(factors, gram_matrix(factors, lengths), Loss(observed=len(observed.indices), rows=len(degrees)))


def orthonormal_basis(gram: Array) -> Array:
    """Compute B (rank, rank) so that X B is orthonormal where X has this Gram matrix, the strongest direction first.

    Directions that are not there, as of fewer rows than dimensions, become zero.

    >>> x = np.array([[3.0, 0.0], [4.0, 1.0]])
    >>> b = orthonormal_basis(x.T @ x)
    >>> (x @ b).T @ (x @ b)
    array([[1., 0.],
           [0., 1.]])
    """
    spectrum, basis = np.linalg.eigh(gram)
    spectrum, basis = spectrum[::-1], basis[:, ::-1]
    there = spectrum > len(gram) * np.finfo(np.float64).eps * spectrum[0]
    return basis * np.where(there, 1.0 / np.sqrt(np.where(there, spectrum, 1.0)), 0.0)


def singular_values(gram: Array) -> Array:
    """Compute the Ritz values (rank,), the largest first, from the Gram matrix after a pass over orthonormal vectors.

    >>> singular_values(np.diag([1.0, 9.0, 4.0]))
    array([3., 2., 1.])
    """
    return np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0))


def choose_lambda(values: Array, times: float = 1.0) -> tuple[float, int]:
    """Compute lambda from singular values (rank,), the largest first; give also k, the number of the one that it is a share of.

    k is the rank, or less where the data have fewer dimensions.

    >>> choose_lambda(np.array([0.5, 0.2, 0.1])), choose_lambda(np.array([0.5, 0.2, 1e-9]), 0.5)
    ((0.045, 3), (0.045, 2))
    """
    last = int(np.count_nonzero(values > NONE * values[0]))
    return three_digits(times * SHARE * float(values[last - 1])), last


def lambda_of_ratings(times: float = 1.0) -> float:
    """Compute lambda for ratings, which no singular value is needed for.

    >>> lambda_of_ratings(), lambda_of_ratings(3)
    (0.1, 0.3)
    """
    return three_digits(times * EXPLICIT)


def mean_excess(density: float) -> float:
    """Compute what the mean excess confidence of a played pair should be, for a density of the played pairs among all.

    >>> mean_excess(0.02), mean_excess(0.5)
    (5.0, 3.0)
    """
    return min(max(WEIGHT / density, BOUNDS[0]), BOUNDS[1])


def choose_alpha(density: float, excess: float, times: float = 1.0) -> float:
    """Compute alpha, for a density of the played pairs among all and their mean excess confidence at alpha 1.

    >>> choose_alpha(0.02, 1.0), choose_alpha(0.0002, 0.5), choose_alpha(0.5, 1.0, 2.0)
    (5.0, 200.0, 6.0)
    """
    return three_digits(times * mean_excess(density) / excess)


def three_digits(value: float) -> float:
    """Round to three digits: a number to be read and typed, and the same however its sums were ordered.

    >>> three_digits(0.0123456), three_digits(1234.5)
    (0.0123, 1230.0)
    """
    return float(f"{value:.3g}")
