"""Files that are objects in a cloud, through an fsspec file system: they appear whole, and listings are consistent.

A cloud is a subclass of `ObjectStorage`: how its file system is made, what its URIs are, what its errors mean. A put that fails if
the object exists makes `create`, and a plain put, which replaces an object in one step, `replace` and all other writes. There is no
rename in one step, so what has to appear at once is one object, written last. Directories are only beginnings of names.

Credentials are found as every client of the cloud finds them; they are never an argument here and never part of a message.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from mr_als.errors import BadInputError, MRALSError, StorageError, UsageError
from mr_als.storage.clouds.trouble import check_package, in_one_line
from mr_als.storage.storage import HIDDEN, Expanding, is_hidden, scheme_of


class ObjectStorage(Expanding):
    """Objects, with the methods of `LocalStorage`. All paths are URIs such as s3://bucket/logs.

    cloud : what messages call it
    form : of a URI, for messages; `bucket`, the cloud's word for what it names first
    package : of the file system, and `install`, what to install
    """

    cloud: ClassVar[str]
    form: ClassVar[str]
    bucket: ClassVar[str] = "bucket"
    package: ClassVar[str]
    install: ClassVar[str]

    def __init__(self, uri: str) -> None:
        check_package(self.package, self.install, f"{uri}: {self.cloud}")
        self.prefix = self._prefix(uri)
        if not self._key(uri).split("/")[0]:
            msg = f"{uri}: names no {self.bucket}; write {self.form}"
            raise UsageError(msg)
        with self._told(uri):
            self._fs: Any = self._connect(uri)

    # what differs

    def _prefix(self, uri: str) -> str:
        """Return what comes before the names of the file system in its URIs."""
        return f"{scheme_of(uri)}://"

    def _key(self, uri: str) -> str:
        """Extract the bucket and key of a URI, as the file system expects them."""
        return uri.split("://", 1)[-1].rstrip("/")

    def _uri(self, key: str) -> str:
        """Return the URI of what the file system calls so."""
        return self.prefix + key.rstrip("/")

    def _connect(self, uri: str) -> Any:
        """Make the file system; it keeps no listings, since another process may have written since."""
        raise NotImplementedError

    def _identity(self, info: dict[str, Any]) -> list[int]:
        """Return what changes when an object does, besides its size: its modification time in ms, and a number."""
        raise NotImplementedError

    def _meaning(self, path: str, error: Exception) -> MRALSError | None:
        """Say what an error of the cloud means; None if it is none of the cloud's."""
        raise NotImplementedError

    def _is_beyond(self, error: Exception) -> bool:
        """Say whether an error means that an object does not have a range of bytes."""
        raise NotImplementedError

    # the methods of every storage

    def absolute(self, path: str) -> str:
        """Return the full URI, which means the same everywhere."""
        return self._uri(self._key(path))

    def make_directory(self, path: str) -> None:
        """Check that the bucket is there: a directory needs no making."""
        bucket = self._key(path).split("/")[0]
        with self._told(path):
            if not self._fs.exists(bucket):
                msg = f"{path}: there is no {self.bucket} {bucket!r}, or no right to see it; make it, or name another"
                raise UsageError(msg)

    def create(self, path: str, data: bytes) -> bool:
        """Write a new object; give False if it exists already. It appears whole or not at all."""
        with self._told(path):
            try:
                self._fs.pipe_file(self._key(path), data, mode="create")
            except FileExistsError:
                return self.read(path) == data  # it is ours if only the answer to a first try got lost
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Write an object in place of what is there; readers see the old or the new one, never a mixture."""
        self.write(path, data)

    def write(self, path: str, *data: Any) -> None:
        """Write an object of some pieces."""
        with self._told(path):
            self._fs.pipe_file(self._key(path), b"".join(data))

    def upload(self, local: str, path: str) -> None:
        """Write an object with the content of a local file."""
        with self._told(path):
            self._fs.put_file(local, self._key(path))

    def rename(self, source: str, target: str) -> None:
        """Rename an object or directory: no cloud can do it in one step, so copies are made, of `_SUCCESS` last of all.

        Raises
        ------
        FileExistsError
            If the target exists.
        """
        if self._info(target) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        old, new = self._key(source), self._key(target)
        with self._told(source):
            for name in sorted(self._find(source), key=lambda name: name.endswith("/_SUCCESS")):
                self._copy(name, new + name[len(old) :])
        self.remove(source)

    def _find(self, path: str) -> dict[str, Any]:
        """Find the objects in the directory of a name, or the one that has it."""
        return dict(self._fs.find(self._key(path), detail=True))

    def _copy(self, old: str, new: str) -> None:
        """Copy an object; when this returns, the copy is whole."""
        self._fs.cp_file(old, new)

    def read(self, path: str) -> bytes | None:
        """Read the bytes of an object; None if it does not exist."""
        with self._told(path):
            try:
                return bytes(self._fs.cat_file(self._key(path)))
            except (FileNotFoundError, IsADirectoryError):
                return None

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Read a range of an object's bytes."""
        found = b""
        with self._told(path):
            try:
                found = bytes(self._fs.cat_file(self._key(path), start=offset, end=offset + length)) if length else b""
            except Exception as error:
                if not (isinstance(error, FileNotFoundError) or self._is_beyond(error)):
                    raise
        if len(found) != length:
            msg = f"{path}: has no bytes {offset} to {offset + length}; it is gone or cut off"
            raise StorageError(msg)
        return found

    def open(self, path: str, mode: str = "rb") -> Any:
        """Open an object for reading from its beginning."""
        if mode != "rb":
            msg = f"{path}: mode {mode!r}; objects in {self.cloud} are opened to be read, and written whole"
            raise ValueError(msg)
        with self._told(path):
            return self._fs.open(self._key(path), "rb", block_size=8 << 20, cache_type="readahead")

    def size(self, path: str) -> int:
        """Return the size in bytes, or -1 if there is no such object."""
        found = self._info(path)
        return -1 if found is None or found["type"] != "file" else int(found["size"])

    def identify(self, path: str) -> list[int]:
        """Return what changes when an object does: its size, modification time in ms, and a number."""
        found = self._info(path)
        if found is None or found["type"] != "file":
            msg = f"{path}: no such object"
            raise BadInputError(msg)
        return [int(found["size"]), *self._identity(found)]

    def _info(self, path: str) -> dict[str, Any] | None:
        with self._told(path):
            try:
                return dict(self._fs.info(self._key(path)))
            except FileNotFoundError:
                return None

    def remove(self, path: str) -> None:
        """Remove an object, and all that lies in the directory of that name."""
        with self._told(path), contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._key(path), recursive=True)

    def _list(self, path: str) -> list[dict[str, Any]]:
        key = self._key(path)
        with self._told(path):
            try:
                return [found for found in self._fs.ls(key, detail=True) if found["name"].rstrip("/") != key]
            except (FileNotFoundError, NotADirectoryError):
                return []

    def names(self, path: str) -> list[str]:
        """List the names in a directory, sorted; none if it is missing."""
        return sorted(found["name"].rstrip("/").rsplit("/", 1)[-1] for found in self._list(path))

    def sizes(self, path: str) -> dict[str, int]:
        """Map the names of the objects in a directory to their sizes."""
        return {found["name"].rsplit("/", 1)[-1]: int(found["size"]) for found in self._list(path) if found["type"] == "file"}

    def _found(self, pattern: str) -> Iterable[str]:
        """List the URI itself, or the matches of a glob."""
        if self._info(pattern):
            return [self.absolute(pattern)]
        with self._told(pattern):
            return [self._uri(key) for key in self._fs.glob(self._key(pattern))]

    def _files(self, path: str, left_out: dict[str, str]) -> Iterable[str]:
        """List the URI of an object, or of those in the directory of that name."""
        with self._told(path):
            found = self._find(path)
        for name, info in found.items():
            uri = self._uri(name)
            if any(is_hidden(part) for part in uri.removeprefix(path).split("/")):
                left_out[uri] = HIDDEN
            elif not name.endswith("/") and info["type"] == "file":
                yield uri

    @contextlib.contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Say what went wrong so that one knows what to do, in words that hold no credentials.

        Raises
        ------
        MRALSError
            What `_meaning` makes of an error.
        """
        try:
            yield
        except (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, MRALSError):
            raise  # answers to who asked
        except Exception as error:
            if (meaning := self._meaning(path, error)) is None:
                raise
            raise meaning from None

    def _cannot(self, path: str, error: Exception) -> StorageError:
        return StorageError(f"{path}: {self.cloud} cannot do what was asked ({in_one_line(error)})")

    def _refuses(self, path: str, error: Exception, remedy: str) -> UsageError:
        return UsageError(f"{path}: {self.cloud} refuses ({in_one_line(error)}); {remedy}")
