"""The arithmetic of scale: bytes that each join moves, and what a training of industrial size takes, with its assumptions.

The cost model of a cluster is `mr_als.planning.estimate`, that of `mr-als plan`.

broadcast   every node gets all vectors of the other side         nodes x n (4 rank + 8)
full grid   every row sends its part of A and b, once for         min(pairs, rows x blocks) x 4 (rank (rank + 1) / 2 + rank)
            each block of the other side in which it has plays
half grid   every vector goes once to each block that needs it    min(pairs, n x blocks) x (4 rank + 8)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from mr_als.options import ClusterOptions
from mr_als.planning.estimate import BASE64, Measured, cluster_seconds, half_bytes
from mr_als.planning.sizes import Sizes, vector_bytes
from mr_als.progress import size
from mr_als.teaching.lesson import Lesson, Section
from mr_als.teaching.text import table


class Shape(NamedTuple):
    """Sizes of a data set, and into how many blocks each side is cut."""

    name: str
    users: float
    items: float
    pairs: float
    rank: int
    blocks: int
    nodes: int


def full_grid_bytes(s: Shape) -> float:
    """Compute the most bytes that the full grid sends in a user half."""
    return min(s.pairs, s.users * s.blocks) * 4 * (s.rank * (s.rank + 1) / 2 + s.rank)


def half_grid_bytes(s: Shape) -> float:
    """Compute the most bytes of vectors that the half grid sends in a user half."""
    return vector_bytes(min(s.pairs, s.items * s.blocks), s.rank)


SHAPES = (
    Shape("100k users, 50k items, 10M pairs", 1e5, 5e4, 1e7, 64, 8, 4),
    Shape("4M users, 500k items, 400M pairs", 4e6, 5e5, 4e8, 40, 50, 100),
    Shape("24M users, 20M items, 3.3G pairs", 24e6, 20e6, 1e10 / 3, 64, 2000, 100),
)


def moved(lesson: Lesson) -> Iterator[str]:
    """Show the bytes of each join for several shapes."""
    yield "bytes that carry vectors or parts of A and b in a user half, at most"
    yield ""
    yield "    broadcast: nodes x items x (4 rank + 8)"
    yield "    full grid: min(pairs, users x blocks) x 4 (rank (rank + 1) / 2 + rank)"
    yield "    half grid: min(pairs, items x blocks) x (4 rank + 8)"
    yield ""
    rows = []
    for s in SHAPES:
        everywhere, full, half = s.nodes * vector_bytes(s.items, s.rank), full_grid_bytes(s), half_grid_bytes(s)
        numbers = [str(s.rank), str(s.blocks), str(s.nodes), size(everywhere), size(full), size(half), f"{full / half:.0f}"]
        rows.append([s.name, *numbers])
    yield from table(["", "rank", "blocks", "nodes", "broadcast", "full grid", "half grid", "full / half"], rows)


class Assumptions(NamedTuple):
    """What an extrapolation rests on, beside the cluster; each name is a line of the table."""

    plays_per_pair: float
    bytes_per_play: float  # packed, one side
    rank: int
    pairs_a_second: float  # solved by one core, at this rank
    distinct: float  # vectors routed per pair: popular items are needed once a block
    cluster: ClusterOptions


_MACHINES = ClusterOptions(nodes=100, cores=16)
LOW = Assumptions(5, 4, 64, 15e6, 0.3, replace(
    _MACHINES, iterations=8, slowest=1.2, job_seconds=20, network=1_200_000_000, disk=1_000_000_000, touches=2, coded=80_000_000
))  # fmt: skip
CENTRAL = Assumptions(3, 6, 64, 6e6, 0.5, replace(
    _MACHINES, iterations=12, slowest=1.5, job_seconds=40, network=1_000_000_000, disk=500_000_000, touches=3, coded=40_000_000
))  # fmt: skip
HIGH = Assumptions(1.5, 8, 128, 2e6, 0.8, replace(
    _MACHINES, iterations=20, slowest=2, job_seconds=90, network=500_000_000, disk=200_000_000, touches=4, coded=20_000_000
))  # fmt: skip

CASES, HEADER = (LOW, CENTRAL, HIGH), ("", "low", "central", "high")


class Scale(NamedTuple):
    """How large the data are, and into how many blocks each side is cut."""

    users: int
    items: int
    plays: int
    blocks: int


INDUSTRY = Scale(24_000_000, 20_000_000, 10**10, 2000)


def extrapolate(a: Assumptions, scale: Scale = INDUSTRY, join: str = "shuffle") -> dict[str, float]:
    """Extrapolate from assumptions to that many users, items and plays, as `mr-als plan` does.

    >>> 1 < extrapolate(HIGH)["node_hours"] / extrapolate(CENTRAL)["node_hours"] < 30
    True
    """
    rows, blocks = (scale.users, scale.items), scale.blocks
    pairs = min(round(scale.plays / a.plays_per_pair), scale.users * scale.items)
    plays = pairs * a.bytes_per_play
    # a block needs a vector at most once
    routed = [min(a.distinct * pairs, rows[side] * blocks) for side in (1, 0)]
    sizes = Sizes(rows, pairs, (blocks, blocks), a.rank, (plays, plays), (routed[0], routed[1]))
    a_core = Measured(start=0.0, pair=(1 / a.pairs_a_second, 1 / a.pairs_a_second), vector=0.0, cores=1)
    seconds = cluster_seconds(sizes, join, a_core, a.cluster)
    hours = a.cluster.iterations * sum(seconds.values()) / 3600
    moved = half_bytes(sizes, 0, join)
    return {
        "pairs": pairs,
        "plays": 2 * plays,
        "user_vectors": vector_bytes(scale.users, a.rank),
        "item_vectors": vector_bytes(scale.items, a.rank),
        "sent": BASE64 * (moved.read + moved.sent) if join == "shuffle" else a.cluster.nodes * moved.copied,
        **{name: value / 2 for name, value in seconds.items()},
        "hours": hours,
        "node_hours": hours * a.cluster.nodes,
    }


def industry(lesson: Lesson) -> Iterator[str]:
    """Show the extrapolation with its assumptions."""
    yield "24M users, 20M songs, 10G plays: assumptions"
    yield ""
    yield from table(HEADER, [[name, *values] for name, values in _assumed()])
    yield ""
    yield "what follows"
    yield ""
    yield from table(HEADER, [[name, *values] for name, values in _followed()])


def _assumed() -> list[tuple[str, list[str]]]:
    """Format what is assumed in each case."""
    clusters = [a.cluster for a in CASES]
    return [
        ("plays of a pair", [f"{a.plays_per_pair:g}" for a in CASES]),
        ("bytes of a stored pair, one side", [f"{a.bytes_per_play:g}" for a in CASES]),
        ("rank", [str(a.rank) for a in CASES]),
        ("iterations", [str(c.iterations) for c in clusters]),
        ("pairs a core solves a second", [f"{a.pairs_a_second / 1e6:g}M" for a in CASES]),
        ("vectors sent per pair", [f"{a.distinct:g}" for a in CASES]),
        ("slowest task over average", [f"{c.slowest:g}" for c in clusters]),
        ("seconds to start a job", [f"{c.job_seconds:g}" for c in clusters]),
        ("nodes x cores", [f"{c.nodes} x {c.cores}" for c in clusters]),
        ("network of a node, a second", [size(c.network) for c in clusters]),
        ("disks of a node, a second", [size(c.disk) for c in clusters]),
        ("how often a sent byte touches a disk", [f"{c.touches:g}" for c in clusters]),
        ("coded by a core, a second", [size(c.coded) for c in clusters]),
    ]


def _followed() -> list[tuple[str, list[str]]]:
    """Format what follows from it."""
    found = [extrapolate(a) for a in CASES]
    fewer = [extrapolate(a._replace(cluster=replace(a.cluster, nodes=20))) for a in CASES]
    return [
        ("pairs", [f"{f['pairs'] / 1e9:.1f}G" for f in found]),
        ("plays on disk, both sides", [size(f["plays"]) for f in found]),
        ("user vectors", [size(f["user_vectors"]) for f in found]),
        ("item vectors: what a broadcast puts on a node", [size(f["item_vectors"]) for f in found]),
        ("sent in a half (half grid)", [size(f["sent"]) for f in found]),
        ("seconds of a half: solving", [f"{f['solving']:.1f}" for f in found]),
        ("seconds of a half: moving bytes", [f"{f['moving']:.1f}" for f in found]),
        ("seconds of a half: starting the job", [f"{f['starting']:.1f}" for f in found]),
        ("hours of a training", [f"{f['hours']:.1f}" for f in found]),
        ("node-hours of a training", [f"{f['node_hours']:.0f}" for f in found]),
        ("the same on 20 nodes: hours", [f"{f['hours']:.1f}" for f in fewer]),
        ("the same on 20 nodes: node-hours", [f"{f['node_hours']:.0f}" for f in fewer]),
    ]


def skew(lesson: Lesson) -> Iterator[str]:
    """Show how much longer the block of the most played item takes than the average block."""
    most = INDUSTRY.users / (INDUSTRY.plays / CENTRAL.plays_per_pair)
    yield "the n-th most played of 20M songs is played by users in proportion to 1 / n^s; 24M users of 3.3G pairs in all, so none"
    yield f"has more than {100 * most:.2g} % of the pairs. Pairs of the block of the first one over those of an average block:"
    yield ""
    rows = []
    for s in (0.6, 0.7, 0.8):
        # the sum of 1 / n^s: its first terms, and its integral from there on
        total = sum(n**-s for n in range(1, 1000)) + (INDUSTRY.items ** (1 - s) - 1000 ** (1 - s)) / (1 - s)
        share = min(1 / total, most)
        rows.append([f"{s:g}", f"{100 * share:.2g} %", *(f"{1 + share * blocks:.1f}" for blocks in (10, 100, 1000))])
    yield from table(["s", "share of the first", "10 blocks", "100 blocks", "1000 blocks"], rows)
    yield ""
    yield "    1 + share x blocks"


SECTIONS = (
    Section("moved", "Bytes that each join moves", moved),
    Section("skew", "Skew: one block takes longer", skew),
    Section("industry", "24M users, 20M songs, 10G plays", industry),
)
