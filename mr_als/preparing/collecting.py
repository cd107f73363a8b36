"""Rows of a program become tables of pairs: checked, filtered and decayed as the lines of a log are, and counted likewise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mr_als.errors import BadInputError, UsageError
from mr_als.logs.badlines import BadLines, Sample, escaped
from mr_als.logs.logs import Filter
from mr_als.logs.parse import MAX_PLAYS
from mr_als.logs.tally import OUTSIDE, SHORT, ZERO, joined
from mr_als.logs.times import parse_moment
from mr_als.maths.array import Array
from mr_als.options import InputOptions, check_decay, check_times
from mr_als.plays.matrix import MatrixTable, in_units
from mr_als.plays.pairs import Coded, PairTable, Table, spilled
from mr_als.preparing.batches import Batch, check_matrix, matrix_batches
from mr_als.records.blocks import SIDES

__all__ = ["Collected", "Rows", "collect_batches", "collect_matrix"]

# a table takes several times its capacity while it is laid aside
_PEAK = 8


class Collected(NamedTuple):
    """All plays of a source: tables, what became of the rows, and of which kind the ids are, "int" or "str"."""

    tables: list[Table]
    report: dict[str, Any]
    kinds: dict[str, str]
    columns: tuple[str, ...]


def collect_matrix(matrix: Any, options: InputOptions) -> Collected:
    """Collect a sparse matrix: rows and columns are named by their numbers, an entry is the plays of a pair."""
    from scipy.sparse import csr_array

    check_matrix(matrix, options)
    _check_no_times(options, ("user", "item", "plays"))
    check_decay(options, parse_moment)
    csr = csr_array(matrix)
    if csr.nnz != matrix.nnz:
        # entries of a pair were summed, in a type that may not hold the sum, and before anybody has looked at them
        return collect_batches(matrix_batches(matrix), options, 1 << 30)
    # not in their own type: of float16, the limit is an infinity
    low, high = (float(csr.data.min()), float(csr.data.max())) if csr.nnz else (0.0, 0.0)
    # of NaN, neither holds
    if not (low >= 0 and high <= MAX_PLAYS) or not csr.has_canonical_format:
        return collect_batches(matrix_batches(csr), options, 1 << 30)
    strengths, unit = in_units(csr.data)
    whole = csr_array((strengths, csr.indices, csr.indptr), csr.shape)
    tables: list[Table] = [MatrixTable(whole, unit, options.salt)] if csr.nnz else []
    report = {"bad": BadLines().to_dict(), "lines": {}, "counts": {"lines": csr.nnz, "filtered": 0}, "times": None}
    zeros = csr.nnz - int(np.count_nonzero(csr.data)) if low == 0 else 0
    report["others"] = {ZERO: zeros} if zeros else {}
    return Collected(tables, report, dict.fromkeys(SIDES, "int"), ("user", "item", "plays"))


class Rows:
    """Rows of batches that are plays and count; what became of the others is in `report`, `kinds` and `columns`."""

    def __init__(self, batches: Iterator[Batch], options: InputOptions) -> None:
        self._batches, self._options = batches, options
        since, until = check_times(options, parse_moment)
        as_of, half_life = check_decay(options, parse_moment) or (None, None)
        self._wanted = Filter(options.min_ms_played, since, until, as_of, half_life)
        self._bad, self._n, self._filtered = BadLines(), 0, 0
        self._kinds: dict[str, str] = {}
        self._others: dict[str, int] = {}
        self._span: tuple[float, float] | None = None
        self.columns: tuple[str, ...] = ("user", "item")

    def __iter__(self) -> Iterator[tuple[Coded, Coded, Array | None, Array | None]]:
        """Yield users, items, plays (decayed; None where each row is one) and seconds, a piece at a time."""
        for batch in self._batches:
            self.columns = _columns(batch)
            _check_no_times(self._options, self.columns)
            _note_kinds(self._kinds, batch)
            good = _check_rows(batch, self._bad)
            long = good if batch.ms_played is None else good & (batch.ms_played >= self._wanted.min_ms_played)
            kept = long & _in_window(batch.seconds, self._wanted)
            self._count(batch, good, long, kept)
            amounts, seconds = (None if v is None else v[kept] for v in (batch.plays, batch.seconds))
            if self._wanted.as_of is not None and self._wanted.half_life is not None and seconds is not None:
                strength = np.exp2((seconds - self._wanted.as_of) / self._wanted.half_life)
                amounts = strength if amounts is None else amounts * strength
            users, items = batch.users.only(kept), batch.items.only(kept)
            yield users, items, amounts, seconds

    def _count(self, batch: Batch, good: Array, long: Array, kept: Array) -> None:
        """Count what becomes of rows."""
        self._n += len(good)
        found = {SHORT: good.sum() - long.sum(), OUTSIDE: long.sum() - kept.sum()}
        self._filtered += int(sum(found.values()))
        found[ZERO] = 0 if batch.plays is None else (batch.plays[kept] == 0).sum()
        self._others |= {name: self._others.get(name, 0) + int(n) for name, n in found.items() if n}
        if batch.seconds is not None and good.any():
            self._span = joined(self._span, (float(batch.seconds[good].min()), float(batch.seconds[good].max())))

    @property
    def kinds(self) -> dict[str, str]:
        """Of which kind the ids of each side are, "int" or "str"."""
        return {side: self._kinds.get(side, "str") for side in SIDES}

    @property
    def report(self) -> dict[str, Any]:
        """What became of the rows, as the ingest job reports it of lines."""
        counts = {"lines": self._n, "filtered": self._filtered}
        found = {"bad": self._bad.to_dict(), "lines": {"plays@0": self._n}, "counts": counts, "others": self._others}
        return {**found, "times": self._span}


def collect_batches(batches: Iterator[Batch], options: InputOptions, task_memory: int) -> Collected:
    """Collect rows, a piece at a time."""
    rows = Rows(batches, options)
    table = PairTable(options.salt, options.duplicates, max(task_memory // 4, 1 << 20) // _PEAK)
    tables: list[Table] = []
    for piece in rows:
        table.add(*piece)
        if table.full:
            tables.append(spilled(table.flush()))
    if rows.report["counts"]["lines"]:
        tables.append(table.flush())
    return Collected(tables, rows.report, rows.kinds, rows.columns)


def _columns(batch: Batch) -> tuple[str, ...]:
    numbers = {"timestamp": batch.seconds, "ms_played": batch.ms_played, "plays": batch.plays}
    return ("user", "item", *(name for name, found in numbers.items() if found is not None))


def _check_no_times(options: InputOptions, columns: tuple[str, ...]) -> None:
    """Check that nothing is asked for that needs the times of plays, if they have none.

    Raises
    ------
    UsageError
        If it is.
    """
    asked = [name for name in ("since", "until", "half_life") if getattr(options, name)] + ["duplicates"] * (
        options.duplicates == "last"
    )
    if asked and "timestamp" not in columns:
        msg = f"{asked[0]} needs the time of each play, but the columns are {', '.join(columns)}"
        raise UsageError(msg)


def _note_kinds(kinds: dict[str, str], batch: Batch) -> None:
    """Remember of which kind the ids are.

    Raises
    ------
    BadInputError
        If they are of another than before.
    """
    for side, kind in zip(SIDES, batch.kinds, strict=True):
        if kind and kinds.setdefault(side, kind) != kind:
            msg = f"plays: from row {batch.first} on, {side} are {kind}, and {kinds[side]} before; make them all of one kind"
            raise BadInputError(msg)


def _check_rows(batch: Batch, bad: BadLines) -> Array:
    """Say which rows are plays; count the others by reason, as bad lines are."""
    good = np.ones(len(batch.users.codes), bool)

    def reject(wrong: Array, reason: str, field: str) -> None:
        rows = np.flatnonzero(wrong & good)
        for row in rows[: bad.wants(reason)].tolist():
            bad.samples.append(Sample("plays@0", batch.first + row + 1, reason, field, escaped(_text(batch, row))))
        bad.count(reason, len(rows))
        good[rows] = False

    reject(batch.users.codes < 0, "no id", "user")
    reject(batch.items.codes < 0, "no id", "item")
    if batch.seconds is not None:
        reject(np.isnan(batch.seconds), "not a time", "timestamp")
    for name, values in (("ms_played", batch.ms_played), ("plays", batch.plays)):
        if values is not None:
            reject(np.isnan(values), "not a number", name)
            reject(values < 0, "negative", name)
            reject(~np.isfinite(values), "infinity", name)
    if batch.plays is not None:
        reject(batch.plays > MAX_PLAYS, "out of range", "plays")
    return good


def _text(batch: Batch, row: int) -> bytes:
    """Format a row, for a table of bad ones."""
    fields = [coded.ids.take(coded.codes[[row]]).to_list()[0] if coded.codes[row] >= 0 else b"" for coded in batch[1:3]]
    numbers = [repr(float(v[row])).encode() for v in (batch.seconds, batch.ms_played, batch.plays) if v is not None]
    return b"\t".join([*fields, *numbers])


def _in_window(seconds: Array | None, wanted: Filter) -> Array | bool:
    """Say which rows are of the time that counts."""
    if seconds is None:
        return True
    inside = np.ones(len(seconds), bool)
    inside &= True if wanted.since is None else seconds >= wanted.since
    inside &= True if wanted.until is None else seconds < wanted.until
    inside &= True if wanted.as_of is None else seconds <= wanted.as_of
    return inside
