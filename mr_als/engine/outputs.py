"""Outputs: each is written by one command at a time, and a new one overwrites nothing that is there."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mr_als.engine.lease import Lease
from mr_als.engine.runs import Lock
from mr_als.errors import UsageError
from mr_als.storage.places import scheme_of, storage_of

__all__ = ["held", "lasts", "new_output", "scratch"]


def held(path: str) -> Lock | Lease:
    """Return the lock of an output, which leaves nothing behind; in HDFS and S3 the output is a directory that exists."""
    return _Claim(path) if scheme_of(path) == "file" else Lease(path)


@contextlib.contextmanager
def new_output(flag: str, path: str, what: str = "directory") -> Iterator[None]:
    """Hold an output that is not there yet while in the `with` block; outside of this machine nobody is kept out.

    Raises
    ------
    UsageError
        If it exists, or cannot be written.
    BusyError
        If another process is writing it; the message names which.
    """
    with held(path) if scheme_of(path) == "file" else contextlib.nullcontext():
        if storage_of(path).names(path) or os.path.lexists(path):
            msg = f"{flag} {path} exists; name a new {what}, or remove it first"
            raise UsageError(msg)
        yield


# the directories of `scratch`, for the time being
_passing: set[str] = set()


def lasts(path: str) -> bool:
    """Say whether what is written to a path is there when the command is done; commands call what is not so `.mr-als-`, too."""
    return "/.mr-als-" not in path and not any(path.startswith(f"{place}/") for place in _passing)


@contextlib.contextmanager
def scratch(prefix: str) -> Iterator[str]:
    """Yield a new directory, which goes even where a signal interrupts its removal."""
    place = tempfile.mkdtemp(prefix=prefix)
    _passing.add(place)
    try:
        yield place
    finally:
        _passing.discard(place)
        try:
            shutil.rmtree(place)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise


class _Claim(Lock):
    """A lock of what may not be there yet: a file beside it, which goes with the lock."""

    def __init__(self, path: str) -> None:
        folder, name = os.path.split(os.path.abspath(path))
        self._target, self._path = path, os.path.join(folder, f".{name}.lock")

    def __enter__(self) -> _Claim:
        while True:
            super().__enter__()
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno())):
                    return self
            super().__exit__()  # who held it before has removed it since it was opened here

    def __exit__(self, *exc: object) -> None:
        Path(self._path).unlink(missing_ok=True)
        super().__exit__()
