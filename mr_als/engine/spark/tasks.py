"""What runs in Spark's Python workers: the mapper or the reducer of a job on one partition, and the part file that it writes.

A worker lives as long as its executor: the job's file, NumPy and compiled code are loaded by its first task and stay.
On a cluster a task reads and writes HDFS or S3 itself; buffers travel as they are, text they are in files alone.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

from mr_als.engine.spark.shuffle import HELD, Key, Sent, in_order, local_directory

# before the name of a part that may not count: readers leave such files out
ATTEMPT = "."
Pair = tuple[bytes, tuple[bytes, Any]]


class Laid(NamedTuple):
    """A block that lies in the partition of its number.

    key : (number, kind)
    """

    key: Key
    payload: bytes


class Step(NamedTuple):
    """A job, as its tasks are told about it.

    name : of its file
    arguments : of the job
    output : where its part files go
    surroundings : variables by which tasks find HDFS or S3
    between : form of what mappers send, if it is not that of what they write
    """

    name: str
    arguments: tuple[str, ...]
    output: str
    surroundings: tuple[tuple[str, str], ...] = ()
    between: str = ""

    def job(self, role: str) -> Any:
        """Make the job that a task runs, a mapper or a reducer, with the files that it asks for on this machine."""
        from mr_als.engine.launch import load_job

        os.environ.update(self.surroundings)
        job = load_job(self.name)([*self.arguments, f"--{role}", "--step-num=0"])
        job.between = self.between
        named = {flag: getattr(job.options, flag) for flag in sorted(job._file_arg_dests)}
        kept = frozenset(path for value in named.values() for path in (value if isinstance(value, list) else [value]) if path)
        for flag, value in named.items():
            if value:
                local = [here(path, kept) for path in value] if isinstance(value, list) else here(value, kept)
                setattr(job.options, flag, local)
        return job

    def read_lines(self, lines: Iterable[bytes]) -> Iterator[Pair]:
        """Read the pairs in lines that refer to what is to be mapped."""
        read, _ = self.job("mapper").pick_protocols(0, "mapper")
        return map(read, lines)

    def map_to_send(self, pairs: Iterable[Pair]) -> Iterator[Sent]:
        """Map the pairs of a partition to what is sent to reducers."""
        for key, (order, value) in self.job("mapper").mapped(pairs):
            yield (key, order), value

    def map_to_part(self, number: int, pairs: Iterable[Pair]) -> Iterator[str]:
        """Map the pairs of a partition, without a reducer; return the part file."""
        job = self.job("mapper")
        _, write = job.pick_protocols(0, "mapper")
        yield self.write_part(number, (write(*pair) for pair in job.mapped(pairs)))

    def reduce_to_part(self, number: int, sent: Iterable[Sent]) -> Iterator[str]:
        """Reduce what was sent to a partition; return the part file."""
        job = self.job("reducer")
        _, write = job.pick_protocols(0, "reducer")
        pairs = ((key, (order, value)) for (key, order), value in in_order(sent, job.options.task_memory // HELD))
        yield self.write_part(number, (write(*pair) for pair in job.reduced(pairs)))

    def reduce_with_laid(self, number: int, came: Iterable[Any]) -> Iterator[str]:
        """Reduce likewise the blocks that lie in a partition, which come first, and what was sent there."""
        return self.reduce_to_part(number, self.mapped_there(came))

    def mapped_there(self, came: Iterable[Any]) -> Iterator[Sent]:
        """Map blocks where they lie, which is where they would be sent, and then yield what was sent."""
        items, others = iter(came), list[Sent]()

        def lying() -> Iterator[Laid]:
            for item in items:
                if not isinstance(item, Laid):
                    others.append(item)
                    return
                yield item

        yield from self.map_to_send(to_pairs(lying()))
        yield from others
        yield from items

    def write_part(self, number: int, lines: Iterable[bytes]) -> str:
        """Write what one attempt makes of a part; return its path, which no reader takes for a part yet (`jobs.keep`).

        A task cannot know that it counts. When records are lost on their way, with the executor that had made them, they just
        end, as at the end of a whole partition; only then does Spark fail the attempt and begin another.
        """
        from mr_als.storage.places import scheme_of, storage_of

        path = os.path.join(self.output, f"{ATTEMPT}part-{number:05d}.{uuid.uuid4().hex[:8]}")
        if scheme_of(path) == "file":
            write_file(path, lines)
        else:
            with tempfile.TemporaryDirectory(prefix="mr-als-", dir=local_directory()) as place:
                write_file(os.path.join(place, "part"), lines)
                storage_of(path).upload(os.path.join(place, "part"), path)
        spare_modules()
        return path


# modules whose objects no collection looks at any more
_spared = 0


def spare_modules() -> None:
    """Let the collection of garbage after each task of a worker leave out what was imported: it takes longer than a small task."""
    global _spared
    if len(sys.modules) != _spared:
        gc.collect()
        gc.freeze()
        _spared = len(sys.modules)


def write_file(path: str, lines: Iterable[bytes]) -> None:
    """Write lines, of which memory holds one at a time."""
    with open(path, "wb") as file:
        for line in lines:
            file.write(line)
            file.write(b"\n")


class Files(NamedTuple):
    """Reads part files: the records of a kind, of all kinds if none is named, each as one buffer."""

    surroundings: tuple[tuple[str, str], ...]
    kind: str = ""

    def records(self, paths: Iterable[str]) -> Iterator[Any]:
        """Read the records of part files."""
        from mr_als.engine.datasets import records_of
        from mr_als.storage.places import storage_of

        os.environ.update(self.surroundings)
        for path in paths:
            with storage_of(path).open(path) as file:
                yield from records_of(path, file, kind=self.kind)

    def read(self, paths: Iterable[str]) -> Iterator[Pair]:
        """Read them as pairs."""
        from mr_als.records.lines import number_field

        for record in self.records(paths):
            yield record.kind.encode(), (number_field(record.block, 0, 1), bytes(record.payload))

    def read_laid(self, paths: Iterable[str]) -> Iterator[Laid]:
        """Read them as what lies in the partitions of their blocks."""
        for record in self.records(paths):
            yield Laid((b"%08d" % record.block, record.kind.encode()), bytes(record.payload))


def to_pairs(laid: Iterable[Laid]) -> Iterator[Pair]:
    """Turn what `Files.read_laid` read into pairs."""
    from mr_als.records.lines import number_field

    for (number, kind), payload in laid:
        yield kind, (number_field(int(number), 0, 1), payload)


def here(path: str, kept: frozenset[str]) -> str:
    """Return the local path of a file that all tasks read: elsewhere, of the one copy that this executor keeps; others go."""
    import fcntl
    import hashlib

    from mr_als.storage.mirror import fetch
    from mr_als.storage.places import scheme_of

    if scheme_of(path) == "file":
        return path
    from pyspark import SparkFiles

    # Spark removes it with the executor
    place = os.path.join(SparkFiles.getRootDirectory(), "mr-als")
    os.makedirs(place, exist_ok=True)
    names = {name: hashlib.sha256(name.encode()).hexdigest() for name in kept}
    copy = os.path.join(place, names[path])
    with open(os.path.join(place, "lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(copy):
            for other in {*os.listdir(place)} - {*names.values(), "lock"}:
                os.unlink(os.path.join(place, other))  # who has it mapped keeps it
            fetch(path, f"{copy}.new")
            os.replace(f"{copy}.new", copy)
    return copy


def lacking(modules: Iterable[str], _: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Return the host of a worker and what it lacks to run a task, of the modules that this needs; nothing if it can."""
    needed = [name for name in modules if find_spec(name) is None]
    if sys.version_info < (3, 10):  # noqa: UP036  (a node's may be another one than that of the driver)
        needed.append("Python 3.10 or newer")
    if needed:
        yield socket.gethostname(), f"{sys.executable}, Python {sys.version.split()[0]}, lacks {' and '.join(needed)}"
