"""A run that follows another: it may begin with the other's factors, and is refused when it has lost too much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import mr_als
from mr_als import cli
from mr_als.errors import GateError, ModelError, UsageError
from mr_als.options import RunOptions
from mr_als.preparing.prepare import prepare
from mr_als.training.train import train
from tests.toy import initial_items, options, run, toy_lines, write


@pytest.fixture(scope="module")
def yesterday(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yesterday")
    run([write(folder / "counts.tsv", toy_lines())], folder / "model", options(iterations=10))
    return mr_als.load(str(folder / "model"))


def warm(model, **changed):
    """Build options that start from a model."""
    chosen = options(**changed)
    return replace(chosen, loop=replace(chosen.loop, warm_start=model.path))


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_old_items_keep_their_vectors_and_new_ones_begin_fresh(join, yesterday, tmp_path):
    today = [*toy_lines(), "user-1\tnew-a\t3\n", "user-2\tnew-b\t1\n"]

    run([write(tmp_path / "counts.tsv", today)], tmp_path / "model", warm(yesterday, join=join, iterations=0))

    model = mr_als.load(str(tmp_path / "model"))
    for item in yesterday.item_ids:
        np.testing.assert_array_equal(
            model.item_factors[model.item_index(item)], yesterday.item_factors[yesterday.item_index(item)]
        )
    fresh = np.array([model.item_factors[model.item_index(item)] for item in ("new-a", "new-b")])
    np.testing.assert_array_equal(fresh, initial_items(["new-a", "new-b"]))


def test_a_warm_start_is_as_good_in_fewer_iterations(yesterday, tmp_path):
    logs = [write(tmp_path / "counts.tsv", toy_lines())]

    cold = run(logs, tmp_path / "cold", options(iterations=30, tolerance="0.01%"))
    again = run(logs, tmp_path / "warm", warm(yesterday, iterations=30, tolerance="0.01%"))

    assert len(again["history"]) < len(cold["history"])
    assert again["history"][-1]["objective"] <= cold["history"][-1]["objective"] * 1.001


def test_a_model_may_begin_with_its_own_predecessor(yesterday, tmp_path):
    logs = [write(tmp_path / "counts.tsv", toy_lines())]
    run(logs, tmp_path / "model", options(iterations=1))
    before = mr_als.load(str(tmp_path / "model"))

    after = run(logs, tmp_path / "model", warm(before, iterations=1))

    assert after["history"][-1]["objective"] < before.info["history"][-1]["objective"]


def test_a_model_of_another_rank_or_none_is_refused(yesterday, tmp_path):
    logs = [write(tmp_path / "counts.tsv", toy_lines())]
    chosen = warm(yesterday)

    with pytest.raises(UsageError, match="its rank is 5, but --rank is 7"):
        run(logs, tmp_path / "model", replace(chosen, solver=replace(chosen.solver, rank=7)))
    with pytest.raises(ModelError, match="no published model"):
        run(logs, tmp_path / "other", replace(chosen, loop=replace(chosen.loop, warm_start=str(tmp_path))))


def test_a_model_whose_ids_were_hashed_otherwise_is_refused(yesterday, tmp_path):
    chosen = warm(yesterday)
    logs = [write(tmp_path / "counts.tsv", toy_lines())]

    with pytest.raises(UsageError, match="--salt 0, these plays with 3"):
        run(logs, tmp_path / "model", replace(chosen, inputs=replace(chosen.inputs, salt=3)))


def test_a_run_that_lost_half_of_its_plays_is_not_published(yesterday, tmp_path):
    run([write(tmp_path / "counts.tsv", toy_lines())], tmp_path / "model", options(iterations=1))
    before = (tmp_path / "model" / "model.json").read_bytes()
    fewer = [write(tmp_path / "fewer.tsv", toy_lines()[:500])]

    with pytest.raises(GateError, match=r"50 users, but the model in .* was made of 120"):
        train(fewer, str(tmp_path / "model"), options(iterations=1), rules=RunOptions(min_size=0.5))
    assert (tmp_path / "model" / "model.json").read_bytes() == before

    info = train(fewer, str(tmp_path / "model"), options(iterations=1), rules=RunOptions(min_size=0.4))
    assert info["n_users"] == 50


def test_a_first_run_has_nothing_to_be_compared_with(tmp_path, capsys):
    logs = write(tmp_path / "counts.tsv", toy_lines())

    assert (
        cli.main(["train", logs, "--model", str(tmp_path / "m"), "--rank", "3", "--max-iterations", "1", "--min-size", "0.9", "-q"])
        == 0
    )


def test_a_model_of_prepared_plays_finds_its_ids_whatever_their_salt(tmp_path):
    chosen = options(iterations=1)
    prepare([write(tmp_path / "counts.tsv", toy_lines())], str(tmp_path / "plays"), replace(chosen.inputs, salt=9))

    train([], str(tmp_path / "model"), chosen, plays=str(tmp_path / "plays"))

    model = mr_als.load(str(tmp_path / "model"))
    assert model.user_ids[model.user_index("user-7")] == "user-7"
