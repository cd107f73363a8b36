r"""Sum plays that were prepared apart: blocks of several segments become the blocks of all.

Input   `users|items <TAB> block <TAB> PlaysBlock` of each segment, its thresholds not yet applied
Map     passes each record on as it is, not even decoded; with --cut it cuts them first, for other numbers of blocks
Reduce  (side, block): merges and sums; leaves out rows below the thresholds (`mr_als.engine.playsjob`)
Output  as that of mr_ingest, without the line `bad`
Shuffle the segments; where records are references to files, only these.

    mr-als prepare logs/2024-03-08.tsv --plays plays --add          (adds a segment)
    mr-als train --plays plays --model model                        (sums them, and trains)
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from mr_als.engine.playsjob import PlaysJob, reducer_of
from mr_als.plays.grouping import Side, cut_blocks
from mr_als.records.blocks import SIDES, PlaysBlock
from mr_als.records.lines import Record

from mr_als.engine.job import Pair  # isort: skip


class MRMerge(PlaysJob):
    """Sum the blocks of segments."""

    KINDS = frozenset(SIDES)
    # of the record whose lines come; lines of one whose first is lost get that of another, which the reducer refuses
    name = b""

    def configure_args(self) -> None:
        """Add whether blocks are cut anew."""
        super().configure_args()
        self.add_passthru_arg("--cut", action="store_true", help="some blocks are of other numbers of blocks than the output's")

    def mapper(self, kind: bytes, value: tuple[bytes, bytes]) -> Iterator[Pair]:
        """Send a line to the reducer of its block; a record that is to be cut, or one of another kind, is read."""
        side = kind.decode("utf-8", "replace")
        if self.options.cut or side not in SIDES:
            yield from super().mapper(kind, value)
            return
        block, number, _ = value[0].split(b".")
        if not int(number):  # of several lines of a record the first; they follow each other
            self.name = uuid.uuid4().hex.encode()
        yield reducer_of(side, int(block)), (self.name + b"/" + value[0], value[1])

    def map_record(self, record: Record) -> Iterator[Pair]:
        """Cut a block into those of another number of blocks."""
        plays, name = PlaysBlock.unpack(record.payload, checked=record.checked), uuid.uuid4().hex.encode()
        n_blocks = self.options.user_blocks if record.kind == "users" else self.options.item_blocks
        rows = Side(plays.hashes, plays.ids)
        for block, piece in cut_blocks(plays.indptr, plays.indices, plays.strengths, rows, plays.columns, n_blocks, plays.unit):
            yield from self.to_reducer(record.kind, block, piece.pack(), name)


JOB = MRMerge

if __name__ == "__main__":
    MRMerge.run()
