"""A copy of a model elsewhere: published there, in one step."""

from __future__ import annotations

import os
import shutil
import uuid
from typing import TYPE_CHECKING

from mr_als.engine.runs import lock_of
from mr_als.models.kept import remember, replace_model
from mr_als.storage.mirror import push
from mr_als.storage.places import scheme_of, storage_of

if TYPE_CHECKING:
    from mr_als.models.model import Model

__all__ = ["save"]


def save(model: Model, path: str) -> str:
    """Publish a model's generation at `path`, and return it; a model that is there stays as the one before.

    Raises
    ------
    BusyError
        If a training works on the model that is there.
    """
    name = model.info["generation"]
    generation = os.path.join(path, "generations", name)
    storage = storage_of(path)
    storage.make_directory(path)
    with lock_of(path):
        remember(path)
        if storage.size(os.path.join(generation, "manifest.json")) < 0:
            if scheme_of(path) == "file":
                scratch = f"{generation}.{uuid.uuid4().hex[:8]}.new"
                try:
                    shutil.copytree(model.generation, scratch)
                    storage.rename(scratch, generation)
                finally:
                    storage.remove(scratch)
            else:
                push(model.generation, generation)
        replace_model(path, model.info)
    return path
