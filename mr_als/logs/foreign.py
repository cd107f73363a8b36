"""Files that are no logs, known by their first bytes: documents, pictures, databases, archives, text that we cannot read."""

from __future__ import annotations

import codecs
import re

__all__ = ["BYTES", "kind_of"]

# first bytes of a file that tell its kind
BYTES = 600

_BEGINS = (
    (b"%PDF-", "a PDF document"),
    (b"SQLite format 3\0", "an SQLite database: export its table of plays as CSV"),
    (b"\x89PNG", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"GIF8", "a picture"), (b"BM", "a picture"),
    (b"\xd0\xcf\x11\xe0", "an old Office document: save its sheet as CSV"),
    (b"{\\rtf", "an RTF document"),
    (b"\x1f\x8b", "compressed by gzip: its name must end in .gz, or .tar.gz for a tar archive"),
    (b"BZh", "compressed by bzip2: its name must end in .bz2"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: its name must end in .zst"),
    (b"\xfd7zXZ", "compressed by xz: decompress it"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it"), (b"Rar!", "a RAR archive: unpack it"),
    (b"ARROW1", "an Arrow file: write it as Parquet"), (b"Obj\x01", "an Avro file: write it as Parquet"),
    (b"ORC", "an ORC file: write it as Parquet"), (b"SEQ\x06", "a Hadoop sequence file: write it as text"),
    (b"\x89HDF", "an HDF5 file: write it as Parquet"), (b"\x93NUMPY", "a NumPy array: write it as text"),
    (b"\x7fELF", "a program"), (b"ID3", "music"), (b"fLaC", "music"), (b"OggS", "music"),
    (codecs.BOM_UTF32_LE, "text in UTF-32: write it in UTF-8"), (codecs.BOM_UTF32_BE, "text in UTF-32: write it in UTF-8"),
)  # fmt: skip
# of a zip archive: what is in it
_OFFICE = ((b"xl/", "an Excel workbook"), (b"word/", "a Word document"), (b"opendocument.spreadsheet", "a spreadsheet"))
_CONTENT = b"[Content_Types].xml"
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)", re.IGNORECASE)


def kind_of(head: bytes) -> str:
    r"""Say what a file is that begins so; an empty string if it may be a log.

    >>> kind_of(b"%PDF-1.7 ..."), kind_of(b"ann\tSigur Ros\t3\n")
    ('a PDF document', '')
    """
    if head.startswith(b"PK\x03\x04"):
        office = next((name for mark, name in _OFFICE if mark in head), "an Office document" if _CONTENT in head else "")
        return f"{office}: save its sheet as CSV" if office else "a zip archive: its name must end in .zip"
    # two letters may begin a log as well
    for begin, kind in _BEGINS:
        if head.startswith(begin) and (begin not in (b"BM", b"ORC", b"ID3") or b"\0" in head[:32]):
            return kind
    if head[257:262] == b"ustar":
        return "a tar archive: its name must end in .tar, or .tar.gz"
    if head[4:8] == b"ftyp":
        return "a film"
    if _MARKUP.match(head):
        return "an HTML page: fetch the file itself, or export JSON or CSV instead"
    if re.match(rb"(?:\xef\xbb\xbf)?\s*<\?xml", head):
        return "an XML document: export CSV or JSON instead"
    # numbers in Parquet are mostly zeros
    if not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"PAR1")) and 3 * head.count(0) > len(head):
        return "text in UTF-16 without a byte-order mark, or binary data: write it in UTF-8"
    return ""
