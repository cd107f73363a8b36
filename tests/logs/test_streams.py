"""How a log is opened: `read(n)` gives n bytes whatever compresses them, and lines of UTF-8 whatever they are written in."""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
import sys

import pytest

from mr_als.errors import BadInputError
from mr_als.logs.streams import as_utf8, encoding_of, open_log
from tests.readlogs import read

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstd.compress}


@pytest.mark.parametrize("end", sorted(COMPRESS))
def test_a_read_gives_less_than_it_was_asked_for_only_at_the_end(tmp_path, end):
    """The first stream holds one line, and a decompressor gives what one stream has."""
    path = tmp_path / f"log{end}"
    path.write_bytes(b"".join(map(COMPRESS[end], [b"first\n", b"", b"second\n", b"x" * 100_000])))

    with open_log(str(path)) as stream:
        sizes = [len(stream.read(n)) for n in (8, 60_000, 60_000, 60_000)]

    assert sizes == [8, 60_000, 40_005, 0]


@pytest.mark.parametrize("end", sorted(COMPRESS))
@pytest.mark.parametrize(
    "parts",
    [
        ["user,item,plays\n", "ann,x,3\nbob,y,4\n"],
        ["", "\n", '{"user": "ann", "item": "x"}\n', '{"user": "ann", "item": "x", "plays": 3}\n'],
        ["\n" * 5000, " [", '{"user": "ann", "item": "x", "plays": 3},\n', '{"user": "bob", "item": "y", "plays": 4}]', " \n"],
        ["ann\t", "x\t3\nbob", "\ty\t4\n"],
    ],
    ids=["header", "lines of JSON", "array", "cut in lines"],
)  # fmt: skip
def test_what_a_log_means_does_not_depend_on_where_its_streams_end(tmp_path, end, parts):
    whole, streams = tmp_path / "whole", tmp_path / f"streams{end}"
    whole.write_text("".join(parts))
    streams.write_bytes(b"".join(COMPRESS[end](part.encode()) for part in parts))

    assert read(streams) == read(whole)
    assert read(streams).plays


TEXTS = {
    "tabs": "ann\tSigur Rós\t3\nbob\t𝄞\t4\n",
    "csv": 'user,item,plays\r\n"ann","x, y",3\r\nbob,Ünï,4\r\n',
    "lines": '{"user": "ann", "item": "ü", "plays": 3}\n{"user": "bob", "item": "𝄞", "plays": 4}',
    "array": json.dumps([{"user": "ann", "item": "ü", "plays": n} for n in range(3)], ensure_ascii=False, indent=1),
}


@pytest.mark.parametrize("step", [None, 7])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(
    "written",
    [
        lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"), lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        lambda text: text.replace("\r\n", "\n").replace("\n", "\r").encode(), lambda text: codecs.BOM_UTF8 + text.encode(),
    ],
    ids=["utf-16-le", "utf-16-be", "cr", "bom"],
)  # fmt: skip
def test_a_log_means_the_same_however_it_is_written(tmp_path, text, written, step):
    (tmp_path / "utf8").write_bytes(text.encode())
    (tmp_path / "other").write_bytes(written(text))

    assert read(tmp_path / "other", step=step) == read(tmp_path / "utf8")
    assert len(read(tmp_path / "utf8").plays) >= 2


def test_a_log_is_recoded_after_it_is_decompressed(tmp_path):
    (tmp_path / "log.gz").write_bytes(gzip.compress("\ufeffann\tü\t3\n".encode("utf-16-le")))
    (tmp_path / "log.bz2").write_bytes(bz2.compress(b"ann\tx\t3\r") + bz2.compress(b"bob\ty\t4"))

    assert read(tmp_path / "log.gz").plays == [("ann", "ü", 3.0)]
    assert read(tmp_path / "log.bz2").plays == [("ann", "x", 3.0), ("bob", "y", 4.0)]


def test_half_a_character_at_the_end_is_bad_input_and_half_a_pair_a_bad_line(tmp_path):
    text = "\ufeffann\tü\t3\n".encode("utf-16-le")
    (tmp_path / "cut").write_bytes(text[:-1])
    (tmp_path / "half").write_bytes(text + b"\x34\xd8" + "\tx\t3\n".encode("utf-16-le"))

    with pytest.raises(BadInputError, match="cut: its data are damaged or cut off .it ends in the middle of a character"):
        read(tmp_path / "cut")
    assert read(tmp_path / "half").bad == [(2, "invalid UTF-8", "")]


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        (b"", ""), (b"a\r", ""), (b"a\rb", "cr"), (b"a\r\n", ""), (b"a\rb\nc", ""), (b"\xff\xfe\0\0a\0\0\0", ""),
        (b"\xff\xfe", "utf-16-le"),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_left_as_it_is(head, encoding):
    assert encoding_of(head) == encoding
    assert encoding or as_utf8(head) == head
