"""The plan as text: what `mr-als plan` and `mr-als train` print of the figures in `mr_als.planning.plan`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from mr_als.options import multiple_in_words
from mr_als.planning.choices import Choices, blocks_that_fit
from mr_als.planning.estimate import HALVES, half_bytes, largest_task_of_a_half
from mr_als.planning.sizes import Sizes
from mr_als.progress import size


def choices_in_words(sizes: Sizes, choices: Choices, plays: str = "", lasting: bool = False) -> list[str]:
    """Say what was chosen for a run, what it will take, and what to do if a task cannot hold it.

    Parameters
    ----------
    plays : the plays directory that was given, if one was
    lasting : whether the tasks are those of Spark, on a cluster
    """
    lines = [
        f"join: {choices.join}, {choices.why}; kernel: {choices.kernel}",
        f"plan: {in_words(sizes, choices.join, choices.expected)}",
    ]
    advice = too_large(sizes, choices.join, choices.kernel, choices.task_memory, lasting)
    if plays:
        advice = advice.replace("--user-blocks", f"mr-als prepare --plays {shlex.quote(plays)} --replan --user-blocks")
    return [*lines, advice] if advice else lines


def in_words(sizes: Sizes, join: str, expected: Mapping[str, float]) -> str:
    """Say in one line what each half reads, sends and writes, and how much memory it takes."""
    halves = []
    for side, name in enumerate(HALVES):
        moved = half_bytes(sizes, side, join)
        goes = f"{size(moved.sent)} shuffled" if join == "shuffle" else f"{size(moved.copied)} to each machine"
        halves.append(f"{name} half: {size(moved.read)} of plays read, {goes}, {size(moved.written)} written")
    memory = f"; {size(expected['bytes_of_memory'])} of memory" if "bytes_of_memory" in expected else ""
    return f"{sizes.blocks[0]} blocks of users and {sizes.blocks[1]} of items; " + "; ".join(halves) + memory


def too_large(sizes: Sizes, join: str, kernel: str, budget: int, lasting: bool = False) -> str:
    """Say what to do if tasks will take more than `--task-memory`; else nothing. Those of Spark are `lasting` ones."""
    need = largest_task_of_a_half(sizes, join, kernel, budget, lasting)
    if need <= budget:
        return ""
    too_much = f"a task will take about {size(need)}, more than --task-memory {budget >> 20}M"
    if (blocks := blocks_that_fit(sizes, join, kernel, budget, lasting)) == sizes.blocks:
        return f"{too_much}, however small the blocks are: raise it" + (", or --join shuffle" * (join == "broadcast"))
    return f"{too_much}, because blocks have many rows; smaller ones fit: --user-blocks {blocks[0]} --item-blocks {blocks[1]}"


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
        *_weights_in_words(plan["weights"], min(plan["rank"], plan["users"], plan["items"])),
        "",
        _row("half-iteration that solves", "users", "items"),
        *(_row(f"  {words}", *(size(half[key]) for half in halves)) for words, key in MOVED.items()),
    ]
    if "measured" in plan:
        lines.append(_row("  seconds on this machine", *(f"{half['seconds']:.3g}" for half in halves)))
    lines += ["", "resident memory per process", *(_row(f"  {name}", size(n_bytes)) for name, n_bytes in plan["memory"].items())]
    lines += [_row(f"  largest process here, -r {plan['runner']}", size(plan["memory_of_this_machine"]))]
    if "executors" in plan:
        lines += ["", "all executors of Spark together", _row("  plays, in memory or on disk", size(plan["executors"]["plays"]))]
        lines += [_row("  each: the fixed side, mapped", size(plan["executors"]["vectors"]))] * bool(plan["executors"]["vectors"])
        lines += [_row("  each core: a Python worker", size(plan["executors"]["worker"]))]
    lines += [f"  {plan['too_large']}"] * bool(plan["too_large"]) + [""]
    lines += _time_in_words(plan) if "measured" in plan else ["time      not measured"]
    return "\n".join(lines) + "\n"


def _weights_in_words(weights: dict[str, Any], rank: int) -> list[str]:
    """Format the lines about alpha and lambda."""
    alpha, lam = f"alpha {weights['alpha']}", f"lambda {weights['regularization']}"
    if "mean_excess" in weights:
        mean, density = f"{weights['mean_excess']:.3g}", f"{weights['density']:.3g}"
        alpha += f": a play adds {mean} to the confidence on average, since {density} of all pairs were played"
    if "passes" in weights:
        lam += f": {weights['share']:.3g} of sigma_{rank}, from {weights['passes']} passes before the first half"
    if "lambda_of_ratings" in weights:
        lam += f": {weights['lambda_of_ratings']:g}, {multiple_in_words(weights['regularization'], 'the default for ratings')}"
    return [f"weights   {alpha}", f"          {lam}"]


def _row(name: str, *values: str) -> str:
    return f"{name:36s}" + "".join(f"{value:>12s}" for value in values)


def _time_in_words(plan: dict[str, Any]) -> list[str]:
    """Format the time per iteration here and on a cluster, with the assumptions about the cluster."""
    m, there, cluster = plan["measured"], plan["on_the_cluster"], plan["cluster"]
    parts = there["seconds_of_an_iteration"]
    a_vector = f"; {1e6 * m['vector']:.2g} us per vector sent" if m["vector"] else ""
    cost = f", cost {there['cost']:.2f}" if "cost" in there else ""
    solving = f"{1e6 * m['pair'][0]:.2g} us per pair in a user half, {1e6 * m['pair'][1]:.2g} us in an item half"
    speeds = f"{size(cluster['network'])}/s over the network and {size(cluster['disk'])}/s to and from its disks"
    return [
        f"here      {plan['seconds_of_an_iteration']:.3g} s per iteration with -r {plan['runner']}",
        f"          {m['start']:.2g} s to start a half; {solving}{a_vector}",
        f"cluster   {sum(parts.values()):.3g} s per iteration: "
        + ", ".join(f"{name} {value:.3g}" for name, value in parts.items()),
        f"          {cluster['iterations']} iterations: {there['hours']:.2g} hours, {there['node_hours']:.3g} node-hours{cost}",
        "assumed about the cluster",
        f"          {cluster['nodes']} machines with {cluster['cores']} cores each, as fast as those here with this kernel",
        f"          {cluster['job_seconds']:g} s to start a job; the slowest task takes {cluster['slowest']:g} times the average",
        f"          a machine moves {speeds}; each byte sent touches a disk {cluster['touches']:g} times",
        f"          a core passes {size(cluster['coded'])}/s through base64 and pipes",
    ]
