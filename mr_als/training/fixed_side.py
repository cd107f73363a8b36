"""The files that a half's tasks read besides the plays: the fixed side, projected and ready to use, or factors to begin with."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from mr_als.engine.outputs import scratch
from mr_als.maths.array import Array
from mr_als.maths.solving.normal_equations import eigenbasis, project
from mr_als.options import LoopOptions
from mr_als.records.blocks import FactorBlock, Packed
from mr_als.records.factor_lines import pack_factor_lines
from mr_als.records.packed_file import PackedFile
from mr_als.storage.storage import Storage, scheme_of
from mr_als.training.half import Half
from mr_als.training.warm_start import pack_model_items

# arrays of the file of a fixed side, in their order
SPECTRUM, BASIS, HASHES, VECTORS = range(4)


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
    path = os.path.join(directory, "fixed.bin")
    if join == "broadcast":
        with _written_here(storage, path) as local:
            _write_projected(local, fixed, spectrum, basis)
    else:
        storage.write(path, *Packed.of([spectrum, basis.ravel()]).parts)
    return ["--fixed", path]


@contextmanager
def _written_here(storage: Storage, path: str) -> Iterator[str]:
    """Yield where on this machine to write a file that is to be at `path`."""
    if scheme_of(path) == "file":
        yield path
        return
    with scratch("mr-als-") as here:
        local = os.path.join(here, os.path.basename(path))
        yield local
        storage.upload(local, path)


def _write_projected(path: str, fixed: Half, spectrum: Array, basis: Array) -> None:
    """Write spectrum and basis, the fixed rows' hashes, in order, and Z = Y Q.

    A block is read and checked while the two before it are projected and written, so no more of them are in memory.
    """
    n, rank = fixed.rows, len(basis)
    kinds = [(np.float64, rank), (np.float64, rank * rank), (np.uint64, n), (np.float32, n * rank)]
    under_way: deque[Future[None]] = deque()
    with PackedFile(path, kinds) as file, ThreadPoolExecutor(2) as pool:

        def place(at: int, block: FactorBlock) -> None:
            file.write(HASHES, at, block.hashes)
            file.write(VECTORS, at * rank, project(block.factors, basis).ravel())

        file.write(SPECTRUM, 0, spectrum)
        file.write(BASIS, 0, basis.ravel())
        at = 0
        for _, payload in fixed.factors.blocks():
            if len(under_way) == 2:
                under_way.popleft().result()
            block = FactorBlock.unpack(payload, checked=True)
            under_way.append(pool.submit(place, at, block))
            at += len(block.hashes)
        for placed in under_way:
            placed.result()
