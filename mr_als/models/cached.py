"""Copies, on this machine, of models elsewhere: what is memory-mapped has to be a local file.

They lie in the cache (`mr_als.storage.mirror`), may be removed at any time, and an older generation goes when a newer one is
fetched.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

from mr_als.errors import ModelError
from mr_als.models.generations import read_records
from mr_als.models.publish import write_arrays
from mr_als.storage.mirror import fetch, mirror_of
from mr_als.storage.places import storage_of
from mr_als.storage.storage import is_name


def copy_of(uri: str, *, fresh: bool = False) -> str:
    """Return the directory of a copy of the model now published at `uri`, fetched again if `fresh`.

    Raises
    ------
    ModelError
        If there is none, or it cannot be read.
    """
    found = storage_of(uri).read(os.path.join(uri, "model.json"))
    if found is None:
        msg = f"{uri}: no published model in it; make one with: mr-als train LOGS... --model {uri}"
        raise ModelError(msg)
    try:
        run = str(json.loads(found)["generation"])
        check_names(uri, [run])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{uri}: model.json cannot be read ({error!r}); train again"
        raise ModelError(msg) from None
    copy = mirror_of(uri)
    here, generations = storage_of(copy), os.path.join(copy, "generations")
    if fresh:
        here.remove(os.path.join(generations, run))
    if here.size(os.path.join(generations, run, "manifest.json")) < 0:
        _make(os.path.join(uri, "generations", run), generations, run)
    here.replace(os.path.join(copy, "model.json"), found)
    for name in here.names(generations):
        if name != run and not name.endswith(".new"):
            here.remove(os.path.join(generations, name))  # who has it mapped keeps it
    return copy


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


def _make(generation: str, generations: str, run: str) -> None:
    """Fetch the files of a generation, or make them of the records that it keeps; of several processes one is the first."""
    manifest = storage_of(generation).read(os.path.join(generation, "manifest.json"))
    if manifest is None:
        msg = f"{generation}: no manifest.json in it: damaged, train again"
        raise ModelError(msg)
    scratch = os.path.join(generations, f"{run}.{uuid.uuid4().hex}.new")
    try:
        if records := read_records(generation, manifest):
            bad = storage_of(generation).read(os.path.join(generation, "bad-lines.tsv")) or b""
            write_arrays(scratch, records["plays_users"], records["plays_items"], records["users"], records["items"], bad)
        else:
            names = list(json.loads(manifest)["files"])
            check_names(generation, names)
            for name in names:
                fetch(os.path.join(generation, name), os.path.join(scratch, name))
            Path(scratch, "manifest.json").write_bytes(manifest)
        storage_of(scratch).rename(scratch, os.path.join(generations, run))
    except FileNotFoundError as error:
        msg = f"{generation}: a file that its manifest names is missing ({error}): damaged, train again"
        raise ModelError(msg) from None
    except FileExistsError:
        pass
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
