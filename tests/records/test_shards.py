"""Buffers that tasks write to raw files themselves, and the references that travel in their place."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from mr_als.errors import DamagedDataError
from mr_als.records.lines import LINES, REFERENCES, Reader, Record, Reference, ShardWriter, write_lines

BUFFERS = [b"first\n\t", b"", bytes(range(256)) * 1000]


def write(directory: Path) -> list[tuple[bytes, tuple[bytes, bytes]]]:
    writer = ShardWriter(str(directory))
    pairs = [writer.write("factors", block, buffer) for block, buffer in enumerate(BUFFERS)]
    writer.close()
    return pairs


def test_reading_gives_what_was_written(tmp_path: Path) -> None:
    pairs = write(tmp_path)
    reader = Reader(REFERENCES)

    found = [reader.add(*pair) for pair in pairs]

    assert [Record(r.kind, r.block, bytes(r.payload)) for r in found if r] == [
        Record("factors", block, buffer) for block, buffer in enumerate(BUFFERS)
    ]


def test_a_record_says_whether_it_was_compared_with_a_checksum(tmp_path: Path) -> None:
    (by_reference,) = (Reader(REFERENCES).add(*pair) for pair in write(tmp_path)[:1])
    (as_lines,) = (Reader(LINES).add(*pair) for pair in write_lines("factors", 0, BUFFERS[0]))

    assert by_reference is not None
    assert as_lines is not None
    assert (by_reference.checked, by_reference.crc) == (True, zlib.crc32(BUFFERS[0]))
    assert not as_lines.checked


def test_a_buffer_can_be_read_before_the_task_ends(tmp_path: Path) -> None:
    writer = ShardWriter(str(tmp_path))
    pair = writer.write("factors", 0, b"early")

    record = Reader(REFERENCES).add(*pair)

    assert record is not None
    assert bytes(record.payload) == b"early"
    writer.close()


def test_no_two_tasks_write_to_one_file(tmp_path: Path) -> None:
    paths = {Reference.parse(value[1]).path for _ in range(3) for _, value in write(tmp_path)}

    assert len(paths) == 3


@pytest.mark.parametrize("place", [0, 5, 200_000])
def test_a_changed_byte_is_found_by_whoever_reads_it(tmp_path: Path, place: int) -> None:
    pairs = write(tmp_path)
    path = next(tmp_path.iterdir())
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    reader = Reader(REFERENCES)

    with pytest.raises(DamagedDataError, match="are damaged"):
        [reader.add(*pair) for pair in pairs]


def test_a_line_cut_off_in_the_middle_is_damage(tmp_path: Path) -> None:
    kind, (number, text) = write(tmp_path)[2]

    for end in range(len(text)):
        with pytest.raises(DamagedDataError, match=r"is no reference|No such file|Is a directory|are damaged"):
            Reader(REFERENCES).add(kind, (number, text[:end]))
