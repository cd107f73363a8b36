"""The whole of training against the reference, against brute force, and against itself under other plans."""

from __future__ import annotations

import bz2
import gzip
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mr_als
from mr_als.errors import ModelError, UsageError
from mr_als.maths.reference import reference_als
from mr_als.options import LoopOptions
from mr_als.training.train import finished, train
from tests.toy import RANK, dense_plays, generation_bytes, initial_items, options, run, toy_lines, write


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("logs") / "counts.tsv", toy_lines())


@pytest.fixture(scope="module")
def undisturbed(logs, tmp_path_factory):
    """For each join, the files of a model trained inline, in one task."""
    found = {}
    for join in ("broadcast", "shuffle"):
        model = tmp_path_factory.mktemp("models") / join
        run([logs], model, options(join))
        found[join] = generation_bytes(model)
    return found


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
@pytest.mark.parametrize("form", ["lines", "references"])
@pytest.mark.parametrize("tasks", [1, 2, 3])
def test_the_same_plan_gives_the_same_bytes_in_both_forms_and_any_number_of_tasks(join, form, tasks, logs, undisturbed, tmp_path):
    run([logs], tmp_path / "model", options(join), form=form, tasks=tasks)

    assert generation_bytes(tmp_path / "model") == undisturbed[join]


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_the_same_plan_gives_the_same_bytes_on_the_local_runner(join, logs, undisturbed, tmp_path):
    run([logs], tmp_path / "model", options(join), runner="local", tasks=2)

    assert generation_bytes(tmp_path / "model") == undisturbed[join]


def test_the_same_plays_give_the_same_bytes_however_the_logs_are_cut_and_ordered(undisturbed, tmp_path):
    lines = toy_lines()
    random.Random(1).shuffle(lines)
    third = len(lines) // 3
    (tmp_path / "b.tsv.gz").write_bytes(
        gzip.compress("".join(lines[:200]).encode()) + gzip.compress("".join(lines[200:third]).encode())
    )
    (tmp_path / "a.tsv.bz2").write_bytes(bz2.compress("".join(lines[third : 2 * third]).encode()))
    write(tmp_path / "c.tsv", lines[2 * third :])

    names = [str(tmp_path / name) for name in ("c.tsv", "b.tsv.gz", "a.tsv.bz2")]
    run(names, tmp_path / "model", options("broadcast"), tasks=3)

    assert generation_bytes(tmp_path / "model") == undisturbed["broadcast"]


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
@pytest.mark.parametrize("blocks", [1, 2, 7])
@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_agrees_with_the_reference_for_any_join_and_number_of_blocks(join, blocks, solver, logs, tmp_path):
    info = run([logs], tmp_path / "model", options(join, solver, blocks, iterations=16))
    model = mr_als.load(str(tmp_path / "model"))
    plays = dense_plays(toy_lines(), list(model.user_ids), list(model.item_ids))
    X, Y, history = reference_als(plays, initial_items(list(model.item_ids)), model.weights, 0.0, 16)

    scores = model.user_factors @ model.item_factors.T

    np.testing.assert_allclose(scores, X @ Y.T, atol=1e-3 if solver == "cholesky" else 5e-3)
    assert [entry["half"] for entry in info["history"]] == [entry["half"] for entry in history]
    for ours, reference in zip(info["history"], history, strict=True):
        assert ours["solved"] == reference["solved"]
        # on the way, an inexact half may be ahead or behind by the square of its tolerance times a condition number
        assert ours["objective"] == pytest.approx(reference["objective"], rel=1e-5 if solver == "cholesky" else 1e-4)
        assert ours["wrmse"] == pytest.approx(reference["wrmse"], rel=1e-4)
    assert info["history"][-1]["objective"] == pytest.approx(history[-1]["objective"], rel=1e-5)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_the_reported_loss_is_that_of_all_cells(solver, logs, tmp_path):
    """Brute force over every cell with the published factors, which are those of the last two halves."""
    info = run([logs], tmp_path / "model", options("shuffle", solver))
    model = mr_als.load(str(tmp_path / "model"))
    plays = dense_plays(toy_lines(), list(model.user_ids), list(model.item_ids))
    X, Y = model.user_factors.astype(np.float64), model.item_factors.astype(np.float64)
    p, c = (plays > 0).astype(float), model.weights.confidence_of(plays)

    squared_error = (c * (p - X @ Y.T) ** 2).sum()
    penalty = model.weights.row_regularization(p.sum(1), plays.shape[1]) @ (X**2).sum(1)
    penalty += model.weights.row_regularization(p.sum(0), plays.shape[0]) @ (Y**2).sum(1)

    assert info["history"][-1]["wrmse"] == pytest.approx(np.sqrt(squared_error / c.sum()), rel=1e-6)
    assert info["history"][-1]["objective"] == pytest.approx(squared_error + penalty, rel=1e-6)


@pytest.mark.parametrize(("solver", "bound"), [("cholesky", 1e-5), ("cg", 2e-4)])
def test_every_published_user_solves_the_published_items(solver, bound, logs, tmp_path):
    """The gradient of the loss vanishes at each stored user vector: the halves belong together."""
    run([logs], tmp_path / "model", options("broadcast", solver))
    model = mr_als.load(str(tmp_path / "model"))

    residuals = [model.residual(row) for row in range(len(model.user_ids))]

    assert max(residuals) < bound


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_the_objective_never_rises(solver, logs, tmp_path):
    info = run([logs], tmp_path / "model", options("broadcast", solver, iterations=8))

    objective = np.array([entry["objective"] for entry in info["history"]])
    assert np.all(np.diff(objective) <= 1e-6 * objective[:-1])


def test_recommends_unplayed_items_of_the_users_own_taste(logs, tmp_path):
    run([logs], tmp_path / "model", options(iterations=6))
    model = mr_als.load(str(tmp_path / "model"))

    for user in range(0, 120, 7):
        best = [item for item, _ in model.recommend(f"user-{user}", 3)]
        assert all(item.startswith(f"taste-{user % 4}-") for item in best), (user, best)


def test_plays_of_rows_below_a_threshold_vanish_from_both_sides(tmp_path):
    """Item `rare` has 2 plays, user `idle` has 3: without them the rest is trained as if they had never been."""
    kept = toy_lines()
    extra = ["user-0\trare\t2\n", "idle\ttaste-1-item-1\t2\n", "idle\trare\t1\n"]
    chosen = options("shuffle")
    strict = replace(chosen, inputs=replace(chosen.inputs, min_user_plays=4.0, min_item_plays=4.0))
    run([write(tmp_path / "kept.tsv", kept)], tmp_path / "without", chosen)

    run([write(tmp_path / "all.tsv", kept + extra)], tmp_path / "with", strict)

    without, left = (mr_als.load(str(tmp_path / name)) for name in ("without", "with"))
    assert list(left.user_ids) == list(without.user_ids)
    assert list(left.item_ids) == list(without.item_ids)
    np.testing.assert_array_equal(left.user_factors, without.user_factors)
    assert left.plays("user-0") == without.plays("user-0")


def test_stops_when_the_change_between_two_user_halves_is_below_the_tolerance(logs, tmp_path):
    info = run([logs], tmp_path / "model", options(tolerance="1%", iterations=30))

    wrmse = [entry["wrmse"] for entry in info["history"] if entry["solved"] == "users"]
    change = np.abs(np.diff(wrmse)) / wrmse[:-1]
    assert change[-1] < 0.01
    assert np.all(change[:-1] >= 0.01)
    assert info["history"][-1]["solved"] == "users"
    assert "less than 1%" in info["stopped"]


def test_an_absolute_tolerance_is_compared_with_the_change_itself():
    history = [
        {"solved": "users", "iteration": 0, "wrmse": 0.5, "objective": 5.0, "zero_objective": 9.0},
        {"solved": "items", "iteration": 1, "wrmse": 0.45, "objective": 4.0, "zero_objective": 9.0},
        {"solved": "users", "iteration": 1, "wrmse": 0.48, "objective": 3.9, "zero_objective": 9.0},
    ]

    assert finished(history, LoopOptions(tolerance="0.021"))
    assert not finished(history, LoopOptions(tolerance="0.019"))
    assert finished(history, LoopOptions(tolerance="4.1%"))
    assert not finished(history, LoopOptions(tolerance="3.9%"))
    assert not finished(history[:2], LoopOptions(tolerance="99%"))


def test_max_iterations_is_that_many_item_halves_and_one_user_half_more(logs, tmp_path):
    info = run([logs], tmp_path / "model", options(iterations=2))

    assert [entry["solved"] for entry in info["history"]] == ["users", "items", "users", "items", "users"]
    assert [entry["iteration"] for entry in info["history"]] == [0, 1, 1, 2, 2]


def test_says_when_the_regularization_is_too_large_to_learn_anything(logs, tmp_path):
    chosen = options(tolerance="1%", iterations=8)
    info = run([logs], tmp_path / "model", replace(chosen, weights=replace(chosen.weights, regularization=1e6)))

    assert "regularization" in info["stopped"]
    assert "too large" in info["stopped"]


def test_no_tolerance_stops_a_run_while_it_is_no_better_than_nothing():
    """Near X = Y = 0 the weighted RMSE hardly changes at first; that is not convergence."""
    half = {"solved": "users", "iteration": 1, "wrmse": 0.5, "objective": 9.995, "zero_objective": 10.0}

    assert not finished([half, half, half], LoopOptions(tolerance="50%"))


def test_the_model_before_is_kept_until_the_next_one_is_published(logs, tmp_path):
    model = tmp_path / "model"
    first = run([logs], model, options(iterations=1))["generation"]
    second = run([logs], model, options(iterations=2))["generation"]
    assert sorted({p.stem for p in (model / "generations").iterdir()}) == sorted([first, second])

    third = run([logs], model, options(iterations=3))["generation"]

    assert sorted({p.stem for p in (model / "generations").iterdir()}) == sorted([second, third])
    assert json.loads((model / "model.json").read_text())["generation"] == third


def test_nothing_but_the_model_is_left_behind(logs, tmp_path):
    run([logs], tmp_path / "model", options())

    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["generations", "lock", "model.json"]


def test_another_seed_is_another_start(logs, tmp_path):
    chosen = options(iterations=0)
    run([logs], tmp_path / "one", chosen)
    run([logs], tmp_path / "other", replace(chosen, solver=replace(chosen.solver, seed=7)))

    one, other = (mr_als.load(str(tmp_path / name)) for name in ("one", "other"))
    assert np.abs(one.item_factors - other.item_factors).max() > 0.1


def test_logs_or_plays_but_not_both(logs, tmp_path):
    with pytest.raises(UsageError, match="either log files or --plays"):
        train([logs], str(tmp_path / "model"), options(), plays=str(tmp_path))
    with pytest.raises(UsageError, match="either log files or --plays"):
        train([], str(tmp_path / "model"), options())


def test_a_directory_without_a_model_says_how_to_make_one(tmp_path):
    with pytest.raises(ModelError, match="no published model in it; make one with: mr-als train"):
        mr_als.load(str(tmp_path))


def test_the_rank_of_the_model_is_the_rank_asked_for(logs, tmp_path):
    run([logs], tmp_path / "model", options(iterations=0))

    model = mr_als.load(str(tmp_path / "model"))
    assert model.user_factors.shape == (120, RANK)
    assert model.item_factors.shape == (50, RANK)
    assert model.item_factors.dtype == np.float32


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_a_model_directory_may_be_relative(runner, logs, tmp_path, monkeypatch):
    """Tasks have a working directory of their own."""
    monkeypatch.chdir(tmp_path)
    short = options("shuffle", iterations=0)

    run([logs], tmp_path / "absolute", short)
    run([logs], Path("model"), short, runner=runner, tasks=2)

    assert generation_bytes(Path("model")) == generation_bytes(tmp_path / "absolute")
