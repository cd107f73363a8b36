"""The table of formats: how the records of a log are read, and become plain lines.

Whatever a log looks like, its records become *plain lines*, the fields of one record with a byte between them, and
`mr_als.logs.parse` reads plain lines only: ids, numbers, times and filters are the same for all formats. A format is a
reader, which gives the records of a range of a file in chunks, and a translation of a chunk into plain lines.
To add a format, write these two functions and add a row to `SYNTAXES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from mr_als.logs import csv, jsonl, parquet
from mr_als.logs.logs import ByteRange, Layout, chunks
from mr_als.logs.plain import Plain, Report

__all__ = ["SYNTAXES", "Syntax", "read_chunks", "to_plain"]


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
    return Plain(chunk, layout.delimiter, _headers(chunk, layout.header))


def _without_quotes(chunk: bytes, layout: Layout, report: Report) -> Plain:
    return csv.unquote(chunk, layout.delimiter, report, _headers(chunk, layout.header))


def _headers(chunk: bytes, header: bytes) -> list[int]:
    """Find the lines of a chunk that equal a header."""
    found: list[int] = []
    at = chunk.find(header) if header else -1
    while at >= 0:
        end = at + len(header)
        if (at == 0 or chunk[at - 1 : at] == b"\n") and (chunk[end : end + 1] == b"\n" or chunk[end : end + 2] == b"\r\n"):
            found.append(chunk.count(b"\n", 0, at))
        at = chunk.find(header, end)
    return found


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
