"""What was spilled comes back, and goes on being there when its memory was given back; rows of CSR arrays in pieces."""

from __future__ import annotations

import zlib
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_als.records import spill
from mr_als.records.csr import row_of, row_starts, sum_rows
from mr_als.records.lines import LINES, REFERENCES, Reader, ShardWriter, keep, write_lines
from mr_als.records.spill import Spill, checksum, joined_checksum, let_go


@given(st.binary(max_size=40), st.binary(max_size=300))
def test_checksums_of_two_buffers_give_that_of_both(one, other):
    assert joined_checksum(checksum(one), checksum(other), len(other)) == zlib.crc32(one + other)


@given(st.lists(st.binary(max_size=40), max_size=8), st.sampled_from([0, 1, 30, 1000]), st.sampled_from([3, 1 << 20]))
def test_what_was_written_comes_back_from_memory_or_file(parts, large, step):
    with patch.object(spill, "LARGE", step):
        held = Spill(large)
        for part in parts:
            held.write(part)
        found = held.buffer()
        let_go(found)

        assert bytes(found) == b"".join(parts)
        assert checksum(found, 7) == zlib.crc32(b"".join(parts), 7)


def test_arrays_come_back_as_numbers_and_their_pages_when_they_are_looked_at():
    held = Spill(0)
    held.write(np.arange(5000, dtype=np.int64))
    held.write(np.zeros(0, np.int64))
    array = held.array(np.int64)
    view = array[100:200].view(np.uint64)

    let_go(view, array)

    assert view.tolist() == list(range(100, 200))


def test_giving_back_what_is_in_memory_does_nothing():
    array = np.arange(10)

    let_go(array, array[2:], b"bytes", memoryview(b"bytes"))

    assert array.tolist() == list(range(10))


@pytest.mark.parametrize("form", [LINES, REFERENCES])
def test_records_that_are_kept_at_once_are_what_was_written(form, tmp_path):
    payloads = [bytes([n]) * (8 * n) for n in range(1, 30)]
    writer, reader = ShardWriter(str(tmp_path)), Reader(form)
    pairs = [
        pair
        for n, payload in enumerate(payloads)
        for pair in (write_lines("plays", n, payload) if form == LINES else [writer.write("plays", n, payload)])
    ]
    writer.close()

    with patch.object(spill, "LARGE", 100):
        kept = keep(record for kind, value in pairs if (record := reader.add(kind, value)) is not None)

    assert [(record.block, bytes(record.payload)) for record in kept] == list(enumerate(payloads))
    assert {record.checked for record in kept} == {form == REFERENCES}


def test_a_record_of_many_lines_that_is_large_comes_back_from_a_file():
    payload, reader = np.random.default_rng(0).bytes(5000), Reader(LINES)

    with patch.object(spill, "LARGE", 1000), patch("mr_als.records.lines.MAX_PAYLOAD", 300):
        found = [record for kind, value in write_lines("plays", 3, payload) if (record := reader.add(kind, value)) is not None]

    reader.finish()
    assert [(record.block, bytes(record.payload)) for record in found] == [(3, payload)]


@given(st.lists(st.integers(0, 6), max_size=12), st.sampled_from([1, 2, 5, 1 << 19]))
def test_rows_of_entries_and_their_sums_do_not_depend_on_the_pieces(degrees, piece):
    indptr = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64)
    rows = np.repeat(np.arange(len(degrees)), degrees)
    values = np.arange(len(rows)) % 7 + 250
    expected = [int(values[rows == row].sum()) for row in range(len(degrees))]

    with patch.object(spill, "PIECE", piece):
        assert sum_rows(values.astype(np.uint16), indptr, np.int64).tolist() == expected
    for part in spill.pieces(len(rows), 3):
        np.testing.assert_array_equal(row_of(indptr, part), rows[part])
    np.testing.assert_array_equal(row_starts(rows, len(degrees)), indptr)
