"""Say where the time of the compiled kernel goes: nanoseconds an observation, by what is done with it, on one core.

    python benchmarks/kernel.py M-counts.tsv            a file of benchmarks/data.py

The first block of users is solved against random items with 0, 1, 2 ... steps of conjugate gradients at most, so that
differences say what a step takes. Seconds are those of the processor, the least of five.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import numpy as np

from mr_als.maths.drawing.initial import initial_factors
from mr_als.maths.solve import Fixed, Method, solve_block
from mr_als.maths.solving.normal_equations import eigenbasis, gram_matrix, project
from mr_als.maths.weighing.weights import Weights
from mr_als.options import InputOptions
from mr_als.preparing.plays import Plays
from mr_als.preparing.prepare import prepare
from mr_als.records.blocks import PlaysBlock
from mr_als.records.join import join, match

RANK = 64
TIMES = 5


def least(run: Any) -> float:
    """Measure the least processor time of several runs, in seconds."""
    seconds = []
    for _ in range(TIMES):
        started = time.process_time()
        run()
        seconds.append(time.process_time() - started)
    return min(seconds)


def measure(plays: Plays) -> None:
    """Print a line for each part of the work."""
    from mr_als.maths.solving.kernels_numba import compiled, compiled_product

    weights, solve = Weights(alpha=10.0, regularization=1.0, regularization_scaling="none"), compiled(exact=False)
    fixed = np.concatenate([PlaysBlock.unpack(payload).hashes for _, payload in plays.items.blocks()])
    spectrum, basis = eigenbasis(gram_matrix(items := initial_factors(fixed, 0, "items", RANK)))
    vectors = project(items, basis)
    block = PlaysBlock.unpack(next(iter(plays.users.blocks()))[1])
    joined = join(block, *match(block.columns, fixed))
    n_rows, n = len(joined.indptr) - 1, len(joined.indices)
    scale = np.ascontiguousarray(np.broadcast_to((1 / np.sqrt(spectrum + 1)).astype(np.float32), (n_rows, RANK)))
    level, terms = joined.strengths.astype(np.uint32), weights.terms(np.arange(joined.strengths.max() + 1.0))
    out = np.zeros((n_rows, RANK), np.float32), np.zeros((n_rows, 3)), np.zeros(n_rows, bool)
    print(f"{n_rows} users, {n} observations, rank {RANK}: ns an observation")
    for steps in (0, 1, 2, 4, 8, 32):
        spent = least(lambda: solve(*joined[:2], vectors, level, *terms, scale, spectrum, 1e-4, steps, *out))  # noqa: B023
        print(f"  at most {steps:2d} steps     {1e9 * spent / n:6.1f}   {100 * out[2].mean():5.1f} % of the users solved")
    lengths, multiply = weights.row_lengths(np.diff(joined.indptr), len(fixed)), compiled_product()
    spent = least(lambda: multiply(*joined[:2], vectors, level, terms.target, lengths, out[0]))
    print(f"  a pass, no solver    {1e9 * spent / n:6.1f}")
    print(f"  join                 {1e9 * least(lambda: join(block, *match(block.columns, fixed))) / n:6.1f}")
    side = Fixed(vectors, spectrum, basis, len(fixed))
    whole = least(lambda: solve_block(joined, side, weights, Method(kernel="numba")))
    print(f"  a block from plays to factors, Gram matrix and loss {1e9 * whole / n:.1f}")


def main() -> None:
    """Prepare the plays of a counts file, and measure."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as work:
        measure(prepare([sys.argv[1]], os.path.join(work, "plays"), InputOptions()))


if __name__ == "__main__":
    main()
