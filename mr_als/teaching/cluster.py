"""A cluster in one process: runs the real job files task by task and records everything that is sent between tasks.

A map task gets the lines of its split on standard input and writes `key TAB value` lines, as under Hadoop Streaming.
The shuffle sends each line to the reduce task that Hadoop's partitioner names and sorts what arrives; a reduce task gets
the sorted lines. Only the machines and the network are missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple

from mr_als.engine.launch import load_job

__all__ = ["Sent", "partition", "run_task", "shuffle"]


class Sent(NamedTuple):
    """A line and its way: who wrote it, its key, the partition that the key falls in, and who reads it."""

    line: bytes
    producer: str
    key: str
    partition: int
    consumer: str


def run_task(job: str, arguments: Sequence[str], phase: str, lines: Sequence[bytes]) -> list[bytes]:
    """Run one task of `jobs/<job>.py` on its lines; `phase` is "map" or "reduce"."""
    made: Any = load_job(job)(list(arguments))
    made.sandbox(stdin=BytesIO(b"".join(lines)), stdout=BytesIO())
    if phase == "map":
        made.run_mapper(0)
    else:
        made.run_reducer(0)
    written: list[bytes] = made.stdout.getvalue().splitlines(keepends=True)
    return written


def partition(key: bytes, n_reduces: int) -> int:
    """Map a key to its reduce task, as Hadoop's KeyFieldBasedPartitioner does: hash modulo number of tasks.

    >>> [partition(b"00000000", 2), partition(b"00000001", 2), partition(b"00000002", 2)]
    [0, 1, 0]
    """
    hashed = 0
    for byte in key:
        hashed = (31 * hashed + byte) & 0xFFFFFFFF
    return (hashed & 0x7FFFFFFF) % n_reduces


def shuffle(written: Mapping[str, Sequence[bytes]], n_reduces: int) -> tuple[list[list[bytes]], list[Sent]]:
    """Send what map tasks wrote to reduce tasks: the sorted lines of each, and the way of every line."""
    arrived: list[list[bytes]] = [[] for _ in range(n_reduces)]
    sent = []
    for producer, lines in written.items():
        for line in lines:
            key = line.split(b"\t", 1)[0]
            number = partition(key, n_reduces)
            arrived[number].append(line)
            sent.append(Sent(line, producer, key.decode(), number, f"reduce {number}"))
    return [sorted(lines) for lines in arrived], sent
