"""The log files of a run: which they are, how they are told apart, and how map tasks share them."""

from __future__ import annotations

import heapq
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mr_als.logs.logs import COMPRESSED
from mr_als.records.lines import LINES, REFERENCES, Reference
from mr_als.storage.mirror import fetch_logs
from mr_als.storage.places import storage_of

RANGE_BYTES = 256 << 20


@dataclass(frozen=True)
class Logs:
    """The log files of a run, as the input of a job that reads logs."""

    paths: tuple[str, ...]
    form: str = REFERENCES

    @classmethod
    def of(cls, patterns: Sequence[str], form: str = REFERENCES) -> Logs:
        """Find the files that paths, directories and globs name, all of one file system."""
        return cls(tuple(storage_of(patterns[0]).expand(list(patterns))), form)

    @property
    def n_bytes(self) -> int:
        """Size of all files."""
        return sum(storage_of(path).size(path) for path in self.paths)

    def fingerprint(self) -> dict[str, Any]:
        """Identify them by path, size and time of change."""
        return fingerprint(self.paths)

    def write_input(self, directory: str, n_files: int) -> list[str]:
        """List the files themselves, or write and list the line files that name ranges of them."""
        return list(self.paths) if self.form == LINES else write_ranges(fetch_logs(self.paths, directory), directory, n_files)


def fingerprint(paths: Sequence[str]) -> dict[str, Any]:
    """Identify inputs by path, size and time of change."""
    return {path: storage_of(path).identify(path) for path in paths}


def write_ranges(paths: Sequence[str], directory: str, tasks: int) -> list[str]:
    """Cut the logs into ranges of bytes and deal them to map tasks; compressed files stay whole."""
    ranges: list[Reference] = []
    total = sum(os.stat(p).st_size for p in paths)
    size = max(1 << 20, min(RANGE_BYTES, -(-total // tasks)))
    for path in paths:
        length = os.stat(path).st_size
        step = max(length, 1) if path.endswith(COMPRESSED) else size
        ranges += [Reference(at, min(step, length - at), 0, path) for at in range(0, max(length, 1), step)]
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
