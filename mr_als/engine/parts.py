"""A data set on a cluster: the part files of a job, where they lie; records of one kind among the lines of some parts.

A part ends in reports, one for each block in it, and a line that says how long they are:

    factors <TAB> block <TAB> FactorBlock ...
    stats <TAB> block <TAB> StatsBlock ...
    end <TAB> 0 <TAB> {"bytes": length of the reports' lines}

So the driver learns all it must know of a part of any size from one or two short reads at its end, and a part that
was cut off has no end. Tasks check what they read by the checksum within each block.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mr_als.engine.datasets import records_of
from mr_als.errors import DamagedDataError, StorageError
from mr_als.records.lines import END, Record
from mr_als.records.spill import Buffer, checksum
from mr_als.storage.places import storage_of

if TYPE_CHECKING:
    from mr_als.storage.storage import Storage

# bytes read at a part's end at first: the reports of a few blocks at rank 64
TAIL = 1 << 17
# a job that has come to its end leaves this in its output
SUCCESS = "_SUCCESS"


class Block(NamedTuple):
    """A block in one of the parts."""

    block: int
    length: int
    crc: int
    part: str


@dataclass(frozen=True)
class Parts:
    """Blocks of one kind in the part files of a directory, in block order; in a part they are in block order too."""

    kind: str
    directory: str
    sizes: Mapping[str, int]
    entries: tuple[Block, ...]

    @classmethod
    def of(cls, kind: str, directory: str, sizes: Mapping[str, int], written: Mapping[str, Sequence[Any]]) -> Parts:
        """Make one of what was written to each part (`Written`).

        Raises
        ------
        DamagedDataError
            If a block was written twice.
        """
        entries = sorted(Block(w.block, w.length, w.crc, name) for name, blocks in written.items() for w in blocks)
        for before, after in itertools.pairwise(entries):
            if before.block == after.block:
                msg = (
                    f"{directory}: {kind} block {after.block} is in {before.part} and {after.part}: parts of two attempts are mixed"
                )
                raise DamagedDataError(msg)
        return cls(kind, directory, {name: sizes[name] for name in sorted(written)}, tuple(entries))

    @property
    def path(self) -> str:
        """Where it lies, for messages."""
        return self.directory

    @property
    def n_bytes(self) -> int:
        """Size of all buffers."""
        return sum(e.length for e in self.entries)

    def write_input(self, directory: str, n_files: int) -> list[str]:
        """List the parts; nothing has to be written."""
        return [os.path.join(self.directory, name) for name in self.sizes]

    def blocks(self) -> Iterator[tuple[int, Buffer]]:
        """Yield each block's checked buffer, in block order: a merge of the parts, each read once as a stream.

        Raises
        ------
        DamagedDataError
            If a block is missing or not what was reported.
        """
        expected = iter(self.entries)
        for record in heapq.merge(*(self._records(name) for name in self.sizes), key=lambda record: record.block):
            entry = next(expected, None)
            if entry is None or (record.block, len(record.payload), checksum(record.payload)) != entry[:3]:
                msg = f"{self.directory}: {self.kind} block {record.block} is not what its task reported"
                raise DamagedDataError(msg)
            yield record.block, record.payload
        if (entry := next(expected, None)) is not None:
            msg = f"{self.directory}/{entry.part}: {self.kind} block {entry.block} is missing"
            raise DamagedDataError(msg)

    def _records(self, name: str) -> Iterator[Record]:
        path = os.path.join(self.directory, name)
        try:
            with storage_of(path).open(path) as file:
                yield from records_of(path, file, kind=self.kind)
        except (OSError, StorageError) as error:
            msg = f"{path}: {error}"
            raise DamagedDataError(msg) from None

    def to_json(self) -> dict[str, Any]:
        """Convert to what `from_json` reads; the directory is relative to the manifest's."""
        return {
            "kind": self.kind,
            "directory": os.path.basename(self.directory),
            "parts": dict(self.sizes),
            "entries": self.entries,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], directory: str) -> Parts:
        """Read a manifest entry."""
        entries = tuple(Block(*row) for row in data["entries"])
        return cls(data["kind"], os.path.join(directory, os.path.basename(data["directory"])), data["parts"], entries)

    def check(self) -> None:
        """Check what can be checked without reading all of it; tasks check what they read."""
        self.check_sizes()

    def check_sizes(self) -> None:
        """Check that the job came to its end, and that all parts are there, in their size.

        Raises
        ------
        DamagedDataError
            If one is not.
        """
        found = storage_of(self.directory).sizes(self.directory)
        if SUCCESS not in found:
            msg = f"{self.directory}: no {SUCCESS} in it, so no job has finished it"
            raise DamagedDataError(msg)
        for name, size in self.sizes.items():
            if found.get(name, -1) != size:
                msg = f"{self.directory}/{name}: {found.get(name, -1)} bytes where the manifest says {size}"
                raise DamagedDataError(msg)


def finished(output: str) -> list[str]:
    """List the parts of a job on a cluster.

    Raises
    ------
    DamagedDataError
        If it did not come to its end.
    """
    names = storage_of(output).names(output)
    if SUCCESS not in names:
        msg = f"{output}: no {SUCCESS} in it, so the job has not finished it; run the same command again"
        raise DamagedDataError(msg)
    return [os.path.join(output, name) for name in names if name.startswith("part-")]


def read_reports(storage: Storage, path: str, size: int) -> list[Record]:
    """Read the reports at the end of a part; none if it is empty.

    Raises
    ------
    DamagedDataError
        If the part does not end as it should.
    """
    if not size:
        return []
    tail = storage.read_range(path, max(0, size - TAIL), min(size, TAIL))
    last = tail[tail.rfind(b"\n", 0, -1) + 1 :]
    ends = list(records_of(path, [last]))
    if not ends or ends[0].kind != END:
        msg = f"{path}: does not end in its reports: cut off, or not written by a job of ours"
        raise DamagedDataError(msg)
    length = int(json.loads(bytes(ends[0].payload))["bytes"])
    start = size - len(last) - length
    if start < 0:
        msg = f"{path}: {size} bytes, fewer than its reports should have"
        raise DamagedDataError(msg)
    known = size - len(tail)
    text = tail[start - known : len(tail) - len(last)] if start >= known else storage.read_range(path, start, length)
    return list(records_of(path, text.splitlines(keepends=True)))
