"""Ids never merge and never change; their hashes are stable."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mr_als.records.ids import Ids, block_of, hash_id, hash_ids

NAMES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])).map(str.encode)


@given(st.lists(NAMES))
def test_any_utf8_string_comes_back_as_it_was(names):
    assert Ids.of(names).to_list() == names


@given(st.lists(NAMES))
def test_pieces_of_a_text_are_the_ids_in_it(names):
    lengths = np.array([len(name) + 1 for name in names], np.int64)
    ends = np.cumsum(lengths)
    starts, text = ends - lengths, np.frombuffer(b"".join(name + b"\n" for name in names), np.uint8)

    ids = Ids.cut(text, starts, ends - 1)

    assert ids.to_list() == names
    assert np.array_equal(ids.words, Ids.of(names).words)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 10**8) | st.integers(0, 8).map(lambda n: 10**n - 1)))
def test_whole_numbers_are_their_decimal_digits(numbers):
    ids = Ids.of_numbers(np.array(numbers, np.int64))

    assert ids.to_list() == [b"%d" % number for number in numbers]
    assert np.array_equal(ids.words, Ids.of(b"%d" % number for number in numbers).words)


@given(st.lists(NAMES))
def test_each_id_is_a_line_of_its_own(names):
    text, ends = Ids.of(names).lines()

    assert bytes(text) == b"".join(name + b"\n" for name in names)
    assert ends.tolist() == np.cumsum([len(name) + 1 for name in names]).tolist()


@given(st.lists(NAMES, min_size=1), st.data())
def test_take_gives_the_ids_at_the_rows_in_their_order(names, data):
    rows = data.draw(st.lists(st.integers(0, len(names) - 1)))

    taken = Ids.of(names).take(np.array(rows, np.int64))

    assert taken.to_list() == [names[row] for row in rows]


@given(st.lists(NAMES, min_size=1))
def test_same_is_equality_of_byte_strings(names):
    ids, every = Ids.of(names), np.arange(len(names))

    for shift in range(len(names)):
        others = np.roll(every, shift)
        assert ids.same(every, others).tolist() == [names[a] == names[b] for a, b in zip(every, others, strict=True)]


@given(st.lists(NAMES, min_size=1), st.integers())
def test_a_hash_does_not_depend_on_the_other_ids(names, salt):
    together = hash_ids(Ids.of(names), salt)

    assert together.tolist() == [hash_id(name, salt) for name in names]


def test_hashes_are_the_same_for_ever():
    """They decide where an id lives in files that outlive this version."""
    names = [b"", b"a", b"alice", b"12345678", b"123456789", "björk".encode()]

    assert [hash_id(name) for name in names] == [
        0xA29B44B77E90E3D9,
        0x81E8E7B080AA245A,
        0xCAA23E3BF5CF30BC,
        0xFB6637B0FF58D02D,
        0x54972FFAA4EF532F,
        0x9BD1F2E09D95520A,
    ]


def test_the_salt_changes_every_hash():
    ids = Ids.of([b"%d" % n for n in range(1000)])

    assert not np.intersect1d(hash_ids(ids, 0), hash_ids(ids, 1)).size


def test_hashes_spread_evenly_over_blocks():
    """1,000,000 / 64 = 15,625 expected in each; five standard deviations are 620."""
    hashes = hash_ids(Ids.of([b"user-%d" % n for n in range(1_000_000)]))

    counts = np.bincount(block_of(hashes, 64), minlength=64)

    assert np.abs(counts - 15_625).max() < 620


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1), st.integers(1, 100_000))
def test_a_block_is_the_exact_floor_of_the_product(hashes, n_blocks):
    blocks = block_of(np.array(hashes, np.uint64), n_blocks)

    assert blocks.tolist() == [h * n_blocks >> 64 for h in hashes]
