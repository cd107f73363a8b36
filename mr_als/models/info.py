"""`model.json`, which names the published generation, and the generation's manifest: read, and refused if they are not ours."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from mr_als import __version__
from mr_als.errors import ModelError
from mr_als.storage.places import storage_of
from mr_als.storage.storage import is_name

__all__ = ["FORMAT", "check_names", "find_info", "read_info", "read_manifest"]

# of model.json, manifests and the files that they name; any change that a reader of this version would misread raises it
FORMAT = 1
# what readers rely on, and what it is
FIELDS = {"generation": str, "n_users": int, "n_items": int, "options": dict, "history": list}


def find_info(model: str) -> dict[str, Any] | None:
    """Read `model.json` of the model in the directory or URI `model`; None if there is none.

    Raises
    ------
    ModelError
        If it is torn, not ours, or of another format.
    """
    found = _read(model, "model.json")
    if found is None:
        return None
    info = _parsed(model, "model.json", found, FIELDS)
    check_names(f"{model}/model.json", [info["generation"]])
    return info


def read_info(model: str) -> dict[str, Any]:
    """Read `model.json` likewise; ModelError if there is none, too."""
    info = find_info(model)
    if info is None:
        msg = f"{model}: no published model in it; make one with: mr-als train LOGS... --model {model}"
        raise ModelError(msg)
    return info


def read_manifest(generation: str) -> dict[str, Any]:
    """Read the manifest of a generation, which has `files` where it keeps arrays, and `records` where it keeps parts of jobs.

    Raises
    ------
    ModelError
        If there is none, or it is torn, not ours, or of another format.
    """
    found = _read(generation, "manifest.json")
    if found is None:
        msg = f"{generation}: no manifest.json in it: damaged, train again"
        raise ModelError(msg)
    manifest = _parsed(generation, "manifest.json", found, {})
    check_names(generation, manifest.get("files", {}))
    return manifest


def check_names(where: str, names: Iterable[str]) -> None:
    """Check names that a file gave, before anything is read, written or removed by them.

    Raises
    ------
    ModelError
        If one leads out of its directory.
    """
    for name in names:
        if not all(is_name(part) for part in name.split("/")):
            msg = f"{where}: names a file {name!r}, which would be outside of it: forged or damaged, train again"
            raise ModelError(msg)


def _read(directory: str, name: str) -> bytes | None:
    try:
        return storage_of(directory).read(os.path.join(directory, name))
    except OSError as error:
        msg = f"{directory}: {name} cannot be read ({error.strerror})"
        raise ModelError(msg) from None


def _parsed(directory: str, name: str, data: bytes, fields: dict[str, type]) -> dict[str, Any]:
    """Parse one of both files, and check its format and that it has these fields."""
    try:
        info = json.loads(data)
    except (ValueError, RecursionError) as error:
        msg = f"{directory}: {name} cannot be read (no JSON: {error}): torn, or of another program; train again"
        raise ModelError(msg) from None
    if not isinstance(info, dict) or "format" not in info:
        what = f"fields {', '.join(map(repr, list(info)[:3]))}" if isinstance(info, dict) else type(info).__name__
        msg = f"{directory}: {name} cannot be read (no format in it, but {what}): of another program; train again"
        raise ModelError(msg)
    if info["format"] != FORMAT:
        writer = info["versions"].get("mr_als") if isinstance(info.get("versions"), dict) else "another version"
        msg = (
            f"{directory}: {name} has format {info['format']!r}, and mr_als {__version__} reads format {FORMAT}; "
            f"use the mr_als that wrote it ({writer}), or train again"
        )
        raise ModelError(msg)
    if wrong := [key for key, kind in fields.items() if not isinstance(info.get(key), kind)]:
        msg = f"{directory}: {name} cannot be read (no {', no '.join(wrong)}): damaged, train again"
        raise ModelError(msg)
    return info
