"""The copy that this machine keeps of a directory elsewhere, in HDFS or a cloud.

    <cache>/mr_als/models/<digest of the URI>/generations/<run>/  fetched once, or written here to be published
    <cache>/mr_als/models/<digest of the URI>/work/               an unfinished run of an engine whose tasks see local files only

<cache> is $XDG_CACHE_HOME, or ~/.cache. A local directory is its own copy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from mr_als.storage.places import scheme_of, storage_of

__all__ = ["FETCHED", "fetch", "fetch_logs", "fetch_range", "mirror_of", "push"]

# bytes read at a time: of a range, and of a file's beginning or a line's end
PIECE, HEAD = 16 << 20, 1 << 16
# a job's logs, beside its output
FETCHED = "fetched"


def mirror_of(path: str) -> str:
    """Return the local directory that stands for `path`: `path` itself if it is local."""
    if scheme_of(path) == "file":
        return path
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    digest = hashlib.sha256(storage_of(path).absolute(path).encode()).hexdigest()[:20]
    return str(cache / "mr_als" / "models" / digest)


def fetch(source: str, target: str) -> None:
    """Copy a file from elsewhere to a local path, whose directory is made."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    with storage_of(source).open(source) as file, open(target, "wb") as copy:
        shutil.copyfileobj(file, copy, 1 << 22)


def fetch_range(source: str, offset: int, length: int, directory: str) -> str:
    """Copy the lines that start in a range of a file from elsewhere to their places in a local file, and return its path.

    What is not copied is a hole, but for the first bytes, which tell how the file is written. A file that is read as one range,
    as a compressed one, is copied whole.
    """
    storage, target = storage_of(source), os.path.join(directory, os.path.basename(source))
    size = storage.size(source)
    if not offset and length >= size:
        fetch(source, target)
        return target
    with open(target, "wb") as copy:
        copy.write(storage.read_range(source, 0, min(HEAD, size)))
        # a line starts behind a line end; the last one may end behind the range
        at, end = max(offset - 1, 0), min(offset + length, size)
        while at < size:
            data = storage.read_range(source, at, min(PIECE if at < end else HEAD, size - at))
            copy.seek(at)
            copy.write(data)
            if b"\n" in data[max(end - at - 1, 0) :]:
                break
            at += len(data)
    return target


def push(local: str, target: str, last: str = "manifest.json") -> None:
    """Copy a finished local directory to a target elsewhere; the file `last`, which says that all are there, comes last."""
    storage = storage_of(target)
    names = sorted(str(path.relative_to(local)) for path in Path(local).rglob("*") if path.is_file())
    for folder in sorted({os.path.dirname(name) for name in names}):
        storage.make_directory(os.path.join(target, folder))
    for name in sorted(names, key=last.__eq__):
        storage.upload(os.path.join(local, name), os.path.join(target, name))


def fetch_logs(paths: Iterable[str], directory: str) -> list[str]:
    """Fetch logs into `directory`, under names that tell their origin, and list the copies; local logs stay where they are."""
    found = []
    for path in paths:
        if scheme_of(path) == "file":
            found.append(path)
            continue
        found.append(os.path.join(os.path.abspath(directory), FETCHED, path.split("://", 1)[1]))
        fetch(path, found[-1])
    return found
