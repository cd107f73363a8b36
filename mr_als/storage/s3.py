"""Files in S3, through s3fs: objects that appear whole, listings that are consistent, and no rename in one step.

* A put with `If-None-Match: *` fails if the object exists: `create`.
* A plain put replaces an object in one step: `replace`, and all other writes.

Directories are only beginnings of names. Credentials are found as every AWS client finds them (environment, profile, the role
of the machine); they are never an argument here and never part of a message. The endpoint may be that of another service:
AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from mr_als.errors import BadInputError, StorageError, UsageError
from mr_als.storage.storage import HIDDEN, Expanding, is_hidden

SCHEMES = ("s3", "s3a", "s3n")


class S3Storage(Expanding):
    """Objects in S3, with the methods of `LocalStorage`. All paths are URIs such as s3://bucket/logs."""

    def __init__(self, uri: str) -> None:
        if find_spec("s3fs") is None:
            msg = f"{uri}: S3 needs s3fs, which is not installed; install it with: pip install 's3fs>=2024.12' 'botocore>=1.35.21'"
            raise UsageError(msg)
        import s3fs

        self.prefix = uri.split("://", 1)[0] + "://"
        if not self._key(uri).split("/")[0]:
            msg = f"{uri}: names no bucket; write s3://BUCKET/..."
            raise UsageError(msg)
        # another process may have written since the last listing
        self._fs: Any = s3fs.S3FileSystem(use_listings_cache=False)

    def _key(self, uri: str) -> str:
        """Extract the bucket and key of a URI, as s3fs expects them."""
        return uri.split("://", 1)[-1].rstrip("/")

    def absolute(self, path: str) -> str:
        """Return the full URI, which means the same everywhere."""
        return self.prefix + self._key(path)

    def make_directory(self, path: str) -> None:
        """Check that the bucket is there: a directory needs no making."""
        bucket = self._key(path).split("/")[0]
        with _told(path):
            if not self._fs.exists(bucket):
                msg = f"{path}: there is no bucket {bucket!r}, or no right to see it; make it, or name another"
                raise UsageError(msg)

    def create(self, path: str, data: bytes) -> bool:
        """Write a new object; give False if it exists already. It appears whole or not at all."""
        with _told(path):
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
        with _told(path):
            self._fs.pipe_file(self._key(path), b"".join(data))

    def upload(self, local: str, path: str) -> None:
        """Write an object with the content of a local file."""
        with _told(path):
            self._fs.put_file(local, self._key(path))

    def rename(self, source: str, target: str) -> None:
        """Rename an object or directory: S3 cannot do it in one step, so copies are made, of `_SUCCESS` last of all.

        Raises
        ------
        FileExistsError
            If the target exists.
        """
        if self._info(target) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        old, new = self._key(source), self._key(target)
        with _told(source):
            for name in sorted(self._fs.find(old), key=lambda name: name.endswith("/_SUCCESS")):
                self._fs.cp_file(name, new + name[len(old) :])
        self.remove(source)

    def read(self, path: str) -> bytes | None:
        """Read the bytes of an object; None if it does not exist."""
        with _told(path):
            try:
                return bytes(self._fs.cat_file(self._key(path)))
            except (FileNotFoundError, IsADirectoryError):
                return None

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Read a range of an object's bytes."""
        found = b""
        with _told(path):
            try:
                found = bytes(self._fs.cat_file(self._key(path), start=offset, end=offset + length)) if length else b""
            except OSError as error:
                if error.errno not in (None, errno.ENOENT, errno.EINVAL):  # not there, or not so long
                    raise
        if len(found) != length:
            msg = f"{path}: has no bytes {offset} to {offset + length}; it is gone or cut off"
            raise StorageError(msg)
        return found

    def open(self, path: str, mode: str = "rb") -> Any:
        """Open an object for reading from its beginning."""
        if mode != "rb":
            msg = f"{path}: mode {mode!r}; objects in S3 are opened to be read, and written whole"
            raise ValueError(msg)
        with _told(path):
            return self._fs.open(self._key(path), "rb", block_size=8 << 20, cache_type="readahead")

    def size(self, path: str) -> int:
        """Return the size in bytes, or -1 if there is no such object."""
        found = self._info(path)
        return -1 if found is None or found["type"] != "file" else int(found["size"])

    def identify(self, path: str) -> list[int]:
        """Return what changes when an object does: its size, modification time in ms, and the start of its ETag as a number."""
        found = self._info(path)
        if found is None or found["type"] != "file":
            msg = f"{path}: no such object"
            raise BadInputError(msg)
        tag = int.from_bytes(found["ETag"].strip('"').encode()[:6], "big")  # for S3 knows the time to the second only
        return [int(found["size"]), round(1000 * found["LastModified"].timestamp()), tag]

    def _info(self, path: str) -> dict[str, Any] | None:
        with _told(path):
            try:
                return dict(self._fs.info(self._key(path)))
            except FileNotFoundError:
                return None

    def remove(self, path: str) -> None:
        """Remove an object, and all that lies in the directory of that name."""
        with _told(path), contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._key(path), recursive=True)

    def _list(self, path: str) -> list[dict[str, Any]]:
        key = self._key(path)
        with _told(path):
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
        with _told(pattern):
            return [self.prefix + key.rstrip("/") for key in self._fs.glob(self._key(pattern))]

    def _files(self, path: str, left_out: dict[str, str]) -> Iterable[str]:
        """List the URI of an object, or of those in the directory of that name."""
        with _told(path):
            found = self._fs.find(self._key(path), detail=True)
        for name, info in found.items():
            uri = self.prefix + name
            if any(is_hidden(part) for part in uri.removeprefix(path).split("/")):
                left_out[uri] = HIDDEN
            elif not name.endswith("/") and info["type"] == "file":
                yield uri


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Say what went wrong so that one knows what to do, in words that hold no credentials.

    Raises
    ------
    UsageError
        If there are no credentials, or they do not suffice.
    StorageError
        If S3 does not answer, or refuses.
    """
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError):
        raise
    except NoCredentialsError:
        msg = f"{path}: no AWS credentials found; set AWS_PROFILE, or give the machine a role that may use the bucket"
        raise UsageError(msg) from None
    except PermissionError as error:
        msg = f"{path}: S3 refuses ({_in_one_line(error)}); check the rights of the role or profile in use"
        raise UsageError(msg) from None
    except (OSError, BotoCoreError, ClientError) as error:
        msg = f"{path}: S3 cannot do what was asked ({_in_one_line(error)})"
        raise StorageError(msg) from None


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


__all__ = ["SCHEMES", "S3Storage"]
