"""The base class of jobs that read play logs: options, ranges of files or whole lines, and what became of the lines.

Input   `range <TAB> number <TAB> offset,length,layout,path`: the log lines that start in a range of bytes, and which of
        the layouts they have (references), or the log lines themselves, all of one layout (lines).
Output  of each map task, beside its records: `bad <TAB> 0 <TAB> ...`, which `reduce_reports` adds up.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Protocol

from mr_als.engine.job import ALSJob, Pair
from mr_als.logs.badlines import BadLines
from mr_als.logs.formats import read_chunks
from mr_als.logs.logs import FORMATS, Filter, Layout, chunks, parse_layout
from mr_als.logs.tally import Tally, added
from mr_als.records.lines import LINES, Reference, decode, encode
from mr_als.storage.storage import scheme_of

from mrjob.compat import jobconf_from_env  # isort: skip  (after mr_als.engine.job)

REPORTS = b"bad"


class Table(Protocol):
    """What collects the plays of a map task."""

    bad: BadLines
    layout: Layout
    tally: Tally

    def add_chunk(self, chunk: Any, source: str, first_line: int) -> int:
        """Add the plays of a chunk of whole lines; give its number of lines."""

    @property
    def full(self) -> bool:
        """Say whether the table should be emptied before more is added."""


class LogJob(ALSJob):
    """A job whose mapper reads play logs in whole chunks; it defines `make_table` and `flush`."""

    SORT_VALUES = True
    # lines may be split among tasks anywhere
    JOBCONF: ClassVar[dict[str, Any]] = {}

    def configure_args(self) -> None:
        """Add what a line means and what counts."""
        super().configure_args()
        self.add_passthru_arg("--layout", action="append", default=[], help="a layout, as `Layout.to_text` writes it; one or more")
        self.add_passthru_arg(
            "--columns", default=",".join(FORMATS["events"]), help="without --layout: columns in order, tabs between"
        )
        self.add_passthru_arg("--min-ms-played", type=int, default=30000)
        self.add_passthru_arg("--since", type=float, default=None, help="epoch seconds")
        self.add_passthru_arg("--until", type=float, default=None, help="epoch seconds")
        self.add_passthru_arg("--as-of", type=float, default=None, help="epoch seconds")
        self.add_passthru_arg("--half-life", type=float, default=None, help="seconds")
        self.add_passthru_arg("--salt", type=int, default=0)

    def make_table(self, layout: Layout, wanted: Filter) -> Table:
        """Make an empty table."""
        raise NotImplementedError

    def flush(self) -> Iterator[Pair]:
        """Write what the table holds, and empty it."""
        raise NotImplementedError

    def mapper_init(self) -> None:
        """Start with an empty table."""
        o = self.options
        self.layouts = [Layout.from_text(text) for text in o.layout] or [parse_layout("events", o.columns)]
        self.table: Any = self.make_table(self.layouts[0], Filter(o.min_ms_played, o.since, o.until, o.as_of, o.half_life))
        self.lines: dict[str, int] = {}

    def mapper(self, kind: bytes, value: tuple[bytes, bytes]) -> Iterator[Pair]:
        """Read one range of a log."""
        reference = Reference.parse(value[1])
        source = f"{reference.path}@{reference.offset}"
        self.table.layout = self.layouts[reference.crc]
        with self.here(reference) as path:
            yield from self.read(read_chunks(path, reference.offset, reference.length, self.table.layout), source)

    @contextlib.contextmanager
    def here(self, reference: Reference) -> Iterator[str]:
        """Yield the local path of a file of which a range is read; where it lies elsewhere, that of a copy of the range."""
        if scheme_of(reference.path) == "file":
            yield reference.path
            return
        from mr_als.storage.mirror import fetch_range  # most tasks do without

        with tempfile.TemporaryDirectory(prefix="mr-als-") as place:
            yield fetch_range(reference.path, reference.offset, reference.length, place)

    def read(self, pieces: Iterable[Any], source: str) -> Iterator[Pair]:
        """Add all records of some chunks to the table, and empty it whenever it is full."""
        n_lines = 0
        for chunk in pieces:
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
        # a name for people, in the table of bad lines; on Spark there is none
        path = jobconf_from_env("mapreduce.map.input.file", "input").removeprefix("file://")
        offset = int(jobconf_from_env("mapreduce.map.input.start", "0"))
        yield from self.read(chunks(self.stdin), f"{path}@{offset}")
        yield from self.mapper_final()

    def mapper_final(self) -> Iterator[Pair]:
        """Empty the table, and say what became of the lines."""
        yield from self.flush()
        tally = self.table.tally
        report = {"bad": self.table.bad.to_dict(), "lines": self.lines, "counts": tally.counts, "others": tally.others}
        report |= {"times": tally.span}
        yield REPORTS, (b"0", encode(json.dumps(report).encode()))

    def reduce_reports(self, values: Iterator[tuple[bytes, bytes]]) -> Iterator[Pair]:
        """Add up what the map tasks reported."""
        merged = added(json.loads(decode(text)) for _, text in values)
        yield from self.write_record(REPORTS.decode(), 0, json.dumps(merged).encode())
