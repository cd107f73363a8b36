"""Estimates from sizes alone: bytes, memory and seconds of a training. Pure arithmetic; nothing is read or run here.

Bytes are counted array by array, as `mr_als.records.blocks` lays records out. Seconds are scaled up from those measured on a
smaller copy of the data (`mr_als.training.calibrate`). Every assumption has a name: the constants below, and `ClusterOptions`.
"""

from __future__ import annotations

from typing import NamedTuple

from mr_als.engine.spark.shuffle import HELD, at_once
from mr_als.maths.solving.problem import GATHERED
from mr_als.options import ClusterOptions
from mr_als.planning.sizes import Sizes, vector_bytes
from mr_als.records.lines import RESIDENT
from mr_als.records.spill import PIECE

HALVES = ("user", "item")
# text is base64 where records travel as lines
BASE64 = 4 / 3
# copies of a file in HDFS: each is written to a disk, all but the first cross the network, and only one went through a task
REPLICAS = 3


class HalfBytes(NamedTuple):
    """Bytes of a half-iteration that solves one side.

    read : plays; written : new vectors, for shuffle with their routes
    sent : vectors, from map to reduce tasks; 0 for broadcast. On a cluster, the plays are sent as well
    copied : the fixed side's vectors, to each node; 0 for shuffle
    """

    read: float
    sent: float
    copied: float
    written: float


def half_bytes(sizes: Sizes, side: int, join: str) -> HalfBytes:
    """Estimate the bytes of the half that solves side 0 (users) or 1 (items), as records in files; lines take 4/3 of that."""
    rank, other = sizes.rank, 1 - side
    routes = 0 if join == "broadcast" else -(-sizes.blocks[other] // 8)
    written = vector_bytes(sizes.rows[side], rank) + routes * sizes.rows[side] + 88 * sizes.blocks[side]
    if join == "broadcast":
        return HalfBytes(sizes.play_bytes[side], 0.0, vector_bytes(sizes.rows[other], rank), written)
    sent = vector_bytes(sizes.vectors[side], rank) + 56 * sizes.blocks[0] * sizes.blocks[1]
    return HalfBytes(sizes.play_bytes[side], sent, 0.0, written)


class Measured(NamedTuple):
    """What a half costs on this machine.

    start : seconds before anything is solved
    pair : seconds a pair, in a half that solves users, items; what its rows cost is in it
    vector : seconds a vector that is sent; 0 where none is
    cores : how many of them were at work
    """

    start: float
    pair: tuple[float, float]
    vector: float
    cores: int

    def seconds(self, sizes: Sizes, side: int) -> float:
        """Estimate the seconds of a half."""
        return self.start + sizes.pairs * self.pair[side] + sizes.vectors[side] * self.vector


def cluster_seconds(
    sizes: Sizes, join: str, measured: Measured, cluster: ClusterOptions, lasting: bool = False
) -> dict[str, float]:
    """Estimate the seconds of an iteration on a cluster: starting jobs, solving, moving bytes.

    Parameters
    ----------
    measured : what a core needs; the cluster's are taken for as fast as this machine's
    lasting : whether plays stay in what runs the tasks, as on Spark
    """
    found = {"starting": 2 * cluster.job_seconds, "solving": 0.0, "moving": 0.0}
    for side in (0, 1):
        moved = half_bytes(sizes, side, join)
        moved = moved._replace(read=0.0) if lasting else moved
        # a block is solved by one core
        cores = min(cluster.nodes * cluster.cores, sizes.blocks[side])
        found["solving"] += sizes.pairs * measured.pair[side] * measured.cores / cores * cluster.slowest
        found["moving"] += sum(moving_seconds(moved, join, min(cluster.nodes, cores), cluster).values())
    return found


def moving_seconds(moved: HalfBytes, join: str, nodes: int, cluster: ClusterOptions) -> dict[str, float]:
    """Estimate the seconds in which `nodes` machines move the bytes of a half, by what is waited for.

    Returns "network", "disk" and "coding" (base64 and pipes).
    """
    # plays are read, and for shuffle sent after that
    passed, written = moved.read * (1 + (join == "shuffle")) + moved.sent, moved.written
    each = BASE64 / nodes * cluster.slowest
    return {
        "network": each * (passed + (REPLICAS - 1) * written) / cluster.network + moved.copied / cluster.network,
        "disk": each * (cluster.touches * passed + REPLICAS * written) / cluster.disk + moved.copied / cluster.disk,
        "coding": each * 2 * (passed + written) / (cluster.coded * cluster.cores),
    }


# resident bytes, measured: Python with mrjob and NumPy; numba and what it compiled; chunks of log lines while they are parsed;
# what PySpark adds to a worker
PYTHON, NUMBA, PARSING, PYSPARK = 55e6, 165e6, 43e6, 19e6
# bytes a pair: in the table of a map task, while a piece is merged, of a block that is being merged, while a block is solved,
# while a block is published
TABLED, MERGED, KEPT_MERGED, SOLVED, PUBLISHED = 65, 95, 11, 10, 30
# copies of a block's new vectors: while they are sent to the blocks that need them, while they are solved and packed
SENT, ANSWERED = 4, 2.3
# what a full table takes while it is emptied, of the memory that a task has beyond this many bytes
EMPTYING, BEYOND = 0.6, 96 << 20
# blocks of the fixed side that the driver has at once while it writes them for broadcast, as they are and projected
PROJECTED = 5.5
# what of the memory of `prepare` its process keeps for good
KEPT = 0.2


def task_memory(sizes: Sizes, join: str, kernel: str, budget: int, tasks: int = 1) -> dict[str, float]:
    """Estimate the resident bytes of each kind of process, including mapped pages.

    Parameters
    ----------
    budget : `--task-memory`, beyond which a task writes what it has before it takes more
    tasks : map tasks that share the logs
    """
    vector, written = 4 * sizes.rank, _written(sizes, join)
    pairs = _most_pairs(sizes)
    fixed = max(half_bytes(sizes, side, join).copied for side in (0, 1))
    solving = PYTHON + NUMBA * (kernel == "numba") + _block_bytes(sizes, join, budget)
    merging = MERGED * min(pairs, PIECE) + KEPT_MERGED * pairs
    table = min(TABLED * sizes.pairs / tasks, EMPTYING * max(budget - BEYOND, budget / 4))
    # a log with less than a chunk for each task has at least some 10 bytes a pair
    parsing = min(PARSING, PARSING / (4 << 20) * 10 * sizes.pairs / tasks)
    found = {"prepare, map task": PYTHON + parsing + table, "prepare, reduce task": PYTHON + merging}
    if join == "broadcast":
        found["half, map task"] = solving + fixed
    else:
        columns = _most_columns(sizes)
        found["half, map task"] = PYTHON + SENT * written
        # what has come is mapped, a little at a time, and laid in the order of the columns: in a file if it is too much
        laid = columns * vector if columns * vector <= budget / 4 else 0
        found["half, reduce task"] = solving + min(columns * (8 + vector), RESIDENT) + laid
    published = sizes.pairs / sizes.blocks[0] + sizes.excess[0]
    block = max(half_bytes(sizes, side, join).copied / sizes.blocks[1 - side] for side in (0, 1))
    return {**found, "driver": PYTHON + max(min(fixed, RESIDENT) + PROJECTED * block, PUBLISHED * published)}


def worker_memory(sizes: Sizes, join: str, kernel: str, budget: int, tasks: int = 1) -> dict[str, float]:
    """Estimate the same where the tasks are Spark's, on a cluster: each core has one worker, which sorts what it then reduces."""
    found = task_memory(sizes, join, kernel, budget, tasks)
    # what is sent at a time, and its frame; what comes to a partition, as far as it does not wait in a file
    frames, came = 2 * at_once(budget), {
        "prepare, reduce task": max(size / n for size, n in zip(sizes.play_bytes, sizes.blocks, strict=True)),
        "half, reduce task": _most_columns(sizes) * (8 + 4 * sizes.rank),
    }  # fmt: skip
    for name in found.keys() - {"driver"}:
        shuffles = join == "shuffle" or name.startswith("prepare")
        found[name] += PYSPARK + frames * shuffles + min(came.get(name, 0.0), budget / HELD)
    return found


def _most_columns(sizes: Sizes) -> float:
    """Estimate the vectors that the block needs which needs most."""
    return max(n / blocks + more for n, blocks, more in zip(sizes.vectors, sizes.blocks, sizes.excess, strict=True))


def _most_pairs(sizes: Sizes) -> float:
    """Estimate the pairs in the largest block."""
    return max(sizes.pairs / n + more for n, more in zip(sizes.blocks, sizes.excess, strict=True))


def _written(sizes: Sizes, join: str) -> float:
    """Estimate the bytes of the largest block's new vectors."""
    return max(half_bytes(sizes, side, join).written / sizes.blocks[side] for side in (0, 1))


def _block_bytes(sizes: Sizes, join: str, budget: int) -> float:
    """Estimate the bytes of a block being solved: its plays, new vectors and their record, and what its longest row gathers."""
    gathered = min(max(sizes.excess) * (4 * sizes.rank + GATHERED), budget / 8)
    return SOLVED * _most_pairs(sizes) + ANSWERED * _written(sizes, join) + gathered


def largest_task_of_a_half(sizes: Sizes, join: str, kernel: str, budget: int, lasting: bool = False) -> float:
    """Estimate the resident bytes of the largest task of a half, `lasting` as in `cluster_seconds`."""
    found = (worker_memory if lasting else task_memory)(sizes, join, kernel, budget)
    return max(n_bytes for name, n_bytes in found.items() if name.startswith("half"))


def process_memory(sizes: Sizes, join: str, kernel: str, budget: int, tasks: int, read_logs: bool, threads: int = 1) -> float:
    """Estimate the resident bytes of the largest process of a run on this machine.

    Parameters
    ----------
    tasks : processes at once; 0 if the tasks run in the driver's own
    read_logs : whether the run prepares its plays
    threads : that solve blocks of a broadcast at the same time
    """
    found = task_memory(sizes, join, kernel, budget, tasks or 1)
    preparing = max(found.pop("prepare, map task"), found.pop("prepare, reduce task")) * read_logs
    if tasks:
        return max(preparing, *found.values())
    # the driver's own is not at its peak while a task is, and Python is there once
    if join == "broadcast":
        found["half, map task"] += (min(threads, max(sizes.blocks)) - 1) * _block_bytes(sizes, join, budget)
    training = max(found["half, map task"], found.get("half, reduce task", 0.0), found["driver"] + NUMBA * (kernel == "numba"))
    return max(preparing, training + KEPT * max(preparing - PYTHON, 0.0))
