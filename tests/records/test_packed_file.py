"""A packed buffer written in pieces is the one that is packed at once."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mr_als.records.blocks import pack
from mr_als.records.packed_file import PackedFile

KINDS = ("<u1", "<u2", "<u4", "<u8", "<i8", "<f4", "<f8")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 40)), max_size=5),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    seed=st.integers(0, 1000),
)
def test_pieces_in_any_order_by_several_threads_make_the_buffer_that_is_packed_at_once(kinds, cuts, seed, tmp_path):
    drawn = np.random.default_rng(seed)
    arrays = [drawn.integers(0, 200, size).astype(kind) for kind, size in kinds]
    pieces = [
        (number, first, array[first:last])
        for number, array in enumerate(arrays)
        for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), 40], strict=True)
    ]
    random.Random(seed).shuffle(pieces)

    with PackedFile(str(tmp_path / "packed"), kinds) as file, ThreadPoolExecutor(3) as pool:
        for written in [pool.submit(file.write, *piece) for piece in pieces]:
            written.result()

    assert (tmp_path / "packed").read_bytes() == pack(arrays)


@pytest.mark.parametrize("pieces", [[(0, 2)], [(0, 2), (2, 2)], [(2, 4)], [(0, 3), (2, 4)]])
def test_missing_or_overlapping_pieces_are_an_error(pieces, tmp_path):
    with (
        pytest.raises(AssertionError, match="pieces are missing, or overlap"),
        PackedFile(str(tmp_path / "p"), [("<u4", 6)]) as file,
    ):
        for first, size in pieces:
            file.write(0, first, np.zeros(size, np.uint32))

    # without its magic nobody takes it for a buffer
    assert (tmp_path / "p").read_bytes()[:4] == bytes(4)


def test_an_error_of_who_writes_comes_out_and_leaves_no_buffer(tmp_path):
    with pytest.raises(KeyError), PackedFile(str(tmp_path / "p"), [("<u4", 5)]):
        raise KeyError

    assert (tmp_path / "p").read_bytes()[:4] == bytes(4)
