"""The one way to run a job: an `Engine` runs a `Job` on data sets, and returns checked data sets.

It hides the one thing in which engines differ, how records travel:

* `references`: tasks see the driver's files (inline, local, Spark on one machine). The driver checks each output record and
  lays it down in a raw file; a job's input are lines that say where a block lies, and tasks memory-map it.
* `lines`: tasks see the file system of a cluster (Hadoop). The part files of a job are the data set, and the input of the next
  job; the driver reads only the reports at their ends.

It is long because whoever runs a job needs all of it and nothing else of this room.
"""

from __future__ import annotations

import contextlib
import math
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from mr_als.engine.datasets import SHARDS, Dataset, lay, read_parts, shard_arguments
from mr_als.engine.launch import run_job
from mr_als.engine.outputs import scratch
from mr_als.engine.parts import SUCCESS, Parts, read_reports
from mr_als.engine.runners.runner import Call, Runner, runner_of
from mr_als.errors import DamagedDataError, UsageError
from mr_als.options import TASK_MEMORY
from mr_als.records.lines import LINES, REFERENCES, Record
from mr_als.storage.mirror import FETCHED
from mr_als.storage.places import scheme_of, storage_of

Data = Dataset | Parts

# bytes of input that are worth another task on a cluster, whose start takes seconds of a core
WORTH_A_TASK = 16 << 20


class Written(NamedTuple):
    """What a task reports of a block that it wrote."""

    kind: str
    block: int
    length: int
    crc: int


class Output(NamedTuple):
    """What came out of a job: a checked data set of each kind, and the reports of its tasks.

    shuffled : bytes that map tasks wrote for reduce tasks; None where the driver does not see them
    parts : paths of the output of a job without such kinds, which stays as it was written
    """

    data: Mapping[str, Data]
    reports: list[Record]
    shuffled: int | None = None
    parts: Sequence[str] = ()


class Input(Protocol):
    """What a job can read: a data set, or the logs."""

    @property
    def n_bytes(self) -> int:
        """Size in bytes."""

    def write_input(self, directory: str, n_files: int) -> list[str]:
        """List the paths of a job's input files, one per map task, writing them to `directory` if need be."""


@dataclass(frozen=True)
class Job:
    """A job to be run: what it reads, and what it is told besides what all jobs are told.

    name : of its file in jobs/, such as mr_solve
    arguments : its own
    files : (flag, path) of the files that each of its tasks gets
    kinds : of the blocks that it writes; without, its output is left as it is
    written : reads a task's report of a block; None for a report of another matter
    task_memory : bytes
    worth_a_task : bytes of input for which a cluster starts another task
    """

    name: str
    inputs: Sequence[Input]
    arguments: Sequence[str]
    files: Sequence[tuple[str, str]] = ()
    kinds: Sequence[str] = ()
    written: Callable[[Record], Written | None] = lambda record: None
    task_memory: int = TASK_MEMORY
    worth_a_task: int = WORTH_A_TASK


@dataclass(frozen=True)
class Engine:
    """Where the jobs run, in which form they get their records, and in how many tasks.

    lasting : whether what they wrote on this machine is to be there after a power cut
    """

    runner: str = "inline"
    form: str = REFERENCES
    tasks: int = 1
    mrjob_arguments: tuple[str, ...] = ()
    owner: str = ""
    lasting: bool = True

    @classmethod
    def of(cls, runner: str, mrjob_arguments: Sequence[str], paths: Sequence[str] = ()) -> Engine:
        """Build the engine that a runner's name and the user's mrjob arguments stand for; `paths` are what is read and written."""
        how = runner_of(runner)
        there = how.works_there(mrjob_arguments, paths)
        return cls(runner, LINES if there else REFERENCES, how.tasks(mrjob_arguments), tuple(mrjob_arguments))

    @property
    def how(self) -> Runner:
        """What is particular about the runner."""
        return runner_of(self.runner)

    @property
    def on_cluster(self) -> bool:
        """Whether tasks see the files of a cluster, and not those of this machine."""
        return bool(self.how.place) or (self.how.here_or_there and self.form == LINES)

    @property
    def compiled_work(self) -> float:
        """Pairs x rank from which compiled code saves more than loading it costs; nobody knows what is installed on a cluster."""
        return math.inf if self.on_cluster else self.how.compiled_from(self.mrjob_arguments)

    @property
    def threads(self) -> int:
        """Threads of a task: in the driver there is one task at a time, elsewhere tasks share the cores."""
        return (os.cpu_count() or 1) if self.how.in_driver else 1

    @property
    def processes(self) -> int:
        """Processes that tasks run in at a time; 0 for the driver's own."""
        return 0 if self.how.in_driver else self.tasks

    def owned_by(self, directory: str) -> Engine:
        """Build an engine that identifies its cluster jobs by the directory their driver holds.

        Raises
        ------
        UsageError
            If the directory is not where tasks of this engine see it.
        """
        self.check_place(directory)
        return replace(self, owner=self.owner or storage_of(directory).absolute(directory))

    def check_place(self, *paths: str) -> None:
        """Check that a cluster sees the files at some paths, and that each can be named in one field of a line.

        Raises
        ------
        UsageError
            If not.
        """
        for path in paths:
            whole = os.path.abspath(path) if scheme_of(path) == "file" else path
            if any(mark in whole for mark in "\t\r\n"):
                msg = f"{whole!r}: a tab or a line end in the name of a directory or file; give another name"
                raise UsageError(msg)
            self.how.check_place(path)

    @contextlib.contextmanager
    def workplace(self, beside: str, here: str) -> Iterator[str]:
        """Yield a directory that a job's tasks see: `here`, or on a cluster a new one beside a path, removed afterwards.

        Raises
        ------
        UsageError
            If the path is not on the cluster.
        """
        if not self.on_cluster:
            yield here
            return
        self.check_place(beside)
        storage = storage_of(beside)
        # LOGS skips names that begin with a dot
        place = os.path.join(os.path.dirname(beside.rstrip("/")), f".mr-als-{uuid.uuid4().hex[:8]}")
        storage.make_directory(place)
        try:
            yield place
        finally:
            storage.remove(place)

    def stage(self, paths: Sequence[str], directory: str) -> list[str]:
        """Return paths by which tasks see files: on a cluster, those of this machine alone are copied into `directory` there."""
        if not self.on_cluster:
            return list(paths)
        names = Counter(os.path.basename(path) for path in paths)
        seen = []
        for number, path in enumerate(paths):
            # logs of many days may have one name
            place = directory if names[name := os.path.basename(path)] == 1 else os.path.join(directory, f"{number:05d}")
            alone = scheme_of(path) == "file" and not self.how.sees(path)
            seen.append(os.path.join(place, name) if alone else path)
        for path, copy in zip(paths, seen, strict=True):
            if copy != path:
                storage_of(directory).upload(path, copy)
        return seen

    def run(self, job: Job, directory: str) -> Output:
        """Run a job in an existing directory of this attempt alone, where its tasks see it.

        Raises
        ------
        JobFailedError
            If the job failed.
        DamagedDataError
            If its output is not what its reports say.
        """
        output = os.path.join(directory, "output")
        with scratch("mr-als-") as here:
            parts = run_job(self._call(job, directory, output, here if self.on_cluster else directory), self.runner)
        if not job.kinds:
            return Output({}, [], parts=parts)
        if self.form == LINES:
            if not self.on_cluster:  # Hadoop and Spark have written it
                storage_of(output).create(os.path.join(output, SUCCESS), b"")
            return keep(output, parts, job.kinds, job.written)
        shards = sum(storage_of(directory).sizes(os.path.join(directory, SHARDS)).values())
        laid = lay_down(parts, directory, job.kinds, job.written, lasting=self.lasting)
        kept = sum(len(record.payload) for record in laid.reports) + sum(data.n_bytes for data in laid.data.values())
        laid = laid._replace(shuffled=shards - kept)
        for name in ("output", SHARDS, FETCHED):
            storage_of(directory).remove(os.path.join(directory, name))
        return laid

    def _call(self, job: Job, directory: str, output: str, here: str) -> Call:
        """Write a job's input, on a cluster `here` and then to where tasks see it, and collect all that mrjob must know."""
        tasks = self.tasks
        if self.on_cluster:
            tasks = min(tasks, 1 + sum(data.n_bytes for data in job.inputs) // job.worth_a_task)
        paths = [path for data in job.inputs for path in data.write_input(here, tasks)]
        arguments = [f"--input={self.form}", f"--task-memory={job.task_memory}", *shard_arguments(self.form, directory)]
        for (flag, _), path in zip(job.files, self.stage([path for _, path in job.files], directory), strict=True):
            arguments += [flag, path]
        return Call(
            job.name,
            self.stage(paths, directory),
            output,
            [*arguments, *job.arguments],
            given=self.mrjob_arguments,
            tasks=tasks,
            # a block is reduced by one task
            reduces=min(tasks, len(getattr(job.inputs[0], "entries", range(tasks)))),
            task_memory=job.task_memory,
            owner=self.owner,
            data=tuple(job.inputs),
        )

    def load(self, manifest: Mapping[str, Any], directory: str) -> Data:
        """Open a data set again by what its `to_json` gave."""
        return Parts.from_json(manifest, directory) if "parts" in manifest else Dataset.from_json(manifest, directory, self.form)


def lay_down(
    parts: Sequence[str], directory: str, kinds: Sequence[str], written: Callable[[Record], Written | None], *, lasting: bool = True
) -> Output:
    """Lay the records of each kind down in a raw file, and check them against the reports."""
    reports: list[Record] = []
    records: dict[str, list[Record]] = {kind: [] for kind in kinds}
    for record in read_parts(parts, REFERENCES):
        records.get(record.kind, reports).append(record)
    data = {kind: lay(kind, directory, records[kind], lasting=lasting) for kind in kinds}
    found = [Written(kind, e.block, e.length, e.crc) for kind in kinds for e in data[kind].entries]
    reported = [block for record in reports if (block := written(record)) is not None]
    if differing := set(found) ^ set(reported):
        block = min(differing)
        msg = f"{directory}: {block.kind} block {block.block} is not what its task reported; run the same command again"
        raise DamagedDataError(msg)
    return Output(data, reports)


def keep(output: str, parts: Sequence[str], kinds: Sequence[str], written: Callable[[Record], Written | None]) -> Output:
    """Take the parts as they are: their reports say which blocks are in them."""
    storage = storage_of(output)
    sizes = storage.sizes(output)
    reports: list[Record] = []
    blocks: dict[str, dict[str, list[Written]]] = {kind: {} for kind in kinds}
    for name in (os.path.basename(part) for part in parts):
        found = read_reports(storage, os.path.join(output, name), sizes[name])
        reports += found
        for record in found:
            if (block := written(record)) is not None:
                blocks[block.kind].setdefault(name, []).append(block)
    return Output({kind: Parts.of(kind, output, sizes, blocks[kind]) for kind in kinds}, reports)


__all__ = ["Data", "Engine", "Input", "Job", "Output", "Written"]
