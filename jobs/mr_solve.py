r"""One half-iteration: plays of one side join the factors of the other, and each row's normal equations are solved.

Nothing here says "user" or "item": there is the side being *solved* and the *fixed* side.

    broadcast (map-side)                          shuffle (reduce-side)
    map     plays block b                         map     plays block b       -> b, first
            + fixed factors from a file                   factor block s      -> each block b its route names
            -> factors of block b                 reduce  block b: plays, then vectors by source block
                                                          -> factors of block b

Input   `users|items <TAB> block <TAB> PlaysBlock` of the solved side (other kinds are skipped); for `shuffle` also
        `factors <TAB> block <TAB> FactorBlock` of the fixed side.
Output  `factors <TAB> block <TAB> FactorBlock`, and at the end of each task `stats <TAB> block <TAB> StatsBlock`
        for each, and `end <TAB> 0 <TAB> their length`. Rows that observed nothing, such as items that were played by
        left out users only, have no vector: they do not count as rows of their side, nor does anybody join them.
Shuffle per half at most min(pairs, rows x blocks) vectors of 4 rank bytes: each vector once per block that needs it.

With `--init` the rows get their initial factors instead (half 0): nothing is joined. With `--first-order` nothing is solved
either, but multiplied: a pass of `mr_als.maths.regularization`, for which the fixed side's basis is an orthonormal one.

    python jobs/mr_solve.py --input lines --join broadcast --fixed fixed.bin plays.lines        (a laptop)
    mr-als train hdfs:///logs --model hdfs:///model -r hadoop                                   (a cluster)

It is long because both joins, passes and initial factors are one job: they share how plays are read and how results are
written.
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from mr_als.engine.job import ON_HADOOP, ALSJob, Pair, Watched  # before NumPy: it sets the number of BLAS threads

import numpy as np  # isort: skip
import numpy.typing as npt  # isort: skip
from mrjob.step import MRStep  # isort: skip

from mr_als.errors import BadInputError
from mr_als.maths.drawing.initial import initial_factors
from mr_als.maths.regularization import multiply_block
from mr_als.maths.solve import KERNELS, Fixed, Method, Observed, Solved, solve_block
from mr_als.maths.solving.normal_equations import gram_matrix, project
from mr_als.maths.weighing.loss import Loss
from mr_als.maths.weighing.weights import Weights
from mr_als.options import SolverOptions
from mr_als.records.blocks import FACTORS, PLAYS, STATS, FactorBlock, Packed, PlaysBlock, StatsBlock, pack, route_bits, unpack
from mr_als.records.csr import sum_rows
from mr_als.records.ids import Ids
from mr_als.records.join import Scratch, join, match
from mr_als.records.lines import Reader, Record
from mr_als.records.spill import let_go

PLAYS_FIRST, VECTORS_AFTER = b"0.", b"1."


Rows = npt.NDArray[np.int64]


class Answer(NamedTuple):
    """A solved block, packed: its factors and its statistics."""

    block: int
    factors: Packed
    stats: bytes


class MRSolve(ALSJob):
    """Solve the rows of one side, the other side fixed."""

    SORT_VALUES = True
    LASTING = True

    def configure_args(self) -> None:
        """Add what a half needs to know."""
        super().configure_args()
        self.add_options(SolverOptions)
        self.add_options(Weights)
        self.add_passthru_arg("--kernel", choices=KERNELS, default="numpy", help="who does the arithmetic (default: numpy)")
        self.add_passthru_arg("--threads", type=int, default=1, help="threads that solve blocks; change no result (default: 1)")
        self.add_passthru_arg("--join", choices=("broadcast", "shuffle"), default="broadcast")
        self.add_passthru_arg("--solved", default=PLAYS, metavar="KIND", help="kind of the records to solve (default: plays)")
        self.add_passthru_arg("--init", default="", metavar="SIDE", help="write initial factors of this side instead")
        self.add_file_arg("--initial", help="for --init: hashes and factors to use instead of random ones")
        self.add_passthru_arg("--fill", action="store_true", help="for --initial: the rows it lacks get random ones")
        self.add_passthru_arg("--first-order", action="store_true", help="do not solve: a pass that estimates singular values")
        self.add_passthru_arg(
            "--sums-only", action="store_true", help="write no vectors, only what the driver sums: of the last pass"
        )
        self.add_passthru_arg("--n-fixed", type=int, default=0, help="number of rows of the fixed side")
        self.add_passthru_arg("--fixed-blocks", type=int, default=1, help="number of blocks of the fixed side")
        self.add_file_arg("--fixed", help="spectrum and basis; for broadcast also hashes and projected factors")

    def steps(self) -> list[MRStep]:
        """Map only, unless the join is done in the reducer."""
        task = {"mapper_init": self.mapper_init, "mapper": self.mapper, "mapper_final": self.mapper_final}
        if self.in_reducer:
            task |= {"reducer_init": self.start, "reducer": self.reducer, "reducer_final": self.write_stats}
        return [MRStep(**task)]

    @property
    def in_reducer(self) -> bool:
        """Say whether the join is done in the reducer."""
        return self.options.join == "shuffle" and not self.options.init

    def mapper_init(self) -> None:
        """Open the fixed side."""
        self.KINDS = frozenset({self.options.solved, FACTORS})
        super().mapper_init()
        self.start()
        self.pool = ThreadPoolExecutor(self.options.threads)
        self.under_way: deque[Future[Answer]] = deque()

    def start(self) -> None:
        """Read the options and the fixed side's spectrum and basis."""
        self.stats: list[Pair] = []
        self.solver: SolverOptions = self.read_options(SolverOptions)
        self.weights: Weights = self.read_options(Weights)
        if self.options.init:
            return
        with open(self.options.fixed, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.spectrum, basis, *broadcast = unpack(memoryview(mapped))
        rank = self.solver.rank
        self.basis = basis.reshape(rank, rank)
        if broadcast:
            self.hashes, vectors = broadcast
            self.vectors = vectors.reshape(-1, rank)

    def mapper(self, kind: bytes, value: tuple[bytes, bytes]) -> Iterator[Pair]:
        """For `shuffle`, send plays on as they came; decode all else."""
        if kind == self.options.solved.encode() and self.in_reducer:
            numbered, text = value
            yield numbered.split(b".")[0], (PLAYS_FIRST + numbered, text)
        else:
            yield from super().mapper(kind, value)

    def map_record(self, record: Record) -> Iterator[Pair]:
        """Solve a block where it lies, or send its vectors where they are needed."""
        if record.kind == FACTORS:
            yield from self.route(record.block, FactorBlock.unpack(record.payload, checked=record.checked))
            return
        if len(self.under_way) == self.options.threads:
            yield from self.write(self.under_way.popleft().result())
        self.under_way.append(self.pool.submit(self.answer, record))

    def answer(self, record: Record) -> Answer:
        """Initialise or solve a block whose fixed side is here; runs in a thread."""
        plays = PlaysBlock.unpack(record.payload, checked=record.checked)
        if self.options.init:
            n_observed = np.diff(plays.indptr)
            if not self.weights.explicit and not plays.strengths.all():
                n_observed = sum_rows(plays.strengths > 0, plays.indptr, np.int64)
            rows = np.flatnonzero(n_observed)
            return self.packed(record.block, plays, rows, self.initialised(plays, rows, n_observed[rows]))
        return self.solved(
            record.block, plays, join(plays, *match(plays.columns, self.hashes), zeros=self.weights.explicit), self.vectors
        )

    def mapper_final(self) -> Iterator[Pair]:
        """Write what is under way, then the statistics, last, where the driver looks for them."""
        with self.pool:
            for answer in self.under_way:
                yield from self.write(answer.result())
        yield from super().mapper_final()
        if not self.in_reducer:
            yield from self.write_stats()

    def route(self, source: int, fixed: FactorBlock) -> Iterator[Pair]:
        """Send each vector, projected, to the blocks its route names: each gets them in hash order."""
        vectors = project(fixed.factors, self.basis)
        for block in range(8 * fixed.routes.shape[1]):
            sent = fixed.sent_to(block)
            if sent.any():
                payload = pack([fixed.hashes[sent], vectors[sent].ravel()])
                for _, (numbered, text) in self.write_record(FACTORS, source, payload):
                    yield b"%08d" % block, (VECTORS_AFTER + numbered, text)

    def reducer(self, key: bytes, values: Iterator[tuple[bytes, bytes]]) -> Iterator[Pair]:
        """Gather the vectors of a block's columns, then solve its rows. The plays come first."""
        block, rank = int(key), self.solver.rank
        reader = Reader(self.options.input, frozenset({PLAYS}))
        sent = self.own_reader()
        plays = scratch = None
        for order, text in values:
            if order.startswith(PLAYS_FIRST):
                record = reader.add(PLAYS.encode(), (order[2:], text))
                if record is not None:
                    plays = PlaysBlock.unpack(record.payload, checked=record.checked)
                    found = np.zeros(len(plays.columns), bool)
                    scratch = Scratch(len(plays.columns), rank, self.options.task_memory // 4)
                continue
            record = sent.add(FACTORS.encode(), (order[2:], text))
            if record is not None and plays is not None and scratch is not None:
                hashes, vectors = unpack(record.payload, checked=record.checked)
                positions, hit = match(hashes, plays.columns)
                let_go(plays.columns)
                scratch.put(positions[hit], vectors.reshape(-1, rank)[hit])
                found[positions[hit]] = True
        reader.finish()
        sent.finish()
        if plays is not None and scratch is not None:
            answer = self.solved(block, plays, join(plays, None, found, zeros=self.weights.explicit), scratch)
            scratch = None
            yield from self.write(answer)

    def solved(self, block: int, plays: PlaysBlock, observed: Observed, vectors: Any) -> Answer:
        """Solve all rows of a block that observed anything, or multiply them."""
        taken = Watched(vectors) if ON_HADOOP else vectors
        rows = np.flatnonzero(np.diff(observed.indptr))
        observed = observed._replace(indptr=np.append(observed.indptr[rows], observed.indptr[-1]))
        method = Method(
            self.solver.solver, max_gather=max(self.options.task_memory // 8, 1 << 20),
            kernel=self.options.kernel, threads=self.options.threads,
        )  # fmt: skip
        if self.options.first_order:
            solved = multiply_block(observed, taken, self.solver.rank, self.options.n_fixed, self.weights, method)
        else:
            fixed = Fixed(taken, self.spectrum, self.basis, self.options.n_fixed)
            solved = solve_block(observed, fixed, self.weights, method)
        return self.packed(block, plays, rows, solved)

    def initialised(self, plays: PlaysBlock, rows: Rows, n_observed: Rows) -> Solved:
        """Assign rows their initial factors, a pure function of seed, side and id."""
        hashes = plays.hashes[rows]
        factors = self.given(hashes, plays.ids.take(rows)) if self.options.initial else initial_factors(
            hashes, self.solver.seed, self.options.init, self.solver.rank
        )  # fmt: skip
        penalty = self.weights.row_regularization(n_observed, self.options.n_fixed) @ np.square(factors, dtype=np.float64).sum(1)
        loss = Loss(penalty=float(penalty), observed=int(n_observed.sum()), rows=len(factors))
        if self.options.first_order:
            loss = loss._replace(confidence=self.weights.total_excess(plays.amounts))
        return Solved(factors, gram_matrix(factors), loss)

    def given(self, wanted: npt.NDArray[np.uint64], ids: Ids) -> npt.NDArray[np.float32]:
        """Look rows up, by their hashes, among the initial factors that the user gave."""
        with open(self.options.initial, "rb") as file:
            hashes, vectors = unpack(file.read())
        positions, found = match(wanted, hashes)
        if not found.all():
            if self.options.fill:
                factors = np.zeros((len(found), self.solver.rank), np.float32)
                factors[found] = vectors.reshape(-1, self.solver.rank)[positions[found]]
                factors[~found] = initial_factors(wanted[~found], self.solver.seed, self.options.init, self.solver.rank)
                return factors
            name = ids.take(np.flatnonzero(~found)[:1]).to_list()[0].decode(errors="replace")
            msg = f"--initial-factors: no line for {name!r}; expected one for each of the {self.options.init}"
            raise BadInputError(msg)
        return vectors.reshape(-1, self.solver.rank)[positions]

    def packed(self, block: int, plays: PlaysBlock, rows: Rows, solved: Solved) -> Answer:
        """Pack the factors of the rows of a block that have any, for a shuffle with their routes, and its statistics."""
        factors, loss = self.kept(plays, rows, solved).packed(), solved.loss
        stats = StatsBlock(
            loss.rows, loss.observed, loss.squared_error, loss.penalty, loss.confidence, loss.zero_error,
            factors.n_bytes, factors.crc, solved.gram,
        )  # fmt: skip
        return Answer(block, factors, stats.pack())

    def kept(self, plays: PlaysBlock, rows: Rows, solved: Solved) -> FactorBlock:
        """Select the factors that somebody will read."""
        if self.options.sums_only:
            return FactorBlock(plays.hashes[:0], solved.factors[:0], np.zeros((0, 0), np.uint8))
        return FactorBlock(plays.hashes[rows], solved.factors, self.routes(plays)[rows])

    def routes(self, plays: PlaysBlock) -> npt.NDArray[np.uint8]:
        """Find the blocks of the other side that need each row; a broadcast sends every row to every block."""
        if self.options.join != "shuffle":
            return np.zeros((len(plays.hashes), 0), np.uint8)
        return route_bits(plays.indptr, plays.indices, plays.columns, self.options.fixed_blocks)

    def write(self, answer: Answer) -> Iterator[Pair]:
        """Write a block's factors; keep its statistics for the end."""
        self.stats += self.write_record(STATS, answer.block, answer.stats)
        yield from self.write_record(FACTORS, answer.block, answer.factors)

    def write_stats(self) -> Iterator[Pair]:
        """Write the statistics of all blocks of this task."""
        yield from self.ended(self.stats)


JOB = MRSolve

if __name__ == "__main__":
    MRSolve.run()
