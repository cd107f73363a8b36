r"""prepare: play logs become blocks of users and blocks of items, in one shuffle over the plays.

Input   `range <TAB> number <TAB> offset,length,0,path`: the log lines that start in a range of bytes (references), or
        the log lines themselves (lines).
Map     parses, filters and sums whole chunks in NumPy; one record per (side, block) each time its table is full
Reduce  (side, block): merges and sums, or takes the last or the mean of ratings; leaves out rows below the thresholds
Output  `users|items <TAB> block <TAB> PlaysBlock`; at the end of each task for each of them
        `total <TAB> block <TAB> [side, rows, pairs, units, columns, pairs and units before thresholds, bytes, checksum]`,
        in one of the tasks `bad <TAB> 0 <TAB> ...`: what became of the lines, by reason, with samples,
        and `end <TAB> 0 <TAB> their length`.
Shuffle about 6 bytes a pair and side, and each id once per map task and block.

    python jobs/mr_ingest.py --input lines sample_logs/*.tsv          (a laptop)
    mr-als prepare hdfs:///logs --plays hdfs:///plays -r hadoop       (a cluster)
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from mr_als.engine.job import Pair  # before NumPy: it sets the number of BLAS threads

import numpy as np  # isort: skip

from mr_als.engine.logjob import REPORTS, LogJob
from mr_als.engine.playsjob import PlaysJob
from mr_als.logs.logs import Filter, Layout
from mr_als.plays.dated import DatedBlock
from mr_als.plays.ratings import RatingTable, merge_ratings
from mr_als.plays.table import Aggregator
from mr_als.records.blocks import SIDES, PlaysBlock
from mr_als.records.lines import Record

# bytes, below the largest block that malloc learns from (32 MB)
FREED = 30 << 20


class MRIngest(PlaysJob, LogJob):
    """Parse, sum and group plays by user block and by item block."""

    def configure_args(self) -> None:
        """Add what lines of one pair make."""
        super().configure_args()
        self.add_passthru_arg("--duplicates", choices=("sum", "last", "mean"), default="sum", help="what lines of one pair make")

    def mapper_init(self) -> None:
        """Prepare to read chunks, in memory that stays with the task."""
        super().mapper_init()
        # glibc's malloc gives the memory of each chunk back to the system, which zeroes it page by page for the next one, unless
        # a larger block was freed before; this one is never touched, so it takes nothing
        np.empty(min(FREED, self.options.task_memory // 32), np.uint8)

    def make_table(self, layout: Layout, wanted: Filter) -> Aggregator | RatingTable:
        """Make a table of plays summed by pair, or of ratings."""
        o = self.options
        if o.duplicates != "sum":
            return RatingTable(layout, wanted, o.salt, o.duplicates, o.task_memory)
        return Aggregator(layout, wanted, o.salt, o.task_memory)

    def flush(self) -> Iterator[Pair]:
        """Write the table as one record per side and block."""
        grouped = self.table.flush()
        name = uuid.uuid4().hex.encode()
        for side, n_blocks in zip(SIDES, (self.options.user_blocks, self.options.item_blocks), strict=True):
            for block, plays in grouped.blocks(side, n_blocks):
                yield from self.to_reducer(side, block, plays.pack(), name)

    def reducer(self, key: bytes, values: Iterator[tuple[bytes, bytes]]) -> Iterator[Pair]:
        """Merge the records of one block, or the reports."""
        if key == REPORTS:
            self.reports += self.reduce_reports(values)
        else:
            yield from super().reducer(key, values)

    def merge(self, records: Sequence[Record]) -> PlaysBlock:
        """Merge what several tasks know of the same block; of ratings take the last, or the mean."""
        if self.options.duplicates == "sum":
            return super().merge(records)
        blocks = [DatedBlock.unpack(record.payload, checked=record.checked) for record in records]
        return merge_ratings(blocks, self.options.duplicates)


JOB = MRIngest

if __name__ == "__main__":
    MRIngest.run()
