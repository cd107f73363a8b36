"""What a training must pass before its model replaces the one that is published."""

from __future__ import annotations

import json
import os
from typing import Any

from mr_als.errors import BadInputError
from mr_als.preparing.plays import Plays
from mr_als.storage.places import storage_of

__all__ = ["check_size"]


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
