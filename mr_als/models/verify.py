"""Verify a published model from its files alone: do they belong together, and do they say what `model.json` says?

Five checks: the checksums of the manifest; ids, their hashes and sizes; the plays, as many as were learnt from; the loss over
all cells, recomputed and compared with the last entry of the history; and the normal equations of sampled users, which each
published user vector must solve for the published item vectors. Everything is read piece by piece.

Numbers are compared relative to what was summed, not to what is left of it: where a small model fits its plays well, terms of
1000 cancel to an error of 0.01, and the last digit of a float32 vector is seen in the third of that. Terms are rounded one by
one, some up and some down, so what rounding does to a sum grows as the root of the sum of their squares.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.weighing.loss import Loss, weighted_rmse
from mr_als.models.model import Model
from mr_als.records.csr import row_of
from mr_als.records.ids import Ids, hash_ids
from mr_als.records.spill import file_checksum

# float32 rounds to 2^-24: the history's scores were rounded more than once, those recomputed are not. Measured, from 1 to 400,000
# pairs: at most 5e-8 of the terms' length; of very many pairs, a share of their sum that no rounding needs to be even for
LOSS_TOLERANCE, EVEN = 2.0**-22, 1e-9
# the solver stops at 1e-4
RESIDUAL_TOLERANCE = 1e-3
ROWS = 1 << 16


class Check(NamedTuple):
    """One check: what was checked, whether it holds, and what was found."""

    name: str
    ok: bool
    found: str


def verify(model: Model, sample: int = 1000) -> Iterator[Check]:
    """Run all checks on a model; numbers are compared only where files, rows and plays are sound."""
    files = check_files(model)
    yield files
    if not files.ok:
        return
    sides = [check_side(model, side) for side in ("users", "items")]
    plays = check_plays(model)
    yield from (*sides, plays)
    if not all(check.ok for check in (*sides, plays)):
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


def check_plays(model: Model) -> Check:
    """Check that each user's plays are in order, are of known items and of strengths that count, and are as many as were learnt."""
    starts, n_pairs, n_items = model.plays_start, len(model.plays_item), len(model.item_hashes)
    if len(starts) != len(model.user_hashes) + 1 or starts[0] != 0 or np.any(starts[1:] < starts[:-1]) or starts[-1] != n_pairs:
        return Check("plays", False, "where each user's plays begin is not in order; train again")
    expected = model.info["history"][-1]["pairs"]
    if (n_pairs, len(model.plays_amount)) != (expected, expected):
        return Check(
            "plays", False, f"{n_pairs} pairs, {len(model.plays_amount)} amounts, but {expected} were learnt from; train again"
        )
    for part in _parts(n_pairs):
        items, amounts = np.asarray(model.plays_item[part]), np.asarray(model.plays_amount[part])
        rows = row_of(starts, part)
        if items.min() < 0 or items.max() >= n_items or np.any((np.diff(items) <= 0) & (np.diff(rows) == 0)):
            return Check("plays", False, "a user's items are not rows of the model in ascending order; train again")
        if not np.isfinite(amounts).all() or amounts.min() < 0 or (amounts.min() == 0 and not model.weights.explicit):
            return Check("plays", False, "plays are not finite, or not above 0; train again")
    return Check("plays", True, f"{n_pairs} pairs")


def check_loss(model: Model) -> Iterator[Check]:
    """Compare the weighted RMSE and the objective over all cells with the history's last entry."""
    loss, terms, items_penalty = total_loss(model)
    wrmse, objective = weighted_rmse(loss), loss.squared_error + loss.penalty + items_penalty
    last = model.info["history"][-1]
    # both as squared errors
    differences = {"wrmse": loss.confidence * (wrmse**2 - last["wrmse"] ** 2), "objective": objective - last["objective"]}
    for name, value in (("wrmse", wrmse), ("objective", objective)):
        ok = abs(differences[name]) <= LOSS_TOLERANCE * terms + EVEN * loss.zero_error
        yield Check(name, ok, f"{value:.9g}, model.json says {last[name]:.9g}")


def total_loss(model: Model) -> tuple[Loss, float, float]:
    """Compute the loss of all users over all cells, the length of the vector of its terms, and the penalty of the items.

    With s = x.y the squared error is sum_observed [e s^2 - 2 t s + q] + c_0 sum_all s^2 (`mr_als.maths.weighing.loss`), and
    the last sum is that of x'Gx over the users.
    """
    n_users, n_items, pairs = len(model.user_hashes), len(model.item_hashes), len(model.plays_item)
    weights, (spectrum, basis) = model.weights, model.item_eigenbasis
    squared_error = squares = zero_error = 0.0
    confidence, item_counts = weights.unobserved * n_users * n_items, np.zeros(n_items, np.int64)
    for part in _parts(n_users):
        everywhere = weights.unobserved * (model.user_factors[part].astype(np.float64) @ basis) ** 2 @ spectrum
        squared_error += float(everywhere.sum())
        squares += float(everywhere @ everywhere)
    for part in _parts(pairs):
        users, items = row_of(model.plays_start, part), np.asarray(model.plays_item[part])
        item_counts += np.bincount(items, minlength=n_items)
        x, y = model.user_factors[users].astype(np.float64), model.item_factors[items].astype(np.float64)
        s = (x * y).sum(1)
        terms = weights.terms(np.asarray(model.plays_amount[part]))
        sizes = terms._replace(target=-terms.target).errors(np.abs(s))
        squared_error += float(terms.errors(s).sum())
        squares += float(sizes @ sizes)
        confidence += float(terms.excess.sum())
        zero_error += float(terms.square.sum())
    penalty = _penalty(model, model.user_factors, np.diff(model.plays_start), n_items)
    loss = Loss(squared_error, penalty, confidence, zero_error, pairs, n_users)
    return loss, float(np.sqrt(squares)), _penalty(model, model.item_factors, item_counts, n_users)


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
