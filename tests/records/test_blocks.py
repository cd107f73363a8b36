"""Blocks come back as they were packed, or not at all."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mr_als.errors import DamagedDataError
from mr_als.records.blocks import STRENGTH_UNIT, FactorBlock, PlaysBlock, StatsBlock, pack, route_bits, unpack
from mr_als.records.ids import Ids, hash_ids

DTYPES = st.sampled_from(["<u1", "<u2", "<u4", "<u8", "<i8", "<f4", "<f8"])
FLAT = DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, st.integers(0, 9)))
HASHES = st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=8).map(sorted)


def same(one, other):
    """Say whether two blocks have equal fields of equal kinds of numbers."""
    for a, b in zip(one, other, strict=True):
        if isinstance(a, Ids):
            same(a, b)
        else:
            np.testing.assert_array_equal(a, b)


@given(st.lists(FLAT, max_size=5))
def test_arrays_of_every_type_come_back_bit_by_bit(given_arrays):
    found = unpack(pack(given_arrays))

    assert [(a.dtype, a.tobytes()) for a in found] == [(a.dtype, a.tobytes()) for a in given_arrays]


def test_a_big_endian_or_strided_array_is_packed_as_its_values():
    found = unpack(pack([np.arange(5, dtype=">u4"), np.arange(10, dtype="<i8")[::2]]))

    assert [a.tolist() for a in found] == [[0, 1, 2, 3, 4], [0, 2, 4, 6, 8]]


def test_unpacked_arrays_are_views_into_the_buffer():
    buffer = bytearray(pack([np.zeros(4, "<u8")]))

    assert np.shares_memory(unpack(buffer)[0], np.frombuffer(buffer, np.uint8))


@given(st.lists(FLAT, max_size=3), st.data())
def test_any_truncated_or_changed_buffer_is_damaged(given_arrays, data):
    buffer = pack(given_arrays)
    place = data.draw(st.integers(0, len(buffer) - 1))
    flipped = bytearray(buffer)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))

    for damaged in (buffer[:place], bytes(flipped), buffer + b"\0", b"x" + buffer):
        with pytest.raises(DamagedDataError, match="damaged"):
            unpack(damaged)


@pytest.mark.parametrize("buffer", [b"", b"MRB1", b"PK\x03\x04" + bytes(40), b"\x80\x04K\x01." + bytes(40)])
def test_what_is_none_of_our_buffers_is_refused(buffer):
    with pytest.raises(DamagedDataError, match="does not begin with MRB1"):
        unpack(buffer)


@st.composite
def plays_blocks(draw):
    names = draw(st.lists(st.text(max_size=12).map(lambda text: text.encode("utf-8", "replace")), unique=True, max_size=6))
    names = sorted(names, key=lambda name: int(hash_ids(Ids.of([name]))[0]))
    columns = np.array(draw(HASHES), np.uint64)
    rows = [sorted(draw(st.sets(st.integers(0, len(columns) - 1)))) if len(columns) else [] for _ in names]
    indices = np.array([column for row in rows for column in row], np.int64)
    whole = draw(st.booleans())
    units = st.integers(0, 2**40) if not whole else st.integers(0, 2**30).map(lambda plays: plays * STRENGTH_UNIT)
    strengths = np.array(draw(st.lists(units, min_size=len(indices), max_size=len(indices))), np.int64)
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    ids = Ids.of(names)
    return PlaysBlock(hash_ids(ids), ids, indptr, indices, columns, strengths)


@given(plays_blocks())
def test_a_plays_block_comes_back_as_it_was(block):
    found = PlaysBlock.unpack(block.pack())

    same(found._replace(strengths=found.units(), unit=1), block)
    assert found.pack() == block.pack()
    assert found.total_units == block.total_units == sum(block.strengths.tolist())
    assert found.amounts.tolist() == (block.strengths / STRENGTH_UNIT).tolist()


@given(plays_blocks())
def test_a_block_in_parts_says_what_its_buffer_is(block):
    packed = block.packed()

    buffer = bytes(packed.buffer())
    assert (packed.n_bytes, packed.crc) == (len(buffer), zlib.crc32(buffer))
    assert b"".join(packed.parts) == buffer


@given(st.integers(0, 5), st.integers(1, 4), st.integers(1, 20), st.data())
def test_a_factor_block_comes_back_as_it_was(n, rank, n_blocks, data):
    factors = data.draw(arrays.arrays(np.float32, (n, rank)))
    routes = data.draw(arrays.arrays(np.uint8, (n, -(-n_blocks // 8))))
    block = FactorBlock(np.arange(n, dtype=np.uint64), factors, routes)

    found = FactorBlock.unpack(block.pack())

    same(found, block)
    assert found.factors.shape == (n, rank)
    for b in range(n_blocks):
        assert found.sent_to(b).tolist() == [bool(route[b // 8] >> (b % 8) & 1) for route in routes]


@given(st.lists(st.lists(st.integers(0, 19), max_size=5), max_size=5), st.integers(20, 33))
def test_routes_say_which_blocks_hold_a_play_of_a_row(rows, n_blocks):
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    columns = np.arange(20, dtype=np.uint64) * np.uint64(2**64 // n_blocks) + np.uint64(2**64 // n_blocks // 2)

    routes = route_bits(indptr, np.array([block for row in rows for block in row], np.int64), columns, n_blocks)

    sent = FactorBlock(np.zeros(len(rows)), np.zeros((len(rows), 1), np.float32), routes).sent_to
    assert [{b for b in range(n_blocks) if sent(b)[n]} for n in range(len(rows))] == [set(row) for row in rows]


@given(st.integers(1, 6), st.data())
def test_a_stats_block_comes_back_as_it_was(rank, data):
    half = data.draw(arrays.arrays(np.float64, (rank, rank), elements=st.floats(-1e9, 1e9)))
    block = StatsBlock(3, 2**40, 1.5, -0.0, 1e300, 0.1, 17, 2**32 - 1, half + half.T)

    found = StatsBlock.unpack(block.pack())

    assert found[:-1] == block[:-1]
    np.testing.assert_array_equal(found.gram, block.gram)
