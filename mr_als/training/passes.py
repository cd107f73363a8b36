"""The passes before half 0: they find the numbers of `--alpha auto` and `--regularization auto` (`mr_als.maths.regularization`).

A pass is a half without a solver: the same job, joins, checks and records. Pass 0 draws random item vectors and counts how
strongly the pairs were played, which makes alpha. Passes 1 and 3 multiply the users, 2 and 4 the items, which makes lambda.
What was found is a record of its own, `weights`; the files of the passes are then removed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from mr_als.engine.runs import Run
from mr_als.errors import DamagedDataError, UsageError
from mr_als.maths.array import Array
from mr_als.maths.regularization import (
    PASSES,
    SHARE,
    choose_alpha,
    choose_lambda,
    lambda_of_ratings,
    orthonormal_basis,
    singular_values,
)
from mr_als.maths.weighing.weights import Weights
from mr_als.options import LARGEST, SMALLEST, WeightOptions, multiple_in_words, share_of_auto
from mr_als.training.checks import check_pairs
from mr_als.training.fixed_side import write_fixed
from mr_als.training.half import Half, sides_of
from mr_als.training.halves import Halves

__all__ = ["BEGINNINGS", "resolve"]

WEIGHTS = "weights"
# the first record of a run is one of these, the last one first
BEGINNINGS = ("half-000", WEIGHTS, "pass-000")


class Passes(Halves):
    """Halves that multiply."""

    KIND = "pass"
    check = staticmethod(check_pairs)

    def last_finished(self) -> Half | None:
        """Find where a killed run stopped; where nothing whole is left, the passes begin again."""
        try:
            return super().last_finished()
        except DamagedDataError:
            self.progress.say("the last two passes are damaged: all begin again")
            _forget(self.run)
            self.history = []
            return None

    def _announce(self, number: int) -> None:
        solved, other = sides_of(number)
        if number == 0:
            self.progress.say(f"pass 0, {solved}: job mr_solve draws random vectors, and counts how strongly the pairs were played")
        elif number == 1:
            self.progress.say(
                f"pass 1, {solved}: job mr_solve adds up for each {solved[:-1]} the vectors of its {other}, and solves nothing; "
                f"{PASSES} passes over users and items in turn tell the singular values, of which lambda is made"
            )

    def _beside(self, directory: str, fixed: Half | None) -> list[str]:
        if fixed is None:
            return ["--first-order", "--init=items"]
        # of the last one nobody reads the vectors, only their Gram matrix
        last = ["--sums-only"] * (fixed.number + 1 == PASSES)
        return ["--first-order", *last, *write_fixed(self.run.storage, directory, fixed, self.choices.join, _orthonormal)]

    def _report(self, half: Half) -> None:
        if half.number:
            words = f"pass {half.number}  {half.entry['solved']:5s} {half.entry['seconds']:.2f} s"
            self.progress.say(words, "pass", **half.entry)


def _orthonormal(gram: Array) -> tuple[Array, Array]:
    return np.zeros(len(gram)), orthonormal_basis(gram)


def _forget(run: Run) -> None:
    """Remove what the passes left."""
    for number in range(PASSES + 1):
        run.forget(Passes.name_of(number))


def resolve(halves: Halves) -> None:
    """Turn what is `auto` among the weights of a run into numbers, and say which; resumable like a half.

    `halves.options.weights` are `Weights` then, and `halves.auto` is what `model.json` tells of where they are from.
    """
    given, run = halves.options.weights, halves.run
    asked = {"alpha": given.alpha, "regularization": given.regularization}
    ratings = given.feedback == "explicit"
    if not share_of_auto(given.regularization) and (ratings or not share_of_auto(given.alpha)):
        numbers = _of_ratings(given) if ratings else asked
        halves.options = replace(halves.options, weights=Weights(**{**vars(given), **numbers}))
        return
    record = run.record(WEIGHTS)
    if record is None:
        numbers, found = (_of_ratings(given), {}) if ratings else _of_plays(halves)
        found = {**asked, **found, "said": in_words(numbers, {**asked, **found})}
        record = {"kernel": halves.choices.kernel, "numbers": numbers, "auto": found}
        run.commit(WEIGHTS, record)
    _forget(run)
    weights, halves.auto = Weights(**{**vars(given), **record["numbers"]}), record["auto"]
    halves.options = replace(halves.options, weights=weights)
    halves.progress.say(halves.auto["said"], "weights", **halves.auto)
    if advice := too_large(weights, halves.auto):
        halves.progress.warn(advice)


def _of_ratings(given: WeightOptions) -> dict[str, Any]:
    """Choose the numbers for ratings, which make no use of alpha; nothing has to be looked at."""
    share = share_of_auto(given.regularization)
    alpha = Weights.alpha if share_of_auto(given.alpha) else given.alpha
    return {"alpha": alpha, "regularization": lambda_of_ratings(share) if share else given.regularization}


def _of_plays(halves: Halves) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the passes that are needed; return the numbers, and what they are made of."""
    given, plays = halves.options.weights, halves.plays
    unit = Weights(**{**vars(given), "alpha": 1.0, "regularization": 1.0})
    # one that a power cut damaged is found by its checksums, and soon done again
    engine = replace(halves.engine, lasting=False)
    passes = Passes(halves.run, plays, replace(halves.options, weights=unit), engine, halves.choices, halves.progress)
    last = passes.last_finished() or passes.solve(0, None)
    found = _counted(passes)
    share = share_of_auto(given.alpha)
    alpha = choose_alpha(found["density"], found["mean_excess"], share) if share else float(given.alpha)
    found["mean_excess"] *= alpha
    share = share_of_auto(given.regularization)
    lam = 0.0 if share else float(given.regularization)
    if share:
        passes.options = replace(halves.options, weights=replace(unit, alpha=alpha))
        while last.number < PASSES:
            last = passes.solve(last.number + 1, last)
        values = singular_values(last.gram)
        lam, dimension = choose_lambda(values, share)
        if not SMALLEST <= lam <= LARGEST:
            msg = (
                f"--regularization {given.regularization} is {lam:g} for these plays, which cannot be calculated with: name a "
                f"number from {SMALLEST:g} to {LARGEST:g}, or a smaller --regularization-exponent, and begin anew with --restart"
            )
            raise UsageError(msg)
        found |= {"share": share * SHARE, "dimension": dimension}
        found |= {"sigma_1": float(values[0]), "sigma_rank": float(values[dimension - 1])}
    found["seconds"] = round(found["seconds"] + sum(entry["seconds"] for entry in passes.history), 4)
    return {"alpha": alpha, "regularization": lam}, found


def _counted(passes: Passes) -> dict[str, Any]:
    """Compute from pass 0 the share of all pairs that were played, and their mean excess confidence at alpha 1."""
    record = passes.run.record(Passes.name_of(0))
    assert record is not None  # written before
    plays, totals = passes.plays, record["totals"]
    # a row below --min-user-plays or --min-item-plays is still among the other side's pairs
    pairs = min(plays.pairs, totals["observed"])
    found = {"density": pairs / (plays.n_users * plays.n_items), "mean_excess": totals["confidence"] / totals["observed"]}
    return {**found, "seconds": record["entry"]["seconds"]}


def in_words(numbers: dict[str, Any], auto: dict[str, Any]) -> str:
    """Say in a line what `auto` became, and what it is made of."""
    words = []
    if share_of_auto(auto["regularization"]):
        of = multiple_in_words(auto["regularization"], "the default for ratings")
        of = f"{auto['share']:.3g} of sigma_{auto['dimension']}" if "share" in auto else of
        words.append(f"lambda {numbers['regularization']:g}: {of}")
    if share_of_auto(auto["alpha"]) and "density" in auto:
        words.append(f"alpha {numbers['alpha']:g}: {auto['density']:.3g} of all pairs were played")
    return "; ".join(words)


def too_large(weights: Weights, auto: dict[str, Any]) -> str:
    """Warn of a lambda at which dimensions vanish, where the singular values are known; else nothing."""
    lam, first, last = weights.regularization, auto.get("sigma_1", math.inf), auto.get("sigma_rank", math.inf)
    if lam >= first:
        return f"warning: lambda {lam:g} is at or above sigma_1, which is about {first:.3g}: little or nothing is learnt; give less"
    if lam > last:
        which = f"sigma_{auto['dimension']}, which is about {last:.3g}"
        return f"warning: lambda {lam:g} is above {which}: part of the rank may be wasted; give less"
    return ""
