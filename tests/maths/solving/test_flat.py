"""The compiled kernel: a row's result depends on the row alone."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from mr_als.errors import UsageError
from mr_als.maths.solve import Fixed, Method, Observed, solve_block
from mr_als.maths.solving import flat
from mr_als.maths.solving.normal_equations import eigenbasis, gram_matrix, project
from mr_als.maths.weighing.weights import Weights

pytest.importorskip("numba", reason="numba is an extra; every test of the maths runs with NumPy")


def solve(fixed, indptr, indices, strengths, **options):
    spectrum, basis = eigenbasis(gram_matrix(fixed))
    options = {"kernel": "numba", **options}
    side = Fixed(project(fixed, basis), spectrum, basis, len(fixed))
    return solve_block(Observed(indptr, indices, strengths), side, Weights(), Method(**options))


@pytest.fixture(scope="module")
def block():
    """Return fixed factors and 300 rows of degrees 0 to 150 over 400 columns."""
    rng = np.random.default_rng(0)
    degrees = np.append(rng.integers(0, 40, 290), rng.integers(60, 150, 10))
    indices = np.concatenate([np.sort(rng.choice(400, d, replace=False)) for d in degrees])
    strengths = rng.integers(1, 500, len(indices)).astype(float)
    return (0.3 * rng.standard_normal((400, 20))).astype(np.float32), np.append(0, np.cumsum(degrees)), indices, strengths


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
@pytest.mark.parametrize("threads", [2, 7])
def test_threads_change_no_byte(block, solver, threads, monkeypatch):
    monkeypatch.setattr(flat, "GROUP", 200)  # many groups

    one, many = (solve(*block, solver=solver, threads=n) for n in (1, threads))

    assert one.factors.tobytes() == many.factors.tobytes()
    assert one.gram.tobytes() == many.gram.tobytes()
    assert one.loss == many.loss


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_groups_change_no_byte(block, solver, monkeypatch):
    together = solve(*block, solver=solver)

    monkeypatch.setattr(flat, "GROUP", 1)
    alone = solve(*block, solver=solver)

    assert together.factors.tobytes() == alone.factors.tobytes()
    assert together.loss == alone.loss


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_levels_of_whole_strengths_change_no_byte(block, solver, monkeypatch):
    by_level = solve(*block, solver=solver)

    monkeypatch.setattr(flat, "LEVELS", 1)  # each observation has terms of its own
    alone = solve(*block, solver=solver)

    assert by_level.factors.tobytes() == alone.factors.tobytes()
    assert by_level.loss == alone.loss


@pytest.mark.parametrize("strength", [2.5, 0.25, 1e9, 1e300])
def test_strengths_that_are_no_small_whole_numbers_count_as_they_are(block, strength):
    fixed, indptr, indices, strengths = block
    strengths = np.where(np.arange(len(strengths)) % 7, strengths, strength)

    compiled, numpy = (solve(fixed, indptr, indices, strengths, solver="cholesky", kernel=kernel) for kernel in ("numba", "numpy"))

    np.testing.assert_allclose(compiled.factors, numpy.factors, atol=2e-4 * np.abs(numpy.factors).max())


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_both_kernels_agree_within_the_tolerance_of_the_solver(block, solver):
    compiled, numpy = (solve(*block, solver=solver, tolerance=1e-6, kernel=kernel) for kernel in ("numba", "numpy"))

    np.testing.assert_allclose(compiled.factors, numpy.factors, atol=2e-5 * np.abs(numpy.factors).max())
    np.testing.assert_allclose(compiled.loss, numpy.loss, rtol=1e-6)


def test_factors_that_tasks_map_read_only_are_fine(block):
    fixed, *csr = block
    frozen = [np.frombuffer(a.tobytes(), a.dtype) for a in csr]

    assert solve(fixed, *frozen).factors.tobytes() == solve(*block).factors.tobytes()


@pytest.mark.slow  # it compiles, as a cache does not tell what it was made of
@pytest.mark.parametrize("exact", [False, True])
def test_loops_run_over_arrays_known_to_be_contiguous_or_they_would_not_be_vectorised(exact):
    from mr_als.maths.solving import kernels_numba

    function = kernels_numba._solve_exactly if exact else kernels_numba._solve_by_conjugate_gradients
    steps = () if exact else (kernels_numba.types.float64, kernels_numba.types.int64)
    kernels_numba._compiled(function, (*kernels_numba._ROWS, *steps, *kernels_numba._RESULTS), cache=False)

    functions = [f for f in vars(kernels_numba).values() if hasattr(f, "signatures")]
    arrays = [kind for f in functions for signature in f.signatures for kind in signature if hasattr(kind, "layout")]
    assert arrays
    assert {kind.layout for kind in arrays} == {"C"}


# breaks what prefetch uses of numba's inside, solves a block, and prints a digest of the factors and whether there is prefetch
IN_A_PROCESS_OF_ITS_OWN = """
import hashlib, sys
import numpy as np
{breaks}
from mr_als.errors import UsageError
from mr_als.maths.solve import Fixed, Method, Observed, solve_block
from mr_als.maths.solving import kernels_numba
from mr_als.maths.weighing.weights import Weights
rng = np.random.default_rng(0)
found = solve_block(
    Observed(np.arange(0, 241, 6), rng.integers(0, 30, 240), rng.integers(1, 9, 240).astype(float)),
    Fixed(rng.standard_normal((30, 5)).astype(np.float32), np.full(5, 30.0), np.eye(5, dtype=np.float32), 30),
    Weights(), Method(kernel="numba"),
)
print(hashlib.sha256(found.factors.tobytes()).hexdigest(), kernels_numba.prefetch is not kernels_numba._no_prefetch)
"""


def solved(cache, breaks=""):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    code = IN_A_PROCESS_OF_ITS_OWN.format(breaks=breaks)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow  # it compiles
def test_a_process_that_compiles_and_one_that_loads_the_compiled_code_give_the_same_bytes(tmp_path):
    compiling, loading = solved(tmp_path), solved(tmp_path)

    assert compiling == loading
    assert compiling[1] == "True"


@pytest.mark.slow  # it compiles
@pytest.mark.parametrize(
    "breaks",
    [
        "import numba.extending; del numba.extending.intrinsic",  # cannot be imported
        # cannot be typed, cannot be compiled: only what prefetch sees of numba is broken, as numba needs the same itself
        "from mr_als.maths.solving import prefetch; prefetch.cgutils = None",
        "from mr_als.maths.solving import prefetch; prefetch.ir = None",
    ],
)
def test_where_numba_has_changed_inside_there_is_no_prefetch_and_the_same_bytes(breaks, tmp_path):
    with_it, without = solved(tmp_path / "whole"), solved(tmp_path / "broken", breaks)

    assert (with_it[1], without[1]) == ("True", "False")
    assert with_it[0] == without[0]


def test_a_numba_that_cannot_be_loaded_is_not_told_as_missing(block, monkeypatch):
    monkeypatch.delitem(sys.modules, "mr_als.maths.solving.kernels_numba", raising=False)
    monkeypatch.setitem(sys.modules, "numba", object())  # has no njit

    with pytest.raises(UsageError, match=r"numba cannot be loaded here \(cannot import name 'njit'"):
        solve(*block)
