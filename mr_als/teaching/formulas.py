"""The formulas of the example, a few lines each: what `mr-als walkthrough` prints beside a formula is this code.

Letters are those of `mr_als.maths`: `a x = b` are the normal equations of the row being solved, `Y` the factors of the
fixed side, `y` and `c` the factors and confidences of what the row played. Written to be read, for dense matrices that
fit on a page; the tests hold each function against the one that does the same at scale.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from mr_als.maths.array import Array

Scalar = Any  # a float64 of NumPy: no conversions where the formula is what matters


def preference_of(plays: Array) -> Array:
    """Compute p: 1 where something was played, else 0."""
    return (plays > 0).astype(float)


def confidence_of(plays: Array, alpha: float) -> Array:
    """Compute c = 1 + alpha r, which is 1 where nothing was played."""
    return 1 + alpha * plays


def loss(preference: Array, confidence: Array, X: Array, Y: Array, regularization: float) -> tuple[Scalar, Scalar]:
    """Compute the squared error over all cells, each weighted by its confidence, and the penalty."""
    squared_error = (confidence * (preference - X @ Y.T) ** 2).sum()
    penalty = regularization * ((X**2).sum() + (Y**2).sum())
    return squared_error, penalty  # the objective is their sum


def weighted_rmse(squared_error: float, confidence: Array) -> Scalar:
    """Compute the weighted root mean squared error."""
    return np.sqrt(squared_error / confidence.sum())


def gradient(Y: Array, c: Array, p: Array, x: Array, regularization: float) -> Any:
    """Compute the derivative of the objective with respect to one row's x; c and p cover all cells of the row."""
    return -2 * Y.T @ (c * (p - Y @ x)) + 2 * regularization * x


def over_all_cells(Y: Array, c: Array, p: Array, regularization: float) -> tuple[Array, Array]:
    """Compute a and b of a row, cell by cell; c and p cover all cells of the row."""
    a = (Y.T * c) @ Y + regularization * np.eye(Y.shape[1])
    b = Y.T @ (c * p)
    return a, b  # x = np.linalg.solve(a, b)


def by_the_gram_trick(gram: Array, y: Array, c: Array, regularization: float) -> tuple[Array, Array]:
    """Compute a and b of a row from the Gram matrix and what was played; y and c cover only the played cells."""
    a = gram + (y.T * (c - 1)) @ y + regularization * np.eye(len(gram))
    b = y.T @ c
    return a, b  # the same a and b


def squared_error_of_row(gram: Array, y: Array, c: Array, x: Array) -> Scalar:
    """Compute a row's squared error over all cells, visiting only the played ones."""
    s = y @ x
    return (c * (1 - s) ** 2 - s**2).sum() + x @ gram @ x


def parts_of_score(a: Array, y: Array, c: Array, y_new: Array) -> Array:
    """Compute what each played item adds to the score of a new one; the sum is x . y_new."""
    return c * (y @ np.linalg.solve(a, y_new))


def whiten(gram: Array, y: Array, regularization: float) -> tuple[Array, Array, Array]:
    """Compute the played items' vectors z in the basis in which Y'Y + lambda I is the identity, and the way back."""
    D, Q = np.linalg.eigh(gram)
    Q = Q * np.where(Q[0] < 0, -1, 1)  # the sign of an eigenvector is free
    scale = 1 / np.sqrt(D + regularization)
    return (y @ Q) * scale, scale, Q


def conjugate_gradient(z: Array, c: Array, n_steps: int) -> Array:
    """Solve (I + z'(C - I)z) v = z'c from v = 0; return v after each step (n_steps, rank)."""
    v, r = np.zeros(z.shape[1]), z.T @ c
    p, history = r, np.empty((0, len(r)))
    while len(history) < n_steps and r.any():
        q = p + z.T @ ((c - 1) * (z @ p))
        step = (r @ r) / (p @ q)
        v, r_new = v + step * p, r - step * q
        p = r_new + (r_new @ r_new) / (r @ r) * p
        r = r_new
        history = np.vstack([history, v])
    return history


def explicit_equations(y: Array, r: Array, regularization: float) -> tuple[Array, Array]:
    """Compute a and b of a row of explicit feedback (ALS-WR); y and the ratings r cover only the rated cells."""
    a = y.T @ y + regularization * len(r) * np.eye(y.shape[1])
    b = y.T @ r
    return a, b


def source(function: Callable[..., Any]) -> list[str]:
    """List the lines of a function as one would type them: no docstring, no types.

    >>> print(*source(preference_of), sep=chr(10))
    def preference_of(plays):
        return (plays > 0).astype(float)
    """
    body = inspect.getsource(function).split('"""', 2)[2].strip("\n").rstrip()
    return [f"def {function.__name__}({', '.join(inspect.signature(function).parameters)}):", *body.splitlines()]
