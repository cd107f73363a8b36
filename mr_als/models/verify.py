"""Verify a published model from its files alone: do they belong together, and do they say what `model.json` says?

Four checks: the checksums of the manifest; ids, their hashes and sizes; the loss over all cells, recomputed and
compared with the last entry of the history; and the normal equations of sampled users, which each published user
vector must solve for the published item vectors. Everything is read piece by piece.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.solving.normal_equations import gram_matrix
from mr_als.maths.weighing.loss import Loss, weighted_rmse
from mr_als.models.model import Model
from mr_als.records.ids import Ids, hash_ids
from mr_als.records.spill import file_checksum

# the recomputed loss differs from the history by the order of float64 sums
LOSS_TOLERANCE = 1e-6
# the solver stops at 1e-4; the vectors are stored as float32
RESIDUAL_TOLERANCE = 1e-3
ROWS = 1 << 16


class Check(NamedTuple):
    """One check: what was checked, whether it holds, and what was found."""

    name: str
    ok: bool
    found: str


def verify(model: Model, sample: int = 1000) -> Iterator[Check]:
    """Run all checks on a model; numbers are compared only where files and rows are sound."""
    files = check_files(model)
    yield files
    if not files.ok:
        return
    sides = [check_side(model, side) for side in ("users", "items")]
    yield from sides
    if not all(side.ok for side in sides):
        return
    yield from check_loss(model)
    yield check_rows(model, sample)


def check_files(model: Model) -> Check:
    """Compare every file with its checksum in the manifest."""
    with open(os.path.join(model.generation, "manifest.json"), "rb") as file:
        files: dict[str, list[int]] = json.load(file)["files"]
    damaged = [name for name, (_, crc) in files.items() if file_checksum(os.path.join(model.generation, name)) != crc]
    if damaged:
        return Check("checksums", False, f"{', '.join(damaged)}: not what was published; train again")
    return Check("checksums", True, f"{len(files)} files")


def check_side(model: Model, side: str) -> Check:
    """Check number, finiteness and order of the rows of one side, and that each id has its hash."""
    factors, hashes, ids = (getattr(model, f"{side[:-1]}_{name}") for name in ("factors", "hashes", "ids"))
    expected = (model.info[f"n_{side}"], model.info["options"]["solver"]["rank"])
    if (*factors.shape, len(hashes), len(ids)) != (*expected, expected[0], expected[0]):
        return Check(
            side, False, f"factors {factors.shape}, {len(ids)} ids, but model.json says {expected[0]} rows of rank {expected[1]}"
        )
    salt = model.info["options"]["inputs"]["salt"]
    for part in _parts(len(ids)):
        names = Ids.of([ids.raw(row) for row in range(part.start, part.stop)])
        if not np.array_equal(hash_ids(names, salt), hashes[part]):
            return Check(side, False, "an id and its hash do not belong together; train again")
        if not np.isfinite(factors[part]).all():
            return Check(side, False, "a factor is not finite; train again")
    if np.any(hashes[1:] <= hashes[:-1]):
        return Check(side, False, "the rows are not in the order of their hashes; train again")
    return Check(side, True, f"{len(ids)} rows of rank {expected[1]}")


def check_loss(model: Model) -> Iterator[Check]:
    """Compare the weighted RMSE and the objective over all cells with the history's last entry."""
    loss, items_penalty = total_loss(model)
    last = model.info["history"][-1]
    for name, value in (("wrmse", weighted_rmse(loss)), ("objective", loss.squared_error + loss.penalty + items_penalty)):
        ok = abs(value - last[name]) <= LOSS_TOLERANCE * abs(last[name])
        yield Check(name, ok, f"{value:.9g}, model.json says {last[name]:.9g}")


def total_loss(model: Model) -> tuple[Loss, float]:
    """Compute the loss of all users over all cells, and the penalty of the items.

    With s = x.y the squared error is sum_observed [e s^2 - 2 t s + q] + c_0 sum_all s^2 (`mr_als.maths.weighing.loss`), and
    the last sum is the sum over the products of both Gram matrices' elements.
    """
    n_users, n_items, pairs = len(model.user_hashes), len(model.item_hashes), len(model.plays_item)
    weights = model.weights
    squared_error = weights.unobserved * float((gram_matrix(model.user_factors) * model.item_gram).sum())
    confidence, zero_error, item_counts = weights.unobserved * n_users * n_items, 0.0, np.zeros(n_items, np.int64)
    for part in _parts(pairs):
        users = np.searchsorted(model.plays_start, np.arange(part.start, part.stop), "right") - 1
        items = np.asarray(model.plays_item[part])
        item_counts += np.bincount(items, minlength=n_items)
        x, y = model.user_factors[users].astype(np.float64), model.item_factors[items].astype(np.float64)
        s = (x * y).sum(1)
        excess, target, square = weights.terms(np.asarray(model.plays_amount[part]))
        squared_error += float(((excess * s - 2 * target) * s + square).sum())
        confidence += float(excess.sum())
        zero_error += float(square.sum())
    penalty = _penalty(model, model.user_factors, np.diff(model.plays_start), n_items)
    loss = Loss(squared_error, penalty, confidence, zero_error, pairs, n_users)
    return loss, _penalty(model, model.item_factors, item_counts, n_users)


def _penalty(model: Model, factors: Array, n_observed: Array, n_fixed: int) -> float:
    total = 0.0
    for part in _parts(len(factors)):
        lengths = np.square(factors[part].astype(np.float64)).sum(1)
        total += float(model.weights.row_regularization(n_observed[part], n_fixed) @ lengths)
    return total


def check_rows(model: Model, sample: int) -> Check:
    """Check the normal equations of at most `sample` users, evenly spread."""
    n_users = len(model.user_hashes)
    rows: list[int] = np.unique(np.linspace(0, n_users - 1, min(sample, n_users)).astype(int)).tolist() if n_users else []
    residuals = [model.residual(row) for row in rows]
    worst = max(residuals, default=0.0)
    text = f"largest relative residual of {len(residuals)} users {worst:.1e}"
    if worst <= RESIDUAL_TOLERANCE:
        return Check("equations", True, text)
    user = model.user_ids[rows[int(np.argmax(residuals))]]
    return Check(
        "equations", False, f"{text}, of {user!r}, is above {RESIDUAL_TOLERANCE:g}: users and items are of different halves"
    )


def _parts(n: int) -> Iterator[slice]:
    for start in range(0, n, ROWS):
        yield slice(start, min(start + ROWS, n))
