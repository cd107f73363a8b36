"""Files in HDFS, over WebHDFS (`mr_als.storage.webhdfs`).

A listing takes milliseconds where `hadoop fs` starts a JVM for a second. What the interface promises and we build on:

* RENAME with `renameoptions=NONE` refuses a target that exists: `create` writes a scratch file and renames it, so
  the file appears whole or not at all, and of two writers one gets False.
* RENAME with `renameoptions=OVERWRITE` replaces the target in one step: `replace`.

HttpFS, which speaks the same language, knows neither option, so it is used to read, and refused to write models.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import http.client
import io
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mr_als.errors import BadInputError, StorageError, UsageError
from mr_als.storage.storage import CLOSED, HIDDEN, Expanding, is_hidden, scheme_of
from mr_als.storage.webhdfs import MISSING, Content, RemoteError, WebHdfs, path_of


class HdfsStorage(Expanding):
    """An HDFS file system. All paths are URIs such as hdfs://namenode:8020/logs or swebhdfs://namenode:9871/logs."""

    def __init__(self, uri: str) -> None:
        self._web = WebHdfs(uri)
        self.prefix = f"{scheme_of(uri)}://{self._web.authority}"

    def absolute(self, path: str) -> str:
        """Return the full URI, which means the same everywhere."""
        return self.prefix + path_of(path)

    def _status(self, uri: str) -> dict[str, Any] | None:
        with _told(uri, MISSING):
            return dict(self._web.json("GET", "GETFILESTATUS", uri)["FileStatus"])
        return None

    def _list(self, uri: str) -> list[dict[str, Any]]:
        with _told(uri, MISSING):
            return list(self._web.json("GET", "LISTSTATUS", uri)["FileStatuses"]["FileStatus"])
        return []

    # the methods of every storage

    def make_directory(self, path: str) -> None:
        """Make a directory and its parents."""
        with _told(path):
            made = self._web.json("PUT", "MKDIRS", path)["boolean"]
        if not made:
            msg = f"{path}: cannot be made a directory; name one that you may write to"
            raise UsageError(msg)

    def create(self, path: str, data: bytes) -> bool:
        """Write a new file; give False if it exists already. It appears whole or not at all."""
        scratch = self._scratch(path, data)
        try:
            self.rename(scratch, path)
        except FileExistsError:
            self.remove(scratch)
        # it is ours, too, if only the answer to a first try got lost; another's, if the scratch file was taken for one of the dead
        return self.read(path) == data

    def replace(self, path: str, data: bytes) -> None:
        """Write a file in place of what is there; readers see the old or the new one, never a mixture."""
        self.rename(self._scratch(path, data), path, overwrite=True)

    def _scratch(self, path: str, data: bytes) -> str:
        self._web.check_rename(path)
        folder, _, name = path.rpartition("/")
        scratch = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}.new"  # who lists logs or parts leaves it out
        self.write(scratch, data)
        return scratch

    def write(self, path: str, *data: Any) -> None:
        """Write a file of some pieces; it may be seen half written."""
        whole = b"".join(data)
        self._create(path, lambda: io.BytesIO(whole))

    def upload(self, local: str, path: str) -> None:
        """Write a file with the content of a local one."""
        self._create(path, lambda: Path(local).open("rb"))  # noqa: SIM115  (closed by `_follow`)

    def _create(self, path: str, content: Content) -> None:
        with _told(path):
            self._web.request("PUT", "CREATE", path, content, overwrite="true").close()

    def rename(self, source: str, target: str, *, overwrite: bool = False) -> None:
        """Rename a file or directory in one step.

        Raises
        ------
        FileExistsError
            If the target exists, and is not to be overwritten.
        """
        self._web.check_rename(source)
        options = "OVERWRITE" if overwrite else "NONE"
        with _told(source):
            try:
                self._web.json("PUT", "RENAME", source, destination=path_of(target), renameoptions=options)
            except RemoteError as error:
                if error.kind == "FileAlreadyExistsException" and not overwrite:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
                # an earlier try may have been carried out, and only its answer got lost
                if error.kind != MISSING or not self._status(target):
                    raise

    def read(self, path: str) -> bytes | None:
        """Read the bytes of a file; None if it does not exist."""
        return self._bytes(path)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Read a range of a file's bytes."""
        found = self._bytes(path, offset=offset, length=length) if length else b""
        if found is None or len(found) != length:
            msg = f"{path}: has no bytes {offset} to {offset + length}; it is gone or cut off"
            raise StorageError(msg)
        return found

    def _bytes(self, path: str, **query: Any) -> bytes | None:
        """Read, again from the start if the connection breaks on the way; give None if nothing is there."""
        for attempt in range(5):
            try:
                return self._read(path, **query)
            except (OSError, http.client.HTTPException) as error:
                reason = error
                time.sleep(2**attempt / 10)
        msg = f"{path}: cannot be read: {reason}"
        raise StorageError(msg)

    def _read(self, path: str, **query: Any) -> bytes | None:
        with _told(path, MISSING, "FileNotFound"):
            try:
                with self._web.request("GET", "OPEN", path, **query) as answer:
                    return answer.read()  # type: ignore[no-any-return]
            except RemoteError as error:
                if "out of the range" not in str(error):
                    raise
        return None

    def open(self, path: str, mode: str = "rb") -> Any:
        """Open a file for reading from its beginning."""
        if mode != "rb":
            msg = f"{path}: mode {mode!r}; files in HDFS are opened to be read, and written whole"
            raise ValueError(msg)
        with _told(path):
            return io.BufferedReader(self._web.request("GET", "OPEN", path), 1 << 20)

    def size(self, path: str) -> int:
        """Return the size in bytes, or -1 if there is no such file."""
        status = self._status(path)
        return -1 if status is None or status["type"] != "FILE" else int(status["length"])

    def identify(self, path: str) -> list[int]:
        """Return what changes when a file does: its size and modification time."""
        status = self._status(path)
        if status is None:
            msg = f"{path}: no such file"
            raise BadInputError(msg)
        return [int(status["length"]), int(status["modificationTime"])]

    def remove(self, path: str) -> None:
        """Remove a file or a directory with all in it, if it is there."""
        with _told(path):
            self._web.json("DELETE", "DELETE", path, recursive="true")

    def names(self, path: str) -> list[str]:
        """List the names in a directory, sorted; none if it is missing."""
        return sorted(status["pathSuffix"] for status in self._list(path) if status["pathSuffix"])

    def sizes(self, path: str) -> dict[str, int]:
        """Map the names of the files in a directory to their sizes."""
        return {s["pathSuffix"]: int(s["length"]) for s in self._list(path) if s["type"] == "FILE" and s["pathSuffix"]}

    def _found(self, pattern: str) -> Iterable[str]:
        """List the URI itself, or the matches of a glob."""
        if self._status(pattern):
            return [self.absolute(pattern)]
        found = [self.prefix]
        for part in path_of(pattern).strip("/").split("/"):
            if any(c in part for c in "*?["):
                found = [f"{base}/{name}" for base in found for name in fnmatch.filter(self.names(base), part)]
            else:
                found = [f"{base}/{part}" for base in found]
        return [uri for uri in found if self._status(uri)]

    def _files(self, path: str, left_out: dict[str, str]) -> Iterable[str]:
        """List the URI of a file, or of those below a directory."""
        return self._listed(path, self._list(path), left_out)

    def _listed(self, path: str, listed: list[dict[str, Any]], left_out: dict[str, str]) -> Iterator[str]:
        for status in listed:
            name = status["pathSuffix"]
            inner = f"{path}/{name}"
            if not name:
                yield path  # it is a file itself
            elif is_hidden(name):
                left_out[inner] = HIDDEN
            elif status["type"] == "FILE":
                yield inner
            else:
                try:
                    below = self._list(inner)
                except UsageError:
                    left_out[inner] = CLOSED
                    continue
                yield from self._listed(inner, below, left_out)


@contextlib.contextmanager
def _told(path: str, *expected: str) -> Iterator[None]:
    """Say what HDFS refuses so that one knows what to do; an `expected` kind of refusal ends the block and no more.

    Raises
    ------
    UsageError
        If there is no right to it.
    StorageError
        If it is refused for another reason.
    """
    try:
        yield
    except RemoteError as error:
        if error.kind in expected:
            return
        if error.kind == "AccessControlException":
            msg = f"{path}: {error}; ask for the right to it, or come as another user (HADOOP_USER_NAME; with Kerberos, kinit)"
            raise UsageError(msg) from None
        msg = f"{path}: {error}"
        raise StorageError(msg) from None
