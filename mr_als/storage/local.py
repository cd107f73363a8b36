"""Files of this machine."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from mr_als.errors import BadInputError, StorageError, UsageError
from mr_als.storage.walk import files_named


class LocalStorage:
    """The local file system."""

    def absolute(self, path: str) -> str:
        """Return the absolute path, which means the same in every directory."""
        return os.path.abspath(path.removeprefix("file://"))

    def make_directory(self, path: str) -> None:
        """Make a directory and its parents.

        Raises
        ------
        UsageError
            If it cannot be made or written.
        """
        try:
            Path(path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"{path}: cannot be made a directory ({error.strerror}); name one that you may write to"
            raise UsageError(msg) from None
        if not os.access(path, os.W_OK):
            msg = f"{path}: not writable; name a directory that you may write to"
            raise UsageError(msg)

    def create(self, path: str, data: bytes) -> bool:
        """Write a new file; give False if it exists already. It appears whole or not at all."""
        scratch = self._write_beside(path, data)
        try:
            os.link(scratch, path)
        except FileExistsError:
            return False
        finally:
            Path(scratch).unlink()
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Write a file in place of what is there; readers see the old or the new one, never a mixture."""
        Path(self._write_beside(path, data)).replace(path)

    def _write_beside(self, path: str, data: bytes) -> str:
        """Write a scratch file in the same directory; give its name, which no other thread, process or host uses."""
        scratch = f"{path}.{uuid.uuid4().hex}.new"
        try:
            with open(scratch, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise
        return scratch

    def write(self, path: str, *data: Any) -> None:
        """Write a file of some pieces; it may be seen half written."""
        with open(path, "wb") as file:
            file.writelines(data)

    def upload(self, local: str, path: str) -> None:
        """Write a file with the content of a local one."""
        shutil.copyfile(local, path)

    def rename(self, source: str, target: str) -> None:
        """Rename a file or directory in one step.

        Raises
        ------
        FileExistsError
            If the target exists.
        """
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        os.rename(source, target)

    def read(self, path: str) -> bytes | None:
        """Read the bytes of a file; None if it does not exist."""
        try:
            return Path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Read a range of a file's bytes.

        Raises
        ------
        StorageError
            If it does not have them.
        """
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                found = file.read(length)
        except OSError:
            found = b""
        if len(found) != length:
            msg = f"{path}: has no bytes {offset} to {offset + length}; it is gone or cut off"
            raise StorageError(msg)
        return found

    def open(self, path: str, mode: str = "rb") -> Any:
        """Open a file."""
        return open(path, mode)

    def size(self, path: str) -> int:
        """Return the size in bytes, or -1 if there is no such file."""
        try:
            return Path(path).stat().st_size
        except OSError:
            return -1

    def identify(self, path: str) -> list[int]:
        """Return what changes when a file does: its size and modification time.

        Raises
        ------
        BadInputError
            If there is no such file.
        """
        try:
            status = os.stat(path)
        except OSError as error:
            msg = f"{path}: {error.strerror}"
            raise BadInputError(msg) from None
        return [status.st_size, status.st_mtime_ns]

    def remove(self, path: str) -> None:
        """Remove a file or a directory with all in it, if it is there."""
        if Path(path).is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink(missing_ok=True)

    def names(self, path: str) -> list[str]:
        """List the names in a directory, sorted; none if it is missing."""
        return sorted(p.name for p in Path(path).iterdir()) if Path(path).is_dir() else []

    def sizes(self, path: str) -> dict[str, int]:
        """Map the names of the files in a directory to their sizes; empty if it is missing."""
        return {p.name: p.stat().st_size for p in Path(path).iterdir() if p.is_file()} if Path(path).is_dir() else {}

    def expand(self, patterns: list[str], left_out: dict[str, str] | None = None) -> list[str]:
        """List the absolute paths of files, of the files in directories, and of those that match globs, sorted."""
        return files_named(patterns, {} if left_out is None else left_out)
