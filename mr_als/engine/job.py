"""The base class of all jobs: the records that a mapper reads and sends to a reducer, safe streams, the package shipped along."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # tasks share a node: several BLAS threads each are slow

# exit code of a task whose Python cannot run it; it is all that Hadoop's client learns of a task on another machine
UNFIT = 97
# set by Hadoop Streaming in each task
ON_HADOOP = "mapreduce_task_attempt_id" in os.environ

try:
    if sys.version_info < (3, 10):  # noqa: UP036  (a node's may be another one than that of the driver)
        raise ImportError("Python 3.10 or newer is needed")  # noqa: EM101
    from mr_als.engine.mrjob_fixes import text_std  # before mrjob

    import numpy as np  # isort: skip
    from mrjob.job import MRJob  # isort: skip
except ImportError as error:
    if not ON_HADOOP:
        raise
    print(f"mr_als: {sys.executable}, Python {sys.version.split()[0]} of this node: {error}", file=sys.stderr)
    sys.exit(UNFIT)

from mr_als.options import TASK_MEMORY, add_arguments, from_namespace, memory  # noqa: E402  (a Python that is too old cannot import it)
from mr_als.records.blocks import Packed  # noqa: E402
from mr_als.records.lines import (  # noqa: E402
    BUFFERS,
    FORMS,
    LINES,
    REFERENCES,
    LineProtocol,
    Reader,
    Record,
    ShardWriter,
    end_line,
    number_field,
    write_lines,
)  # fmt: skip
from mr_als.records.spill import Buffer  # noqa: E402

Pair = tuple[bytes, tuple[bytes, bytes]]

# seconds between two signs of life of a task that neither reads nor writes; Hadoop ends one after ten minutes without any
SIGN_OF_LIFE = 30.0


class Watched:
    """Vectors that the solver takes from a few at a time: with each taking, a task on Hadoop shows that it is alive.

    A thread would do the same for one that hangs.
    """

    def __init__(self, vectors: Any) -> None:
        self._vectors, self._last = vectors, time.monotonic()

    def __getitem__(self, places: Any) -> Any:
        if time.monotonic() - self._last > SIGN_OF_LIFE:
            print("reporter:status:solving", file=sys.stderr, flush=True)
            self._last = time.monotonic()
        if isinstance(self._vectors, np.ndarray):
            return self._vectors.take(places.astype(np.intp), axis=0)
        return self._vectors[places]


class ALSJob(MRJob):
    """A job whose records are lines `kind TAB block TAB payload`; `KINDS` names those its mapper reads."""

    INPUT_PROTOCOL = LineProtocol
    INTERNAL_PROTOCOL = LineProtocol
    OUTPUT_PROTOCOL: type[Any] = LineProtocol
    KINDS: frozenset[str] = frozenset()
    # the pieces of a record stay in one map task
    JOBCONF: ClassVar[dict[str, Any]] = {"mapreduce.input.fileinputformat.split.minsize": 1 << 60}
    # whether its first input is that of many runs, so that an engine whose tasks last keeps it where they are
    LASTING = False
    _stdout: Any  # of mrjob
    _shard: ShardWriter | None = None
    # form of what its mapper sends to its reducer, where that is not what it writes; set by those who run a task
    between = ""

    def configure_args(self) -> None:
        """Add the options every job has: the form of its input and of what it writes, and its memory."""
        super().configure_args()
        self.add_passthru_arg("--input", choices=FORMS, default=LINES, help="form of the payloads (default: lines)")
        self.add_passthru_arg(
            "--shards", default="", metavar="DIR", help="write payloads into files in DIR, and references to them (default: lines)"
        )
        self.add_passthru_arg("--task-memory", type=memory, default=TASK_MEMORY, help="memory of a task (default: 1G)")

    def dirs(self) -> list[str]:
        """Ship the package itself, from wherever it was imported, to where it is not."""
        import mr_als
        from mr_als.engine.runners.runner import RUNNERS, runner_of

        elsewhere = self.options.runner in RUNNERS and runner_of(self.options.runner).place
        return [f"{os.path.dirname(os.path.abspath(mr_als.__file__))}#mr_als"] if elsewhere else []

    def make_runner(self) -> Any:
        """Make mrjob's runner; mrjob itself finds out twice what to tell it, once for its log."""
        return self._runner_class()(**self._runner_kwargs())

    def mapper_init(self) -> None:
        """Prepare to read records."""
        self.reader = Reader(self.options.input, self.KINDS)

    def mapper(self, kind: bytes, value: tuple[bytes, bytes]) -> Iterator[Pair]:
        """Decode one line and hand a complete record to `map_record`."""
        record = self.reader.add(kind, value)
        if record is not None:
            yield from self.map_record(record)

    def mapper_final(self) -> Iterator[Pair]:
        """Check that the last record was complete."""
        self.reader.finish()
        yield from ()

    def write_record(self, kind: str, block: int, payload: Buffer | Packed) -> Iterator[Pair]:
        """Yield the pairs of one record, in the requested form."""
        parts, crc = (payload.parts, payload.crc) if isinstance(payload, Packed) else ([payload], None)
        if self.between == BUFFERS and self.options.run_mapper:
            yield kind.encode(), (number_field(block, 0, 1), b"".join(parts))
            return
        if not self.options.shards:
            yield from write_lines(kind, block, payload.buffer() if isinstance(payload, Packed) else payload)
            return
        if self._shard is None:
            self._shard = ShardWriter(self.options.shards)
        yield self._shard.write(kind, block, *parts, crc=crc)

    def ended(self, reports: list[Pair]) -> list[Pair]:
        """Return the last lines of a task: its reports and, in a part that is read from its end, their length."""
        return reports if self.options.shards else [*reports, end_line(reports)]

    def own_reader(self) -> Reader:
        """Build a reader for what `write_record` wrote."""
        return Reader(self.between or (REFERENCES if self.options.shards else LINES))

    def map_record(self, record: Record) -> Iterator[Any]:
        """Map one decoded record; a job with a mapper defines it."""
        yield from ()

    def run_mapper(self, step_num: int = 0) -> None:
        """Run the mapper with prints and warnings sent to the task's log."""
        self._task(super().run_mapper, step_num)

    def run_combiner(self, step_num: int = 0) -> None:
        """Run the combiner likewise."""
        self._task(super().run_combiner, step_num)

    def run_reducer(self, step_num: int = 0) -> None:
        """Run the reducer likewise."""
        self._task(super().run_reducer, step_num)

    def _task(self, run: Callable[[int], None], step_num: int) -> None:
        with text_std() as raw, self._shard_closed():
            if self._stdout is not None:  # a sandbox of a test
                return run(step_num)
            self._stdout = raw
            try:
                return run(step_num)
            finally:
                raw.flush()
                self._stdout = None

    def mapped(self, pairs: Iterable[Any]) -> Iterator[Any]:
        """Map pairs that come otherwise than as lines of the standard input, in a session that stays open."""
        with self._shard_closed():
            yield from self.map_pairs(pairs, 0)

    def reduced(self, pairs: Iterable[Any]) -> Iterator[Any]:
        """Reduce likewise pairs that are sorted."""
        with self._shard_closed():
            yield from self.reduce_pairs(pairs, 0)

    @contextlib.contextmanager
    def _shard_closed(self) -> Iterator[None]:
        """Close at the end of a task the file that it wrote buffers to."""
        try:
            yield
        finally:
            if self._shard is not None:
                self._shard.close()
                self._shard = None

    def read_options(self, kind: type[Any]) -> Any:
        """Rebuild an options dataclass from the job's own arguments."""
        return from_namespace(kind, self.options)

    def add_options(self, kind: type[Any]) -> None:
        """Add the flags of an options dataclass to the job, passed through to its tasks."""
        add_arguments(kind, self.add_passthru_arg)
