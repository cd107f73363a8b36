"""What a training takes, from sizes alone: bytes, memory, seconds, money. Arithmetic; nothing is read or run here.

Bytes are those of the records (`mr_als.records.blocks`), array by array. Seconds are what was measured on a smaller copy of the
data (`mr_als.training.calibrate`), in proportion. What is not known but assumed has a name: the constants below, and
`ClusterOptions`.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.solving.problem import GATHERED
from mr_als.options import ClusterOptions
from mr_als.records.lines import RESIDENT
from mr_als.records.spill import PIECE

# the n-th most popular item is played in proportion to 1 / n^0.8; the logarithm of a user's activity has this deviation
POPULARITY, ACTIVITY = 0.8, 1.1
# an id of 9 to 16 bytes takes two words
ID_BYTES = 16
# text is base64 where records travel as lines
BASE64 = 4 / 3


class Sizes(NamedTuple):
    """How large the data are, and how they are cut.

    rows, blocks : of users, of items
    play_bytes : prepared plays of the user side, of the item side
    vectors : what all user blocks together need of item vectors, and item blocks of user vectors
    excess : pairs by which the largest user block, item block is above the average
    """

    rows: tuple[int, int]
    pairs: int
    blocks: tuple[int, int]
    rank: int
    play_bytes: tuple[float, float]
    vectors: tuple[float, float]
    excess: tuple[float, float] = (0.0, 0.0)


def guess_sizes(users: int, items: int, pairs: int, blocks: tuple[int, int], rank: int) -> Sizes:
    """Estimate the sizes of unseen plays, assuming that they are spread as plays usually are."""
    rows = (users, items)
    vectors, play_bytes = [], []
    for side in (0, 1):
        n_rows, n_columns = rows[side] / blocks[side], rows[1 - side]
        columns = distinct(n_columns, n_rows, pairs / blocks[side], 1 - side)
        most = min(n_columns, pairs * float(spread(rows[side], side)[1][0]))
        a_row = 8 + 4 + ID_BYTES + (1 if most < 256 else 2 if most < 65536 else 4)
        # counts of plays: two bytes, as soon as one of a block is above 255
        a_pair = 2 + (1 if columns <= 256 else 2 if columns <= 65536 else 4)
        vectors.append(blocks[side] * columns)
        play_bytes.append(blocks[side] * (152 + 8 * columns) + rows[side] * a_row + pairs * a_pair)
    return Sizes(rows, pairs, blocks, rank, (play_bytes[0], play_bytes[1]), (vectors[0], vectors[1]))


def spread(n: int, side: int) -> tuple[Array, Array]:
    """Estimate how plays spread over n users (side 0) or items (side 1): counts and their shares of the pairs, most first."""
    # neighbours by rank are alike: a few hundred steps stand for all of them
    edges = np.unique(np.geomspace(1, n + 1, 400).astype(np.int64))
    ranks, counts = (edges[:-1] + edges[1:] - 1) / 2, np.diff(edges)
    if side:
        shares = ranks**-POPULARITY
    else:
        shares = np.exp([-ACTIVITY * NormalDist().inv_cdf(place) for place in ((ranks - 0.5) / n).tolist()])
    return counts, shares / (counts @ shares)


def distinct(n_columns: int, n_rows: float, pairs: float, side: int) -> float:
    """Estimate how many of all `n_columns` users (side 0) or items (side 1) occur in a block of the other side.

    >>> distinct(1000, 100, 1e9, 1)
    1000.0
    >>> round(distinct(10_000, 625, 31_250, 1))
    7444
    """
    counts, shares = spread(n_columns, side)
    chance = np.minimum(pairs / n_rows * shares, 1 - 1e-12)
    return float(np.sum(counts * -np.expm1(n_rows * np.log1p(-chance))))


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
    vector, other = 4 * sizes.rank, 1 - side
    routes = 0 if join == "broadcast" else -(-sizes.blocks[other] // 8)
    written = sizes.rows[side] * (8 + vector + routes) + 88 * sizes.blocks[side]
    if join == "broadcast":
        return HalfBytes(sizes.play_bytes[side], 0.0, sizes.rows[other] * (8 + vector), written)
    sent = sizes.vectors[side] * (8 + vector) + 56 * sizes.blocks[0] * sizes.blocks[1]
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


def cluster_seconds(sizes: Sizes, join: str, measured: Measured, cluster: ClusterOptions) -> dict[str, float]:
    """Estimate the seconds of an iteration on a cluster: starting jobs, solving, moving bytes.

    Parameters
    ----------
    measured : what a core needs; the cluster's are taken for as fast as this machine's
    """
    found = {"starting": 2 * cluster.job_seconds, "solving": 0.0, "moving": 0.0}
    for side in (0, 1):
        moved = half_bytes(sizes, side, join)
        # a block is solved by one core
        cores = min(cluster.nodes * cluster.cores, sizes.blocks[side])
        found["solving"] += sizes.pairs * measured.pair[side] * measured.cores / cores * cluster.slowest
        nodes = min(cluster.nodes, cores)
        shuffled = moved.sent + moved.read * (join == "shuffle")
        a_node = BASE64 * (moved.read + shuffled + 3 * moved.written) / nodes * cluster.slowest
        pipes = 2 / (cluster.coded * cluster.cores)
        found["moving"] += a_node * (1 / cluster.network + cluster.touches / cluster.disk + pipes)
        found["moving"] += moved.copied * (1 / cluster.network + 1 / cluster.disk)
    return found


# resident bytes, measured: Python with mrjob and NumPy; numba and what it compiled; chunks of log lines while they are parsed
PYTHON, NUMBA, PARSING = 55e6, 165e6, 43e6
# bytes a pair: in the table of a map task, while a piece is merged, of a block that is being merged, while a block is solved,
# while a block is published
TABLED, MERGED, KEPT_MERGED, SOLVED, PUBLISHED = 65, 95, 11, 10, 30
# copies of a block's new vectors: while they are sent to the blocks that need them, while they are solved and packed
SENT, ANSWERED = 4, 2.3
# what a full table takes while it is emptied, of the memory that a task has beyond this many bytes
EMPTYING, BEYOND = 0.6, 96 << 20
# copies of the fixed side's vectors that the driver has at once while it writes them for broadcast
COPIES = 2.6
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
        columns = max(n / blocks + more for n, blocks, more in zip(sizes.vectors, sizes.blocks, sizes.excess, strict=True))
        found["half, map task"] = PYTHON + SENT * written
        # what has come is mapped, a little at a time, and laid in the order of the columns: in a file if it is too much
        laid = columns * vector if columns * vector <= budget / 4 else 0
        found["half, reduce task"] = solving + min(columns * (8 + vector), RESIDENT) + laid
    published = sizes.pairs / sizes.blocks[0] + sizes.excess[0]
    return {**found, "driver": PYTHON + max(COPIES * fixed, PUBLISHED * published)}


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


def largest_task_of_a_half(sizes: Sizes, join: str, kernel: str, budget: int) -> float:
    """Estimate the resident bytes of the largest task of a half."""
    return max(n_bytes for name, n_bytes in task_memory(sizes, join, kernel, budget).items() if name.startswith("half"))


def blocks_that_fit(sizes: Sizes, join: str, kernel: str, budget: int) -> tuple[int, int]:
    """Find numbers of blocks that keep a half's tasks within `budget`: doubled until they do, unchanged if none do."""
    finer = sizes
    while largest_task_of_a_half(finer, join, kernel, budget) > budget:
        if min(finer.blocks) > max(sizes.rows):
            return sizes.blocks
        more = (2 * finer.blocks[0], 2 * finer.blocks[1])
        # what one row has too many of stays together
        finer = guess_sizes(*sizes.rows, sizes.pairs, more, sizes.rank)._replace(excess=sizes.excess)
    return finer.blocks


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
