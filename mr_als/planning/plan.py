"""What a training is expected to take, from its plays or from numbers alone, and what it took in the end."""

from __future__ import annotations

import contextlib
import resource
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mr_als.options import ClusterOptions, InputOptions, PlanOptions
from mr_als.planning.choices import choose_join, choose_kernel
from mr_als.planning.estimate import (
    Measured,
    Sizes,
    blocks_that_fit,
    cluster_seconds,
    guess_sizes,
    half_bytes,
    largest_task_of_a_half,
    process_memory,
    task_memory,
)
from mr_als.progress import size
from mr_als.records.lines import REFERENCES

if TYPE_CHECKING:
    from mr_als.engine.engine import Engine

HALVES = ("user", "item")


def counted(info: dict[str, Any], rank: int) -> Sizes:
    """Estimate the sizes of plays when only their `plays.json` is known."""
    blocks, pairs = info["blocks"], info["pairs"]
    guessed = guess_sizes(info["n_users"], info["n_items"], pairs, (blocks[0], blocks[1]), rank)
    # plays that an older version prepared do not say what their blocks need
    users, items = info.get("vectors", guessed.vectors)
    most = info.get("most_pairs", (0, 0))
    excess = (max(0.0, most[0] - pairs / blocks[0]), max(0.0, most[1] - pairs / blocks[1]))
    return guessed._replace(vectors=(users, items), excess=excess)


def fitting_blocks(sizes: Sizes, inputs: InputOptions, plan: PlanOptions) -> tuple[int, int]:
    """Choose the numbers of blocks, where they are `auto`, so that the tasks of a half fit into their memory.

    The kernel is taken to be NumPy's unless another was asked for: `kernel_for` chooses no other that does not fit as well.
    """
    join, _ = choose_join(plan.join, *sizes.rows, sizes.rank, plan.task_memory)
    kernel = "numba" if plan.kernel == "numba" else "numpy"
    return given_or(blocks_that_fit(sizes, join, kernel, plan.task_memory), inputs)


def given_or(auto: tuple[int, int], inputs: InputOptions) -> tuple[int, int]:
    """Return the numbers of blocks that the user gave, and the automatic choice for those left at `auto`."""
    users, items = inputs.user_blocks, inputs.item_blocks
    return (auto[0] if users == "auto" else int(users)), (auto[1] if items == "auto" else int(items))


def kernel_for(plan: PlanOptions, runner: str, sizes: Sizes, join: str) -> str:
    """Choose the kernel; compiled code takes memory, which a task may not have."""
    kernel = choose_kernel(plan.kernel, runner, sizes.pairs, sizes.rank)
    fits = largest_task_of_a_half(sizes, join, kernel, plan.task_memory) <= plan.task_memory
    return kernel if fits or plan.kernel != "auto" else "numpy"


def expect(sizes: Sizes, join: str, kernel: str, engine: Engine, budget: int, read_logs: bool) -> dict[str, float]:
    """Predict, before the first half, the bytes of each half and, where tasks run here, the memory.

    Parameters
    ----------
    read_logs : whether the run prepares its plays itself
    """
    found: dict[str, float] = {}
    for side, name in enumerate(HALVES):
        moved = half_bytes(sizes, side, join)
        found[f"bytes_written_by_{name}_half"] = round(moved.written)
        if engine.form == REFERENCES:
            found[f"bytes_shuffled_by_{name}_half"] = round(moved.sent)
    if engine.runner in ("inline", "local"):
        tasks = 0 if engine.runner == "inline" else engine.tasks
        found["bytes_of_memory"] = round(process_memory(sizes, join, kernel, budget, tasks, read_logs, engine.threads))
    return found


def took(history: list[dict[str, Any]], runner: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return what the first iteration predicts, and what the run took, under the same names as `expect`."""
    found: dict[str, float] = {}
    for name in HALVES:
        halves = [entry for entry in history if entry["solved"] == f"{name}s"]
        for key, figure in (("written", "bytes"), ("shuffled", "shuffled")):
            if halves and figure in halves[-1]:
                found[f"bytes_{key}_by_{name}_half"] = halves[-1][figure]
    if runner in ("inline", "local"):
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


def in_words(sizes: Sizes, join: str, expected: dict[str, float]) -> str:
    """Say in a line what a half reads, sends and writes, and what memory it takes."""
    halves = []
    for side, name in enumerate(HALVES):
        moved = half_bytes(sizes, side, join)
        goes = f"{size(moved.sent)} shuffled" if join == "shuffle" else f"{size(moved.copied)} to each machine"
        halves.append(f"{name} half: {size(moved.read)} of plays read, {goes}, {size(moved.written)} written")
    memory = f"; {size(expected['bytes_of_memory'])} of memory" if "bytes_of_memory" in expected else ""
    return f"{sizes.blocks[0]} blocks of users and {sizes.blocks[1]} of items; " + "; ".join(halves) + memory


def too_large(sizes: Sizes, join: str, kernel: str, budget: int) -> str:
    """Say what to do if tasks will take more than `--task-memory`; else nothing."""
    need = largest_task_of_a_half(sizes, join, kernel, budget)
    if need <= budget:
        return ""
    too_much = f"a task will take about {size(need)}, more than --task-memory {budget >> 20}M"
    if (blocks := blocks_that_fit(sizes, join, kernel, budget)) == sizes.blocks:
        return f"{too_much}, however small the blocks are: give it more" + (", or --join shuffle" * (join == "broadcast"))
    return f"{too_much}, as blocks have many rows; smaller ones fit: --user-blocks {blocks[0]} --item-blocks {blocks[1]}"


def make_plan(
    sizes: Sizes, known: str, join: str, why: str, kernel: str, budget: int, engine: Engine, measured: Measured | None,
    cluster: ClusterOptions,
) -> dict[str, Any]:  # fmt: skip
    """Build the plan of a training run, all figures by name: bytes, seconds, and money in the unit of its price."""
    tasks = 0 if engine.runner == "inline" else engine.tasks
    found: dict[str, Any] = {
        "users": sizes.rows[0], "items": sizes.rows[1], "pairs": sizes.pairs, "known": known, "rank": sizes.rank,
        "blocks": list(sizes.blocks), "join": join, "why": why, "kernel": kernel, "runner": engine.runner,
        "halves": {name: half_bytes(sizes, side, join)._asdict() for side, name in enumerate(HALVES)},
        "memory": task_memory(sizes, join, kernel, budget, tasks or 1),
        "memory_of_this_machine": process_memory(sizes, join, kernel, budget, tasks, True, engine.threads),
        "too_large": too_large(sizes, join, kernel, budget),
        "cluster": asdict(cluster),
    }  # fmt: skip
    if measured is None:
        return found
    for side, name in enumerate(HALVES):
        found["halves"][name]["seconds"] = measured.seconds(sizes, side)
    found["measured"] = measured._asdict()
    found["seconds_of_an_iteration"] = sum(measured.seconds(sizes, side) for side in (0, 1))
    there = cluster_seconds(sizes, join, measured, cluster)
    hours = cluster.iterations * sum(there.values()) / 3600
    found["on_the_cluster"] = {"seconds_of_an_iteration": there, "hours": hours, "node_hours": hours * cluster.nodes}
    if cluster.price_per_node_hour:
        found["on_the_cluster"]["cost"] = hours * cluster.nodes * cluster.price_per_node_hour
    return found


MOVED = {
    "plays read": "read",
    "vectors shuffled": "sent",
    "vectors copied to each machine": "copied",
    "vectors written": "written",
}


def plan_in_words(plan: dict[str, Any]) -> str:
    """Format a plan as text."""
    halves = [plan["halves"][name] for name in HALVES]
    lines = [
        f"data      {plan['users']} users, {plan['items']} items, {plan['pairs']} pairs: {plan['known']}",
        f"blocks    {plan['blocks'][0]} of users, {plan['blocks'][1]} of items",
        f"join      {plan['join']}: {plan['why']}",
        f"kernel    {plan['kernel']}",
        "",
        _row("a half that solves", "users", "items"),
        *(_row(f"  {words}", *(size(half[key]) for half in halves)) for words, key in MOVED.items()),
    ]
    if "measured" in plan:
        lines.append(_row("  seconds on this machine", *(f"{half['seconds']:.3g}" for half in halves)))
    lines += ["", "resident memory of a process", *(_row(f"  {name}", size(n_bytes)) for name, n_bytes in plan["memory"].items())]
    lines += [_row(f"  the largest here, with -r {plan['runner']}", size(plan["memory_of_this_machine"]))]
    lines += [f"  {plan['too_large']}"] * bool(plan["too_large"]) + [""]
    lines += _time_in_words(plan) if "measured" in plan else ["time      not measured"]
    return "\n".join(lines) + "\n"


def _row(name: str, *values: str) -> str:
    return f"{name:36s}" + "".join(f"{value:>12s}" for value in values)


def _time_in_words(plan: dict[str, Any]) -> list[str]:
    """Format the lines about time here and on a cluster, and what is assumed about the cluster."""
    m, there, cluster = plan["measured"], plan["on_the_cluster"], plan["cluster"]
    parts = there["seconds_of_an_iteration"]
    a_vector = f"; {1e6 * m['vector']:.2g} us a vector that is sent" if m["vector"] else ""
    cost = f", cost {there['cost']:.2f}" if "cost" in there else ""
    solving = f"{1e6 * m['pair'][0]:.2g} us a pair in a user half, {1e6 * m['pair'][1]:.2g} us in an item half"
    speeds = f"{size(cluster['network'])} by network and {size(cluster['disk'])} by disks"
    return [
        f"here      {plan['seconds_of_an_iteration']:.3g} s an iteration with -r {plan['runner']}",
        f"          {m['start']:.2g} s to start a half; {solving}{a_vector}",
        f"cluster   {sum(parts.values()):.3g} s an iteration: " + ", ".join(f"{name} {value:.3g}" for name, value in parts.items()),
        f"          {cluster['iterations']} iterations: {there['hours']:.2g} hours, {there['node_hours']:.3g} node-hours{cost}",
        "taken for granted of the cluster",
        f"          {cluster['nodes']} machines of {cluster['cores']} cores, each as fast as one here with this kernel",
        f"          {cluster['job_seconds']:g} s to start a job; the slowest task takes {cluster['slowest']:g} times the average",
        f"          a second, a machine moves {speeds}, which a byte touches {cluster['touches']:g} times",
        f"          a second, {size(cluster['coded'])} go through base64 and the pipes of a core",
    ]
