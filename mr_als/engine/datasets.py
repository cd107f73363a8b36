"""A data set on this machine: the records of one kind in a raw file, and the line files that name them to a job.

After a job the driver checks each output record and lays it down. In the form `references` its buffer is appended to a
raw file and the index keeps where; a job then gets lines of references. In the form `lines` the checked line itself is kept.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mr_als.errors import DamagedDataError
from mr_als.records.blocks import Packed
from mr_als.records.lines import LINES, REFERENCES, Reader, Record, Reference, Shards, write_lines
from mr_als.records.spill import Buffer, checksum, let_go
from mr_als.storage.places import storage_of

# beside a job's output: the buffers that its tasks wrote
SHARDS = "shards"


@dataclass(frozen=True)
class Entry:
    """One block: its number, and where its buffer lies in the raw file."""

    block: int
    offset: int
    length: int
    crc: int


@dataclass(frozen=True)
class Dataset:
    """Blocks of one kind in one raw file, in block order."""

    kind: str
    path: str
    form: str
    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, kind: str, path: str, form: str, entries: Iterable[Entry]) -> Dataset:
        """Build the data set of a raw file.

        Raises
        ------
        DamagedDataError
            If a block came twice.
        """
        ordered = tuple(sorted(entries, key=lambda e: e.block))
        if len({e.block for e in ordered}) != len(ordered):
            msg = f"{path}: a block came twice; parts of two attempts are mixed"
            raise DamagedDataError(msg)
        return cls(kind, path, form, ordered)

    @property
    def n_bytes(self) -> int:
        """Size of all buffers."""
        return sum(e.length for e in self.entries)

    def references(self) -> Iterator[tuple[int, Reference]]:
        """Yield a reference to each block; its path is absolute, since a task has another working directory."""
        path = os.path.abspath(self.path)
        for e in self.entries:
            yield e.block, Reference(e.offset, e.length, e.crc, path)

    def blocks(self) -> Iterator[tuple[int, Buffer]]:
        """Yield each block's checked buffer, memory-mapped."""
        shards = Shards()
        for block, reference in self.references():
            yield block, shards(reference)

    def write_input(self, directory: str, n_files: int) -> list[str]:
        """Write the line files of a job's input, one for each map task, and give their paths."""
        return deal(self.lines(), len(self.entries), n_files, os.path.join(directory, self.kind))

    def lines(self) -> Iterator[list[bytes]]:
        """Yield the lines of each block, as a job is to get it."""
        if self.form == REFERENCES:
            for block, reference in self.references():
                yield [b"\t".join((self.kind.encode(), b"%08d.0000.0001" % block, reference.text())) + b"\n"]
        else:
            for block, payload in self.blocks():
                yield [b"\t".join((key, *value)) + b"\n" for key, value in write_lines(self.kind, block, payload)]

    def to_json(self) -> dict[str, Any]:
        """Convert to what `from_json` reads; the path is relative to the manifest's directory."""
        rows = [[e.block, e.offset, e.length, e.crc] for e in self.entries]
        return {"kind": self.kind, "file": os.path.basename(self.path), "entries": rows}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], directory: str, form: str = REFERENCES) -> Dataset:
        """Read a manifest entry; `form` is that in which a job is to get it."""
        entries = tuple(Entry(*row) for row in data["entries"])
        return cls(data["kind"], os.path.join(directory, os.path.basename(data["file"])), form, entries)

    def check(self) -> None:
        """Check file size and every checksum.

        Raises
        ------
        DamagedDataError
            If anything differs from the manifest.
        """
        self.check_sizes()
        for _ in self.blocks():
            pass

    def check_sizes(self) -> None:
        """Check the file size alone."""
        size = Path(self.path).stat().st_size if Path(self.path).exists() else -1
        if size != self.n_bytes:
            msg = f"{self.path}: {size} bytes where the manifest says {self.n_bytes}"
            raise DamagedDataError(msg)


def deal(texts: Iterable[list[bytes]], n_texts: int, n_files: int, path: str) -> list[str]:
    """Write the lines of records to files whose names begin with a path: neighbours to one, like the splits of a file."""
    n_files = max(1, min(n_files, n_texts))
    paths = [f"{path}-{n:03d}.lines" for n in range(n_files)]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(path, "wb")) for path in paths]
        for n, lines in enumerate(texts):
            files[n * n_files // n_texts].writelines(lines)
    return paths


def shard_arguments(form: str, directory: str) -> list[str]:
    """Build the arguments of a job that writes records in `form`: for references, where to put their buffers."""
    if form != REFERENCES:
        return []
    # absolute: a task of the inline runner has a working directory of its own
    shards = os.path.join(os.path.abspath(directory), SHARDS)
    Path(shards).mkdir()
    return ["--shards", shards]


def read_parts(parts: Iterable[str], form: str = LINES) -> Iterator[Record]:
    """Yield the records in a job's output parts, which are in `form`."""
    for part in parts:
        with storage_of(part).open(part) as file:
            yield from records_of(part, file, form)


def records_of(name: str, lines: Iterable[bytes], form: str = LINES, kind: str = "") -> Iterator[Record]:
    """Yield the records in the lines of one part, only those of one kind if `kind` is given.

    Raises
    ------
    DamagedDataError
        If a line is not one of ours, or a record ends in its middle.
    """
    reader = Reader(form)
    for line in lines:
        if kind and not line.startswith(kind.encode() + b"\t"):
            continue
        fields = line.rstrip(b"\r\n\t").split(b"\t")
        if len(fields) != 3 or not line.endswith(b"\n"):
            msg = f"{name}: a line has {len(fields)} fields where kind, block and payload are expected: truncated?"
            raise DamagedDataError(msg)
        numbered = fields[1] if fields[1].count(b".") == 2 else fields[1] + b".0000.0001"
        record = reader.add(fields[0], (numbered, fields[2]))
        if record is not None:
            yield record
    reader.finish()


class Writer:
    """Lay records of one kind down in a raw file; `close` gives the data set, in block order. In a `with`, it never stays open.

    Parameters
    ----------
    lasting : whether the file is to be there after a power cut
    """

    def __init__(self, kind: str, path: str, form: str = REFERENCES, *, lasting: bool = True) -> None:
        self.kind, self.path, self.form, self._lasting = kind, path, form, lasting
        self._file = open(path, "wb")  # noqa: SIM115  (closed by `close`)
        self._entries: list[Entry] = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def add(self, block: int, payload: Buffer, crc: int | None = None) -> None:
        """Append a block; its checksum, if it is known already, is not computed again."""
        self._entries.append(Entry(block, self._file.tell(), len(payload), checksum(payload) if crc is None else crc))
        self._file.write(payload)

    def add_packed(self, block: int, packed: Packed, crc: int) -> None:
        """Append a block that is in parts."""
        self._entries.append(Entry(block, self._file.tell(), packed.n_bytes, crc))
        for part in packed.parts:
            self._file.write(part)

    def close(self) -> Dataset:
        """Finish the file; DamagedDataError if a block came twice."""
        self._file.flush()
        if self._lasting:
            os.fsync(self._file.fileno())
        self._file.close()
        return Dataset.of(self.kind, self.path, self.form, self._entries)


def lay(kind: str, directory: str, records: Sequence[Record], *, lasting: bool = True) -> Dataset:
    """Lay checked records down in a raw file of a directory: where one task has written them all, its file becomes that.

    Parameters
    ----------
    lasting : whether the file is to be there after a power cut
    """
    path = os.path.join(directory, f"{kind}.raw")
    places = [record.place for record in records if record.place is not None]
    shard = _shard_of(places, os.path.join(os.path.abspath(directory), SHARDS))
    if not shard or len(places) != len(records):
        with Writer(kind, path, lasting=lasting) as writer:
            for record in records:
                writer.add(record.block, record.payload, record.crc)
                let_go(record.payload)  # or all that was copied stays resident
            return writer.close()
    if lasting:
        with open(shard, "rb") as file:
            os.fsync(file.fileno())
    os.rename(shard, path)
    found = zip(records, places, strict=True)
    return Dataset.of(kind, path, REFERENCES, (Entry(record.block, *place[:3]) for record, place in found))


def _shard_of(places: Sequence[Reference], directory: str) -> str:
    """Find the file of a directory that some buffers fill, one after the other; empty if there is none."""
    path, end = places[0].path if places else "", 0
    for place in places:
        if place.path != path or place.offset != end:
            return ""
        end += place.length
    return path if os.path.dirname(path) == directory and os.path.getsize(path) == end else ""


__all__ = ["LINES", "SHARDS", "Dataset", "Entry", "Writer", "deal", "lay", "read_parts", "shard_arguments"]
