"""Opening a log: decompressed by its name, and as UTF-8 with line ends LF whatever it is written in.

What is opened here reads like any buffered file of Python: `read(n)` gives fewer than n bytes only where the log ends.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import importlib
import io
import sys
from collections.abc import Callable
from typing import Any

from mr_als.errors import UsageError

__all__ = ["COMPRESSED", "HEAD", "as_utf8", "encoding_of", "open_log", "open_recoded"]

COMPRESSED = (".gz", ".bz2", ".zst")
# bytes that tell how a log is written
HEAD = 1 << 16
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# line ends of one CR and nothing else, as old Macs and some spreadsheets write them
CR = "cr"


def open_log(path: str, file: Any = None) -> Any:
    """Open a log for reading, decompressed by its name: all streams of a compressed file, one after the other.

    `file` holds its bytes where `path` is not one of the local file system.
    """
    if path.endswith(".gz"):
        return gzip.open(file or path)
    file = file or open(path, "rb")  # noqa: SIM115  (closed with what is returned)
    if path.endswith(".bz2"):
        return io.BufferedReader(_Streams(file, bz2.BZ2Decompressor), HEAD)
    if path.endswith(".zst"):
        return io.BufferedReader(_Streams(file, _zstd().ZstdDecompressor, _zstd().ZstdError), HEAD)
    return file


def encoding_of(head: bytes) -> str:
    r"""Say how a log that begins so is written: utf-16-le, utf-16-be, `cr`, or an empty string for lines of UTF-8.

    >>> encoding_of(b"\xff\xfea\0"), encoding_of(b"a\tb\rc\td\r"), encoding_of(b"a\r\n")
    ('utf-16-le', 'cr', '')
    """
    if head[:4] == codecs.BOM_UTF32_LE:
        return ""
    # a CR at the very end may be half of a line end
    return _UTF16.get(head[:2]) or (CR if b"\r" in head[:-1] and b"\n" not in head else "")


def as_utf8(head: bytes) -> bytes:
    """Write the first bytes of a log as lines of UTF-8."""
    encoding = encoding_of(head)
    if encoding in ("", CR):
        return head.replace(b"\r", b"\n") if encoding else head
    return head[2:].decode(encoding, "ignore").encode()


def open_recoded(path: str) -> tuple[Any, bool]:
    """Open a local log as lines of UTF-8; say also whether its offsets are those of the file, so that it may be cut into ranges."""
    with open_log(path) as file:
        encoding = encoding_of(file.read(HEAD))
    file = open_log(path)
    if encoding == CR:
        file = io.BufferedReader(_CarriageReturns(file), HEAD)
    elif encoding:
        file = io.BufferedReader(_Utf16(file, encoding), HEAD)
    return file, encoding in ("", CR) and not path.endswith(COMPRESSED)


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
        msg = "reading .zst needs the zstd library, which is not installed: pip install 'backports.zstd>=1.0'"
        raise UsageError(msg) from None


class _Raw(io.RawIOBase):
    """Bytes made of those of another file; `more` gives at most so many, none at the end."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def more(self, size: int) -> bytes:
        """Make at most `size` more bytes."""
        raise NotImplementedError

    def readable(self) -> bool:
        """Say that it is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a part of a buffer; nothing at the end."""
        data = self.more(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class _Streams(_Raw):
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
        super().__init__(file)
        self._decompressor, self._failure = decompressor, failure
        self._stream: Any = None

    def more(self, size: int) -> bytes:
        """Decompress at most `size` more bytes."""
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


class _CarriageReturns(_Raw):
    """A file whose line ends are CR: each becomes LF, in its place, so that ranges of bytes stay what they are."""

    def more(self, size: int) -> bytes:
        """Read at most `size` more bytes."""
        data: bytes = self._file.read(size)
        return data.replace(b"\r", b"\n")

    def seekable(self) -> bool:
        """Say whether a place can be sought."""
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Return the place."""
        return int(self._file.tell())


class _Utf16(_Raw):
    """A file of UTF-16 as UTF-8; half a pair of surrogates becomes bytes that no UTF-8 has, so its line is a bad one."""

    def __init__(self, file: Any, encoding: str) -> None:
        super().__init__(file)
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._rest = b""

    def more(self, size: int) -> bytes:
        """Recode at most `size` more bytes."""
        while not self._rest:
            data = self._file.read(1 << 16)
            try:
                self._rest = self._decoder.decode(data, final=not data).encode("utf-8", "surrogatepass")
            except UnicodeDecodeError:
                msg = "it ends in the middle of a character"
                raise EOFError(msg) from None
            if not data:
                break
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
