"""Split plays in memory: what `jobs/mr_split.py` does to logs, to one block of all users."""

from __future__ import annotations

from typing import Any

import numpy as np

from mr_als.errors import BadInputError, UsageError
from mr_als.evaluating.split import cuts_of
from mr_als.options import InputOptions, SplitOptions
from mr_als.plays.dated import DatedBlock, summed
from mr_als.plays.grouping import in_hash_order
from mr_als.plays.partition import Partition, Rule, mark_of, partition
from mr_als.plays.table import IdTable
from mr_als.preparing.batches import batches_of
from mr_als.preparing.collecting import Rows
from mr_als.records.blocks import STRENGTH_UNIT

__all__ = ["partition_of"]


def partition_of(
    plays: Any, rule: SplitOptions, inputs: InputOptions, *, validation: bool
) -> tuple[DatedBlock, Partition, dict[str, str]]:
    """Say which part each pair belongs to.

    Parameters
    ----------
    plays : as of `mr_als.preparing.batches.batches_of`

    Returns
    -------
    the plays of all users, the part of each of their pairs, and of which kind the ids of each side are

    Raises
    ------
    UsageError
        If the rule does not fit the plays.
    BadInputError
        If too many rows are bad, or none is left.
    """
    cuts = cuts_of(rule, with_validation=validation)
    rows = Rows(batches_of(plays, inputs, ratings=True), inputs)
    users, items = IdTable(inputs.salt), IdTable(inputs.salt)
    found: list[tuple[Any, ...]] = []
    for one, other, amounts, seconds in rows:
        if seconds is None and rule.by in ("time", "last"):
            msg = f"by {rule.by} needs a timestamp, but the columns are {', '.join(rows.columns)}; split by random or users"
            raise UsageError(msg)
        units = np.rint((1.0 if amounts is None else amounts) * STRENGTH_UNIT).astype(np.int64)
        n = len(one.codes)
        codes = users.codes(one.ids)[one.codes], items.codes(other.ids)[other.codes]
        found.append((*codes, mark_of(rule.by, cuts, seconds, n), np.broadcast_to(units, n)))
    _check(rows.report, inputs, sum(len(piece[0]) for piece in found))
    user, item, mark, units = (np.concatenate(column) for column in zip(*found, strict=True))
    user_side, user_place = in_hash_order(users.side())
    item_side, item_place = in_hash_order(items.side())
    block = summed(user_side, item_side, user_place[user], item_place[item], mark, units)
    return block, partition(block, Rule(rule.by, validation, rule.share, rule.last, rule.seed)), rows.kinds


def _check(report: dict[str, Any], inputs: InputOptions, n_plays: int) -> None:
    """Check that there are plays, and not too many bad rows."""
    n_rows, limit, bad = report["counts"]["lines"], inputs.max_bad_lines, report["bad"]
    n_bad = sum(bad["counts"].values())
    if n_bad > (float(limit[:-1]) / 100 * n_rows if limit.endswith("%") else float(limit)):
        _, row, reason, column, text = bad["samples"][0]
        first = f"row {row - 1}, {column} {reason}: {text}"
        msg = f"{n_bad} of {n_rows} rows are bad, more than max_bad_lines {limit}; the first is {first}"
        raise BadInputError(msg)
    if not n_plays:
        msg = f"no usable play in {n_rows} rows"
        raise BadInputError(msg)
