"""Log files: what a line means, opening plain and compressed files, ranges of bytes, and chunks of whole lines."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

from mr_als.errors import BadInputError, UsageError

__all__ = ["COMPRESSED", "FORMATS", "MAX_LINE", "ByteRange", "Filter", "Layout", "chunks", "open_log", "parse_layout", "sniff"]

FORMATS = {"events": ("timestamp", "user", "item", "ms_played"), "counts": ("user", "item", "plays")}
COLUMNS = ("timestamp", "user", "item", "ms_played", "plays", "-")
COMPRESSED = (".gz", ".bz2", ".zst")

# bytes of a line, its end not counted; a longer one is bad, and is never held in memory
MAX_LINE = 1 << 20
# bytes read at a time: NumPy's cost a call vanishes, temporaries stay near the caches
CHUNK = 1 << 22
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Layout:
    """What the records of a log mean.

    columns : the meaning of each field, in order; "-" is ignored
    delimiter : the byte between fields
    syntax : how a record is cut into fields, a key of `mr_als.logs.formats.SYNTAXES`
    keys : where records name their fields: the name of each column, such as track_metadata.artist_name
    header : a line that names the columns, without its end; lines equal to it are no plays
    """

    columns: tuple[str, ...]
    delimiter: bytes = b"\t"
    syntax: str = "plain"
    keys: tuple[str, ...] = ()
    header: bytes = b""


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


def parse_layout(form: str, columns: str = "", delimiter: str = "tab") -> Layout:
    """Make a layout of the options --format, --columns and --delimiter.

    Raises
    ------
    UsageError
        If a column is unknown, or user or item is missing or named twice, or the delimiter is not one character.
    """
    byte = b"\t" if delimiter == "tab" else delimiter.encode()
    if len(byte) != 1 or (byte[0] < 32 and byte != b"\t") or byte[0] == 127:
        msg = f"--delimiter: {delimiter!r} is not one printable ASCII character; give one, or 'tab'"
        raise UsageError(msg)
    names = tuple(columns.split(",")) if columns else FORMATS[form]
    for name in names:
        if name not in COLUMNS:
            msg = f"--columns: unknown column {name!r}; known are {', '.join(COLUMNS[:-1])}, and '-' for one to ignore"
            raise UsageError(msg)
        if name != "-" and names.count(name) > 1:
            msg = f"--columns: {name} is named {names.count(name)} times in {columns!r}; name it once"
            raise UsageError(msg)
    for name in ("user", "item"):
        if name not in names:
            msg = f"--columns: no column is named {name} in {columns!r}; user and item are needed"
            raise UsageError(msg)
    return Layout(names, byte)


def sniff(head: bytes, delimiter: str, path: str) -> Layout:
    """Guess the format of a log from its first lines: most of them have three or four columns.

    Raises
    ------
    BadInputError
        If they have another number.
    """
    byte = parse_layout("events", "", delimiter).delimiter
    lines = head.removeprefix(_BOM).split(b"\n")[:100]
    widths = [line.count(byte) + 1 for line in lines if line.strip()]
    usual = max(set(widths), key=widths.count) if widths else 0
    for form, columns in FORMATS.items():
        if len(columns) == usual:
            return parse_layout(form, "", delimiter)
    separator = "TAB" if byte == b"\t" else repr(byte.decode())
    msg = (
        f"{path}: its lines have {usual} fields separated by {separator}; expected {_described()}. "
        "Name the columns with --columns, and what separates them with --delimiter"
    )
    raise BadInputError(msg)


def _described() -> str:
    return " or ".join(f"{len(columns)} ({' '.join(columns)})" for columns in FORMATS.values())


def open_log(path: str, file: Any = None) -> Any:
    """Open a log for reading, decompressed by its name: all streams of a compressed file, one after the other.

    `file` holds its bytes where `path` is not one of the local file system.
    """
    if path.endswith(".gz"):
        return gzip.open(file or path)
    file = file or open(path, "rb")  # noqa: SIM115  (closed with what is returned)
    if path.endswith(".bz2"):
        return Streams(file, bz2.BZ2Decompressor)
    if path.endswith(".zst"):
        return Streams(file, _zstd().ZstdDecompressor, _zstd().ZstdError)
    return file


def _zstd() -> Any:
    """Import what reads .zst: the standard library from Python 3.14 on, else the extra `zstd`, which is the same.

    Raises
    ------
    UsageError
        If there is none.
    """
    try:
        return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    except ImportError:
        msg = "reading .zst needs the zstd library, which is not installed: pip install 'mr_als[zstd]'"
        raise UsageError(msg) from None


class Streams(io.RawIOBase):
    """All streams of a compressed file, one after the other; one may be empty, which is where Python's readers end silently.

    Parameters
    ----------
    decompressor : makes an object like `bz2.BZ2Decompressor`
    failure : what it raises if the data are damaged

    Raises
    ------
    OSError, EOFError
        If the data are damaged or cut off.
    """

    def __init__(self, file: Any, decompressor: Callable[[], Any], failure: type[Exception] = OSError) -> None:
        self._file, self._decompressor, self._failure = file, decompressor, failure
        self._stream: Any = None

    def read(self, size: int = 1 << 16) -> bytes:
        """Read at most `size` more bytes; none at the end."""
        data = b""
        while not data:
            more = b""
            if self._stream is None or self._stream.eof:
                more = (self._stream.unused_data if self._stream else b"") or self._file.read(1 << 16)
                if not more:
                    return b""
                self._stream = self._decompressor()
            elif self._stream.needs_input and not (more := self._file.read(1 << 16)):
                msg = "it ends in the middle of a stream"
                raise EOFError(msg)
            try:
                data = self._stream.decompress(more, size)
            except self._failure as error:
                raise OSError(str(error)) from None
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class ByteRange:
    """The lines of a file that *start* in a range of its bytes, as a stream; a compressed file is one range.

    Raises
    ------
    BadInputError
        If the file cannot be opened, or its compressed data are damaged; the message names it.
    """

    def __init__(self, path: str, offset: int, length: int) -> None:
        self._path, self._offset = path, offset
        self._left = length if not path.endswith(COMPRESSED) else 1 << 62
        self._last = b"\n"

    def __enter__(self) -> ByteRange:
        try:
            self._file = open_log(self._path)
        except OSError as error:
            msg = f"{self._path}: {error.strerror}; it was there when the run began"
            raise BadInputError(msg) from None
        if self._offset:
            # a line that starts at the offset has a line end before it
            self._file.seek(self._offset - 1)
            self._left += 1
            while (part := self._read_line()) and not part.endswith(b"\n"):
                pass
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

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
            msg = f"{self._path}: its compressed data are damaged or cut off ({error}); fetch or write the file again"
            raise BadInputError(msg) from None
        self._last = data[-1:] or b"\n"
        return data


def chunks(stream: Any, *, at_start: bool = True) -> Iterator[bytes]:
    """Cut a stream into chunks of whole lines, each ending in a line end; the last line may lack one in the stream.

    A BOM at the start is dropped. Of a line longer than `MAX_LINE` only a little more than that is kept.
    """
    rest = b""
    # not a whole chunk, to which the next one would be added: what parsing takes grows with the largest
    while len(rest) < len(_BOM) and (data := stream.read(len(_BOM) - len(rest))):
        rest += data
    if at_start:
        rest = rest.removeprefix(_BOM)
    dropping = False
    while data := stream.read(CHUNK):
        if dropping:
            # in the middle of a line that is too long anyway
            end = data.find(b"\n")
            if end < 0:
                continue
            data, dropping = data[end:], False
        end = data.rfind(b"\n") + 1
        if end:
            yield rest + data[:end]
            rest = data[end:]
        else:
            rest += data
        tail = len(rest) - (rest.rfind(b"\n") + 1)
        if tail > MAX_LINE + 1:
            rest, dropping = rest[: len(rest) - tail + MAX_LINE + 2], True
    if rest:
        yield rest if rest.endswith(b"\n") else rest + b"\n"
