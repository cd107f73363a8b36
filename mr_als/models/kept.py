"""The generations that are kept: which, of what, which one is the model now, and how to go back to the one before.

    <model>/model.json                names the generation that is the model now, and describes it
    <model>/generations/<run>.json    what model.json said when <run> was published

Only `model.json` decides; a reader that has another generation open keeps it.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from mr_als.engine.runs import lock_of
from mr_als.errors import ModelError
from mr_als.models.info import INFO, find_info, read_info
from mr_als.storage.ours import parsed
from mr_als.storage.places import storage_of

__all__ = ["Kept", "current", "described", "go_back", "keep_only", "kept", "prune", "remember", "replace_model", "size_of"]


class Kept(NamedTuple):
    """A generation that is kept.

    info : what its `model.json` said; empty for one that an older version published, which kept no description
    """

    name: str
    current: bool
    info: dict[str, Any]

    @property
    def published(self) -> str:
        """Time of publication, UTC, as text that sorts; empty if unknown."""
        return str(self.info.get("published", ""))


def kept(model: str) -> list[Kept]:
    """List the generations that are kept, the newest first.

    Raises
    ------
    ModelError
        If there is no published model, or it cannot be read.
    """
    storage, generations = storage_of(model), os.path.join(model, "generations")
    now = read_info(model)
    found = []
    for name in storage.names(generations):
        if storage.size(os.path.join(generations, name, "manifest.json")) >= 0:
            own = name == now["generation"]
            found.append(Kept(name, own, now if own else described(model, name)))
    return sorted(found, key=lambda one: (one.published, one.current), reverse=True)


def described(model: str, generation: str) -> dict[str, Any]:
    """Read the description that is kept of a generation; empty if there is none, or it cannot be read."""
    path = _description(model, generation)
    try:
        return parsed(found, path, INFO) if (found := storage_of(model).read(path)) else {}
    except ModelError:
        return {}


def size_of(generation: str) -> int:
    """Return the size in bytes of all files of a generation."""
    storage = storage_of(generation)
    inside = {name: os.path.join(generation, name) for name in storage.names(generation)}
    files = storage.sizes(generation)
    return sum(files.values()) + sum(size_of(path) for name, path in inside.items() if name not in files)


def go_back(model: str) -> dict[str, Any]:
    """Publish the generation before the current one, in one step; return what `model.json` says now.

    Raises
    ------
    ModelError
        If none before it is kept.
    BusyError
        If a training works on the model.
    """
    with lock_of(model):
        found = kept(model)
        at = next((n for n, one in enumerate(found) if one.current), len(found))
        before = next((one for one in found[at + 1 :] if one.info), None)
        if before is None:
            name = current(model)["generation"]
            msg = f"{model}: no generation before {name} is kept; `mr-als train --keep 3` keeps three"
            raise ModelError(msg)
        replace_model(model, before.info)
        return before.info


def keep_only(model: str, keep: int) -> None:
    """Remove all generations but the `keep` newest and the current one."""
    with lock_of(model):
        prune(model, keep, "")


def remember(model: str) -> str:
    """Keep the description of the generation that is the model now, and return its name; empty if there is none."""
    now = current(model)
    name = str(now.get("generation", ""))
    if name and storage_of(model).size(_description(model, name)) < 0:
        storage_of(model).replace(_description(model, name), json.dumps(now, indent=1).encode())
    return name


def replace_model(model: str, info: dict[str, Any]) -> None:
    """Publish: let `model.json` name a generation, in one step."""
    text = json.dumps(info, indent=1).encode()
    storage_of(model).replace(_description(model, info["generation"]), text)
    storage_of(model).replace(os.path.join(model, "model.json"), text)


def prune(model: str, keep: int, before: str) -> None:
    """Remove all generations but the `keep` newest, the current one among them; with keep > 1 the one `before` it stays, too."""
    storage, generations = storage_of(model), os.path.join(model, "generations")
    found = kept(model)
    first = [one.name for one in found if one.current] + [one.name for one in found if one.name == before]
    stay = list(dict.fromkeys([*first, *(one.name for one in found)]))[:keep]
    for name in storage.names(generations):
        if name.removesuffix(".json") not in stay:
            storage.remove(os.path.join(generations, name))


def current(model: str) -> dict[str, Any]:
    """Read what `model.json` says; nothing if there is none, or it cannot be read."""
    try:
        return find_info(model) or {}
    except ModelError:
        return {}


def _description(model: str, name: str) -> str:
    return os.path.join(model, "generations", f"{name}.json")
