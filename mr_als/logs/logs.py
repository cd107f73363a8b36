"""Log files: what a line means, ranges of bytes, and chunks of whole lines."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from mr_als.errors import BadInputError, UsageError, did_you_mean
from mr_als.logs.streams import COMPRESSED, open_recoded

__all__ = ["COMPRESSED", "FORMATS", "MAX_LINE", "ByteRange", "Filter", "Layout", "chunks", "parse_layout"]

FORMATS = {"events": ("timestamp", "user", "item", "ms_played"), "counts": ("user", "item", "plays")}
COLUMNS = ("timestamp", "user", "item", "ms_played", "plays", "-")

# bytes of a line, its end not counted; a longer one is bad, and is never held in memory
MAX_LINE = 1 << 20
# bytes read at a time: NumPy's cost a call vanishes, temporaries stay near the caches
CHUNK = 1 << 22
_BOM = b"\xef\xbb\xbf"
_BOMS = re.compile(b"^(?:%s)+" % _BOM, re.MULTILINE)


@dataclass(frozen=True)
class Layout:
    """What the records of a log mean.

    columns : the meaning of each field, in order; "-" is ignored
    delimiter : what stands between fields, one byte or more
    syntax : how a record is cut into fields, a key of `mr_als.logs.formats.SYNTAXES`
    keys : where records name their fields: the name of each column, such as track_metadata.artist_name
    header : lines without their ends: one that names the columns, and those above it; lines equal to one are no plays
    unit : what a number means that is a time, a key of `mr_als.logs.numbers.UNITS`; empty: by its size
    recent : whether a time outside 1995 to 2100 is none
    found : whether the columns were found by names, not given: then a name that comes later is not passed over
    user : who has played all of it, where no column is of users
    """

    columns: tuple[str, ...]
    delimiter: bytes = b"\t"
    syntax: str = "plain"
    keys: tuple[str, ...] = ()
    header: tuple[bytes, ...] = ()
    unit: str = ""
    recent: bool = False
    found: bool = False
    user: str = ""

    def to_text(self) -> str:
        """Write as one word of ASCII, which `from_text` reads."""
        texts = [self.delimiter, *self.header]
        rest = [self.columns, self.syntax, self.keys, self.unit, self.recent, self.found, self.user]
        return quote(json.dumps([*rest, *(text.decode("latin-1") for text in texts)]), safe="")

    @classmethod
    def from_text(cls, text: str) -> Layout:
        """Read what `to_text` wrote."""
        columns, syntax, keys, unit, recent, found, user, *texts = json.loads(unquote(text))
        delimiter, *header = (text.encode("latin-1") for text in texts)
        return cls(tuple(columns), delimiter, syntax, tuple(keys), tuple(header), unit, recent, found, user)


class Filter(NamedTuple):
    """Which plays count, and for how much.

    min_ms_played : a shorter play does not count
    since, until : nor does one outside since <= time < until, in seconds since 1970 UTC
    as_of, half_life : nor one after `as_of`; one of before has lost half of its strength every `half_life` seconds
    """

    min_ms_played: float = 0.0
    since: float | None = None
    until: float | None = None
    as_of: float | None = None
    half_life: float | None = None


def parse_layout(form: str, columns: str = "", delimiter: str = "tab", user: str = "") -> Layout:
    """Make a layout of the options --format, --columns and --delimiter, and of the user of all records, if there is one.

    Raises
    ------
    UsageError
        If a column is unknown, or user or item is missing or named twice, or the delimiter is not one character.
    """
    between = b"\t" if delimiter == "tab" else delimiter.encode()
    if not 1 <= len(between) <= 8 or (between != b"\t" and not all(32 <= byte < 127 for byte in between)):
        msg = f"--delimiter: {delimiter!r} is neither one nor several printable ASCII characters; use these, or 'tab'"
        raise UsageError(msg)
    names = tuple(columns.split(",")) if columns else FORMATS[form]
    if user and not columns:
        names = tuple("-" if name == "user" else name for name in names)
    for name in names:
        if name not in COLUMNS:
            msg = f"--columns: unknown column {name!r}; known are {', '.join(COLUMNS[:-1])}, and '-' for one to ignore"
            msg += did_you_mean(name, COLUMNS)
            raise UsageError(msg)
        if name != "-" and names.count(name) > 1:
            msg = f"--columns: {name} is named {names.count(name)} times in {columns!r}; name it once"
            raise UsageError(msg)
    for name in ("user", "item"):
        if name not in names and not (user and name == "user"):
            msg = f"--columns: no column is named {name} in {columns!r}; user and item are required"
            raise UsageError(msg)
    if user and "user" in names:
        msg = f"--columns: user is named twice, as a column of {columns!r} and as {user!r}; name it once"
        raise UsageError(msg)
    return Layout(names, between, user=user)


class ByteRange:
    """The lines of a file that *start* in a range of its bytes, as a stream of UTF-8.

    A file that is compressed, or written in UTF-16, is one range: the one that begins at 0.

    Raises
    ------
    BadInputError
        If the file cannot be opened, or its data are damaged; the message names it.
    """

    def __init__(self, path: str, offset: int, length: int) -> None:
        self._path, self._offset, self._left = path, offset, length
        self._last = b"\n"

    def __enter__(self) -> ByteRange:
        try:
            self._file, in_place = open_recoded(self._path)
        except (OSError, EOFError, zlib.error) as error:
            raise self._error(error) from None
        if not in_place:
            self._left = 0 if self._offset else 1 << 62
        elif self._offset:
            # a line that starts at the offset has a line end before it
            self._file.seek(self._offset - 1)
            self._left += 1
            while (part := self._read_line()) and not part.endswith(b"\n"):
                pass
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def _error(self, error: Exception) -> BadInputError:
        if isinstance(error, OSError) and error.errno:
            return BadInputError(f"{self._path}: {error.strerror}; it was there when the run began")
        data = "compressed data" if self._path.endswith(COMPRESSED) else "data"
        return BadInputError(f"{self._path}: its {data} are damaged or cut off ({error}); fetch or write the file again")

    def _read_line(self) -> bytes:
        part: bytes = self._file.readline(MAX_LINE)
        self._left -= len(part)
        return part

    def read(self, size: int) -> bytes:
        """Read at most about `size` more bytes; none once the last line of the range has ended."""
        try:
            if self._left > 0:
                data: bytes = self._file.read(min(size, self._left))
                self._left -= len(data)
            else:
                data = b"" if self._last == b"\n" else self._read_line()
        except (OSError, EOFError, zlib.error) as error:
            raise self._error(error) from None
        self._last = data[-1:] or b"\n"
        return data


def chunks(stream: Any) -> Iterator[bytes]:
    """Cut a stream into chunks of whole lines, each ending in a line end; the last line may lack one in the stream.

    A BOM at the start of a line is dropped: files are put one after the other. Of a line longer than `MAX_LINE` only a little
    more than that is kept.
    """
    rest, dropping = b"", False
    most = MAX_LINE + 1 + len(_BOM)
    while data := stream.read(CHUNK):
        if dropping:
            # in the middle of a line that is too long anyway
            end = data.find(b"\n")
            if end < 0:
                continue
            data, dropping = data[end:], False
        end = data.rfind(b"\n") + 1
        if end:
            yield _without_marks(rest + data[:end])
            rest = data[end:]
        else:
            rest += data
        start = rest.rfind(b"\n") + 1
        if len(rest) - start > most:
            rest = rest[:start] + _without_marks(rest[start:])
            if dropping := len(rest) - start > most:
                rest = rest[: start + most + 1]
    if rest := _without_marks(rest):
        yield rest if rest.endswith(b"\n") else rest + b"\n"


def _without_marks(chunk: bytes) -> bytes:
    """Drop a BOM at the start of a line; one elsewhere is a character of an id."""
    # to look for one byte is many times faster than for three, and few chunks have it
    return _BOMS.sub(b"", chunk) if _BOM[:1] in chunk and _BOM in chunk else chunk
