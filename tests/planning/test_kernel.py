"""The kernel is part of the plan: chosen once by the driver, the same in every task, never changed by a resumed run."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec

import pytest

from mr_als.engine.engine import Engine
from mr_als.engine.runners.runner import RUNNERS, runner_of
from mr_als.planning import choices
from mr_als.planning.choices import choose_kernel
from mr_als.records.lines import LINES
from tests.toy import generation_bytes, options, run, toy_lines, write
from tests.training.test_resume import crash

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is an extra")


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("logs") / "counts.tsv", toy_lines())


def with_kernel(kernel, **others):
    chosen = options(**others)
    return replace(chosen, plan=replace(chosen.plan, kernel=kernel))


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize(
    ("runner", "here"), [("inline", True), ("local", True), ("hadoop", False), ("emr", False), ("spark", True)]
)
def test_auto_is_numba_for_much_work_where_the_driver_has_it(runner, here, installed, monkeypatch):
    monkeypatch.setattr(choices, "find_spec", lambda name: object() if installed else None)

    work = runner_of(runner).compiled_work
    enough = int(work) if here else 1 << 50

    assert choose_kernel("auto", work, enough, 1) == ("numba" if here and installed else "numpy")
    assert choose_kernel("auto", work, enough - 1, 1) == "numpy"
    assert choose_kernel("numba", work, 1, 1) == "numba"
    assert choose_kernel("numpy", work, enough, 1) == "numpy"


@pytest.mark.parametrize("runner", RUNNERS)
def test_nobody_knows_what_is_installed_on_a_cluster(runner):
    assert Engine(runner, LINES).compiled_work == math.inf or runner in ("inline", "local")


@needs_numba
def test_compiled_runs_give_the_same_bytes_inline_and_local(logs, tmp_path):
    chosen = with_kernel("numba", iterations=1)

    run([logs], tmp_path / "inline", chosen)
    run([logs], tmp_path / "local", chosen, runner="local", tasks=2)

    assert generation_bytes(tmp_path / "inline") == generation_bytes(tmp_path / "local")


@needs_numba
@pytest.mark.parametrize(("solver", "tolerance"), [("cholesky", 1e-5), ("cg", 1e-4)])
def test_kernels_agree_on_a_whole_run_and_the_model_says_which_it_was(solver, tolerance, logs, tmp_path):
    numpy, numba = (run([logs], tmp_path / kernel, with_kernel(kernel, solver=solver)) for kernel in ("numpy", "numba"))

    assert [info["plan"]["kernel"] for info in (numpy, numba)] == ["numpy", "numba"]
    for entry, other in zip(numpy["history"], numba["history"], strict=True):
        assert entry["objective"] == pytest.approx(other["objective"], rel=tolerance)


def test_a_resumed_run_keeps_its_kernel_whatever_auto_would_choose_now(logs, tmp_path, monkeypatch):
    run([logs], tmp_path / "undisturbed", options("shuffle"))
    crash(logs, tmp_path / "model", "after-half-002")  # numpy, for so few plays

    monkeypatch.setattr("mr_als.planning.choices.choose_kernel", lambda *_: "numba")
    info = run([logs], tmp_path / "model", options("shuffle"))

    assert info["plan"]["kernel"] == "numpy"
    assert generation_bytes(tmp_path / "model") == generation_bytes(tmp_path / "undisturbed")
