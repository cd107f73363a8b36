"""Who reads a plays directory: the files that a training has open stay until it is done, however often more plays are added.

<directory>/readers/<attempt>.<reader>/lock    held while the reader lives; it ends with the reader, however that ends
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator

from mr_als.engine.runs import lock_of
from mr_als.errors import BusyError, MRALSError, UsageError
from mr_als.preparing.plays import Plays
from mr_als.storage.places import storage_of

__all__ = ["attempts_read", "reading"]


@contextlib.contextmanager
def reading(directory: str, plays: Plays) -> Iterator[None]:
    """Keep the files of opened plays while in the `with` block.

    Between opening and here they stay for another reason: a sum is kept until the next but one. Who may not write to the
    directory keeps nothing, and reads it all the same.
    """
    mark = os.path.join(_readers(directory), f"{plays.info['attempt']}.{uuid.uuid4().hex[:8]}")
    with contextlib.ExitStack() as until_done:
        with contextlib.suppress(MRALSError):
            storage = storage_of(directory)
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
