"""The table of formats: how the records of a log are read, and become plain lines.

Whatever a log looks like, its records become *plain lines*, the fields of one record with a byte between them, and
`mr_als.logs.parse` reads plain lines only: ids, numbers, times and filters are the same for all formats. A format is a
reader, which gives the records of a range of a file in chunks, and a translation of a chunk into plain lines.
To add a format, write these two functions and add a row to `SYNTAXES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from mr_als.logs import csv, jsonl, parquet
from mr_als.logs.logs import ByteRange, Layout, chunks
from mr_als.logs.plain import SEPARATOR, Plain, Report

__all__ = ["SYNTAXES", "Syntax", "read_chunks", "to_plain"]


_EMPTY = re.compile(rb"(?m)^(?=\r?\n)")


class Syntax(NamedTuple):
    """One row of the table.

    read : gives the chunks of the range [offset, offset + length) of a file, each of one record or more
    translate : makes plain lines of a chunk
    lines : whether records are lines, so that a task can read them from its standard input
    named : whether records name their fields
    """

    read: Callable[[str, int, int, Layout], Iterator[Any]]
    translate: Callable[[Any, Layout, Report], Plain]
    lines: bool
    named: bool


def _read_lines(path: str, offset: int, length: int, layout: Layout) -> Iterator[bytes]:
    with ByteRange(path, offset, length) as stream:
        yield from chunks(stream)


def _as_it_is(chunk: bytes, layout: Layout, report: Report) -> Plain:
    done = _headers(chunk, layout.header)
    if len(layout.delimiter) == 1:
        return Plain(chunk, layout.delimiter, done, headers=len(done))
    # no field may hold what will stand between them: another control character makes its line a bad one as well
    text = chunk.replace(SEPARATOR, b"\v").replace(layout.delimiter, SEPARATOR)
    return Plain(text, SEPARATOR, done, headers=len(done))


def _without_quotes(chunk: bytes, layout: Layout, report: Report) -> Plain:
    return csv.unquote(chunk, layout.delimiter, report, _headers(chunk, layout.header))


def _headers(chunk: bytes, header: Sequence[bytes]) -> list[int]:
    """Find the lines of a chunk that equal one of the header's, ascending."""
    starts = sorted({at for line in header for at in _places(chunk, line)})
    numbers: list[int] = []
    for before, at in zip([0, *starts], starts, strict=False):
        numbers.append(chunk.count(b"\n", before, at) + (numbers[-1] if numbers else 0))
    return numbers


def _places(chunk: bytes, line: bytes) -> Iterator[int]:
    """Yield where lines begin that equal `line`."""
    if not line:
        yield from (match.start() for match in _EMPTY.finditer(chunk))
        return
    at = chunk.find(line)
    while at >= 0:
        end = at + len(line)
        if (at == 0 or chunk[at - 1 : at] == b"\n") and (chunk[end : end + 1] == b"\n" or chunk[end : end + 2] == b"\r\n"):
            yield at
        at = chunk.find(line, end)


SYNTAXES = {
    "plain": Syntax(_read_lines, _as_it_is, lines=True, named=False),
    "csv": Syntax(_read_lines, _without_quotes, lines=True, named=False),
    "jsonl": Syntax(jsonl.read, jsonl.translate, lines=True, named=True),
    "parquet": Syntax(parquet.read, parquet.translate, lines=False, named=True),
}


def read_chunks(path: str, offset: int, length: int, layout: Layout) -> Iterator[Any]:
    """Yield the records in a range of a file, in chunks; only the format knows what a chunk is."""
    return SYNTAXES[layout.syntax].read(path, offset, length, layout)


def to_plain(chunk: Any, layout: Layout, report: Report) -> Plain:
    """Make plain lines of a chunk; records that cannot be such go to `report`."""
    return SYNTAXES[layout.syntax].translate(chunk, layout, report)
