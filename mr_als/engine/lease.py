"""A lock where the kernel cannot hold one, as in HDFS: a file that its holder touches again and again.

Who dies stops touching it, so it can be taken over: at once if it was a process of this host that is gone, else when it has
not been touched for a while. Times are those of the file system alone, so clocks need not agree. Like the lock of a local
directory it is a courtesy: what counts is decided by `Run.commit`.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from typing import Any

from mr_als.errors import BusyError, MRALSError
from mr_als.storage.places import storage_of

# seconds: between two touches; without one until another may take over
TOUCH, EXPIRY = 10.0, 60.0


class Lease:
    """Hold a directory while in the `with` block.

    Raises
    ------
    BusyError
        If another process holds it; the message names which.
    """

    def __init__(self, directory: str) -> None:
        self._directory, self._path = directory, os.path.join(directory, "lock")
        self._storage = storage_of(directory)
        self._mine = json.dumps({"host": socket.gethostname(), "process": os.getpid(), "name": uuid.uuid4().hex}).encode()
        self._over = threading.Event()

    def __enter__(self) -> Lease:
        if not self._storage.create(self._path, self._mine):
            held = self._storage.read(self._path)
            if held is not None and not self._is_free(held):
                holder = _read(held)
                where = f"process {holder.get('process', '?')} on {holder.get('host', '?')}"
                msg = (
                    f"{self._directory}: {where} is working on it; wait until it is done, or use another directory. "
                    f"If it is dead, its lock ends {EXPIRY:.0f} s after its last sign of life"
                )
                raise BusyError(msg)
            self._storage.replace(self._path, self._mine)
            for name in self._storage.names(self._directory):
                # the dead may have died as they touched it; in HDFS what is not there yet is hidden
                if name.removeprefix(".").startswith("lock.") and name.endswith(".new"):
                    self._storage.remove(os.path.join(self._directory, name))
        self._thread = threading.Thread(target=self._touch, daemon=True)
        self._thread.start()
        return self

    def _is_free(self, held: bytes) -> bool:
        """Say whether the holder has died."""
        holder = _read(held)
        if holder.get("host") == socket.gethostname() and not _runs(holder.get("process")):
            return True
        scratch = f"{self._path}.{uuid.uuid4().hex}.new"
        self._storage.write(scratch, b"")  # for its time is now
        try:
            now, touched = (self._storage.identify(path)[1] for path in (scratch, self._path))
        finally:
            self._storage.remove(scratch)
        return now - touched > 1000 * EXPIRY

    def _touch(self) -> None:
        storage = storage_of(self._directory)
        while not self._over.wait(TOUCH):
            try:
                if storage.read(self._path) != self._mine:
                    return  # taken over while this process slept
                storage.replace(self._path, self._mine)
            except MRALSError:
                pass  # the next time

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()
        if self._storage.read(self._path) == self._mine:
            self._storage.remove(self._path)


def _read(held: bytes) -> dict[str, Any]:
    try:
        found = json.loads(held)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _runs(process: Any) -> bool:
    """Say whether a process of this host runs; one that waits to be reaped does not."""
    try:
        with open(f"/proc/{int(process)}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, ValueError, TypeError, IndexError):
        return False
