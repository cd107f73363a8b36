"""What the driver does with files, the same for every file system: the interface `Storage`.

Two operations make it more than a file system: `create` fails if the file exists (a half-iteration counts once, a lock is
taken once), and `replace` is atomic (publishing). Only the driver uses storage; tasks get their data from mrjob.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

from mr_als.errors import BadInputError


class Storage(Protocol):
    """One file system; paths are those of its scheme."""

    def absolute(self, path: str) -> str:
        """Return the path that says the same in every directory."""

    def make_directory(self, path: str) -> None:
        """Make a directory and its parents; UsageError if it cannot be made or written."""

    def create(self, path: str, data: bytes) -> bool:
        """Write a new file, whole or not at all; return False if it exists already."""

    def replace(self, path: str, data: bytes) -> None:
        """Write a file in place of what is there; readers see the old or the new one, never a mixture."""

    def write(self, path: str, *data: Any) -> None:
        """Write a file of some pieces, buffers or arrays of bytes; it may be seen half written."""

    def upload(self, local: str, path: str) -> None:
        """Write a file with the content of one on this machine."""

    def rename(self, source: str, target: str) -> None:
        """Rename a file or directory; FileExistsError if the target exists."""

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, None if there is none."""

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Return a range of a file's bytes; StorageError if it does not have them."""

    def open(self, path: str, mode: str = "rb") -> Any:
        """Open a file."""

    def size(self, path: str) -> int:
        """Return the size in bytes, -1 if there is no such file."""

    def identify(self, path: str) -> list[int]:
        """Return what changes when a file does: size, time of change (elsewhere in ms), or more; BadInputError if there is none."""

    def remove(self, path: str) -> None:
        """Remove a file or a directory with all in it, if it is there."""

    def names(self, path: str) -> list[str]:
        """List the names in a directory, sorted; none if it is missing."""

    def sizes(self, path: str) -> dict[str, int]:
        """Return the sizes of the files in a directory, by name; none if it is missing."""

    def expand(self, patterns: list[str], left_out: dict[str, str] | None = None) -> list[str]:
        """List the files that paths, directories and globs name, sorted; BadInputError if one names nothing.

        Names that begin with a dot or an underscore inside a directory are left out, as Hadoop does. `left_out` gets what else
        is found and is not in the list, and why.
        """


# why a path that was found is no log: these two as a rule, and by their names
HIDDEN = "names that begin with . or _"
AGAIN = "other names of files that are read"
CLOSED = "a directory without permission to enter"


def is_hidden(name: str) -> bool:
    """Say whether what has this name in a directory is left out, as Hadoop does."""
    return name.startswith((".", "_"))


class Expanding:
    """How storage elsewhere does `expand`, given two methods that differ; all paths are full URIs."""

    def _found(self, pattern: str) -> Iterable[str]:
        """List the file or directory of this name, or without one those that match a glob."""
        raise NotImplementedError

    def _files(self, path: str, left_out: dict[str, str]) -> Iterable[str]:
        """List a file, or those below a directory."""
        raise NotImplementedError

    def expand(self, patterns: list[str], left_out: dict[str, str] | None = None) -> list[str]:
        """List the files that paths, directories and globs name, sorted, each once.

        Raises
        ------
        BadInputError
            If a pattern names no file.
        """
        paths, other = set[str](), {} if left_out is None else left_out
        for pattern in patterns:
            files = {file for path in self._found(pattern) for file in self._files(path, other)}
            if not files:
                raise nothing_in(pattern, {path: why for path, why in other.items() if path.startswith(pattern.rstrip("*"))})
            paths |= files
        return sorted(paths)


def nothing_in(pattern: str, left_out: dict[str, str]) -> BadInputError:
    """Say that a pattern names no log; `left_out` is what it names."""
    found = "".join(f"; {path} is left out: {why}" for path, why in sorted(left_out.items())[:3])
    return BadInputError(f"{pattern}: no such file, and no file in it; name log files, directories or globs{found}")


def is_name(text: str) -> bool:
    """Say whether a text that came from a file is a plain name, which leads nowhere else.

    >>> is_name("part-00000"), is_name(".."), is_name("../x"), is_name("/etc"), is_name("")
    (True, False, False, False, False)
    """
    return re.fullmatch(r"[A-Za-z0-9._-]+", text) is not None and text not in (".", "..")


def scheme_of(path: str) -> str:
    """Return the scheme of a URI; `file` for a plain path."""
    return path.split("://", 1)[0] if "://" in path else "file"
