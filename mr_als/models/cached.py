"""Copies, on this machine, of models elsewhere: what is memory-mapped has to be a local file.

They lie in the cache (`mr_als.storage.mirror`), may be removed at any time, and an older generation goes when a newer one is
fetched.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid

from mr_als.errors import ModelError
from mr_als.models.generations import read_records
from mr_als.models.info import read_info, read_manifest
from mr_als.models.publish import Contents, write_arrays
from mr_als.storage.mirror import fetch, mirror_of
from mr_als.storage.places import storage_of


def copy_of(uri: str, *, fresh: bool = False) -> str:
    """Return the directory of a copy of the model now published at `uri`, fetched again if `fresh`.

    Raises
    ------
    ModelError
        If there is none, or it cannot be read.
    """
    info = read_info(uri)
    run, explicit = info["generation"], info["options"]["weights"]["feedback"] == "explicit"
    copy = mirror_of(uri)
    here, generations = storage_of(copy), os.path.join(copy, "generations")
    if fresh:
        here.remove(os.path.join(generations, run))
    if here.size(os.path.join(generations, run, "manifest.json")) < 0:
        _make(os.path.join(uri, "generations", run), generations, run, zeros=explicit)
    here.replace(os.path.join(copy, "model.json"), json.dumps(info, indent=1).encode())
    for name in here.names(generations):
        if name != run and not name.endswith(".new"):
            here.remove(os.path.join(generations, name))  # who has it mapped keeps it
    return copy


def _make(generation: str, generations: str, run: str, *, zeros: bool) -> None:
    """Fetch the files of a generation, or make them of the records that it keeps; of several processes one is the first."""
    manifest = read_manifest(generation)
    scratch = os.path.join(generations, f"{run}.{uuid.uuid4().hex}.new")
    try:
        if records := read_records(generation, manifest):
            bad = storage_of(generation).read(os.path.join(generation, "bad-lines.tsv")) or b""
            sides = {side: (records[f"plays_{side}"], records[side]) for side in ("users", "items")}
            write_arrays(scratch, Contents(**sides, zeros=zeros), bad)
        else:
            for name in manifest["files"]:
                fetch(os.path.join(generation, name), os.path.join(scratch, name))
            fetch(os.path.join(generation, "manifest.json"), os.path.join(scratch, "manifest.json"))
        storage_of(scratch).rename(scratch, os.path.join(generations, run))
    except FileNotFoundError as error:
        msg = f"{generation}: a file that its manifest names is missing ({error}): damaged, train again"
        raise ModelError(msg) from None
    except FileExistsError:
        pass
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
