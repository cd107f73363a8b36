r"""prepare: play logs become blocks of users and blocks of items, in one shuffle over the plays.

Input   `range <TAB> number <TAB> offset,length,0,path`: the log lines that start in a range of bytes (references), or
        the log lines themselves (lines).
Map     parses, filters and sums whole chunks in NumPy; one record per (side, block) each time its table is full
Reduce  (side, block): merges and sums, leaves out rows below the thresholds
Output  `users|items <TAB> block <TAB> PlaysBlock`, `total <TAB> block <TAB> [side, rows, pairs, units]` for each,
        and `bad <TAB> 0 <TAB> ...`: what became of the lines, by reason, with samples.
Shuffle about 6 bytes a pair and side, and each id once per map task and block.

    python jobs/mr_ingest.py --input lines sample_logs/*.tsv          (a laptop)
    mr-als prepare hdfs:///logs --plays hdfs:///plays -r hadoop       (a cluster)
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from mr_als.engine.job import ALSJob, Pair  # before NumPy: it sets the number of BLAS threads

import numpy as np  # isort: skip

from mr_als.data.badlines import BadLines
from mr_als.data.blocks import STRENGTH_UNIT, PlaysBlock
from mr_als.data.grouping import merge_blocks
from mr_als.data.lines import LINES, Assembler, Reference, decode, encode, write_lines
from mr_als.data.logs import ByteRange, Filter, Layout, chunks
from mr_als.data.table import Aggregator

SIDES = ("users", "items")


class MRIngest(ALSJob):
    """Parse, sum and group plays by user block and by item block."""

    SORT_VALUES = True

    def configure_args(self) -> None:
        """Add what a line means and what counts."""
        super().configure_args()
        self.add_passthru_arg("--columns", default="timestamp,user,item,ms_played", help="names of the columns in order")
        self.add_passthru_arg("--delimiter", default="9", type=int, help="code of the byte between columns")
        self.add_passthru_arg("--min-ms-played", type=int, default=30000)
        self.add_passthru_arg("--since", type=float, default=None, help="epoch seconds")
        self.add_passthru_arg("--until", type=float, default=None, help="epoch seconds")
        self.add_passthru_arg("--min-user-plays", type=float, default=0.0)
        self.add_passthru_arg("--min-item-plays", type=float, default=0.0)
        self.add_passthru_arg("--user-blocks", type=int, default=1)
        self.add_passthru_arg("--item-blocks", type=int, default=1)
        self.add_passthru_arg("--salt", type=int, default=0)

    def mapper_init(self) -> None:
        """Start with an empty table."""
        o = self.options
        layout = Layout(tuple(o.columns.split(",")), bytes([o.delimiter]))
        self.table = Aggregator(layout, Filter(o.min_ms_played, o.since, o.until), o.salt)
        self.lines: dict[str, int] = {}

    def mapper(self, kind: bytes, value: tuple[bytes, bytes]) -> Iterator[Pair]:
        """Read one range of a log."""
        reference = Reference.parse(value[1])
        source = f"{reference.path}@{reference.offset}"
        with ByteRange(reference.path, reference.offset, reference.length) as stream:
            yield from self.read(stream, source, reference.offset)

    def read(self, stream: Any, source: str, offset: int = 0) -> Iterator[Pair]:
        """Add all lines of a stream to the table, and empty it whenever it is full."""
        n_lines = 0
        for chunk in chunks(stream, at_start=offset == 0):
            n_lines += self.table.add_chunk(chunk, source, n_lines)
            if self.table.full:
                yield from self.flush()
        self.lines[source] = n_lines

    def run_mapper(self, step_num: int = 0) -> None:
        """Read log lines in bulk: mrjob's own loop costs more per line than everything we do with it."""
        if self.options.input == LINES:
            self.map_pairs = lambda pairs, step_num=0: self.map_stream()
        super().run_mapper(step_num)

    def map_stream(self) -> Iterator[Pair]:
        """Map the whole standard input."""
        self.mapper_init()
        yield from self.read(self.stdin, "input")
        yield from self.mapper_final()

    def mapper_final(self) -> Iterator[Pair]:
        """Empty the table, and say what became of the lines."""
        yield from self.flush()
        report = {"bad": self.table.bad.to_dict(), "lines": self.lines, "counts": self.table.counts()}
        yield b"bad", (b"0", encode(json.dumps(report).encode()))

    def flush(self) -> Iterator[Pair]:
        """Write the table as one record per side and block."""
        grouped = self.table.flush()
        name = uuid.uuid4().hex.encode()  # keeps the pieces of a record together in the sort
        for side, n_blocks in zip(SIDES, (self.options.user_blocks, self.options.item_blocks), strict=True):
            for block, plays in grouped.blocks(side, n_blocks):
                for _, (numbered, text) in write_lines(side, block, plays.pack()):
                    yield b"%s.%08d" % (side.encode(), block), (name + b"/" + numbered, text)

    def reducer(self, key: bytes, values: Iterator[tuple[bytes, bytes]]) -> Iterator[Pair]:
        """Merge the records of one block, or the reports."""
        if key == b"bad":
            yield from self.reduce_reports(values)
            return
        side, block = key.decode().split(".")
        assembler = Assembler()
        records = (assembler.add(side.encode(), order.split(b"/")[1], text) for order, text in values)
        plays = merge_blocks([PlaysBlock.unpack(record.payload) for record in records if record is not None])
        assembler.finish()
        threshold = self.options.min_user_plays if side == "users" else self.options.min_item_plays
        plays = at_least(plays, threshold)
        yield from write_lines(side, int(block), plays.pack())
        total = [side, len(plays.hashes), len(plays.indices), int(plays.strengths.sum())]
        yield b"total", (b"%08d" % int(block), encode(json.dumps(total).encode()))

    def reduce_reports(self, values: Iterator[tuple[bytes, bytes]]) -> Iterator[Pair]:
        """Add up what the map tasks reported."""
        bad = BadLines()
        lines: dict[str, int] = {}
        counts: dict[str, int] = {}
        for _, text in values:
            report = json.loads(decode(text))
            bad.merge(BadLines.from_dict(report["bad"]))
            lines |= report["lines"]
            counts = {name: counts.get(name, 0) + n for name, n in report["counts"].items()}
        merged = {"bad": bad.to_dict(), "lines": lines, "counts": counts}
        yield b"bad", (b"0", encode(json.dumps(merged).encode()))


def at_least(plays: PlaysBlock, threshold: float) -> PlaysBlock:
    """Leave out rows whose plays sum to less than `threshold`."""
    if threshold <= 0:
        return plays
    sums = np.add.reduceat(np.append(plays.strengths, 0), plays.indptr[:-1]) * (np.diff(plays.indptr) > 0)
    keep = sums >= threshold * STRENGTH_UNIT
    in_kept = np.repeat(keep, np.diff(plays.indptr))
    used, indices = np.unique(plays.indices[in_kept], return_inverse=True)
    indptr = np.concatenate([[0], np.cumsum(np.diff(plays.indptr)[keep])])
    rows = np.flatnonzero(keep)
    return PlaysBlock(plays.hashes[rows], plays.ids.take(rows), indptr, indices, plays.columns[used], plays.strengths[in_kept])


JOB = MRIngest

if __name__ == "__main__":
    MRIngest.run()
