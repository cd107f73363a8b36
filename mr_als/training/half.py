"""A finished half: its factors, the sums of what its tasks reported, and its entry in the history."""

from __future__ import annotations

import base64
import math
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mr_als.engine.engine import Data, Engine, Output, Written
from mr_als.errors import BadInputError, DamagedDataError
from mr_als.maths.weighing.loss import Loss, weighted_rmse, zero_rmse
from mr_als.records.blocks import FACTORS, StatsBlock
from mr_als.records.lines import Record

# what the tasks report of a block, and the driver sums
SUMMED = ("rows", "observed", "squared_error", "penalty", "confidence", "zero_error")


@dataclass(frozen=True)
class Half:
    """A finished half-iteration: its factors, their Gram matrix, and the sums of its loss terms."""

    number: int
    factors: Data
    gram: npt.NDArray[np.float64]
    totals: dict[str, float]
    entry: dict[str, Any]

    @property
    def rows(self) -> int:
        """Number of rows that have a vector: those that observed anything."""
        return int(self.totals["rows"])

    def to_json(self, directory: str, kernel: str) -> dict[str, Any]:
        """Build the record with which this half counts."""
        gram = base64.b64encode(self.gram.astype("<f8").tobytes()).decode()
        record = {"attempt": os.path.basename(directory), "kernel": kernel, "factors": self.factors.to_json()}
        return {**record, "totals": self.totals, "entry": self.entry, "gram": gram}

    @classmethod
    def from_json(cls, number: int, record: dict[str, Any], engine: Engine, directory: str) -> Half:
        """Open a half by its record; its factors are in `directory`."""
        flat = np.frombuffer(base64.b64decode(record["gram"]), "<f8")
        factors = engine.load(record["factors"], directory)
        return cls(number, factors, flat.reshape(math.isqrt(len(flat)), -1), record["totals"], record["entry"])


def sides_of(number: int) -> tuple[str, str]:
    """Return the side that half `number` solves, and the other one."""
    return ("users", "items") if number % 2 else ("items", "users")


def written(record: Record) -> Written:
    """Read what a task of the job reports of a block."""
    stats = StatsBlock.unpack(record.payload)
    return Written(FACTORS, record.block, stats.n_bytes, stats.crc)


def collect(number: int, output: Output, plays: Data, fixed: Half | None, started: float) -> Half:
    """Check that the job wrote every block of the plays, and sum the statistics in block order.

    Raises
    ------
    DamagedDataError
        If a block is missing.
    BadInputError
        If no row observed anything.
    """
    factors = output.data[FACTORS]
    stats = {record.block: StatsBlock.unpack(record.payload) for record in output.reports}
    blocks = [entry.block for entry in plays.entries]
    if [e.block for e in factors.entries] != blocks or sorted(stats) != blocks:
        msg = f"half {number}: the job wrote {len(factors.entries)} of {len(blocks)} blocks; run the same command again"
        raise DamagedDataError(msg)
    gram = np.zeros_like(stats[blocks[0]].gram)
    for block in blocks:
        gram += stats[block].gram
    totals: dict[str, Any] = {name: math.fsum(getattr(stats[block], name) for block in blocks) for name in SUMMED}
    if not totals["observed"]:
        msg = "no play is left of a user and an item that both count; lower --min-user-plays or --min-item-plays"
        raise BadInputError(msg)
    entry: dict[str, Any] = {"half": number, "iteration": number // 2, "solved": sides_of(number)[0], "rows": int(totals["rows"])}
    entry |= {"pairs": int(totals["observed"]), "bytes": factors.n_bytes, "seconds": round(time.monotonic() - started, 4)}
    if fixed is not None and totals["confidence"]:  # neither half 0 nor a pass has a loss
        entry |= _loss_of(Loss(**totals), fixed.totals["penalty"])
    if output.shuffled is not None:
        entry["shuffled"] = output.shuffled
    return Half(number, factors, gram, totals, entry)


def _loss_of(loss: Loss, penalty_of_fixed: float) -> dict[str, float]:
    """Compute the loss over all cells and the regularised objective, as the history has them."""
    wrmse, objective = weighted_rmse(loss), loss.squared_error + loss.penalty + penalty_of_fixed
    to_zero_model = {"zero_objective": loss.zero_error, "to_zero_model": wrmse / (zero_rmse(loss) or 1.0)}
    return {"wrmse": wrmse, "objective": objective, **to_zero_model}


def in_a_line(entry: dict[str, Any]) -> str:
    """Format the entry of a half as the line that a person sees."""
    return (
        f"half {entry['half']:3d}  iteration {entry['iteration']:2d}  {entry['solved']:5s} {entry['rows']:9d} rows  "
        f"wRMSE {entry['wrmse']:.6f}  objective {entry['objective']:.6g}  {entry['bytes'] / 2**20:.1f} MB  {entry['seconds']:.2f} s"
    )
