r"""split: play logs become training, validation and test parts, by the pairs of each user.

Input   log lines, or ranges of log files (`mr_als.engine.logjob`)
Map     parses whole chunks, and keeps of each play's time what the split needs; one record per user block
Reduce  user block: merges, says which part each pair belongs to (`mr_als.plays.partition`)
Output  `train|validation|test|... <TAB> block <TAB> text`: lines `user <TAB> item <TAB> plays` of a part,
        `total <TAB> block <TAB> {part: [users, pairs, units], ...}` for each block, and `bad <TAB> 0 <TAB> ...`.
Shuffle about 24 bytes a pair and time, and each id once per map task and block.

    python jobs/mr_split.py --input lines --by random --share 0.1 sample_logs/*.tsv               (a laptop)
    mr-als split hdfs:///logs --train hdfs:///train --test hdfs:///test --by last -r hadoop       (a cluster)
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from mr_als.engine.job import Pair  # before NumPy: it sets the number of BLAS threads

import numpy as np  # isort: skip

from mr_als.engine.logjob import REPORTS, LogJob
from mr_als.logs.logs import Filter, Layout
from mr_als.plays.dated import DatedBlock, DatedTable, merge_dated
from mr_als.plays.partition import PARTS, RULES, Partition, Rule, mark_of, partition
from mr_als.records.blocks import STRENGTH_UNIT, pack

DATED = "dated"


class MRSplit(LogJob):
    """Split the pairs of each user."""

    def configure_args(self) -> None:
        """Add the rule."""
        super().configure_args()
        self.add_passthru_arg("--by", choices=RULES, default="random")
        self.add_passthru_arg("--cut", type=float, action="append", default=[], help="epoch seconds, ascending; for time")
        self.add_passthru_arg("--share", type=float, default=0.1, help="for random and users")
        self.add_passthru_arg("--last", type=int, default=1, help="for last")
        self.add_passthru_arg("--with-validation", action="store_true")
        self.add_passthru_arg("--seed", type=int, default=0)
        self.add_passthru_arg("--user-blocks", type=int, default=1)

    def make_table(self, layout: Layout, wanted: Filter) -> DatedTable:
        """Make a table of plays by pair and time."""
        return DatedTable(layout, wanted, self.options.salt, self.mark_of, self.options.task_memory)

    def mark_of(self, seconds: Any, n: int) -> Any:
        """Keep of the times what the rule needs; what it does not need would only be shuffled."""
        return mark_of(self.options.by, self.options.cut, seconds, n)

    def flush(self) -> Iterator[Pair]:
        """Write the table as one record per block of users."""
        name = uuid.uuid4().hex.encode()  # keeps the pieces of a record together in the sort
        for block, dated in self.table.flush().blocks(self.options.user_blocks):
            for _, (numbered, text) in self.write_record(DATED, block, dated.pack()):
                yield b"%08d" % block, (name + b"/" + numbered, text)

    def reducer(self, key: bytes, values: Iterator[tuple[bytes, bytes]]) -> Iterator[Pair]:
        """Split one block of users, or add up the reports."""
        if key == REPORTS:
            yield from self.reduce_reports(values)
            return
        reader = self.own_reader()
        records = (reader.add(DATED.encode(), (order.split(b"/")[1], text)) for order, text in values)
        dated = merge_dated([DatedBlock.unpack(record.payload, checked=record.checked) for record in records if record is not None])
        reader.finish()
        o = self.options
        found = partition(dated, Rule(o.by, o.with_validation, o.share, o.last, o.seed))
        for part, text in texts(dated, found):
            yield from self.write_record(part, int(key), pack([np.frombuffer(text, np.uint8)]))
        yield from self.write_record("total", int(key), json.dumps(totals(found)).encode())


def texts(dated: DatedBlock, found: Partition) -> Iterator[tuple[str, bytes]]:
    """Yield the lines of each part that has any."""
    users, items = dated.users.ids.to_list(), dated.items.ids.to_list()
    for number, part in enumerate(PARTS):
        rows = np.flatnonzero(found.part == number)
        columns = (found.user[rows].tolist(), found.item[rows].tolist(), found.units[rows].tolist())
        lines = [b"%s\t%s\t%s\n" % (users[u], items[i], amount(units)) for u, i, units in zip(*columns, strict=True)]
        if lines:
            yield part, b"".join(lines)


def amount(units: int) -> bytes:
    """Write plays so that reading them gives the same units again.

    >>> amount(3 * 65536), amount(65536 // 2)
    (b'3', b'0.5')
    """
    plays = units / STRENGTH_UNIT
    return b"%d" % plays if plays.is_integer() else repr(plays).encode()


def totals(found: Partition) -> dict[str, Any]:
    """Count users, pairs and units of each part, and what was left out."""
    counted: dict[str, Any] = {}
    for number, part in enumerate(PARTS):
        of = found.part == number
        counted[part] = [len(np.unique(found.user[of])), int(of.sum()), int(found.units[of].sum())]
    counted["replays"] = [0, int((found.replays > 0).sum()), int(found.replays.sum())]
    counted["undivided"] = [found.undivided, 0, 0]
    return counted


JOB = MRSplit

if __name__ == "__main__":
    MRSplit.run()
