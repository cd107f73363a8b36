"""The driver's side of a job on Spark: its input as an RDD, mapped, shuffled by the number of the block, reduced to part files.

Partitions follow from blocks and cores. On this machine records are references, lines that say where a block lies: `run_here`.
On a cluster they are buffers, read from HDFS or S3 by tasks: `run_there`. There the blocks of plays are read once, and stay in
the executors, in memory and on disk, each in the partition of its number; what is sent to a block comes to it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mr_als.engine.logjob import LogJob
from mr_als.engine.parts import SUCCESS, Parts
from mr_als.engine.runners.runner import Call
from mr_als.engine.spark.session import aside
from mr_als.engine.spark.shuffle import dealt
from mr_als.engine.spark.tasks import ATTEMPT, Files, Step, to_pairs
from mr_als.logs.streams import COMPRESSED
from mr_als.records.lines import BUFFERS, REFERENCES, Reference
from mr_als.storage.hadoop_conf import to_hand
from mr_als.storage.places import storage_of
from mr_als.storage.tls import trust_to_hand

# partitions a core: some take longer than others
SLICES = 4
# bytes of a log that a task reads, at most and at least
RANGE, LEAST = 64 << 20, 1 << 20
# what says to tasks elsewhere where S3 is, and never who may use it
HANDED = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")

# blocks that stay in the executors of a session, by the directory and the kind of their parts
_laid: dict[tuple[str, str, str], Any] = {}
# the threads that train on them
_users: dict[tuple[str, str, str], set[threading.Thread]] = {}
_changing = threading.RLock()


def run_step(context: Any, call: Call, job_class: type[Any], *, there: bool) -> list[str]:
    """Run the step of a job, and list its parts; `there` says whether tasks read and write the files of a cluster."""
    with_reducer = "reducer" in job_class([*call.arguments]).steps()[0].description(0)
    build = build_there if there else build_here
    group = uuid.uuid4().hex

    def run() -> list[str]:
        context.setJobGroup(group, f"mr-als {call.name}", interruptOnCancel=True)
        return sorted(build(context, call, job_class, with_reducer=with_reducer).collect())

    if there and _lasts(job_class, call):
        use(context, call.data[0])
    storage_of(call.output).make_directory(call.output)
    parts = keep(call.output, aside(run, lambda: context.cancelJobGroup(group)))
    if there:
        storage_of(call.output).create(os.path.join(call.output, SUCCESS), b"")
    return parts


def keep(output: str, attempts: Sequence[str]) -> list[str]:
    """Give the part files of the attempts that Spark counted their names, and remove those of others; return the parts."""
    storage, parts = storage_of(output), []
    for path in attempts:
        name = os.path.basename(path).removeprefix(ATTEMPT).rpartition(".")[0]
        parts.append(os.path.join(output, name))
        storage.rename(path, parts[-1])
    for name in storage.names(output):
        if name.startswith(ATTEMPT):
            storage.remove(os.path.join(output, name))
    return parts


def build_here(context: Any, call: Call, job_class: type[Any], *, with_reducer: bool) -> Any:
    """Build the RDD of the parts' names of a job whose input files are small: each line refers to what a task reads."""
    step = Step(call.name, tuple(call.arguments), call.output)
    lines = [line for path in call.inputs for line in Path(path).read_bytes().split(b"\n") if line]
    rdd = context.parallelize(lines, max(1, min(len(lines), SLICES * call.tasks))).mapPartitions(step.read_lines)
    return _reduced(rdd, step, call) if with_reducer else rdd.mapPartitionsWithIndex(step.map_to_part)


def build_there(context: Any, call: Call, job_class: type[Any], *, with_reducer: bool) -> Any:
    """Build it for data in HDFS or S3: ranges of logs, or parts of earlier jobs."""
    reads_logs = issubclass(job_class, LogJob)
    handed = {**to_hand(), **trust_to_hand((*call.inputs, call.output))}
    handed |= {name: os.environ[name] for name in HANDED if name in os.environ}
    surroundings = tuple(handed.items())
    arguments = (*call.arguments, f"--input={REFERENCES if reads_logs else BUFFERS}")
    step = Step(call.name, arguments, call.output, surroundings, BUFFERS if with_reducer else "")
    if reads_logs:
        ranges = ranges_of(call.inputs, context.defaultParallelism, getattr(call.data[0], "sizes", {}))
        rdd = context.parallelize(ranges, len(ranges)).mapPartitions(step.read_lines)
        return _reduced(rdd, step, call)
    first, *others = call.data
    if not _lasts(job_class, call):
        rdd = context.parallelize(call.inputs, len(call.inputs)).mapPartitions(Files(surroundings).read)
        return _reduced(rdd, step, call) if with_reducer else rdd.mapPartitionsWithIndex(step.map_to_part)
    blocks = laid(context, first, surroundings, call.task_memory)
    if not with_reducer:
        return blocks.mapPartitions(to_pairs).mapPartitionsWithIndex(step.map_to_part)
    paths = [path for data in others for path in data.write_input("", 0)]
    sent = context.parallelize(paths, len(paths)).mapPartitions(Files(surroundings).read).mapPartitions(step.map_to_send)
    # one partitioner: what is sent comes to where the blocks lie, to one worker of Python, which sorts and reduces it
    met = blocks.union(dealt(sent, blocks.getNumPartitions(), call.task_memory))
    assert met.getNumPartitions() == blocks.getNumPartitions()
    return met.mapPartitionsWithIndex(step.reduce_with_laid)


def _reduced(pairs: Any, step: Step, call: Call) -> Any:
    """Map pairs, send them to the partitions of a job's reducers, and reduce them."""
    return dealt(pairs.mapPartitions(step.map_to_send), max(1, call.reduces), call.task_memory).mapPartitionsWithIndex(
        step.reduce_to_part
    )


def _lasts(job_class: type[Any], call: Call) -> bool:
    """Say whether the first input of a job stays in the executors."""
    return bool(job_class.LASTING) and isinstance(call.data[0], Parts)


def use(context: Any, data: Parts) -> None:
    """Note that this thread trains on some blocks, and no longer on those of another directory."""
    name = (context.applicationId, data.directory, data.kind)
    with _changing:
        let_go(*name[:2])
        _users.setdefault(name, set()).add(threading.current_thread())


def laid(context: Any, data: Parts, surroundings: tuple[tuple[str, str], ...], task_memory: int) -> Any:
    """Return the blocks of parts where they stay: each in a partition of its number, read when they are first asked for."""
    from pyspark import StorageLevel

    name = (context.applicationId, data.directory, data.kind)
    with _changing:
        if name not in _laid:
            paths = data.write_input("", 0)
            read = context.parallelize(paths, len(paths)).mapPartitions(Files(surroundings, data.kind).read_laid)
            _laid[name] = dealt(read, len(data.entries), task_memory).persist(StorageLevel.MEMORY_AND_DISK)
        return _laid[name]


def let_go(*kept: str) -> None:
    """Let executors forget the blocks that were laid out, but for those of the application and the directory that are named.

    What another thread trains on stays.
    """
    with _changing:
        for name in [name for name in _laid if name[:2] != kept]:
            users = _users.setdefault(name, set())
            users -= {user for user in users if user is threading.current_thread() or not user.is_alive()}
            if not users:
                del _users[name]
                with contextlib.suppress(Exception):  # those of a session that is over went with it
                    _laid.pop(name).unpersist()


def ranges_of(paths: Sequence[str], cores: int, known: Mapping[str, int]) -> list[bytes]:
    """Cut logs into ranges of bytes, at least one a core if they are large enough, a line for each; a compressed file is one.

    `known` are sizes that need not be asked for.
    """
    sizes = {path: known[path] if path in known else storage_of(path).size(path) for path in paths}
    size, found = max(LEAST, min(RANGE, -(-sum(sizes.values()) // cores))), []
    for path, length in sizes.items():
        step = max(length, 1) if path.endswith(COMPRESSED) else size
        found += [Reference(at, min(step, length - at), 0, path) for at in range(0, max(length, 1), step)]
    return [b"range\t%08d\t%s" % (number, reference.text()) for number, reference in enumerate(found)]
