"""What must hold: between two halves, or the second does not count; of the plays, or their model is not published."""

from __future__ import annotations

import json
import os
from typing import Any

from mr_als.errors import BadInputError, DamagedDataError, ObjectiveRoseError
from mr_als.preparing.plays import Plays
from mr_als.storage.places import storage_of

__all__ = ["check_half", "check_size"]

# a rise of the objective that rounding and the solver's tolerance can explain, relative
ROUNDING = 1e-5


def check_half(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Compare the entries of two halves, one after the other.

    Raises
    ------
    DamagedDataError
        If they did not count the same pairs.
    ObjectiveRoseError
        If the objective rose.
    """
    if now["pairs"] != before["pairs"]:
        solved = f"half {now['half']} solved {now['pairs']} pairs, the half before it {before['pairs']}"
        msg = f"{solved}: plays were lost; start again with --restart"
        raise DamagedDataError(msg)
    was, objective = before["objective"], now["objective"]
    if objective > was + ROUNDING * abs(was):
        msg = f"half {now['half']}: the objective rose from {was:.8g} to {objective:.8g}; try --solver cholesky, and report this"
        raise ObjectiveRoseError(msg)


def check_size(model: str, plays: Plays, min_size: float) -> None:
    """Refuse plays that are much fewer than those of the model that is published now.

    Raises
    ------
    BadInputError
        If users, items or plays are below `min_size` of the published model's.
    """
    found = storage_of(model).read(os.path.join(model, "model.json")) if min_size > 0 else None
    if found is None:
        return
    info: dict[str, Any] = json.loads(found)
    for name, now in (("users", plays.n_users), ("items", plays.n_items), ("plays", plays.plays)):
        before = info[f"n_{name}" if name != "plays" else name]
        if now < min_size * before:
            msg = (
                f"{now:.12g} {name}, but the model in {model} was made of {before:.12g}: less than --min-size {min_size:g} of it. "
                "That model stays; are logs missing? If not, give --min-size 0"
            )
            raise BadInputError(msg)
