"""The base class of jobs that make blocks of plays: a reducer merges what several tasks know of a block into the block.

Shuffle `side.block <TAB> name/number <TAB> payload`: what one task knows of a block; by the name, one for each task that
        sends, the sort keeps the pieces of a record together
Output  `users|items <TAB> block <TAB> PlaysBlock`; at the end of each task for each of them
        `total <TAB> block <TAB> [side, rows, pairs, units, columns, pairs and units before thresholds, bytes, checksum]`,
        and `end <TAB> 0 <TAB> their length`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from mr_als.engine.job import ALSJob, Pair
from mr_als.plays.merging import finished, merge_blocks
from mr_als.records.blocks import PlaysBlock
from mr_als.records.lines import Record, keep
from mr_als.records.spill import Buffer, let_go

__all__ = ["PlaysJob", "reducer_of"]


def reducer_of(side: str, block: int) -> bytes:
    """Return the key by which a shuffle brings the records of a block together."""
    return b"%s.%08d" % (side.encode(), block)


class PlaysJob(ALSJob):
    """A job whose reducers merge, sum, and leave out what is below the thresholds."""

    SORT_VALUES = True

    def configure_args(self) -> None:
        """Add the thresholds and the numbers of blocks."""
        super().configure_args()
        self.add_passthru_arg("--min-user-plays", type=float, default=0.0)
        self.add_passthru_arg("--min-item-plays", type=float, default=0.0)
        self.add_passthru_arg("--user-blocks", type=int, default=1)
        self.add_passthru_arg("--item-blocks", type=int, default=1)

    def to_reducer(self, side: str, block: int, payload: Buffer, name: bytes) -> Iterator[Pair]:
        """Yield the pairs that bring what a task knows of a block to the block's reducer; `name` is one of this task alone."""
        for _, (numbered, text) in self.write_record(side, block, payload):
            yield reducer_of(side, block), (name + b"/" + numbered, text)

    def reducer_init(self) -> None:
        """Begin the reports that end the output."""
        self.reports: list[Pair] = []

    def reducer(self, key: bytes, values: Iterator[tuple[bytes, bytes]]) -> Iterator[Pair]:
        """Merge the records of one block."""
        side, block = key.decode().split(".")
        reader = self.own_reader()
        records = (reader.add(side.encode(), (order.split(b"/")[1], text)) for order, text in values)
        plays = self.merge(keep(record for record in records if record is not None))
        reader.finish()
        packed, total = finished(plays, self.options.min_user_plays if side == "users" else self.options.min_item_plays)
        yield from self.write_record(side, int(block), packed.buffer())
        self.reports += self.write_record("total", int(block), json.dumps([side, *total]).encode())

    def merge(self, records: Sequence[Record]) -> PlaysBlock:
        """Sum what several tasks know of the same block."""
        parts = []
        for record in records:
            parts.append(PlaysBlock.unpack(record.payload, checked=record.checked))
            let_go(record.payload)
        return merge_blocks(parts)

    def reducer_final(self) -> Iterator[Pair]:
        """Write the reports last, where the driver looks for them."""
        yield from self.ended(self.reports)
