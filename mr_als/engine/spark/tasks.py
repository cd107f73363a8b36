"""What runs in Spark's Python workers: the mapper or the reducer of a job on one partition, and the part file that it writes.

A worker lives as long as its executor: the job's file, NumPy and compiled code are loaded by its first task and stay.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import uuid
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

Pair = tuple[bytes, tuple[bytes, bytes]]
# what is shuffled: (key, order), by which it is sorted, and the value's other half
Sent = tuple[tuple[bytes, bytes], Any]

_NUMBER = re.compile(rb"(\d+)$")


class Step(NamedTuple):
    """A job, as its tasks are told about it: the name of its file, its arguments, and where its part files go."""

    name: str
    arguments: tuple[str, ...]
    output: str

    def job(self, role: str) -> Any:
        """Make the job that a task runs, a mapper or a reducer."""
        from mr_als.engine.launch import load_job

        return load_job(self.name)([*self.arguments, f"--{role}", "--step-num=0"])

    def map_to_send(self, lines: Iterable[bytes]) -> Iterator[Sent]:
        """Map the lines of a partition to what is sent to reducers."""
        job = self.job("mapper")
        read, _ = job.pick_protocols(0, "mapper")
        for key, (order, value) in job.mapped(map(read, lines)):
            yield (key, order), value

    def map_to_part(self, number: int, lines: Iterable[bytes]) -> Iterator[str]:
        """Map the lines of a partition, without a reducer; return the part file."""
        job = self.job("mapper")
        read, write = job.pick_protocols(0, "mapper")
        yield self.write_part(number, (write(*pair) for pair in job.mapped(map(read, lines))))

    def reduce_to_part(self, number: int, sent: Iterable[Sent]) -> Iterator[str]:
        """Reduce what was sent to a partition, sorted; return the part file."""
        job = self.job("reducer")
        _, write = job.pick_protocols(0, "reducer")
        pairs = ((key, (order, value)) for (key, order), value in sent)
        yield self.write_part(number, (write(*pair) for pair in job.reduced(pairs)))

    def write_part(self, number: int, lines: Iterable[bytes]) -> str:
        """Write a part file, whole or not at all: a task may run twice, of which either may come first."""
        path = os.path.join(self.output, f"part-{number:05d}")
        scratch = os.path.join(self.output, f".{uuid.uuid4().hex}")
        with open(scratch, "wb") as file:
            for line in lines:
                file.write(line)
                file.write(b"\n")
        os.replace(scratch, path)
        return path


def partition_of(key: tuple[bytes, bytes]) -> int:
    """Return the number at the end of a key, by which keys are dealt to partitions: a block's neighbours go elsewhere.

    >>> partition_of((b"users.00000012", b"")), partition_of((b"bad", b""))
    (12, 0)
    """
    found = _NUMBER.search(key[0])
    return int(found[1]) if found else 0


def lacking(_: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Return the host of a worker and what it lacks to run a task; nothing if it can."""
    needed = [name for name in ("numpy", "mrjob") if find_spec(name) is None]
    if sys.version_info < (3, 10):  # noqa: UP036  (a node's may be another one than that of the driver)
        needed.append("Python 3.10 or newer")
    if needed:
        yield socket.gethostname(), f"{sys.executable}, Python {sys.version.split()[0]}, lacks {' and '.join(needed)}"
