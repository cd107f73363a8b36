"""The merge job by itself: blocks that come in many lines or in pieces of others become the blocks of all."""

from __future__ import annotations

import json

import pytest

from mr_als.engine.datasets import records_of
from mr_als.errors import DamagedDataError
from mr_als.logs.logs import Filter, parse_layout
from mr_als.plays.table import Aggregator
from mr_als.records import lines as codec
from mr_als.records.blocks import SIDES, PlaysBlock
from mr_als.records.lines import write_lines


def grouped(some):
    table = Aggregator(parse_layout("counts"), Filter())
    table.add_chunk(b"".join(some), "log", 0)
    return table.flush()


def blocks_of(some, n_blocks):
    plays = grouped(some)
    return {(side, block): bytes(one.pack()) for side in SIDES for block, one in plays.blocks(side, n_blocks)}


def lines_of(some, n_blocks):
    """Write blocks as a job gets them, and what else is in a part."""
    found = [pair for (side, block), payload in blocks_of(some, n_blocks).items() for pair in write_lines(side, block, payload)]
    found += list(write_lines("total", 0, b"[]"))
    return [b"\t".join((kind, *value)) + b"\n" for kind, value in found]


def merged(output):
    records = list(records_of("output", (line + b"\n" for line in output)))
    return {(r.kind, r.block): bytes(r.payload) for r in records if r.kind in SIDES}, [r for r in records if r.kind == "total"]


PLAYS = [b"user %d\titem %d\t%d\n" % (n % 17, n % 13, n % 4) for n in range(200)]


@pytest.mark.parametrize("size", [60, 1 << 20])
@pytest.mark.parametrize(("before", "arguments"), [(3, []), (3, ["--cut"]), (2, ["--cut"]), (7, ["--cut"])])
def test_three_segments_become_the_blocks_of_all(before, arguments, size, run_job, monkeypatch):
    monkeypatch.setattr(codec, "MAX_PAYLOAD", size)
    some = [line for n in range(3) for line in lines_of(PLAYS[n::3], before)]

    found, totals = merged(run_job("mr_merge", some, "--user-blocks=3", "--item-blocks=3", *arguments))

    assert found == blocks_of(PLAYS, 3)
    assert len(totals) == len(found)


def test_thresholds_apply_to_the_sum(run_job):
    some = [*lines_of([b"ann\tx\t1\n", b"bob\tx\t1\n"], 1), *lines_of([b"ann\ty\t1\n"], 1)]

    found, totals = merged(run_job("mr_merge", some, "--min-user-plays=2"))

    assert PlaysBlock.unpack(found["users", 0]).ids.to_list() == [b"ann"]
    assert sorted(json.loads(bytes(r.payload))[:7] for r in totals) == [
        ["items", 2, 3, 3 << 16, 2, 3, 3 << 16],
        ["users", 1, 2, 2 << 16, 2, 3, 3 << 16],
    ]


def test_a_record_without_its_first_line_is_refused_by_its_reducer(run_job, monkeypatch):
    monkeypatch.setattr(codec, "MAX_PAYLOAD", 60)

    with pytest.raises(DamagedDataError, match="a part of the file is missing"):
        run_job("mr_merge", lines_of(PLAYS, 1)[1:])


def test_no_input_is_no_output(run_job):
    assert merged(run_job("mr_merge", [])) == ({}, [])
