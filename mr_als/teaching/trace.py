"""Every record of one half-iteration on two map tasks and two reduce tasks, for each way to join plays and factors.

`prepare` and the two joins that this project has are its own job files, run by `mr_als.teaching.cluster`; the third, the
full grid, is Spotify's first design, in `mr_als.teaching.full_grid` for comparison.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mr_als.maths.array import Array
from mr_als.maths.solving.normal_equations import eigenbasis, project
from mr_als.options import SolverOptions, WeightOptions, to_arguments
from mr_als.records.blocks import FACTORS, PLAYS, FactorBlock, PlaysBlock, pack, unpack
from mr_als.records.factor_lines import pack_factor_lines
from mr_als.records.ids import Ids, block_of, hash_ids
from mr_als.records.lines import decode
from mr_als.teaching.cluster import Sent, run_task, shuffle
from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, write_factors

N_BLOCKS = 2
# what a task reads besides plays and vectors, whatever the join
SHARED = "Y'Y, as spectrum and basis"
# with this salt u1 u2 | u3 u4 and aria blues etude | conga disco share a block; any other works, but neighbours are parted
EXAMPLE_SALT = 11873


class Half(NamedTuple):
    """A traced half: what tasks read from files, what travelled, and what came out.

    reads : (task, what, bytes) of everything read from a file
    sent : records of the shuffle
    factors : user name -> vector
    """

    reads: list[tuple[str, str, int]]
    sent: list[tuple[Sent, str]]
    factors: dict[str, Array]


class Traced:
    """The records of a lesson's plays: its log, the prepared blocks, and the first user half under each join."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        self.salt = EXAMPLE_SALT if lesson.matrix.users == EXAMPLE.users and lesson.matrix.items == EXAMPLE.items else 0
        self.names = {int(h): n for side in lesson.matrix[:2] for n, h in zip(side, self.hashes(side), strict=True)}
        log = [f"{u}\t{i}\t{r:g}\n".encode() for u, i, r in lesson.matrix.pairs()]
        self.splits = [log[: -(-len(log) // 2)], log[-(-len(log) // 2) :]]
        self.prepared, self.prepare_sent = self._prepare()

    def hashes(self, names: Sequence[str]) -> Array:
        """Compute the hashes of ids."""
        return hash_ids(Ids.of(name.encode() for name in names), self.salt)

    def blocks(self, names: Sequence[str]) -> list[list[str]]:
        """Split names into their blocks."""
        numbers = block_of(self.hashes(names), N_BLOCKS)
        return [[name for name, at in zip(names, numbers, strict=True) if at == block] for block in range(N_BLOCKS)]

    def _prepare(self) -> tuple[dict[tuple[str, int], bytes], list[tuple[Sent, str]]]:
        """Run the ingest job on two splits: the output lines by (side, block), and what was shuffled."""
        arguments = ["--input=lines", "--columns=user,item,plays", "--min-ms-played=0", f"--salt={self.salt}"]
        arguments += [f"--user-blocks={N_BLOCKS}", f"--item-blocks={N_BLOCKS}"]
        written = {f"map {n}": run_task("mr_ingest", arguments, "map", split) for n, split in enumerate(self.splits)}
        arrived, sent = shuffle(written, 2)
        output = [line for lines in arrived for line in run_task("mr_ingest", arguments, "reduce", lines)]
        blocks = {}
        for line in output:
            side, numbered, text = line.rstrip(b"\n").split(b"\t")
            if side in (b"users", b"items"):
                blocks[side.decode(), int(numbered.split(b".")[0])] = b"\t".join((b"plays", numbered, text)) + b"\n"
        return blocks, [(s, self.describe_prepared(s)) for s in sent]

    def describe_prepared(self, sent: Sent) -> str:
        """Say what a record of the ingest job holds."""
        if sent.key == "bad":
            return "how many lines were read, and bad ones"
        plays = PlaysBlock.unpack(decode(sent.line.rstrip(b"\n").split(b"\t")[2]))
        rows = " ".join(self.named(plays.hashes))
        return f"{len(plays.indices)} pairs of {rows}"

    def named(self, hashes: Array) -> list[str]:
        """Look up the names of hashes."""
        return [self.names[int(h)] for h in hashes]

    def plays(self, side: str) -> dict[int, bytes]:
        """Map each block of a side to its prepared line."""
        return {block: line for (of, block), line in sorted(self.prepared.items()) if of == side}

    @property
    def shared(self) -> tuple[Array, list[Array]]:
        """The basis of Y'Y, and what every task gets of it."""
        spectrum, basis = eigenbasis(self.lesson.start.T @ self.lesson.start)
        return basis, [spectrum, basis.ravel()]

    @property
    def shared_bytes(self) -> int:
        """Size of what every task gets of Y'Y."""
        return len(pack(self.shared[1]))

    def arguments(self, directory: str, join: str) -> list[str]:
        """Build the arguments of the user half, and write the file that every task gets."""
        lesson = self.lesson
        weights = WeightOptions(
            confidence="linear", alpha=lesson.alpha, regularization=lesson.regularization, regularization_scaling="none"
        )
        basis, arrays = self.shared
        if join == "broadcast":
            hashes = self.hashes(lesson.matrix.items)
            order = np.argsort(hashes)
            arrays += [hashes[order], project(lesson.start[order].astype(np.float32), basis).ravel()]
        path = os.path.join(directory, f"{join}.bin")
        with open(path, "wb") as file:
            file.write(pack(arrays))
        solver = SolverOptions(rank=lesson.rank, solver="cholesky")
        half = [f"--n-fixed={len(lesson.matrix.items)}", f"--fixed-blocks={N_BLOCKS}", "--join", join, "--fixed", path]
        return ["--input=lines", *half, *to_arguments(solver), *to_arguments(weights)]

    def item_factors(self, directory: str) -> dict[int, bytes]:
        """Map each item block to the line of its initial factors, with their routes."""
        written = self.half_0(directory)
        return {block: line for block, lines in written.items() for line in lines if line.startswith(b"factors\t")}

    def half_0(self, directory: str) -> dict[int, list[bytes]]:
        """Run half 0, which writes the initial item factors, one task a block: all lines of each task."""
        lesson, start, packed = self.lesson, os.path.join(directory, "start.tsv"), os.path.join(directory, "start.bin")
        write_factors(lesson.matrix.items, lesson.start, start)
        with open(packed, "wb") as file:
            file.write(pack_factor_lines(start, lesson.rank, self.salt))
        half = [f"--n-fixed={len(lesson.matrix.users)}", f"--fixed-blocks={N_BLOCKS}", "--init=items", "--initial", packed]
        half.append("--join=shuffle")
        arguments = ["--input=lines", *half, *to_arguments(SolverOptions(rank=lesson.rank))]
        return {block: run_task("mr_solve", arguments, "map", [line]) for block, line in self.plays("items").items()}

    def broadcast(self) -> Half:
        """Map only: each task has all item vectors, and solves the plays block it reads."""
        with tempfile.TemporaryDirectory() as directory:
            arguments = self.arguments(directory, "broadcast")
            size, shared = os.path.getsize(arguments[arguments.index("--fixed") + 1]), self.shared_bytes
            reads, output = [], []
            for task, (block, line) in enumerate(self.plays("users").items()):
                reads.append((f"map {task}", SHARED, shared))
                reads.append((f"map {task}", f"all {len(self.lesson.matrix.items)} item vectors", size - shared))
                reads.append((f"map {task}", f"plays of user block {block}", len(line)))
                output += run_task("mr_solve", arguments, "map", [line])
        return Half(reads, [], self.solved(output))

    def half_grid(self) -> Half:
        """Map and reduce: plays and the vectors that their routes name meet in the reducer of a user block."""
        with tempfile.TemporaryDirectory() as directory:
            arguments = self.arguments(directory, "shuffle")
            reads = [(task, SHARED, self.shared_bytes) for task in ("map 0", "map 1", "reduce 0", "reduce 1")]
            written = {}
            for task, lines in self.half_grid_input(directory).items():
                reads += [(task, self.describe_input(line), len(line)) for line in lines]
                written[task] = run_task("mr_solve", arguments, "map", lines)
            arrived, sent = shuffle(written, 2)
            output = [line for lines in arrived for line in run_task("mr_solve", arguments, "reduce", lines)]
        return Half(reads, [(s, self.describe(s)) for s in sent], self.solved(output))

    def half_grid_input(self, directory: str) -> dict[str, list[bytes]]:
        """Build what each map task reads: block n of both sides goes to task n."""
        plays, factors = self.plays("users"), self.item_factors(directory)
        both = {n: [side[n] for side in (plays, factors) if n in side] for n in range(N_BLOCKS)}
        return {f"map {n}": lines for n, lines in both.items()}

    def describe_input(self, line: bytes) -> str:
        """Say what a line of input holds."""
        kind, numbered, text = line.rstrip(b"\n").split(b"\t")
        block = int(numbered.split(b".")[0])
        if kind == PLAYS.encode():
            return f"plays of user block {block}"
        routed = FactorBlock.unpack(decode(text))
        return f"item block {block}: vectors of {' '.join(self.named(routed.hashes))}"

    def describe(self, sent: Sent) -> str:
        """Say what a record of the half holds."""
        _, order, text = sent.line.rstrip(b"\n").split(b"\t")
        if order.startswith(b"0."):
            plays = PlaysBlock.unpack(decode(text))
            return f"plays of {' '.join(self.named(plays.hashes))}, {len(plays.indices)} pairs"
        hashes, _ = unpack(decode(text))
        return f"vectors of {' '.join(self.named(hashes))}"

    def solved(self, output: Sequence[bytes]) -> dict[str, Array]:
        """Decode the vectors in the output of a half."""
        found: dict[str, Array] = {}
        for line in output:
            kind, _, text = line.rstrip(b"\n").split(b"\t")
            if kind == FACTORS.encode():
                block = FactorBlock.unpack(decode(text))
                found |= dict(zip(self.named(block.hashes), block.factors, strict=True))
        return found
