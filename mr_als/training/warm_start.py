"""Warm start: the item factors of an earlier model, to begin with."""

from __future__ import annotations

import numpy as np

from mr_als.errors import UsageError
from mr_als.models.model import Model
from mr_als.records.blocks import pack

__all__ = ["pack_model_items"]


def pack_model_items(path: str, rank: int, salt: int) -> bytes:
    """Pack the item hashes, ascending, and factors of the model in `path`, for a job to look rows up in.

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
