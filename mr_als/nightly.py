"""What a run takes from the model of the night before: item factors to begin with, and a size to be compared with."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from mr_als.data.blocks import pack
from mr_als.engine.storage import storage_of
from mr_als.errors import BadInputError, UsageError
from mr_als.model import Model
from mr_als.prepare import Plays

__all__ = ["check_size", "pack_model_items"]


def pack_model_items(path: str, rank: int, salt: int) -> bytes:
    """Give the item hashes, ascending, and factors of the model in `path`, packed for a job to look rows up in.

    Raises
    ------
    ModelError
        If there is no model.
    UsageError
        If its rank or salt is another one.
    """
    model = Model.open(path)
    if model.rank != rank:
        msg = f"--warm-start {path}: its rank is {model.rank}, but --rank is {rank}; give --rank {model.rank}, or start cold"
        raise UsageError(msg)
    theirs = model.info["options"]["inputs"]["salt"]
    if theirs != salt:
        msg = f"--warm-start {path}: its ids were hashed with --salt {theirs}, these plays with {salt}; use the same, or start cold"
        raise UsageError(msg)
    return pack([np.asarray(model.item_hashes), np.asarray(model.item_factors).ravel()])


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
