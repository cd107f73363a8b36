r"""The one codec of everything jobs exchange: a line `kind TAB block TAB payload`.

A payload is the packed buffer of a block (`mr_als.records.blocks`). It travels in one of two forms:

* `lines`: base64 of the buffer. Hadoop Streaming ends a record at a bare CR and Spark re-codes bytes
  above 0x7f, so a line is ASCII. Buffers longer than `MAX_PAYLOAD` go on in further lines, which
  `write_lines` numbers and `Assembler` joins.
* `references`: `offset,length,crc,path`, a place in a file of raw buffers that the task memory-maps.
  For engines whose tasks see the driver's file system: they write such files, too (`ShardWriter`).

Between two tasks in one session, as on Spark, a buffer need not be text: in the form `buffers` it travels whole, as it is.

The driver says which form a job reads. It is never guessed from the text: a log line could forge a path.

It is long because writer and reader of each form stand side by side: one is the inverse of the other.
"""

from __future__ import annotations

import base64
import binascii
import json
import mmap
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from mr_als.errors import DamagedDataError
from mr_als.records.spill import Buffer, Spill, checksum, let_go, write_all

LINES = "lines"
REFERENCES = "references"
BUFFERS = "buffers"
FORMS = (LINES, REFERENCES, BUFFERS)

# kind of the last line a task writes: `Parts` reads a part from its end
END = "end"

# base64 makes 4 bytes of 3; with kind, block and number a line stays below 4 MB
MAX_PAYLOAD = 2_900_000

# bytes of memory-mapped buffers after which their pages are given back
RESIDENT = 16 << 20


class Record(NamedTuple):
    """One decoded record: its kind, its block number and the packed buffer.

    crc : checksum of the payload, with which it was compared; None if it came as lines, which have none
    place : the reference that it came as; None if it came as lines
    """

    kind: str
    block: int
    payload: Buffer
    crc: int | None = None
    place: Reference | None = None

    @property
    def checked(self) -> bool:
        """Whether the payload was compared with a checksum."""
        return self.crc is not None


class LineProtocol:
    """mrjob protocol: `first TAB second TAB rest` is the pair (first, (second, rest)), all bytes.

    The first field is what a shuffle groups by, the second what SORT_VALUES then sorts by.
    """

    def read(self, line: bytes) -> tuple[bytes, tuple[bytes, bytes]]:
        """Split a line; Hadoop may have added a TAB at its end.

        Raises
        ------
        DamagedDataError
            If it has not three fields.
        """
        fields = line.rstrip(b"\t").split(b"\t", 2)
        if len(fields) != 3:
            msg = f"a line has {len(fields)} fields where kind, block and payload are expected: {line[:60]!r}"
            raise DamagedDataError(msg)
        first, second, rest = fields
        return first, (second, rest)

    def write(self, key: bytes, value: tuple[bytes, bytes]) -> bytes:
        """Join the three fields."""
        return b"\t".join((key, *value))


def encode(payload: Buffer) -> bytes:
    """Encode a buffer as ASCII."""
    return binascii.b2a_base64(payload, newline=False)


def decode(text: bytes) -> bytes:
    """Decode a buffer from its ASCII form.

    Raises
    ------
    DamagedDataError
        If `text` is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError) as error:
        msg = f"a record of {len(text)} characters is not base64 ({error}): the file is damaged"
        raise DamagedDataError(msg) from None


def cut(payload: Buffer, size: int | None = None) -> Iterator[tuple[int, int, Buffer]]:
    """Cut a buffer into (number, count, piece), each piece at most `size` bytes; at least one piece."""
    size = size or MAX_PAYLOAD
    view = memoryview(payload)
    count = max(1, -(-len(view) // size))
    for number in range(count):
        yield number, count, view[number * size : (number + 1) * size]
        let_go(view)


def number_field(block: int, number: int, count: int) -> bytes:
    """Name a piece so that the names of a block sort in its order: `00000007.0002.0005`."""
    return b"%08d.%04d.%04d" % (block, number, count)


def write_lines(kind: str, block: int, payload: Buffer) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
    """Yield the (key, value) pairs of one record, as `LineProtocol` defines them."""
    for number, count, piece in cut(payload):
        yield kind.encode(), (number_field(block, number, count), encode(piece))


def end_line(reports: Sequence[tuple[bytes, tuple[bytes, bytes]]]) -> tuple[bytes, tuple[bytes, bytes]]:
    """Build the line that ends a task's output, after its reports; it records their length."""
    # two TABs and a line end besides the fields
    n_bytes = sum(len(kind) + len(numbered) + len(text) + 3 for kind, (numbered, text) in reports)
    return END.encode(), (number_field(0, 0, 1), encode(json.dumps({"bytes": n_bytes}).encode()))


_NUMBERED = re.compile(rb"[0-9]{1,12}\.[0-9]{1,12}\.[0-9]{1,12}")


def _text(kind: bytes) -> str:
    return kind.decode("utf-8", "backslashreplace")


@dataclass
class Assembler:
    """Join the numbered pieces of a block, which must come in order.

    A large block is one of a temporary file, memory-mapped.
    """

    taken: int = 0
    name: tuple[bytes, int, int] = (b"", 0, 0)
    payload: Spill = field(default_factory=Spill)

    def add(self, kind: bytes, numbered: bytes, text: bytes) -> Record | None:
        """Take one piece; give the record when it was the last one.

        Raises
        ------
        DamagedDataError
            If a piece is missing, doubled, out of order or no piece at all.
        """
        if not _NUMBERED.fullmatch(numbered):
            msg = f"a record is named {numbered[:60]!r}; expected block.piece.pieces: the file is damaged or not one of ours"
            raise DamagedDataError(msg)
        block, number, count = map(int, numbered.split(b"."))
        name = (kind, block, count)
        if number != self.taken or (self.taken and name != self.name):
            msg = (
                f"piece {number + 1} of {count} of {_text(kind)} block {block} came where piece "
                f"{self.taken + 1} was expected: a part of the file is missing"
            )
            raise DamagedDataError(msg)
        if count == 1:
            return Record(_text(kind), block, decode(text))
        if not self.taken:
            self.payload = Spill()
        self.name, self.taken = name, self.taken + 1
        self.payload.write(decode(text))
        if self.taken < count:
            return None
        self.taken = 0
        return Record(_text(kind), block, self.payload.buffer())

    def finish(self) -> None:
        """Check that no block was left half read."""
        if self.taken:
            msg = f"{_text(self.name[0])} block {self.name[1]} ends after {self.taken} pieces: the file is truncated"
            raise DamagedDataError(msg)


_REFERENCE = re.compile(rb"([0-9]{1,19}),([0-9]{1,19}),([0-9]{1,19}),(.+)", re.DOTALL)


class Reference(NamedTuple):
    """A checked place in a file of raw buffers."""

    offset: int
    length: int
    crc: int
    path: str

    def text(self) -> bytes:
        """Format the payload field of a line; the path comes last, and may contain anything but line ends and TABs."""
        return b"%d,%d,%d,%s" % (self.offset, self.length, self.crc, os.fsencode(self.path))

    @classmethod
    def parse(cls, text: bytes) -> Reference:
        """Read what `text` wrote.

        Raises
        ------
        DamagedDataError
            If it is none.
        """
        match = _REFERENCE.fullmatch(text)
        if not match:
            msg = f"{text[:60]!r} is no reference, which is offset,length,checksum,path: the file is damaged"
            raise DamagedDataError(msg)
        offset, length, crc = (int(number) for number in match.groups()[:3])
        return cls(offset, length, crc, os.fsdecode(match[4]))


class Shards:
    """Memory maps of the files that references point into, each opened once.

    Of what was read, little more than `RESIDENT` bytes are in memory: the kernel takes the pages back, and brings those back
    that are looked at again.
    """

    def __init__(self) -> None:
        self._maps: dict[str, mmap.mmap] = {}
        self._resident = 0

    def __call__(self, reference: Reference) -> Buffer:
        """Return the buffer at `reference`, without copying it.

        Raises
        ------
        DamagedDataError
            If the file is gone, too short, or its checksum differs.
        """
        piece = self._map(reference.path)[reference.offset : reference.offset + reference.length]
        if self._resident > RESIDENT:
            for mapped in self._maps.values():
                mapped.madvise(mmap.MADV_DONTNEED)
            self._resident = 0
        self._resident += len(piece)
        if len(piece) != reference.length or checksum(piece) != reference.crc:
            msg = f"{reference.path}: bytes {reference.offset} to {reference.offset + reference.length} are damaged"
            raise DamagedDataError(msg)
        return piece

    def _map(self, path: str) -> memoryview:
        if path not in self._maps:
            try:
                with open(path, "rb") as file:
                    if not os.fstat(file.fileno()).st_size:
                        return memoryview(b"")
                    self._maps[path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except OSError as error:
                msg = f"{path}: {error.strerror}; it is part of an unfinished run, start again with --restart"
                raise DamagedDataError(msg) from None
        return memoryview(self._maps[path])


class ShardWriter:
    """Append buffers to raw files of this task alone, one for each kind, and give the references that travel instead."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, uuid.uuid4().hex)
        self._files: dict[str, IO[bytes]] = {}

    def write(self, kind: str, block: int, *parts: Buffer, crc: int | None = None) -> tuple[bytes, tuple[bytes, bytes]]:
        """Write one record, whose buffer is in parts, and return its pair, as `LineProtocol` defines it.

        Its checksum, if it is known already, is not computed again.
        """
        path = f"{self._path}-{kind}.raw"
        if kind not in self._files:
            # unbuffered: whoever reads a reference finds its bytes
            self._files[kind] = open(path, "xb", buffering=0)  # noqa: SIM115  (closed by `close`)
        file, found = self._files[kind], 0
        offset, n_bytes = file.tell(), sum(map(len, parts))
        for part in parts:
            found = checksum(part, found) if crc is None else crc
            write_all(file, part)
        return kind.encode(), (number_field(block, 0, 1), Reference(offset, n_bytes, found, path).text())

    def close(self) -> None:
        """Close the files, at the end of the task."""
        for file in self._files.values():
            file.close()


class Reader:
    """Turn (kind, (block, text)) pairs of either form into records, skipping kinds nobody asked for; no `kinds`: all."""

    def __init__(self, form: str, kinds: frozenset[str] = frozenset()) -> None:
        self._form = form
        self._kinds = {kind.encode() for kind in kinds}
        self._assembler = Assembler()
        self._shards = Shards()

    def add(self, kind: bytes, value: tuple[bytes, bytes]) -> Record | None:
        """Take one line; give a record when one is complete."""
        if self._kinds and kind not in self._kinds:
            return None
        if self._form == LINES:
            return self._assembler.add(kind, *value)
        if self._form == BUFFERS:
            return Record(kind.decode(), int(value[0].split(b".")[0]), value[1])
        reference = Reference.parse(value[1])
        return Record(kind.decode(), int(value[0].split(b".")[0]), self._shards(reference), reference.crc, reference)

    def finish(self) -> None:
        """Check that nothing was left half read."""
        self._assembler.finish()


def keep(records: Iterable[Record]) -> list[Record]:
    """Keep records all at once: those that came as lines in one temporary file, memory-mapped, as the others are already."""
    kept, spill, size = [], Spill(), 0
    places: list[slice | None] = []
    for record in records:
        places.append(None if record.checked else slice(size, size + len(record.payload)))
        kept.append(record if record.checked else record._replace(payload=b""))
        if not record.checked:
            spill.write(record.payload)
            size += len(record.payload)
    whole = memoryview(spill.buffer())
    return [r if place is None else r._replace(payload=whole[place]) for r, place in zip(kept, places, strict=True)]
