"""Users and items of which no play counts are in no model, whatever left them without one, and change nothing of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mr_als
from mr_als.errors import BadInputError, DamagedDataError
from mr_als.models.model import Model
from mr_als.models.publish import _rows_of
from mr_als.models.verify import verify
from mr_als.options import WeightOptions
from mr_als.records.blocks import FactorBlock, PlaysBlock
from mr_als.records.ids import Ids
from tests.toy import generation_bytes, options, run, toy_lines, write

# nobody plays `ghost`, `idle` plays nothing; `few` are played, and play, too little
ZEROS = ["user-0\tghost\t0\n", "user-1\tghost\t0\n", "idle\thit-0\t0\n", "idle\tghost\t0\n"]
RARE = ["few\trarity\t1\n", "user-0\trare hit\t2\n", "few\ttaste-0-item-1\t1\n", "lonely\trare hit\t2\n"]
RATINGS = WeightOptions(feedback="explicit", regularization=0.05, regularization_scaling="count")


def model_of(lines, folder, chosen, **engine):
    folder.mkdir()
    run([write(folder / "log.tsv", lines)], folder / "model", chosen, **engine)
    return mr_als.load(str(folder / "model"))


def with_thresholds(chosen, users=3.0, items=0.0):
    return replace(chosen, inputs=replace(chosen.inputs, min_user_plays=users, min_item_plays=items))


def bytes_of(model):
    return generation_bytes(Path(model.path))


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
@pytest.mark.parametrize("kernel", ["numpy", "numba"])
def test_lines_of_no_plays_change_no_byte_of_the_model(join, kernel, tmp_path):
    if kernel == "numba":
        pytest.importorskip("numba")
    chosen = options(join)
    chosen = replace(chosen, plan=replace(chosen.plan, kernel=kernel))

    without = model_of(toy_lines(), tmp_path / "without", chosen)
    found = model_of([*toy_lines(), *ZEROS], tmp_path / "with", chosen)

    assert bytes_of(found) == bytes_of(without)
    # but the first, of which the penalty of the initial items is a part: who plays nothing is known after it
    ours, theirs = ([entry["objective"] for entry in model.info["history"][1:]] for model in (found, without))
    assert ours == theirs
    assert (found.info["n_users"], found.info["n_items"], found.info["pairs"]) == (120, 50, 1200)


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_what_only_those_below_a_threshold_played_is_in_no_model(join, tmp_path):
    chosen = with_thresholds(options(join))

    model = model_of([*toy_lines(), *RARE], tmp_path / "model", chosen)

    assert "rarity" not in model.item_ids
    assert {"few", "lonely"} & set(model.user_ids) == set()
    assert "rare hit" in model.item_ids  # user-0 played it, too
    assert all(check.ok for check in verify(model))
    assert (model.info["n_users"], model.info["n_items"]) == (len(model.user_ids), len(model.item_ids)) == (120, 51)


def test_a_user_whose_items_are_all_below_the_threshold_is_in_no_model(tmp_path):
    model = model_of([*toy_lines(), "odd\trarity\t2\n"], tmp_path / "model", with_thresholds(options(), users=0, items=3))

    assert "odd" not in model.user_ids
    assert "rarity" not in model.item_ids
    assert all(check.ok for check in verify(model))


def test_a_rating_of_zero_is_of_an_item_that_was_rated(tmp_path):
    chosen = replace(options(), weights=RATINGS)

    model = model_of([*toy_lines(), *ZEROS], tmp_path / "model", chosen)

    assert {"ghost", "idle"} <= {*model.item_ids, *model.user_ids}
    assert dict(model.plays("idle")) == {"ghost": 0.0, "hit-0": 0.0}
    assert all(check.ok for check in verify(model))


def test_ghosts_are_recommended_to_nobody_whatever_the_scores(tmp_path, cli):
    """With a vector of zeros, its score of 0 would be above that of real items below 0."""
    log = write(tmp_path / "l.tsv", ["ann\tx\t3\n", "ann\ty\t1\n", "bob\tx\t2\n", "bob\tz\t4\n", "cat\tz\t1\n", "ann\tghost\t0\n"])
    assert cli("train", log, "--model", tmp_path / "m", "--rank", 2, "-q")[0] == 0

    for more in ([], ["--include-played"]):
        out = cli("recommend", "--model", tmp_path / "m", "--all", *more, "-q")[1]
        assert {line.split("\t")[2] for line in out.splitlines()} <= {"x", "y", "z"}
    code, _, err = cli("similar", "--model", tmp_path / "m", "ghost", "-q")
    assert code == 1
    assert "none of its 3 items is 'ghost'" in err


def test_initial_factors_are_asked_for_only_of_what_was_played(tmp_path):
    items = sorted({line.split("\t")[1] for line in toy_lines()})
    rng = np.random.default_rng(0)
    given = write(
        tmp_path / "start.tsv", ["\t".join([item, *(f"{x:.6f}" for x in rng.standard_normal(5))]) + "\n" for item in items]
    )
    chosen = options()
    chosen = replace(chosen, loop=replace(chosen.loop, initial_factors=given))

    model = model_of([*toy_lines(), *ZEROS], tmp_path / "model", chosen)

    assert sorted(model.item_ids) == items


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_thresholds_that_leave_no_pair_are_refused_and_leave_nothing_behind(join, tmp_path):
    """Each user above has items below only, and the other way round."""
    lines = ["a\tx\t1\n", "a\ty\t1\n", "a\tz\t1\n", "b\tw\t1\n", "c\tw\t1\n", "d\tw\t1\n"]

    with pytest.raises(BadInputError, match="no play is left of a user and an item that both count; lower --min-user-plays"):
        model_of(lines, tmp_path / "model", with_thresholds(options(join), users=3, items=3))

    chosen = with_thresholds(options(join), users=2, items=0)
    run([str(tmp_path / "model/log.tsv")], tmp_path / "model/model", chosen)  # no unfinished run is in its way
    assert list(Model.open(str(tmp_path / "model/model")).user_ids) == ["a"]


def test_plays_keep_what_ratings_need(tmp_path, cli):
    """`prepare` does not know yet whether a 0 is no play or a rating: the same plays serve both."""
    log = write(tmp_path / "log.tsv", [*toy_lines(), *ZEROS])
    assert cli("prepare", log, "--plays", tmp_path / "plays", "-q")[0] == 0

    ratings = ["--feedback", "explicit", "--regularization", "0.05"]
    for name, words, n_items in (("plays", [], 50), ("ratings", ratings, 51)):
        where = ["--model", tmp_path / name, "--rank", 2, "--max-iterations", 1]
        assert cli("train", "--plays", tmp_path / "plays", *where, *words, "-q")[0] == 0
        assert len(Model.open(str(tmp_path / name)).item_ids) == n_items


def test_blocks_without_any_row_that_counts_are_written_all_the_same(tmp_path):
    """Sixteen blocks of three items, some of which hold `ghost` alone."""
    chosen = options("shuffle", blocks=16)
    lines = ["a\tx\t1\n", "a\ty\t1\n", "b\tx\t2\n", *(f"a\tghost-{n}\t0\n" for n in range(40))]

    model = model_of(lines, tmp_path / "model", chosen)

    assert sorted(model.item_ids) == ["x", "y"]
    assert all(check.ok for check in verify(model))


def test_rows_of_a_block_are_those_of_its_plays(tmp_path):
    """A vector of a row that the plays do not have is damage, and nothing is published."""
    ids = Ids.of([b"a", b"b"])
    block = PlaysBlock(np.array([3, 9], np.uint64), ids, np.array([0, 0, 0]), *(np.zeros(0, np.uint64) for _ in range(3)))

    def solved(hashes):
        return FactorBlock(
            np.array(hashes, np.uint64), np.zeros((len(hashes), 2), np.float32), np.zeros((len(hashes), 0), np.uint8)
        )

    assert _rows_of(block, solved([9])).tolist() == [1]
    assert _rows_of(block, solved([3, 9])).tolist() == [0, 1]
    with pytest.raises(DamagedDataError, match="1 of 2 vectors"):
        _rows_of(block, solved([3, 5]))
