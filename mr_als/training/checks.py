"""What must hold between two halves, or the second does not count."""

from __future__ import annotations

from typing import Any

from mr_als.errors import DamagedDataError, ObjectiveRoseError

__all__ = ["check_half"]

# a rise of the objective that rounding and the solver's tolerance can explain, relative to what is left and to what was summed
ROUNDING, OF_ALL = 1e-5, 1e-6


def check_half(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Compare the entries of two halves, one after the other.

    Raises
    ------
    DamagedDataError
        If they did not count the same pairs.
    ObjectiveRoseError
        If the objective rose.
    """
    if now["pairs"] != before["pairs"]:
        solved = f"half {now['half']} solved {now['pairs']} pairs, the half before it {before['pairs']}"
        msg = f"{solved}: plays were lost; start again with --restart"
        raise DamagedDataError(msg)
    was, objective = before["objective"], now["objective"]
    if objective > was + ROUNDING * abs(was) + OF_ALL * now["zero_objective"]:
        msg = f"half {now['half']}: the objective rose from {was:.8g} to {objective:.8g}; try --solver cholesky, and report this"
        raise ObjectiveRoseError(msg)
