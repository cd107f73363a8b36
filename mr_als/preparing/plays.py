"""A plays directory, opened: two data sets of the same plays, and what `plays.json` says of them; and who reads it.

<directory>/readers/<attempt>.<reader>/lock    held while the reader lives; it ends with the reader, however that ends

The files that a training has open stay until it is done, however often more plays are added.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mr_als.engine.engine import Data, Engine
from mr_als.engine.runs import lock_of
from mr_als.errors import BadInputError, BusyError, DamagedDataError, MRALSError, UsageError
from mr_als.planning.sizes import Sizes, counted
from mr_als.records.blocks import SIDES
from mr_als.storage.ours import NUMBER, Kind, parsed
from mr_als.storage.places import storage_of

# of plays.json and the files that it names
FORMAT = 1
# what readers rely on
_FIELDS: dict[str, Any] = {
    "attempt": str, "n_users": int, "n_items": int, "pairs": int, "plays": NUMBER, "blocks": [int], "repeated": NUMBER,
    "users": dict, "items": dict, "options": {"salt": int, "duplicates": str}, "counts": {"lines": int}, "bad": {"counts": dict},
    "lines": dict,
}  # fmt: skip
_KIND = Kind(FORMAT, _FIELDS, "prepare the plays again", DamagedDataError, unnamed=True)


@dataclass(frozen=True)
class Plays:
    """Prepared plays: two data sets of the same plays, and their totals."""

    users: Data
    items: Data
    n_users: int
    n_items: int
    pairs: int
    plays: float
    info: dict[str, Any]
    directory: str


def read_plays(directory: str, engine: Engine = Engine()) -> Plays:
    """Open a prepared plays directory.

    Raises
    ------
    DamagedDataError
        If it is none, or of another format, or a file is missing or has another size.
    """
    file = os.path.join(directory, "plays.json")
    found = storage_of(directory).read(file)
    if found is None:
        msg = f"{directory}: no plays.json in it, so it is not a finished plays directory; make one with `mr-als prepare`"
        raise DamagedDataError(msg)
    info = parsed(found, file, _KIND)
    base = os.path.join(directory, info["attempt"])
    try:
        users, items = (engine.load(info[side], base) for side in SIDES)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{file} cannot be read ({error!r}): damaged, {_KIND.remedy}"
        raise DamagedDataError(msg) from None
    for data in (users, items):
        try:
            data.check_sizes()
        except DamagedDataError as error:
            msg = f"{error}; {_KIND.remedy}"
            raise DamagedDataError(msg) from None
    return Plays(users, items, info["n_users"], info["n_items"], info["pairs"], info["plays"], info, directory)


def write_plays(directory: str, info: dict[str, Any]) -> None:
    """Let the plays in a directory count from now on."""
    text = json.dumps({"format": FORMAT, **info}, indent=1)
    storage_of(directory).replace(os.path.join(directory, "plays.json"), text.encode())


def sizes_of(plays: Plays, rank: int) -> Sizes:
    """Compute the sizes of prepared plays."""
    return counted(plays.info, rank)._replace(play_bytes=(plays.users.n_bytes, plays.items.n_bytes))


def check_ratings(plays: Plays, directory: str) -> None:
    """Check that no ratings of one user and item were added up, as plays are.

    Raises
    ------
    BadInputError
        If they were.
    """
    if plays.info["options"]["duplicates"] == "sum" and (repeated := plays.info["repeated"]):
        msg = (
            f"{directory}: {repeated} lines rate what their user has rated already, and ratings do not add up like plays; "
            "say which one counts, --duplicates last (by timestamp) or --duplicates mean"
        )
        raise BadInputError(msg)


@contextlib.contextmanager
def reading(plays: Plays) -> Iterator[None]:
    """Keep the files of opened plays while in the `with` block.

    Between opening and here they stay for another reason: a sum is kept until the next but one. Who may not write to the
    directory keeps nothing, and reads it all the same.
    """
    mark = os.path.join(_readers(plays.directory), f"{plays.info['attempt']}.{uuid.uuid4().hex[:8]}")
    with contextlib.ExitStack() as until_done:
        with contextlib.suppress(MRALSError):
            storage = storage_of(mark)
            storage.make_directory(mark)
            until_done.callback(storage.remove, mark)
            until_done.enter_context(lock_of(mark))
        yield


def attempts_read(directory: str) -> set[str]:
    """Return the attempts that somebody reads; the marks of the dead are removed."""
    storage, found = storage_of(directory), set[str]()
    for name in storage.names(_readers(directory)):
        mark = os.path.join(_readers(directory), name)
        try:
            with contextlib.suppress(UsageError), lock_of(mark):  # it may go at this moment
                pass
        except BusyError:
            found.add(name.partition(".")[0])
        else:
            storage.remove(mark)
    return found


def _readers(directory: str) -> str:
    return os.path.join(directory, "readers")
