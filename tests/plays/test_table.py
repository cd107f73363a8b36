"""Grouping against a dictionary: any order, any chunks and any moments of emptying the table give the same sums."""

from __future__ import annotations

import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mr_als.errors import BadInputError, HashCollisionError
from mr_als.logs.logs import Filter, parse_layout
from mr_als.plays import table
from mr_als.plays.buckets import Buckets
from mr_als.plays.grouping import Pairs, by_columns, sum_pairs
from mr_als.plays.merging import merge_blocks
from mr_als.plays.table import Aggregator, IdTable
from mr_als.records.blocks import STRENGTH_UNIT, PlaysBlock
from mr_als.records.ids import Ids, block_of, hash_id, hash_ids
from tests.collisions import collision

COUNTS = parse_layout("counts")
NAMES = st.sampled_from(["a", "b", "ab", "12345678", "123456789", "é" * 9, "nan", " ", '"', "x" * 40, "e\u0301", "é"])
PLAYS = st.lists(st.tuples(NAMES, NAMES, st.sampled_from(["1", "0", "2.5", "0.1", "30000", "2147483648"])), max_size=30)


def grouped(plays, sizes, n_blocks=(2, 3), memory=1 << 30, salt=0):
    """Put plays into a table, `sizes` of them a chunk; give the blocks of both sides, merged as a reducer does."""
    aggregator, parts, at = Aggregator(COUNTS, Filter(), salt, memory), {}, 0

    def empty():
        held = aggregator.flush()
        for side, n in zip(("users", "items"), n_blocks, strict=True):
            for block, plays in held.blocks(side, n):
                parts.setdefault((side, block), []).append(PlaysBlock.unpack(plays.pack()))

    for size in [*sizes, len(plays)]:
        if chunk := "".join("\t".join(row) + "\n" for row in plays[at : at + size]).encode():
            aggregator.add_chunk(chunk, "log@0", at)
        at += size
        if aggregator.full:
            empty()
    empty()
    return {name: merge_blocks(blocks) for name, blocks in parts.items()}


def sums_of(blocks, side):
    """Collect {(row, hash of the column): units} from all blocks of one side, in the order in which they are stored."""
    found = {}
    for (name, number), block in sorted(blocks.items()):
        if name != side:
            continue
        names = block.ids.to_list()
        assert block.hashes.tolist() == hash_ids(block.ids).tolist() == sorted(set(block.hashes.tolist()))
        assert set(block_of(block.hashes, 2 if side == "users" else 3).tolist()) == {number}
        assert sorted(set(block.columns.tolist())) == block.columns.tolist()
        assert set(block.indices.tolist()) == set(range(len(block.columns)))
        for row, name in enumerate(names):
            columns = block.indices[block.indptr[row] : block.indptr[row + 1]]
            assert sorted(set(columns.tolist())) == columns.tolist() != []
            for column, units in zip(columns, block.units()[block.indptr[row] : block.indptr[row + 1]], strict=True):
                found[name.decode(), int(block.columns[column])] = int(units)
    return found


@given(PLAYS, st.lists(st.integers(1, 9), max_size=9), st.sampled_from([1, 1 << 30]))
def test_both_sides_hold_the_exact_sums_of_all_plays(plays, sizes, memory):
    expected = {}
    for user, item, amount in plays:
        units = round(float(amount) * STRENGTH_UNIT)
        expected[user, item] = expected.get((user, item), 0) + units

    blocks = grouped(plays, sizes, memory=memory)

    assert sums_of(blocks, "users") == {(u, hash_id(i.encode())): units for (u, i), units in expected.items()}
    assert sums_of(blocks, "items") == {(i, hash_id(u.encode())): units for (u, i), units in expected.items()}


@given(PLAYS, st.data())
def test_the_bytes_do_not_depend_on_order_chunks_or_memory(plays, data):
    shuffled = data.draw(st.permutations(plays))
    sizes = data.draw(st.lists(st.integers(1, 9), max_size=9))

    one, other = grouped(plays, []), grouped(shuffled, sizes, memory=1)

    assert {name: block.pack() for name, block in one.items()} == {name: block.pack() for name, block in other.items()}


def test_plays_that_wait_are_summed_at_any_number(monkeypatch):
    plays = [(f"u{n % 7}", f"i{n % 5}", "1") for n in range(200)]
    whole = grouped(plays, [])

    for held in (1, 500, 1500):  # bytes of pairs, besides the ids
        monkeypatch.setattr(Aggregator, "_held", lambda self: self._pairs.n_bytes)
        monkeypatch.setattr(table, "_PEAK", (1 << 30) // held)
        assert {n: b.pack() for n, b in grouped(plays, [20] * 10).items()} == {n: b.pack() for n, b in whole.items()}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2**31 - 1), st.integers(0, 2**47)), max_size=20), st.booleans())
def test_sum_pairs_is_exact_in_both_of_its_ways(rows, wide):
    """Key and strength fit one word, or (wide) do not."""
    rows = [(r + wide * (2**31 - 10), c, s) for r, c, s in rows]
    expected = {}
    for row, column, strength in rows:
        expected[row, column] = expected.get((row, column), 0) + strength

    users, items, strengths = (np.array([row[n] for row in rows], np.int64) for n in range(3))
    pairs = sum_pairs(users, items, strengths)

    found = dict(zip(zip(pairs.rows.tolist(), pairs.columns.tolist(), strict=True), pairs.strengths.tolist(), strict=True))
    assert found == expected
    assert list(found) == sorted(expected)


def test_a_sum_beyond_64_bits_is_refused_and_not_wrapped():
    n = 1 << 16
    zeros = np.zeros(n, np.int64)
    most = np.full(n, 2**47, np.int64)

    assert sum_pairs(zeros[1:], zeros[1:], most[1:] // 2).strengths.tolist() == [(n - 1) * 2**46]
    with pytest.raises(BadInputError, match="plays of one user and item add up to more than 70368744177664"):
        sum_pairs(zeros, zeros, most)


@given(st.lists(st.lists(NAMES | st.text("ab", max_size=3), max_size=20), max_size=8))
def test_codes_are_given_in_order_of_appearance_and_never_change(batches):
    known, ids = {}, IdTable(0)

    for batch in batches:
        # a batch gives new ids their codes at once, in order of appearance
        expected = [known.setdefault(name, len(known)) for name in batch]
        assert ids.codes(Ids.of([name.encode() for name in batch])).tolist() == expected

    assert ids.side().ids.to_list() == [name.encode() for name in known]


def test_a_table_grows_beyond_its_first_size_without_losing_an_id():
    names = [b"id-%d" % n for n in range(20_000)]
    ids = IdTable(0)

    for start in range(0, len(names), 3000):
        ids.codes(Ids.of(names[start : start + 3000]))

    assert ids.codes(Ids.of(names[::-1])).tolist() == list(range(len(names)))[::-1]


def test_a_long_chain_of_taken_slots_is_followed():
    """Hashes that differ in their low bits only want the same slot."""
    with mock.patch.object(table, "hash_ids", lambda ids, salt: ids.words & np.uint64(0xFF)):
        ids = IdTable(0)
        names = [bytes([n]) * 8 for n in range(1, 200)]
        assert ids.codes(Ids.of(names[:100])).tolist() == list(range(100))
        assert ids.codes(Ids.of(names)).tolist() == list(range(199))
        assert ids.codes(Ids.of(names[::-1])).tolist() == list(range(199))[::-1]


@pytest.mark.parametrize("sizes", [[1], []], ids=["another chunk", "the same chunk"])
@pytest.mark.parametrize("column", [0, 1])
def test_a_collision_within_a_task_is_noticed_and_names_both_ids(sizes, column):
    one, other = collision()
    rows = [(one, "x", "1"), (other, "x", "1")] if column == 0 else [("x", one, "1"), ("x", other, "1")]

    with pytest.raises(HashCollisionError) as caught:
        grouped(rows, sizes)

    assert str(caught.value) == (
        f"the ids {one!r} and {other!r} have the same 64-bit hash; give --salt 1 (or any other number) to separate them"
    )


@pytest.mark.parametrize("column", [0, 1])
def test_a_collision_between_tasks_is_noticed_where_their_blocks_meet(column):
    one, other = collision()
    rows = [(one, "x", "1"), (other, "x", "1")] if column == 0 else [("x", one, "1"), ("x", other, "1")]

    with pytest.raises(HashCollisionError, match="--salt 1"):
        grouped(rows, [1], memory=1)


def test_a_salt_separates_ids_that_collide():
    one, other = collision()

    blocks = grouped([(one, other, "1"), (other, one, "2")], [], salt=1)

    assert sorted(name for (side, _), block in blocks.items() if side == "users" for name in block.ids.to_list()) == sorted(
        [one.encode(), other.encode()]
    )


def test_the_table_stays_within_the_memory_of_its_task():
    """A million distinct pairs of as many users take 90 MB; a task of 64 MB has to empty its table on the way."""
    memory, flushed = 64 << 20, []
    chunk = "".join(f"user-{{}}-{n}\titem-{n % 1000}\t1\n" for n in range(20_000))

    tracemalloc.start()
    aggregator = Aggregator(COUNTS, Filter(), 0, memory)
    for turn in range(50):
        aggregator.add_chunk(chunk.replace("{}", str(turn)).encode(), "log@0", 0)
        if aggregator.full:
            held = aggregator.flush()
            flushed += [sum(len(b.indices) for _, b in held.blocks(side, 4)) for side in ("users", "items")]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < memory
    assert len(flushed) >= 8
    assert flushed[::2] == flushed[1::2]


@given(st.dictionaries(st.tuples(st.integers(0, 9), st.integers(0, 200_000)), st.integers(0, 2**40), max_size=30))
def test_pairs_are_turned_into_the_order_of_their_columns(held):
    rows, columns = (np.array([pair[n] for pair in sorted(held)], np.int32) for n in (0, 1))
    strengths = np.array([held[pair] for pair in sorted(held)], np.int64)

    turned = by_columns(Pairs(rows, columns, strengths), 200_001)

    expected = sorted((column, row, units) for (row, column), units in held.items())
    assert list(zip(*(array.tolist() for array in turned), strict=True)) == expected


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.none() | st.integers(0, 2**40)), max_size=60), st.data())
def test_buckets_sum_pairs_with_and_without_strengths_whenever_asked(rows, data):
    hashes, expected = hash_ids(Ids.of([b"%d" % n for n in range(10)])), {}
    order = np.argsort(hashes)
    places = np.argsort(order)
    buckets = Buckets(7)

    for row, column, units in rows:
        expected[int(places[row]), column] = expected.get((int(places[row]), column), 0) + (7 if units is None else units)
        strengths = None if units is None else np.array([units])
        buckets.add(hashes[[row]], np.array([row]), np.array([column]), strengths)
        if data.draw(st.booleans()):
            buckets.sum()
    found = buckets.take(places, np.arange(10))

    assert list(zip(found.rows.tolist(), found.columns.tolist(), strict=True)) == sorted(expected)
    assert found.strengths.tolist() == [expected[pair] for pair in sorted(expected)]
