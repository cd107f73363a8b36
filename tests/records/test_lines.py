"""The codec of lines: whole records in both forms, and a clear refusal of anything else."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_als.errors import DamagedDataError
from mr_als.records import lines
from mr_als.records.blocks import pack
from mr_als.records.lines import (
    LINES,
    REFERENCES,
    Assembler,
    LineProtocol,
    Reader,
    Reference,
    Shards,
    ShardWriter,
    decode,
    encode,
    write_lines,
)  # fmt: skip

PIECE = 7


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(lines, "MAX_PAYLOAD", PIECE)


def read_all(reader, pairs):
    records = [record for kind, value in pairs if (record := reader.add(kind, value)) is not None]
    reader.finish()
    return [(record.kind, record.block, bytes(record.payload)) for record in records]


# a packed buffer is never empty
BLOCKS = st.lists(
    st.tuples(st.sampled_from(["plays", "factors"]), st.integers(0, 99_999), st.binary(min_size=1, max_size=40)), max_size=5
)


@given(BLOCKS, st.sampled_from([b"", b"\t"]))
def test_records_of_any_length_come_back_from_their_lines(blocks, end):
    """Hadoop adds a TAB to a line that it takes for a key alone."""
    protocol = LineProtocol()
    written = [protocol.write(*pair) + end for block in blocks for pair in write_lines(*block)]

    assert all(line.isascii() and len(line) < 60 and b"\r" not in line and b"\n" not in line for line in written)
    assert read_all(Reader(LINES), map(protocol.read, written)) == blocks


def test_pieces_sort_in_their_order():
    names = [numbered for _, (numbered, _) in write_lines("plays", 3, bytes(PIECE * 1200))]

    assert len(names) == 1200
    assert sorted(names) == names


@given(st.binary(min_size=PIECE + 1, max_size=5 * PIECE), st.data())
def test_missing_doubled_and_exchanged_pieces_are_refused(payload, data):
    pieces = list(write_lines("plays", 3, payload))
    a = data.draw(st.integers(0, len(pieces) - 1))
    b = data.draw(st.integers(0, len(pieces) - 1).filter(lambda b: b != a))
    exchanged = list(pieces)
    exchanged[a], exchanged[b] = pieces[b], pieces[a]

    for wrong in (pieces[:a] + pieces[a + 1 :], pieces[: a + 1] + pieces[a:], exchanged):
        with pytest.raises(DamagedDataError, match="a part of the file is missing|the file is truncated"):
            read_all(Reader(LINES), wrong)


@pytest.mark.parametrize("other", [("factors", 3, 20), ("plays", 4, 20), ("plays", 3, 30)])
def test_pieces_of_another_record_do_not_complete_one(other):
    """Of another kind, another block, or of the same block in another length."""
    first = next(write_lines("plays", 3, bytes(20)))
    kind, block, size = other
    rest = list(write_lines(kind, block, bytes(size)))[1:]

    with pytest.raises(DamagedDataError, match="a part of the file is missing"):
        read_all(Reader(LINES), [first, *rest])


@pytest.mark.parametrize("numbered", [b"", b"1", b"1.2", b"1.0.1.0", b"x.0.1", b"1.-0.1", b"1.0.", b" 1.0.1", b"\xff.0.1"])
def test_a_record_without_a_proper_name_is_damaged(numbered):
    with pytest.raises(DamagedDataError, match=r"expected block\.piece\.pieces"):
        Assembler().add(b"plays", numbered, encode(b"x"))


@pytest.mark.parametrize("text", [b"", b"\t\t", b"plays", b"plays\t00000003.0000.0001", b"plays\t00000003.0000.0001\t"])
def test_a_line_of_too_few_fields_is_damaged(text):
    with pytest.raises(DamagedDataError, match="fields where kind, block and payload are expected"):
        LineProtocol().read(text)


@given(st.binary(max_size=50))
def test_base64_is_read_back_and_anything_else_is_damaged(payload):
    text = encode(payload)

    assert decode(text) == payload
    for wrong in (text[:-1], text + b"A", b"\xff" + text, b"-" + text, b" " + text):
        if wrong:
            with pytest.raises(DamagedDataError, match="not base64"):
                decode(wrong)


PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0\t\r\n"), min_size=1).map(os.fsencode) | st.binary(
    min_size=1
).map(lambda path: path.translate(None, b"\0\t\r\n") or b"x")


@given(st.integers(0, 2**60), st.integers(0, 2**60), st.integers(0, 2**32 - 1), PATHS.map(os.fsdecode))
def test_a_reference_comes_back_from_its_text_whatever_the_path(offset, length, crc, path):
    reference = Reference(offset, length, crc, path)

    assert Reference.parse(reference.text()) == reference


@pytest.mark.parametrize("text", [b"", b"1,2,3", b"1,2,3,", b"-1,2,3,/x", b"a,2,3,/x", b"1;2;3;/x", encode(b"some payload")])
def test_what_is_no_reference_is_damaged(text):
    with pytest.raises(DamagedDataError, match="is no reference"):
        Reference.parse(text)


def test_references_give_the_buffers_of_their_file(tmp_path):
    writer = ShardWriter(str(tmp_path))
    blocks = [("plays", n, pack([np.arange(n, dtype="<u8")])) for n in range(4)]
    pairs = [writer.write(*block) for block in blocks]
    writer.close()

    assert read_all(Reader(REFERENCES), pairs) == blocks


def test_kinds_nobody_asked_for_are_skipped_unread():
    pairs = [(b"factors", (b"no name", b"no payload")), *write_lines("plays", 1, b"x")]

    assert read_all(Reader(LINES, frozenset({"plays"})), pairs) == [("plays", 1, b"x")]


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove"])
def test_a_damaged_shard_is_refused_and_named(damage, tmp_path):
    writer = ShardWriter(str(tmp_path))
    pair = writer.write("plays", 1, b"some payload")
    writer.close()
    (shard,) = tmp_path.iterdir()
    data = shard.read_bytes()
    if damage == "remove":
        shard.unlink()
    else:
        shard.write_bytes({"flip": b"t" + data[1:], "truncate": data[:-1], "empty": b""}[damage])

    with pytest.raises(DamagedDataError, match=str(shard)):
        Reader(REFERENCES).add(*pair)


def test_a_line_that_looks_like_a_reference_is_never_followed_in_the_form_lines(tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(b"secret")
    forged = Reference(0, 6, 0x5A2B9C1D, str(tmp_path / "secret")).text()
    monkeypatch.setattr(Shards, "__call__", lambda *_: pytest.fail("a path in a line was opened"))

    with pytest.raises(DamagedDataError, match="not base64"):
        Reader(LINES).add(b"plays", (b"00000001.0000.0001", forged))
