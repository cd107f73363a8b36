"""`model.json`, which names the published generation, and the generation's manifest: read, and refused if they are not ours."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from mr_als.errors import ModelError
from mr_als.storage.ours import NUMBER, Kind, parsed
from mr_als.storage.places import storage_of
from mr_als.storage.storage import is_name

__all__ = ["FORMAT", "INFO", "check_names", "find_info", "read_info", "read_manifest"]

# of model.json, manifests and the files that they name; any change that a reader of this version would misread raises it
FORMAT = 1
WEIGHTS = {"confidence": str, "alpha": NUMBER, "epsilon": NUMBER, "regularization": NUMBER, "regularization_scaling": str}
WEIGHTS |= {"regularization_exponent": NUMBER, "feedback": str}
OPTIONS = {"inputs": {"salt": int}, "weights": WEIGHTS, "solver": {"rank": int, "solver": str}}
HALF = {"half": int, "iteration": int, "solved": str, "wrmse": NUMBER, "objective": NUMBER}
FIELDS = {"generation": str, "n_users": int, "n_items": int, "pairs": int, "plays": NUMBER, "options": OPTIONS, "history": [HALF]}
INFO = Kind(FORMAT, FIELDS, "train again", ModelError)
MANIFEST = Kind(FORMAT, {}, "train again", ModelError)


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
    info = parsed(found, f"{model}: model.json", INFO)
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
    manifest = parsed(found, f"{generation}: manifest.json", MANIFEST)
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
