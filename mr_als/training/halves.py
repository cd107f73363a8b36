"""The halves of a run: each is a job, its checks, and a record with which it counts.

Half 0 writes initial item factors; halves 1, 3, 5 ... solve the users, halves 2, 4, 6 ... the items. Which one comes next is
decided in `mr_als.training.train`.
"""

from __future__ import annotations

import base64
import math
import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mr_als.engine.engine import Data, Engine, Output, Written
from mr_als.engine.runs import Run
from mr_als.errors import DamagedDataError, ObjectiveRoseError
from mr_als.maths.solving.normal_equations import eigenbasis, project
from mr_als.maths.weighing.loss import Loss, weighted_rmse, zero_rmse
from mr_als.options import Training, to_arguments
from mr_als.planning.choices import choose_join
from mr_als.planning.plan import expect, in_words, kernel_for, too_large, took
from mr_als.preparing.plays import Plays, sizes_of
from mr_als.progress import Progress, what_a_half_does
from mr_als.records.blocks import FACTORS, FactorBlock, StatsBlock, pack
from mr_als.records.factor_lines import pack_factor_lines
from mr_als.records.lines import Record
from mr_als.training.warm_start import pack_model_items

# a rise of the objective that rounding and the solver's tolerance can explain, relative
ROUNDING = 1e-5


@dataclass(frozen=True)
class Half:
    """A finished half-iteration: its factors, their Gram matrix, and the sums of its loss terms."""

    number: int
    factors: Data
    gram: npt.NDArray[np.float64]
    totals: dict[str, float]
    entry: dict[str, Any]

    @property
    def wrmse(self) -> float:
        """Weighted RMSE after this half."""
        return float(self.entry["wrmse"])


class Halves:
    """The halves of one run: runs them, checks them, and remembers those that count."""

    def __init__(
        self, run: Run, plays: Plays, options: Training, engine: Engine, progress: Progress, read_logs: bool = False
    ) -> None:
        self.run, self.plays, self.options, self.engine, self.progress = run, plays, options, engine, progress
        self.history: list[dict[str, Any]] = []
        self.join, self.why = choose_join(
            options.plan.join, plays.n_users, plays.n_items, options.solver.rank, options.plan.task_memory
        )
        begun = run.record(_name(0))
        sizes = sizes_of(plays, options.solver.rank)
        self.kernel = begun["kernel"] if begun else kernel_for(options.plan, engine.runner, sizes, self.join)
        progress.say(f"join: {self.join}, {self.why}; kernel: {self.kernel}")
        self.expected = expect(sizes, self.join, self.kernel, engine, options.plan.task_memory, read_logs)
        progress.say(f"plan: {in_words(sizes, self.join, self.expected)}")
        if advice := too_large(sizes, self.join, self.kernel, options.plan.task_memory):
            progress.say(advice)

    def describe(self, reason: str) -> dict[str, Any]:
        """Describe the run as `model.json` records it."""
        plan = {"join": self.join, "why": self.why, "blocks": self.plays.info["blocks"], "kernel": self.kernel}
        foretold, actual = took(self.history, self.engine.runner)
        plan |= {"expected": {**self.expected, **foretold}, "actual": actual}
        lines = {"counts": self.plays.info["counts"], "bad": self.plays.info["bad"]["counts"]}
        # the plays may have been prepared with other input options, of which the salt says where an id is
        options = {**asdict(self.options), "inputs": self.plays.info["options"]}
        keys = {"options": options, "plan": plan, "inputs": self.plays.info["inputs"], "lines": lines}
        return {**keys, "seed": self.options.solver.seed, "stopped": reason, "history": self.history}

    def last_finished(self) -> Half | None:
        """Find where a killed run stopped: the last half that counts and whose files are whole."""
        number = 0
        while (record := self.run.record(_name(number))) is not None:
            if number:
                self.history.append(record["entry"])
            number += 1
        for candidate in (number - 1, number - 2):
            half = self.load(candidate)
            if half is None:
                break
            try:
                half.factors.check()
            except DamagedDataError as error:
                self.progress.say(f"half {candidate} is damaged and done again: {error}")
                self.run.forget(_name(candidate))
                self.history = self.history[: max(candidate - 1, 0)]
                continue
            return half
        if number > 2:
            msg = f"{self.run.directory}: the last two halves are damaged; start again with --restart"
            raise DamagedDataError(msg)
        return None

    def load(self, number: int) -> Half | None:
        """Load a half that counts; None if there is none."""
        record = self.run.record(_name(number)) if number >= 0 else None
        if record is None:
            return None
        factors = self.engine.load(record["factors"], self.run.path(record["attempt"]))
        rank = self.options.solver.rank
        gram = np.frombuffer(base64.b64decode(record["gram"]), "<f8").reshape(rank, rank)
        return Half(number, factors, gram, record["totals"], record["entry"])

    def solve(self, number: int, fixed: Half | None) -> Half:
        """Run half `number` against the `fixed` side's last half; it counts once its record is written."""
        started = time.monotonic()
        solved, other = ("users", "items") if number % 2 else ("items", "users")
        plays: Data = getattr(self.plays, solved)
        if words := what_a_half_does(number, solved, other, self.join):
            self.progress.say(words)
        directory = self.run.attempt(_name(number))
        # all blocks, not only those that hold a row: the number decides which block a hash belongs to
        fixed_blocks = self.plays.info["blocks"][other == "items"]
        arguments = [f"--solved={solved}", f"--n-fixed={getattr(self.plays, f'n_{other}')}", f"--fixed-blocks={fixed_blocks}"]
        inputs = [plays]
        if fixed is None:
            arguments += [f"--init={solved}", *self._write_initial(directory)]
        else:
            arguments += ["--fixed", self._write_fixed(directory, fixed)]
            if self.join == "shuffle":
                inputs.append(fixed.factors)
        arguments += [f"--join={self.join}", f"--kernel={self.kernel}", f"--threads={self.engine.threads}"]
        arguments += [*to_arguments(self.options.solver), *to_arguments(self.options.weights)]
        memory = self.options.plan.task_memory
        output = self.engine.run("mr_solve", inputs, directory, arguments, [FACTORS], written, memory)
        half = self._collect(number, output, plays, fixed, started, solved)
        self._commit(half, directory)
        return half

    def _write_initial(self, directory: str) -> list[str]:
        """Write the factors to begin with, if any were given, and give the arguments that name them to the job."""
        loop, rank, salt = self.options.loop, self.options.solver.rank, self.plays.info["options"]["salt"]
        if not loop.initial_factors and not loop.warm_start:
            return []
        warm = not loop.initial_factors
        packed = pack_model_items(loop.warm_start, rank, salt) if warm else pack_factor_lines(loop.initial_factors, rank, salt)
        path = os.path.join(directory, "initial.bin")
        self.run.storage.write(path, packed)
        return ["--initial", path, *["--fill"] * warm]

    def _write_fixed(self, directory: str, fixed: Half) -> str:
        """Write what every task needs: G = Q D Q'; for broadcast also Z = Y Q, in hash order."""
        spectrum, basis = eigenbasis(fixed.gram)
        arrays = [spectrum, basis.ravel()]
        if self.join == "broadcast":
            hashes, vectors = _projected(fixed, basis)
            arrays += [hashes, vectors.ravel()]
        path = os.path.join(directory, "fixed.bin")
        self.run.storage.write(path, pack(arrays))
        return path

    def _collect(self, number: int, output: Output, plays: Data, fixed: Half | None, started: float, solved: str) -> Half:
        """Check that all blocks are there, and sum their statistics in block order."""
        factors = output.data[FACTORS]
        stats = {record.block: StatsBlock.unpack(record.payload) for record in output.reports}
        blocks = [entry.block for entry in plays.entries]
        if [e.block for e in factors.entries] != blocks or sorted(stats) != blocks:
            msg = f"half {number}: the job wrote {len(factors.entries)} of {len(blocks)} blocks; run the same command again"
            raise DamagedDataError(msg)
        gram = np.zeros_like(stats[blocks[0]].gram)
        for block in blocks:
            gram += stats[block].gram
        names = ("rows", "observed", "squared_error", "penalty", "confidence", "zero_error")
        totals = {name: math.fsum(getattr(stats[block], name) for block in blocks) for name in names}
        entry = self._entry(number, solved, totals, fixed, factors, time.monotonic() - started)
        if output.shuffled is not None:
            entry["shuffled"] = output.shuffled
        return Half(number, factors, gram, totals, entry)

    def _entry(
        self, number: int, solved: str, totals: dict[str, Any], fixed: Half | None, factors: Data, seconds: float
    ) -> dict[str, Any]:
        """Build the history entry of a half: the loss over all cells and the regularised objective."""
        entry: dict[str, Any] = {"half": number, "iteration": number // 2, "solved": solved, "rows": int(totals["rows"])}
        entry |= {"pairs": int(totals["observed"]), "bytes": factors.n_bytes, "seconds": round(seconds, 4)}
        if fixed is None:
            return entry
        loss = Loss(**totals)
        entry["wrmse"] = weighted_rmse(loss)
        entry["objective"] = loss.squared_error + loss.penalty + fixed.totals["penalty"]
        entry["zero_objective"] = loss.zero_error
        entry["to_zero_model"] = entry["wrmse"] / zero_rmse(loss)
        return entry

    def _commit(self, half: Half, directory: str) -> None:
        """Check the loss, then let the half count, and clean away what it supersedes."""
        if half.number > 0:
            self._check_objective(half)
            self.history.append(half.entry)
        gram = base64.b64encode(half.gram.astype("<f8").tobytes()).decode()
        record = {
            "attempt": os.path.basename(directory),
            "kernel": self.kernel,
            "factors": half.factors.to_json(),
            "totals": half.totals,
        }
        self.run.commit(_name(half.number), {**record, "entry": half.entry, "gram": gram})
        if half.number >= 2:
            self.run.clean(_name(half.number - 2))
        if half.number:
            self.progress.say(_line(half.entry))

    def _check_objective(self, half: Half) -> None:
        """Check what must hold between two halves: the same pairs on both sides, and an objective that does not rise."""
        if not self.history:
            return
        pairs, pairs_before = half.entry["pairs"], self.history[-1]["pairs"]
        if pairs != pairs_before:
            solved = f"half {half.number} solved {pairs} pairs, the half before it {pairs_before}"
            msg = f"{solved}: plays were lost; start again with --restart"
            raise DamagedDataError(msg)
        before, now = self.history[-1]["objective"], half.entry["objective"]
        if now > before + ROUNDING * abs(before):
            msg = f"half {half.number}: the objective rose from {before:.8g} to {now:.8g}; try --solver cholesky, and report this"
            raise ObjectiveRoseError(msg)


def _projected(fixed: Half, basis: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Load the fixed rows' hashes, in order, and Z = Y Q; a block is read and checked while the two before it are projected."""
    n, at = int(fixed.totals["rows"]), 0
    hashes, vectors = np.empty(n, np.uint64), np.empty((n, len(basis)), np.float32)
    under_way: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(2) as pool:
        for _, payload in fixed.factors.blocks():
            if len(under_way) == 2:
                under_way.popleft().result()
            block = FactorBlock.unpack(payload, checked=True)
            place = slice(at, at + len(block.hashes))
            hashes[place] = block.hashes
            under_way.append(pool.submit(project, block.factors, basis, vectors[place]))
            at = place.stop
    for projected in under_way:
        projected.result()
    return hashes, vectors


def written(record: Record) -> Written:
    """Read what a task of the job reports of a block."""
    stats = StatsBlock.unpack(record.payload)
    return Written(FACTORS, record.block, stats.n_bytes, stats.crc)


def _name(number: int) -> str:
    return f"half-{number:03d}"


def _line(entry: dict[str, Any]) -> str:
    return (
        f"half {entry['half']:3d}  iteration {entry['iteration']:2d}  {entry['solved']:5s} {entry['rows']:9d} rows  "
        f"wRMSE {entry['wrmse']:.6f}  objective {entry['objective']:.6g}  {entry['bytes'] / 2**20:.1f} MB  {entry['seconds']:.2f} s"
    )
