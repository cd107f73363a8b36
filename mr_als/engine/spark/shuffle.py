"""Spark's shuffle with its memory counted in bytes: PySpark counts records, and one of ours may be a block of many megabytes.

What a task sends is put into frames, one for each partition, whenever it holds `AT_ONCE` bytes. What comes to a partition stays
in memory up to a share of the task's, `HELD`; the rest waits in a file, and all of it is read in the order of its keys.

Workers load this before they say that they lack NumPy: it imports nothing of the kind.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple

__all__ = ["AT_ONCE", "HELD", "Frames", "Sent", "at_once", "dealt", "in_order", "local_directory", "partition_of"]

# what is shuffled: (key, order), by which it is sorted, and the value's other half
Key = tuple[bytes, bytes]
Sent = tuple[Key, bytes]

# bytes that a task holds of what it sends, at most
AT_ONCE = 16 << 20
# what came to a partition may take one part in so many of --task-memory
HELD = 16
# bytes of a record beside its value: its tuples, its key
BESIDE = 400

_NUMBER = re.compile(rb"(\d+)$")


def at_once(task_memory: int) -> int:
    """Return the bytes that a task may hold of what it sends."""
    return min(AT_ONCE, task_memory // 16)


def partition_of(key: Key) -> int:
    """Return the number at the end of a key, by which keys are dealt to partitions: a block's neighbours go elsewhere.

    >>> partition_of((b"users.00000012", b"")), partition_of((b"bad", b""))
    (12, 0)
    """
    found = _NUMBER.search(key[0])
    return int(found[1]) if found else 0


class Frames(NamedTuple):
    """Packs what is sent to partitions.

    partitions : how many there are
    room : bytes that are held at a time, and at most a record more
    dumps : packs a list
    """

    partitions: int
    room: int
    dumps: Callable[[list[Any]], bytes]

    def pack(self, sent: Iterable[Any]) -> Iterator[bytes]:
        """Yield the number of a partition, in eight bytes, and a frame of what goes there, in turn."""
        held, size = defaultdict[int, list[Any]](list), 0
        for item in sent:
            held[partition_of(item[0]) % self.partitions].append(item)
            size += len(item[1]) + BESIDE
            if size >= self.room:
                yield from self._emptied(held)
                size = 0
        yield from self._emptied(held)

    def _emptied(self, held: dict[int, list[Any]]) -> Iterator[bytes]:
        while held:
            partition, items = held.popitem()
            yield partition.to_bytes(8, "big")
            yield self.dumps(items)


def dealt(rdd: Any, partitions: int, task_memory: int) -> Any:
    """Return the RDD of what is sent to partitions, in no order: PySpark's `partitionBy`, but for the memory that it takes."""
    from pyspark import RDD
    from pyspark.serializers import BatchedSerializer

    context = rdd.ctx
    serializer, jvm = context._unbatched_serializer, context._jvm
    frames = rdd.mapPartitions(Frames(partitions, at_once(task_memory), serializer.dumps).pack)
    frames._bypass_serializer = True  # they are bytes already
    pairs = jvm.PairwiseRDD(frames._jrdd.rdd()).asJavaPairRDD()
    # one partitioner is another one's equal if their functions are the same
    placed = pairs.partitionBy(jvm.PythonPartitioner(partitions, id(partition_of)))
    return RDD(jvm.PythonRDD.valueOfPair(placed), context, BatchedSerializer(serializer))


def in_order(sent: Iterable[Sent], room: int) -> Iterator[Sent]:
    """Sort what came to a partition: values are in memory up to `room` bytes, those that come after that in a file."""
    keys: list[tuple[Key, bytes | tuple[int, int]]] = []
    with tempfile.TemporaryFile(dir=local_directory()) as file:
        end = 0
        for key, value in sent:
            room -= len(value) + BESIDE
            if room >= 0:
                keys.append((key, value))
                continue
            file.write(value)
            keys.append((key, (end, len(value))))
            end += len(value)
        file.flush()
        keys.sort(key=itemgetter(0))
        keys.reverse()
        while keys:  # what was read is not held any longer
            key, held = keys.pop()
            yield key, held if isinstance(held, bytes) else os.pread(file.fileno(), held[1], held[0])


def local_directory() -> str | None:
    """Return the directory that Spark gives a worker for what memory cannot hold; None if it gives none."""
    given = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0]
    return given if os.path.isdir(given) else None
