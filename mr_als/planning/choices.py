"""From sizes to a plan: how many blocks, which join. Depends on inputs and options only, never on the machine.

So the same command gives the same bytes on one core and on a hundred.
"""

from __future__ import annotations

import math
from importlib.util import find_spec

MIN_BLOCKS = 4
LOG_BYTES_PER_BLOCK = 64 << 20
# pairs x rank from which compiled code saves more than loading it costs: once a run inline, locally once a task
COMPILED_WORK = {"inline": 1 << 23, "local": 1 << 30}
COMPRESSION = 5  # plain bytes per byte of .gz or .bz2, about


def choose_blocks(n_bytes: int, task_memory: int = 1 << 30) -> int:
    """Choose the number of blocks a side from the (plain) size of the logs.

    A block of 64 MB of log lines packs to at most about 16 MB; with less memory a task gets smaller blocks.
    """
    per_block = min(LOG_BYTES_PER_BLOCK, max(task_memory // 16, 1 << 20))
    return max(MIN_BLOCKS, -(-n_bytes // per_block))


def broadcast_bytes(n_fixed: int, rank: int) -> int:
    """Memory a task needs for the fixed side: hash and projected vector of every row."""
    return n_fixed * (8 + 4 * rank)


def choose_join(join: str, n_users: int, n_items: int, rank: int, task_memory: int) -> tuple[str, str]:
    """Choose the join and say why.

    Broadcast is faster, as nothing is shuffled; it needs the larger side's factors in half of a task's memory (the
    other half holds Python, NumPy and a block of plays).
    """
    need = broadcast_bytes(max(n_users, n_items), rank)
    size = f"the larger side's factors take {need / 2**20:.1f} MB, a task has {task_memory / 2**20:.0f} MB"
    if join != "auto":
        return join, f"as asked for ({size})"
    if need <= task_memory // 2:
        return "broadcast", f"{size}: they fit in half of it, so nothing needs to be shuffled"
    return "shuffle", f"{size}: they do not fit in half of it, so each block gets only the vectors it needs"


def choose_kernel(kernel: str, runner: str, pairs: int, rank: int) -> str:
    """Choose who does the arithmetic, numpy or numba: nobody knows what is installed on a cluster's nodes.

    >>> choose_kernel("auto", "hadoop", 10**9, 64), choose_kernel("auto", "local", 1000, 64)
    ('numpy', 'numpy')
    """
    if kernel != "auto":
        return kernel
    worth_it = pairs * rank >= COMPILED_WORK.get(runner, math.inf)
    return "numba" if worth_it and find_spec("numba") else "numpy"
