"""What follows from the sizes: how many blocks (partitions) a side has, which join, which kernel; and the record of these choices.

Blocks and join depend on inputs and options alone, never on the machine: the same command writes the same bytes on one core
and on a hundred.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from mr_als.options import TASK_MEMORY, InputOptions, PlanOptions
from mr_als.planning.estimate import largest_task_of_a_half
from mr_als.planning.sizes import Sizes, guess_sizes, vector_bytes

MIN_BLOCKS = 4
LOG_BYTES_PER_BLOCK = 64 << 20
COMPRESSION = 5  # plain bytes per byte of .gz or .bz2, about


def choose_blocks(n_bytes: int, task_memory: int = TASK_MEMORY) -> int:
    """Choose the number of blocks a side from the (plain) size of the logs.

    A block of 64 MB of log lines packs to at most about 16 MB; with less memory a task gets smaller blocks.
    """
    per_block = min(LOG_BYTES_PER_BLOCK, max(task_memory // 16, 1 << 20))
    return max(MIN_BLOCKS, -(-n_bytes // per_block))


def choose_join(join: str, n_users: int, n_items: int, rank: int, task_memory: int) -> tuple[str, str]:
    """Choose the join and say why.

    Broadcast is faster, as nothing is shuffled; it needs the larger side's factors in half of a task's memory (the
    other half holds Python, NumPy and a block of plays).
    """
    need = vector_bytes(max(n_users, n_items), rank)
    size = f"the larger side's factors take {need / 2**20:.1f} MB, a task has {task_memory / 2**20:.0f} MB"
    if join != "auto":
        return join, f"as asked for ({size})"
    if need <= task_memory // 2:
        return "broadcast", f"{size}: they fit in half of it, so nothing needs to be shuffled"
    return "shuffle", f"{size}: they do not fit in half of it, so each block gets only the vectors it needs"


def choose_kernel(kernel: str, compiled_work: float, pairs: int, rank: int) -> str:
    """Choose who does the arithmetic, numpy or numba: compiled code is worth loading from some pairs x rank on.

    >>> choose_kernel("auto", 1 << 30, 1000, 64)
    'numpy'
    """
    if kernel != "auto":
        return kernel
    return "numba" if pairs * rank >= compiled_work and find_spec("numba") else "numpy"


def blocks_that_fit(sizes: Sizes, join: str, kernel: str, budget: int, lasting: bool = False) -> tuple[int, int]:
    """Find numbers of blocks that keep a half's tasks within `budget`: doubled until they do, unchanged if none do."""
    finer = sizes
    while largest_task_of_a_half(finer, join, kernel, budget, lasting) > budget:
        if min(finer.blocks) > max(sizes.rows):
            return sizes.blocks
        more = (2 * finer.blocks[0], 2 * finer.blocks[1])
        # what one row has too many of stays together
        finer = guess_sizes(*sizes.rows, sizes.pairs, more, sizes.rank)._replace(excess=sizes.excess)
    return finer.blocks


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


def kernel_for(plan: PlanOptions, compiled_work: float, sizes: Sizes, join: str) -> str:
    """Choose the kernel; compiled code takes memory, which a task may not have."""
    kernel = choose_kernel(plan.kernel, compiled_work, sizes.pairs, sizes.rank)
    fits = largest_task_of_a_half(sizes, join, kernel, plan.task_memory) <= plan.task_memory
    return kernel if fits or plan.kernel != "auto" else "numpy"


@dataclass(frozen=True)
class Choices:
    """What is chosen once for a whole run.

    join, why : how rows meet the vectors that they need, and the reason
    kernel : who does the arithmetic
    task_memory : bytes that a task may take
    expected : figures by name, see `mr_als.planning.plan.expect`
    """

    join: str
    why: str
    kernel: str
    task_memory: int
    expected: Mapping[str, float] = field(default_factory=dict)


def choose(sizes: Sizes, plan: PlanOptions, compiled_work: float, kernel: str = "") -> Choices:
    """Choose join and kernel; a run that has begun keeps its `kernel`.

    Parameters
    ----------
    compiled_work : of the engine, see `mr_als.engine.runners.runner.Runner`
    """
    join, why = choose_join(plan.join, *sizes.rows, sizes.rank, plan.task_memory)
    return Choices(join, why, kernel or kernel_for(plan, compiled_work, sizes, join), plan.task_memory)
