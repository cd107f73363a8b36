"""The arithmetic of scale: bytes that each join moves, and what a training of industrial size takes, with its assumptions.

broadcast   every node gets all vectors of the other side         nodes x n (4 rank + 8)
full grid   every row sends its part of A and b, once for         min(pairs, rows x blocks) x 4 (rank (rank + 1) / 2 + rank)
            each block of the other side in which it has plays
half grid   every vector goes once to each block that needs it    min(pairs, n x blocks) x (4 rank + 8)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

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


def broadcast_bytes(s: Shape) -> float:
    """Compute the bytes sent in a user half by the broadcast join."""
    return s.nodes * s.items * (4 * s.rank + 8)


def full_grid_bytes(s: Shape) -> float:
    """Compute the maximum bytes sent in a user half by the full grid."""
    return min(s.pairs, s.users * s.blocks) * 4 * (s.rank * (s.rank + 1) / 2 + s.rank)


def half_grid_bytes(s: Shape) -> float:
    """Compute the maximum bytes of vectors sent in a user half by the half grid."""
    return min(s.pairs, s.items * s.blocks) * (4 * s.rank + 8)


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
        everywhere, full, half = broadcast_bytes(s), full_grid_bytes(s), half_grid_bytes(s)
        numbers = [str(s.rank), str(s.blocks), str(s.nodes), size(everywhere), size(full), size(half), f"{full / half:.0f}"]
        rows.append([s.name, *numbers])
    yield from table(["", "rank", "blocks", "nodes", "broadcast", "full grid", "half grid", "full / half"], rows)


class Assumptions(NamedTuple):
    """What an extrapolation rests on; each name is a line of the table."""

    plays_per_pair: float
    bytes_per_play: float  # packed, one side
    rank: int
    iterations: int
    pairs_a_second: float  # solved by one core, at this rank
    distinct: float  # vectors routed per pair: popular items are needed once a block
    slowest: float  # time of a half over that of an average task: skew and stragglers
    seconds_a_job: float
    nodes: int
    cores: int  # a node
    network: float  # bytes a second and node
    disk: float  # bytes a second and node
    touches: float  # how often a byte that is sent is written to or read from a disk on its way
    coded: float  # bytes a second and core through base64 and the pipes of Hadoop Streaming


LOW = Assumptions(5, 4, 64, 8, 15e6, 0.3, 1.2, 20, 100, 16, 1.2e9, 1e9, 2, 80e6)
CENTRAL = Assumptions(3, 6, 64, 12, 6e6, 0.5, 1.5, 40, 100, 16, 1.0e9, 5e8, 3, 40e6)
HIGH = Assumptions(1.5, 8, 128, 20, 2e6, 0.8, 2.0, 90, 100, 16, 0.5e9, 2e8, 4, 20e6)

USERS, ITEMS, PLAYS = 24e6, 20e6, 1e10


def extrapolate(a: Assumptions) -> dict[str, float]:
    """Extrapolate from assumptions to 24M users, 20M items and 10G plays.

    >>> 1 < extrapolate(HIGH)["node_hours"] / extrapolate(CENTRAL)["node_hours"] < 30
    True
    """
    pairs, vector = PLAYS / a.plays_per_pair, 4 * a.rank + 8
    halves = 2 * a.iterations + 1
    routed = a.distinct * pairs * vector * 4 / 3  # base64
    plays = pairs * a.bytes_per_play
    solve = pairs / a.pairs_a_second / (a.nodes * a.cores) * a.slowest
    a_node = (routed + plays) / a.nodes * a.slowest
    send = a_node * (1 / a.network + a.touches / a.disk + 2 / (a.coded * a.cores))
    hours = halves * (solve + send + a.seconds_a_job) / 3600
    return {
        "pairs": pairs,
        "plays": 2 * plays,
        "user_vectors": USERS * vector,
        "item_vectors": ITEMS * vector,
        "sent": routed + plays,
        "solve": solve,
        "send": send,
        "hours": hours,
        "node_hours": hours * a.nodes,
    }


def industry(lesson: Lesson) -> Iterator[str]:
    """Show the extrapolation with its assumptions."""
    yield "24M users, 20M songs, 10G plays: assumptions"
    yield ""
    cases = (LOW, CENTRAL, HIGH)
    lines = [
        ("plays of a pair", [f"{a.plays_per_pair:g}" for a in cases]),
        ("bytes of a stored pair, one side", [f"{a.bytes_per_play:g}" for a in cases]),
        ("rank", [str(a.rank) for a in cases]),
        ("iterations", [str(a.iterations) for a in cases]),
        ("pairs a core solves a second", [f"{a.pairs_a_second / 1e6:g}M" for a in cases]),
        ("vectors sent per pair", [f"{a.distinct:g}" for a in cases]),
        ("slowest task over average", [f"{a.slowest:g}" for a in cases]),
        ("seconds to start a job", [f"{a.seconds_a_job:g}" for a in cases]),
        ("nodes x cores", [f"{a.nodes} x {a.cores}" for a in cases]),
        ("network of a node, a second", [size(a.network) for a in cases]),
        ("disks of a node, a second", [size(a.disk) for a in cases]),
        ("how often a sent byte touches a disk", [f"{a.touches:g}" for a in cases]),
        ("coded by a core, a second", [size(a.coded) for a in cases]),
    ]
    header = ["", "low", "central", "high"]
    yield from table(header, [[name, *values] for name, values in lines])
    yield ""
    yield "what follows"
    yield ""
    found, fewer = [extrapolate(a) for a in cases], [extrapolate(a._replace(nodes=20)) for a in cases]
    lines = [
        ("pairs", [f"{f['pairs'] / 1e9:.1f}G" for f in found]),
        ("plays on disk, both sides", [size(f["plays"]) for f in found]),
        ("user vectors", [size(f["user_vectors"]) for f in found]),
        ("item vectors: what a broadcast puts on a node", [size(f["item_vectors"]) for f in found]),
        ("sent in a half (half grid)", [size(f["sent"]) for f in found]),
        ("seconds of a half: solving", [f"{f['solve']:.1f}" for f in found]),
        ("seconds of a half: sending", [f"{f['send']:.1f}" for f in found]),
        ("seconds of a half: starting the job", [f"{a.seconds_a_job:.1f}" for a in cases]),
        ("hours of a training", [f"{f['hours']:.1f}" for f in found]),
        ("node-hours of a training", [f"{f['node_hours']:.0f}" for f in found]),
        ("the same on 20 nodes: hours", [f"{f['hours']:.1f}" for f in fewer]),
        ("the same on 20 nodes: node-hours", [f"{f['node_hours']:.0f}" for f in fewer]),
    ]
    yield from table(header, [[name, *values] for name, values in lines])


def skew(lesson: Lesson) -> Iterator[str]:
    """Show how much longer the block of the most played item takes than the average block."""
    most = USERS / (PLAYS / CENTRAL.plays_per_pair)
    yield "the n-th most played of 20M songs is played by users in proportion to 1 / n^s; 24M users of 3.3G pairs in all, so none"
    yield f"has more than {100 * most:.2g} % of the pairs. Pairs of the block of the first one over those of an average block:"
    yield ""
    rows = []
    for s in (0.6, 0.7, 0.8):
        # the sum of 1 / n^s: its first terms, and its integral from there on
        total = sum(n**-s for n in range(1, 1000)) + (ITEMS ** (1 - s) - 1000 ** (1 - s)) / (1 - s)
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
