"""Generations: what is kept, going back in one step, and readers that are not disturbed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import mr_als
from mr_als.engine.runs import lock_of
from mr_als.errors import BusyError, ModelError
from mr_als.models.kept import go_back, keep_only, kept
from mr_als.options import RunOptions
from mr_als.training.train import train
from tests.toy import options, toy_lines, write


@pytest.fixture
def model(tmp_path):
    """Train three times, each time on more; keep all."""
    path = str(tmp_path / "model")
    for n in (400, 800, 1200):
        log = write(tmp_path / f"counts-{n}.tsv", toy_lines()[:n])
        train([log], path, options(iterations=1), rules=RunOptions(keep=3))
    return path


def pairs(path):
    return [one.info["pairs"] for one in kept(path)]


def test_the_newest_is_listed_first_and_is_the_current_one(model):
    assert pairs(model) == [1200, 800, 400]
    assert [one.current for one in kept(model)] == [True, False, False]


def test_going_back_publishes_the_one_before_and_disturbs_no_reader(model):
    new = mr_als.load(model)
    factors = np.array(new.item_factors)

    go_back(model)

    assert mr_als.load(model).info["pairs"] == 800
    assert new.info["pairs"] == 1200
    assert not new.is_current()
    np.testing.assert_array_equal(new.item_factors, factors)
    assert mr_als.load(model).is_current()
    go_back(model)
    with pytest.raises(ModelError, match=r"no generation before \w+ is kept"):
        go_back(model)
    assert mr_als.load(model).info["pairs"] == 400


def test_what_was_gone_back_to_survives_the_next_training(model, tmp_path):
    go_back(model)

    train([write(tmp_path / "more.tsv", toy_lines()[:1000])], model, options(iterations=1), rules=RunOptions(keep=2))

    assert pairs(model) == [1000, 800]


def test_older_ones_are_removed_but_never_the_current_one(model):
    go_back(model)
    go_back(model)

    keep_only(model, 1)

    assert pairs(model) == [400]
    assert mr_als.load(model).recommend("user-3", n=2)


def test_nobody_goes_back_while_a_training_works(model):
    with lock_of(model), pytest.raises(BusyError):
        go_back(model)
    assert mr_als.load(model).info["pairs"] == 1200


def test_the_model_of_a_version_that_kept_no_description_can_be_gone_back_to(model, tmp_path):
    """Version 0.1.0 wrote no <run>.json: what model.json said is kept when the next model is published."""
    for path in (tmp_path / "model" / "generations").glob("*.json"):
        path.unlink()

    train([write(tmp_path / "more.tsv", toy_lines()[:1000])], model, options(iterations=1), rules=RunOptions(keep=4))

    assert [one.info.get("pairs") for one in kept(model)] == [1000, 1200, None, None]
    assert go_back(model)["pairs"] == 1200


def test_the_command_lists_goes_back_and_cleans_up(model, cli):
    code, out, _ = cli("models", "--model", model, "--back", "--json")
    rows = json.loads(out)["generations"]

    assert code == 0
    assert [(row["pairs"], row["current"], row["n_users"]) for row in rows] == [
        (1200, False, 120),
        (800, True, 80),
        (400, False, 40),
    ]
    assert all(row["bytes"] > 1000 for row in rows)
    code, out, _ = cli("models", "--model", model, "--keep", "1")
    assert [line[:1] for line in out.splitlines()[1:]] == [" ", "*"][1:]
    code, _, err = cli("models", "--model", model, "--back")
    assert code == 1
    assert "--keep 3" in err


def test_a_warm_start_from_a_model_gone_back_to_takes_its_factors(model, tmp_path):
    before = go_back(model)
    chosen = options(iterations=0)
    chosen = replace(chosen, loop=replace(chosen.loop, warm_start=model))

    info = train([write(tmp_path / "same.tsv", toy_lines()[:800])], str(tmp_path / "other"), chosen)

    assert info["history"][-1]["objective"] <= before["history"][-1]["objective"]
