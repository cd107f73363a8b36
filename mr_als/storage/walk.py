"""The files of this machine that paths, directories and globs name: each once, whatever leads to it; and what is left out, and why.

Linked directories are followed. A directory or file that several names lead to is read by its own name where it has been
named, not by that of a link, and else by the first one: so a circle of links ends, and a link beside its file counts nothing
twice.
"""

from __future__ import annotations

import glob
import heapq
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from mr_als.errors import BadInputError
from mr_als.storage.storage import AGAIN, CLOSED, HIDDEN, is_hidden, nothing_in

__all__ = ["files_named"]

DANGLING = "a link that leads nowhere"
SPECIAL = "neither a file nor a directory, but a pipe, socket or device"


def files_named(patterns: Sequence[str], left_out: dict[str, str]) -> list[str]:
    """List the absolute paths of the files that patterns name, sorted.

    Parameters
    ----------
    left_out : gets each path that is named by no file of the list, and why

    Raises
    ------
    BadInputError
        If a pattern names nothing, or a pipe or device, or a file whose name cannot be put in a line.
    """
    named = [[os.path.abspath(name) for name in _matches(pattern, left_out)] for pattern in patterns]
    walk = _Walk({path for names in named for path in names}, left_out)
    for number, names in enumerate(named):
        for path in names:
            walk.add(os.path.realpath(path) != path, path, number)
    walk.run()
    for number, pattern in enumerate(patterns):
        if number not in walk.filled:
            raise nothing_in(pattern, {path: why for path, why in left_out.items() if path.startswith(tuple(named[number]))})
    return sorted(walk.files.values())


def _matches(pattern: str, left_out: dict[str, str]) -> list[str]:
    """List the paths that a pattern names; one that is hidden must be named so."""
    if os.path.lexists(pattern):
        return [pattern]
    found = []
    parts = Path(pattern).parts
    asked = {part[0] for part in parts if glob.has_magic(part)}
    for path in glob.glob(pattern, recursive=True):
        if any(is_hidden(part) and part not in parts and part[0] not in asked for part in Path(path).parts):
            left_out[os.path.abspath(path)] = HIDDEN
        else:
            found.append(path)
    return found


class _Walk:
    """Goes through directories, own names before those of links.

    files : by device and number, the path of each file
    filled : numbers of the patterns that name a file, or one that another pattern names, too
    """

    def __init__(self, named: set[str], left_out: dict[str, str]) -> None:
        self.files: dict[tuple[int, int], str] = {}
        self.filled: set[int] = set()
        self._directories: dict[tuple[int, int], str] = {}
        self._named, self._left_out = named, left_out
        self._todo: list[tuple[bool, str, int]] = []

    def add(self, linked: bool, path: str, number: int) -> None:
        """Remember a path to look at; `linked` says whether a link leads to it."""
        heapq.heappush(self._todo, (linked, path, number))

    def run(self) -> None:
        """Look at all paths, and at all below them."""
        while self._todo:
            linked, path, number = heapq.heappop(self._todo)
            try:
                status = os.stat(path)
            except OSError as error:
                self._left_out[path] = DANGLING if os.path.islink(path) else (error.strerror or str(error)).lower()
                continue
            if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
                self._special(path)
                continue
            seen = self._directories if stat.S_ISDIR(status.st_mode) else self.files
            before = seen.setdefault((status.st_dev, status.st_ino), path)
            if before != path:
                self._left_out[path] = AGAIN
                self.filled.add(number)
            elif seen is self.files:
                _check_name(path)
                self.filled.add(number)
            else:
                self._enter(linked, path, number)

    def _enter(self, linked: bool, directory: str, number: int) -> None:
        try:
            with os.scandir(directory) as entries:
                inside = [(entry.path, entry.is_symlink()) for entry in entries]
        except OSError:
            self._left_out[directory] = CLOSED
            return
        for path, is_link in inside:
            if is_hidden(os.path.basename(path)):
                self._left_out[path] = HIDDEN
            else:
                self.add(linked or is_link, path, number)

    def _special(self, path: str) -> None:
        """Leave out what is in a directory, and refuse what was named itself."""
        if path in self._named:
            msg = f"{path}: not a regular file; logs are read more than once, so write what comes out of a pipe to a file"
            raise BadInputError(msg)
        self._left_out[path] = SPECIAL


def _check_name(path: str) -> None:
    """Check that a log can be named in one field of a line."""
    if any(c in path for c in "\t\r\n"):
        msg = f"{path!r}: a tab or a line end in the name of a log; rename the file"
        raise BadInputError(msg)
