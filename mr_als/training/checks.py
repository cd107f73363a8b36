"""Checks between two halves, without which the second does not count: no pair is lost, and the objective does not rise."""

from __future__ import annotations

from typing import Any

import numpy as np

from mr_als.errors import DamagedDataError, ObjectiveRoseError
from mr_als.maths.array import Array

__all__ = ["check_half", "check_pairs", "vanished"]

# a rise of the objective that rounding and the solver's tolerance can explain, relative to what is left and to what was summed
ROUNDING, OF_ALL = 1e-5, 1e-6
# squared length of a dimension over that of the longest, from which on it has as good as vanished
VANISHED = 1e-4


def check_pairs(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Compare the pairs of two halves, or passes, one after the other.

    Raises
    ------
    DamagedDataError
        If they did not count the same.
    """
    if now["pairs"] != before["pairs"]:
        solved = f"half {now['half']} solved {now['pairs']} pairs, the half before it {before['pairs']}"
        msg = f"{solved}: plays were lost; start again with --restart"
        raise DamagedDataError(msg)


def check_half(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Compare the entries of two halves, one after the other.

    Raises
    ------
    DamagedDataError
        If they did not count the same pairs.
    ObjectiveRoseError
        If the objective rose.
    """
    check_pairs(before, now)
    was, objective = before["objective"], now["objective"]
    if objective > was + ROUNDING * abs(was) + OF_ALL * now["zero_objective"]:
        msg = f"half {now['half']}: the objective rose from {was:.8g} to {objective:.8g}; try --solver cholesky, and report this"
        raise ObjectiveRoseError(msg)


def vanished(gram: Array) -> int:
    """Count the dimensions that have vanished from factors with this Gram matrix (rank, rank)."""
    spectrum = np.linalg.eigvalsh(gram)
    return int(np.count_nonzero(spectrum <= VANISHED * spectrum[-1]))
