"""The plan of a training: what it is expected to take, put together from the estimates, and what it took in the end."""

from __future__ import annotations

import contextlib
import resource
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mr_als.maths.regularization import PASSES, SHARE, lambda_of_ratings, mean_excess
from mr_als.options import ClusterOptions, WeightOptions, share_of_auto
from mr_als.planning.choices import Choices
from mr_als.planning.estimate import HALVES, Measured, cluster_seconds, half_bytes, process_memory, task_memory, worker_memory
from mr_als.planning.sizes import Sizes
from mr_als.planning.words import too_large
from mr_als.records.lines import REFERENCES

if TYPE_CHECKING:
    from mr_als.engine.engine import Engine


# to start a job where it starts no process, measured
LASTING_SECONDS = 1.0


def expect(sizes: Sizes, choices: Choices, engine: Engine, read_logs: bool) -> dict[str, float]:
    """Predict, before the first half, the bytes of each half and, where tasks run here, the memory.

    Parameters
    ----------
    read_logs : whether the run prepares its plays itself
    """
    found: dict[str, float] = {}
    for side, name in enumerate(HALVES):
        moved = half_bytes(sizes, side, choices.join)
        found[f"bytes_written_by_{name}_half"] = round(moved.written)
        if engine.form == REFERENCES:
            found[f"bytes_shuffled_by_{name}_half"] = round(moved.sent)
    if engine.how.runs_here:
        where = (engine.processes, read_logs, engine.threads)
        found["bytes_of_memory"] = round(process_memory(sizes, choices.join, choices.kernel, choices.task_memory, *where))
    return found


def took(history: list[dict[str, Any]], runs_here: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Return what the first iteration predicts, and what the run took, under the same names as `expect`."""
    found: dict[str, float] = {}
    for name in HALVES:
        halves = [entry for entry in history if entry["solved"] == f"{name}s"]
        for key, figure in (("written", "bytes"), ("shuffled", "shuffled")):
            if halves and figure in halves[-1]:
                found[f"bytes_{key}_by_{name}_half"] = halves[-1][figure]
    if runs_here:
        found["bytes_of_memory"] = peak_memory()
    # half 1 is not of an iteration, and pays for loading the kernel
    seconds: dict[int, float] = {}
    for entry in history[1:]:
        seconds[entry["iteration"]] = seconds.get(entry["iteration"], 0.0) + entry["seconds"]
    if len(seconds) < 2:
        return {}, found
    found["seconds_of_an_iteration"] = statistics.mean(list(seconds.values())[1:])
    return {"seconds_of_an_iteration": seconds[1]}, found


def peak_memory() -> int:
    """Return the peak memory, in bytes, of this process or of one that it started, whichever is larger."""
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    if sys.platform == "darwin":
        return max(own, children)
    # ru_maxrss begins with what the process had that started this one
    with contextlib.suppress(OSError, IndexError):
        own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    return max(own, children) << 10


def plan_of_weights(sizes: Sizes, weights: WeightOptions) -> dict[str, Any]:
    """Say what is known before the passes of `mr_als.training.passes` of alpha and lambda, where they are `auto`."""
    found: dict[str, Any] = {"alpha": weights.alpha, "regularization": weights.regularization}
    share = share_of_auto(weights.regularization)
    if weights.feedback == "explicit":
        return {**found, "lambda_of_ratings": lambda_of_ratings(share)} if share else found
    density = sizes.pairs / (sizes.rows[0] * sizes.rows[1])
    if times := share_of_auto(weights.alpha):
        found |= {"density": density, "mean_excess": times * mean_excess(density)}
    return {**found, "share": share * SHARE, "passes": PASSES} if share else found


def make_plan(
    sizes: Sizes,
    known: str,
    choices: Choices,
    engine: Engine,
    measured: Measured | None,
    cluster: ClusterOptions,
    lasting: bool = False,
) -> dict[str, Any]:
    """Build the plan of a training run, all figures by name: bytes, seconds, and money in the unit of its price.

    Parameters
    ----------
    known : where the sizes are from, in words
    lasting : whether plays are to stay in what runs the tasks, as on Spark
    """
    tasks = engine.processes
    chosen = (choices.join, choices.kernel, choices.task_memory)
    found: dict[str, Any] = {
        "users": sizes.rows[0], "items": sizes.rows[1], "pairs": sizes.pairs, "known": known, "rank": sizes.rank,
        "blocks": list(sizes.blocks), "join": choices.join, "why": choices.why, "kernel": choices.kernel, "runner": engine.runner,
        "halves": {name: half_bytes(sizes, side, choices.join)._asdict() for side, name in enumerate(HALVES)},
        "memory": (worker_memory if lasting else task_memory)(sizes, *chosen, tasks or 1),
        "memory_of_this_machine": process_memory(sizes, *chosen, tasks, True, engine.threads),
        "too_large": too_large(sizes, *chosen, lasting),
        "cluster": asdict(cluster),
    }  # fmt: skip
    if lasting:
        worker = max(n_bytes for name, n_bytes in found["memory"].items() if name != "driver")
        vectors = max(half["copied"] for half in found["halves"].values())
        found["executors"] = {"plays": sum(sizes.play_bytes), "vectors": vectors, "worker": worker}
    return found if measured is None else found | _time(found["halves"], sizes, choices.join, measured, cluster, lasting)


def _time(
    halves: dict[str, Any], sizes: Sizes, join: str, measured: Measured, cluster: ClusterOptions, lasting: bool
) -> dict[str, Any]:
    """Add the seconds of each half, and return those of an iteration here and on the cluster, and what that costs."""
    for side, name in enumerate(HALVES):
        halves[name]["seconds"] = measured.seconds(sizes, side)
    here = sum(half["seconds"] for half in halves.values())
    parts = cluster_seconds(sizes, join, measured, cluster, lasting)
    hours = cluster.iterations * sum(parts.values()) / 3600
    there = {"seconds_of_an_iteration": parts, "hours": hours, "node_hours": hours * cluster.nodes}
    if cluster.price_per_node_hour:
        there["cost"] = hours * cluster.nodes * cluster.price_per_node_hour
    return {"measured": measured._asdict(), "seconds_of_an_iteration": here, "on_the_cluster": there}
