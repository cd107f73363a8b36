"""Figures of a training for Prometheus, in the text format that its node exporter collects from a directory of files."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

from mr_als.errors import UsageError

__all__ = ["check_metrics", "write_metrics"]

# name -> what it is, as HELP says it
HELP = {
    "success": "Whether the last training published a model (1) or not (0)",
    "end_time_seconds": "When the last training ended, in seconds since 1970",
    "duration_seconds": "How long the last training took",
    "exit_code": "Exit code of the last training: 0 done, 1 failed, 2 usage, 3 a gate was not passed, 130 interrupted",
    "users": "Users of the model",
    "items": "Items of the model",
    "pairs": "Pairs of a user and an item that were played",
    "plays": "Plays that count",
    "lines": "Lines of the logs that were read",
    "bad_lines": "Lines of the logs that were left out because they are bad",
    "halves": "Half-iterations of the run",
    "wrmse": "Weighted RMSE of the model",
    "wrmse_to_zero_model": "Weighted RMSE of the model over that of a model that knows nothing",
}


def check_metrics(path: str) -> None:
    """Refuse a file that could not be written, before anything runs.

    Raises
    ------
    UsageError
        If its directory is missing or may not be written, or it is a directory.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        why = f"there is no directory {folder}"
    elif os.path.isdir(path):
        why = "it is a directory"
    elif not os.access(folder, os.W_OK | os.X_OK):
        why = f"{folder} may not be written"
    else:
        return
    msg = f"--metrics {path}: {why}; name a file in a directory that you may write to"
    raise UsageError(msg)


def write_metrics(path: str, model: str, code: int, started: float, info: dict[str, Any] | None) -> None:
    """Write the figures of a training that ended now to a file that appears whole.

    Parameters
    ----------
    path : name of the file, which should end in .prom
    code : exit code
    started : when it began, in seconds since 1970
    info : the content of model.json; None if nothing was published
    """
    now = time.time()
    figures: dict[str, float] = {"success": int(info is not None), "end_time_seconds": now, "exit_code": code}
    figures["duration_seconds"] = now - started
    if info is not None:
        last = info["history"][-1]
        figures |= {"users": info["n_users"], "items": info["n_items"], "pairs": info["pairs"], "plays": info["plays"]}
        figures |= {"lines": info["lines"]["counts"]["lines"], "bad_lines": sum(info["lines"]["bad"].values())}
        figures |= {"halves": last["half"], "wrmse": last["wrmse"], "wrmse_to_zero_model": last["to_zero_model"]}
    label = model.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    lines = []
    for name, value in figures.items():
        lines += [f"# HELP mr_als_train_{name} {HELP[name]}.", f"# TYPE mr_als_train_{name} gauge"]
        lines.append(f'mr_als_train_{name}{{model="{label}"}} {value:.15g}')
    scratch = f"{path}.{uuid.uuid4().hex[:8]}"  # the exporter reads names that end in .prom
    try:
        Path(scratch).write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.replace(scratch, path)
    finally:
        Path(scratch).unlink(missing_ok=True)
