"""`train --initial-factors`: begin with given item factors, as one does to follow an example by hand."""

from __future__ import annotations

import numpy as np
import pytest

import mr_als
from mr_als.errors import BadInputError
from mr_als.maths.reference import reference_als
from mr_als.maths.weighing.weights import Weights
from mr_als.options import InputOptions, LoopOptions, PlanOptions, SolverOptions, Training, WeightOptions
from mr_als.records.factor_lines import pack_factor_lines, read_factor_lines
from mr_als.training.train import train

PLAYS = np.array([[3, 1, 0, 0, 0], [1, 2, 0, 0, 1], [0, 0, 2, 1, 0], [0, 1, 1, 3, 0]], float)
ITEMS = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [1, 0]], float)


@pytest.fixture
def files(tmp_path):
    plays, items = tmp_path / "plays.tsv", tmp_path / "items.tsv"
    plays.write_text("".join(f"u{u}\ti{i}\t{PLAYS[u, i]:g}\n" for u, i in np.argwhere(PLAYS)))
    items.write_text("".join(f"i{i}\t{a:g}\t{b:g}\n" for i, (a, b) in enumerate(ITEMS)))
    return plays, items, tmp_path / "model"


def options(items, join="shuffle", blocks="auto"):
    return Training(
        InputOptions(format="counts", user_blocks=blocks, item_blocks=blocks),
        WeightOptions("linear", 1.0, 1.0, 1.0, "none"),
        SolverOptions(rank=2, solver="cholesky"),
        LoopOptions(initial_factors=str(items)),
        PlanOptions(join=join),
    )


@pytest.mark.parametrize("join", ["shuffle", "broadcast"])
@pytest.mark.parametrize("blocks", ["1", "7"])  # 7 blocks of 4 users: some are empty
def test_gives_the_numbers_of_the_algorithm_on_one_page(files, join, blocks):
    plays, items, model = files
    X, Y, history = reference_als(PLAYS, ITEMS, Weights("linear", 1.0, 1.0, 1.0, "none"))

    info = train([str(plays)], str(model), options(items, join, blocks))

    opened = mr_als.load(str(model))
    assert [entry["solved"] for entry in info["history"]] == [entry["solved"] for entry in history]
    for name in ("wrmse", "objective"):
        np.testing.assert_allclose([e[name] for e in info["history"]], [e[name] for e in history], rtol=1e-6)
    np.testing.assert_allclose([opened.user_factors[opened.user_index(f"u{u}")] for u in range(4)], X, atol=1e-6)
    np.testing.assert_allclose([opened.item_factors[opened.item_index(f"i{i}")] for i in range(5)], Y, atol=1e-6)


def test_an_item_without_a_line_is_named(files):
    plays, items, model = files
    items.write_text("i0\t1\t0\ni1\t1\t1\ni2\t0\t1\ni4\t1\t0\n")

    with pytest.raises(BadInputError, match="no line for 'i3'"):
        train([str(plays)], str(model), options(items))


def test_another_rank_is_refused_with_the_one_to_give(files):
    _, items, _ = files

    with pytest.raises(BadInputError, match="has 2 numbers per line, but --rank is 3; use --rank 2"):
        pack_factor_lines(str(items), 3, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a\t1\nb\n", ":2: expected an id and 1 finite numbers"),
        ("a\t1\nb\t1\t2\n", ":2: expected an id and 1 finite numbers"),
        ("a\tnan\n", ":1: expected"),
        ("a\t1e99\n", ":1: expected"),
        ("a\tx\n", ":1: expected"),
        ("\t1\n", ":1: expected"),
        ("a\t1\na\t2\n", ":2: a second line for 'a'"),
    ],
)
def test_a_line_that_is_no_id_with_numbers_is_named(tmp_path, text, message):
    path = tmp_path / "items.tsv"
    path.write_text(text)

    with pytest.raises(BadInputError, match=message):
        read_factor_lines(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInputError, match="No such file"):
        read_factor_lines(str(tmp_path / "none.tsv"))
