"""The files that a half's tasks read besides the plays: the fixed side, projected and ready to use, or factors to begin with."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from mr_als.maths.array import Array
from mr_als.maths.solving.normal_equations import eigenbasis, project
from mr_als.options import LoopOptions
from mr_als.records.blocks import FactorBlock, Packed
from mr_als.records.factor_lines import pack_factor_lines
from mr_als.storage.storage import Storage
from mr_als.training.half import Half
from mr_als.training.warm_start import pack_model_items


def write_initial(storage: Storage, directory: str, loop: LoopOptions, rank: int, salt: int) -> list[str]:
    """Write the factors to begin with, if any were given, and return the arguments that name them to the job."""
    if not loop.initial_factors and not loop.warm_start:
        return []
    warm = not loop.initial_factors
    packed = pack_model_items(loop.warm_start, rank, salt) if warm else pack_factor_lines(loop.initial_factors, rank, salt)
    path = os.path.join(directory, "initial.bin")
    storage.write(path, packed)
    return ["--initial", path, *["--fill"] * warm]


def write_fixed(
    storage: Storage, directory: str, fixed: Half, join: str, basis_of: Callable[[Array], tuple[Array, Array]] = eigenbasis
) -> list[str]:
    """Write what every task needs, G = Q D Q' and for broadcast also Z = Y Q in hash order; return the arguments that name it.

    `basis_of` a pass makes another Q of G.
    """
    spectrum, basis = basis_of(fixed.gram)
    arrays = [spectrum, basis.ravel()]
    if join == "broadcast":
        hashes, vectors = _projected(fixed, basis)
        arrays += [hashes, vectors.ravel()]
    path = os.path.join(directory, "fixed.bin")
    storage.write(path, *Packed.of(arrays).parts)
    return ["--fixed", path]


def _projected(fixed: Half, basis: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Load the fixed rows' hashes, in order, and Z = Y Q; a block is read and checked while the two before it are projected."""
    n, at = fixed.rows, 0
    hashes, vectors = np.empty(n, np.uint64), np.empty((n, len(basis)), np.float32)
    under_way: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(2) as pool:
        for _, payload in fixed.factors.blocks():
            if len(under_way) == 2:
                under_way.popleft().result()
            block = FactorBlock.unpack(payload, checked=True)
            place = slice(at, at + len(block.hashes))
            hashes[place] = block.hashes
            under_way.append(pool.submit(project, block.factors, basis, vectors[place]))
            at = place.stop
    for projected in under_way:
        projected.result()
    return hashes, vectors
