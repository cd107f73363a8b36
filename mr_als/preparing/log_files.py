"""The log files of a run: which they are and which are none, how they are told apart, and how map tasks share them."""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import shutil
import zlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mr_als.errors import BadInputError, MRALSError, StorageError, UsageError
from mr_als.logs.archives import is_archive, unpack
from mr_als.logs.foreign import BYTES, kind_of
from mr_als.logs.streams import COMPRESSED, encoding_of, open_log
from mr_als.progress import Progress
from mr_als.records.lines import LINES, REFERENCES, Reference
from mr_als.storage.mirror import fetch_logs
from mr_als.storage.places import storage_of
from mr_als.storage.storage import AGAIN, HIDDEN

RANGE_BYTES = 256 << 20
# where archives are unpacked, beside what is made of them
UNPACKED = "unpacked"
# names shown of what is left out for one reason, which the names themselves say or not
BY_NAME, SHOWN = 5, 20


@dataclass(frozen=True)
class Logs:
    """The log files of a run, as the input of a job that reads logs.

    left_out : what was named, lies in a directory, and is not read; and why
    kinds : number of the layout of each file, in the order of the paths; none: all have the first
    """

    paths: tuple[str, ...]
    form: str = REFERENCES
    left_out: dict[str, str] = field(default_factory=dict, compare=False)
    kinds: tuple[int, ...] = ()
    # asked for once, whatever becomes of these logs: a storage elsewhere takes its time for each file
    _known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, patterns: Sequence[str], form: str = REFERENCES, known: Container[str] = ()) -> Logs:
        """Find the files that paths, directories and globs name, all of one file system; `known` ones are not looked into.

        Raises
        ------
        BadInputError
            If a pattern names no log, or a file that was named itself is none.
        UsageError
            If a file can not be read line by line, and must be.
        """
        storage, left_out = storage_of(patterns[0]), dict[str, str]()
        named = {storage.absolute(pattern) for pattern in patterns}
        paths = storage.expand(list(patterns), left_out)
        logs = tuple(path for path in paths if path in known or _is_log(path, path in named, form, left_out))
        if not logs:
            msg = f"{', '.join(patterns)}: no log in it, but {_listed(left_out)[0]}"
            raise BadInputError(msg)
        return cls(logs, form, left_out)

    @property
    def sizes(self) -> dict[str, int]:
        """Size of each file."""
        return {path: size for path, (size, *_) in self.fingerprint().items()}

    @property
    def n_bytes(self) -> int:
        """Size of all files."""
        return sum(self.sizes.values())

    def fingerprint(self) -> dict[str, Any]:
        """Identify them by path, size and time of change."""
        self._known.update(fingerprint([path for path in self.paths if path not in self._known]))
        return {path: self._known[path] for path in self.paths}

    def tell(self, progress: Progress, command: str) -> None:
        """Say what is not read; also to those who want to hear nothing, unless its name says it."""
        for why in (HIDDEN, AGAIN):
            for text in _listed({path: reason for path, reason in self.left_out.items() if reason == why}):
                progress.say(f"{command}: not read: {text}")
        for text in _listed({path: why for path, why in self.left_out.items() if why not in (HIDDEN, AGAIN)}):
            progress.warn(f"warning: {command}: not read: {text}")

    def unpacked(self, directory: str) -> Logs:
        """Lay down the members of archives in a directory that is held by `unpacking`, and return the logs as plain files."""
        if not any(is_archive(path) for path in self.paths):
            return self
        place, left_out = place_of(directory), dict(self.left_out)
        files = [_members(path, place, left_out) if is_archive(path) else [path] for path in self.paths]
        return replace(self, paths=tuple(path for paths in files for path in paths), left_out=left_out)

    def understood(self, kinds: Sequence[int], left_out: dict[str, str]) -> Logs:
        """Return the files that hold plays, with the number of the layout of each; -1 is that of others, which `left_out` names."""
        kept = [(path, kind) for path, kind in zip(self.paths, kinds, strict=True) if kind >= 0]
        paths, others = tuple(path for path, _ in kept), tuple(kind for _, kind in kept)
        return replace(self, paths=paths, kinds=others, left_out=self.left_out | left_out)

    def write_input(self, directory: str, n_files: int) -> list[str]:
        """List the files themselves, or write and list the line files that name ranges of them."""
        if self.form == LINES:
            return list(self.paths)
        return write_ranges(fetch_logs(self.paths, directory), directory, n_files, self.kinds)


def place_of(directory: str) -> str:
    """Return where archives are unpacked to in a directory: no part of the names of their members that people see."""
    return os.path.join(os.path.abspath(directory), UNPACKED)


@contextlib.contextmanager
def unpacking(directory: str) -> Iterator[None]:
    """Remove what archives are unpacked to in a directory, before, if an earlier run was killed, and after."""
    place = place_of(directory)
    if os.path.isdir(place):
        shutil.rmtree(place)
    try:
        yield
    except MRALSError as error:
        if place not in str(error):
            raise
        msg = f"{str(error).replace(place, '')}; or unpack the archive, and name the files in it that hold plays"
        raise type(error)(msg) from None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def by_archive(info: dict[str, Any], directory: str) -> dict[str, Any]:
    """Put the names of members behind those of their archives, where a report has those of files in `directory`."""
    place = json.dumps(place_of(directory))[1:-1]
    read: dict[str, Any] = json.loads(json.dumps(info).replace(place, ""))
    return read


def _members(archive: str, place: str, left_out: dict[str, str]) -> list[str]:
    """Unpack an archive, and list its members that are logs."""
    local = fetch_logs([archive], place)[0]
    inside = os.path.join(place, archive.split("://")[-1].lstrip("/"), "")
    os.makedirs(inside)
    left_out |= {os.path.join(archive, name): why for name, why in unpack(local, inside).items()}
    try:
        found = Logs.of([inside])
    except BadInputError as error:
        raise BadInputError(str(error).replace(inside.rstrip("/"), archive)) from None
    left_out |= {os.path.join(archive, os.path.relpath(path, inside)): why for path, why in found.left_out.items()}
    return list(found.paths)


def _is_log(path: str, named: bool, form: str, left_out: dict[str, str]) -> bool:
    """Say whether a file may be a log; one that is none is left out, or refused if it was itself named."""
    on_one_machine = "Make the plays there, `mr-als prepare ... -r local --plays DIR`, and train from them with --plays DIR"
    if is_archive(path):
        if form == LINES:
            msg = f"{path}: archives are read by the engines of one machine only. {on_one_machine}; or unpack it"
            raise UsageError(msg)
        return True
    head = _first_bytes(path)
    if kind := kind_of(head):
        if named:
            msg = f"{path}: no log, but {kind}"
            raise BadInputError(msg)
        left_out[path] = kind
    elif form == LINES and encoding_of(head).startswith("utf-16"):
        msg = f"{path}: UTF-16 is read by the engines of one machine only. {on_one_machine}; or write it in UTF-8"
        raise UsageError(msg)
    return not kind


def _first_bytes(path: str) -> bytes:
    """Read the first bytes of a log, decompressed; none if that cannot be done, which is told where it is read."""
    storage = storage_of(path)
    try:
        if not path.endswith(COMPRESSED):
            return storage.read_range(path, 0, min(BYTES, max(storage.size(path), 0)))
        with storage.open(path) as file, open_log(path, file) as stream:
            return bytes(stream.read(BYTES))
    except (OSError, EOFError, zlib.error, StorageError, UsageError):
        return b""


def _listed(left_out: dict[str, str]) -> list[str]:
    """List what is left out, a line for each reason."""
    reasons: dict[str, list[str]] = {}
    for path, why in sorted(left_out.items()):
        here = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
        reasons.setdefault(why, []).append(here)
    most = {why: BY_NAME if why in (HIDDEN, AGAIN) else SHOWN for why in reasons}
    more = {why: f" and {len(paths) - most[why]} more" * (len(paths) > most[why]) for why, paths in reasons.items()}
    return [f"{', '.join(paths[: most[why]])}{more[why]}: {why}" for why, paths in reasons.items()]


def fingerprint(paths: Sequence[str]) -> dict[str, Any]:
    """Identify inputs by path, size and time of change."""
    return {path: storage_of(path).identify(path) for path in paths}


def write_ranges(paths: Sequence[str], directory: str, tasks: int, kinds: Sequence[int] = ()) -> list[str]:
    """Cut the logs into ranges of bytes and deal them to map tasks; compressed files stay whole.

    `kinds` are the numbers of their layouts, 0 where there are none.
    """
    ranges: list[Reference] = []
    total = sum(os.stat(p).st_size for p in paths)
    size = max(1 << 20, min(RANGE_BYTES, -(-total // tasks)))
    for path, kind in zip(paths, kinds or [0] * len(paths), strict=True):
        length = os.stat(path).st_size
        step = max(length, 1) if path.endswith(COMPRESSED) else size
        ranges += [Reference(at, min(step, length - at), kind, path) for at in range(0, max(length, 1), step)]
    loads: list[list[tuple[int, Reference]]] = [[] for _ in range(max(1, min(tasks, len(ranges))))]
    sizes = [(0, n) for n in range(len(loads))]
    for number, reference in sorted(enumerate(ranges), key=lambda row: -row[1].length):
        held, n = heapq.heappop(sizes)
        loads[n].append((number, reference))
        heapq.heappush(sizes, (held + reference.length, n))
    files = []
    for n, load in enumerate(loads):
        files.append(os.path.join(directory, f"ranges-{n:03d}.lines"))
        with open(files[-1], "wb") as file:
            # in the order of the files, so that the first bad lines of a task are the first of all, and are kept as samples
            file.writelines(b"range\t%08d\t%s\n" % (number, reference.text()) for number, reference in sorted(load))
    return files
