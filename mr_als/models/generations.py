"""A generation on a cluster: the part files that the jobs wrote, where they lie, and a manifest that names them.

    <model>/generations/<run>/manifest.json            which parts are plays, users and items, with the sizes of all
    <model>/generations/<run>/plays/<attempt>/output/  as in a directory of plays
    <model>/generations/<run>/half-<n>-<attempt>/output/

Nothing is moved or copied to publish it, so it costs the driver nothing; only plays that were given by --plays, which are
the user's and may vanish, are copied. Whoever reads the model makes arrays of the records once (`mr_als.models.cached`).
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mr_als.engine.engine import Data
from mr_als.engine.parts import SUCCESS, Parts
from mr_als.logs.badlines import BadLines, quarantine_table
from mr_als.models.info import FORMAT
from mr_als.preparing.plays import Plays
from mr_als.storage.places import storage_of


def keep_records(generation: str, plays: Plays, users: Data, items: Data) -> None:
    """Write the manifest of a generation whose records are in its directory already."""
    storage = storage_of(generation)
    found = {"plays_users": plays.users, "plays_items": plays.items, "users": users, "items": items}
    records: dict[str, Parts] = {}
    for name, data in found.items():
        assert isinstance(data, Parts)
        records[name] = data if _within(generation, data) else _copied(generation, data)
    for name in storage.names(generation):
        if name.startswith("half-") and not name.endswith(".json"):  # a record of a half, by which a killed driver would go on
            _keep_output(os.path.join(generation, name), records.values())
    if bad := bad_lines(plays):
        storage.replace(os.path.join(generation, "bad-lines.tsv"), bad)
    rows = {
        name: {**data.to_json(), "in": os.path.relpath(os.path.dirname(_place(data.directory)), _place(generation))}
        for name, data in records.items()
    }
    storage.replace(os.path.join(generation, "manifest.json"), json.dumps({"format": FORMAT, "records": rows}).encode())


def read_records(generation: str, manifest: dict[str, Any]) -> dict[str, Parts]:
    """Open the data sets of a generation, whose files are checked; none if it keeps arrays."""
    rows = manifest.get("records", {})
    found = {name: Parts.from_json(row, os.path.join(generation, row["in"])) for name, row in rows.items()}
    for data in found.values():
        data.check_sizes()
    return found


def bad_lines(plays: Plays) -> bytes:
    """Format the content of bad-lines.tsv; empty if there were no bad lines."""
    bad = BadLines.from_dict(plays.info["bad"])
    return quarantine_table(bad, plays.info["lines"]).encode("utf-8", "surrogateescape") if bad.counts else b""


def _place(uri: str) -> str:
    """Expand a URI to its full form, because hdfs:///a and hdfs://host/a are the same."""
    return storage_of(uri).absolute(uri)


def _within(generation: str, data: Parts) -> bool:
    return _place(data.directory).startswith(_place(generation) + "/")


def _copied(generation: str, data: Parts) -> Parts:
    """Copy parts into a generation; both sides of plays are in the same ones, which are copied once."""
    storage = storage_of(generation)
    directory = os.path.join(generation, "plays", "copied", os.path.basename(data.directory))
    there = storage.sizes(directory)
    for name, size in data.sizes.items():
        if there.get(name) != size:
            with tempfile.NamedTemporaryFile() as local, storage_of(data.directory).open(f"{data.directory}/{name}") as file:
                shutil.copyfileobj(file, local)
                local.flush()
                storage.upload(local.name, os.path.join(directory, name))
    storage.write(os.path.join(directory, SUCCESS), b"")
    return replace(data, directory=directory)


def _keep_output(directory: str, kept: Iterable[Parts]) -> None:
    """Remove what a half has left beside its output; all of it, if its output is not of the model."""
    storage = storage_of(directory)
    if all(_place(os.path.dirname(data.directory)) != _place(directory) for data in kept):
        storage.remove(directory)
        return
    for name in storage.names(directory):
        if name != "output":
            storage.remove(os.path.join(directory, name))
