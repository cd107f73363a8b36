"""What is exported reads back as the same ids and the same numbers."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from voyager import Index, Space

import mr_als
from mr_als import cli
from mr_als.models.nearest import Recall, export_voyager
from mr_als.records.factor_lines import read_factor_lines
from tests.toy import dense_plays, options, run, toy_lines, write

ODD = ["björk\tsigur rós\t3\n", "a 'quoted' \"user\"\tb, with comma\t1\n"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    run([write(folder / "counts.tsv", [*toy_lines(), *ODD])], folder / "model", options(iterations=1))
    return mr_als.load(str(folder / "model"))


def exported(model, form, path):
    assert cli.main(["export", "--model", model.path, "--format", form, "-o", str(path), "-q"]) == 0
    return path


def assert_same(model, users, items):
    """Compare (ids, factors) of both sides."""
    for ids, factors, (names, numbers) in (
        (model.user_ids, model.user_factors, users), (model.item_ids, model.item_factors, items),
    ):  # fmt: skip
        assert list(names) == list(ids)
        assert numbers.dtype == np.float32
        np.testing.assert_array_equal(numbers, factors)


def test_npz_holds_ids_factors_and_plays(model, tmp_path):
    with np.load(exported(model, "npz", tmp_path / "model.npz")) as file:
        assert_same(model, (file["user_ids"], file["user_factors"]), (file["item_ids"], file["item_factors"]))
        dense = np.zeros((len(file["user_ids"]), len(file["item_ids"])))
        dense[np.repeat(np.arange(len(dense)), np.diff(file["plays_start"])), file["plays_item"]] = file["plays_amount"]
        np.testing.assert_array_equal(dense, dense_plays([*toy_lines(), *ODD], list(file["user_ids"]), list(file["item_ids"])))


def test_tsv_reads_back_as_the_same_numbers_and_may_begin_a_training(model, tmp_path):
    path = exported(model, "tsv", tmp_path / "out")

    sides = []
    for side in ("users", "items"):
        names, factors = read_factor_lines(str(path / f"{side}.tsv"))
        sides.append(([name.decode() for name in names], factors))
    assert_same(model, *sides)


def test_parquet_has_a_column_of_ids_and_one_of_vectors(model, tmp_path, monkeypatch):
    monkeypatch.setattr("mr_als.models.export.ROWS", 17)  # several row groups
    path = exported(model, "parquet", tmp_path / "out")

    sides = []
    for side in ("users", "items"):
        table = pq.read_table(path / f"{side}.parquet")
        sides.append((table["id"].to_pylist(), np.array(table["factors"].to_pylist(), np.float32)))
    assert_same(model, *sides)


def test_nothing_is_overwritten_and_nothing_half_written_stays(model, tmp_path, capsys):
    (tmp_path / "there").write_text("mine")

    assert cli.main(["export", "--model", model.path, "--format", "npz", "-o", str(tmp_path / "there")]) == 2
    assert cli.main(["export", "--model", model.path, "--format", "tsv", "-o", str(tmp_path / "no" / "such")]) == 2

    assert "cannot be written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "mine"


def test_the_command_says_what_it_wrote(model, tmp_path, capsys):
    assert cli.main(["export", "--model", model.path, "--format", "npz", "-o", str(tmp_path / "m.npz"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["users"] == len(model.user_ids)


def indexed(model, path, *words):
    """Export an index; return the manifest, the ids and the blocks, opened."""
    assert cli.main(["export", "--model", model.path, "--format", "voyager", "-o", str(path), "-q", *words]) == 0
    said = json.loads((path / "manifest.json").read_text())
    blocks = [Index.load(str(path / block["file"])) for block in said["files"]]
    return said, (path / "ids.txt").read_text(encoding="utf-8").splitlines(), blocks


def test_an_index_finds_what_exact_search_finds(model, tmp_path):
    said, ids, (index,) = indexed(model, tmp_path / "index")

    assert ids == list(model.item_ids)
    assert said["generation"] == model.info["generation"]
    assert said["measured"]["recall@10"] > 0.99
    for row in range(0, len(model.user_ids), 13):
        rows, distances = index.query(np.array(model.user_factors[row]), k=5)
        expected = model.recommend(model.user_ids[row], 5, include_played=True)
        assert [ids[i] for i in rows.tolist()] == [item for item, _ in expected]
        np.testing.assert_allclose(1 - distances, [score for _, score in expected], atol=1e-4)


def test_an_index_in_blocks_answers_as_one(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mr_als.models.nearest.items_of_a_block", lambda rank, task_memory: 7)

    said, ids, blocks = indexed(model, tmp_path / "index", "--json")

    n_items = len(model.item_ids)
    printed = json.loads(capsys.readouterr().out)
    assert (len(blocks), printed["blocks"]) == (-(-n_items // 7), -(-n_items // 7))
    assert printed["recall@10"] == said["measured"]["recall@10"] > 0.99
    assert [block["first"] for block in said["files"]] == list(range(0, n_items, 7))
    assert sorted(row for index in blocks for row in index.ids) == list(range(n_items))
    vector = np.array(model.user_factors[3])
    found = [pair for index in blocks for pair in zip(*(part.tolist() for part in index.query(vector, k=3)[::-1]), strict=True)]
    best = [ids[row] for _, row in sorted(found)[:3]]
    assert best == [item for item, _ in model.recommend(model.user_ids[3], 3, include_played=True)]


def test_recall_is_the_share_that_was_found(model):
    """An index of every second item finds about half of the exact list; one of a user with nothing left has no say."""
    factors = np.array(model.item_factors)
    whole, half = Recall(model), Recall(model)
    for recall, rows in ((whole, np.arange(len(factors))), (half, np.arange(0, len(factors), 2))):
        index = Index(Space.InnerProduct, num_dimensions=model.rank)
        index.add_items(factors[rows], ids=rows.tolist())
        recall.add(index, factors, 0)

    assert whole.value() > 0.99
    assert 0.3 < half.value() < 0.7


def test_an_index_without_the_library_is_refused_with_what_to_install(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "voyager", None)

    assert cli.main(["export", "--model", model.path, "--format", "voyager", "-o", str(tmp_path / "index")]) == 2
    assert "pip install 'voyager>=2.0'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_user_who_has_played_nearly_all_items_is_measured(tmp_path):
    """The graph leads to fewer items than would have to be looked at."""
    rng = np.random.default_rng(0)
    items = (rng.normal(size=(3000, 8)) * rng.lognormal(0, 2, size=(3000, 1))).astype(np.float32)
    items[2000:] = 0
    stand_in = SimpleNamespace(
        rank=8, item_factors=items, item_hashes=np.arange(3000), item_ids=["i"] * 3000, source="m", info={"generation": "g"},
        user_factors=rng.normal(size=(9, 8)).astype(np.float32), user_hashes=np.arange(9),
        played=lambda row: (np.arange(2990 if row == 3 else 5), None),
    )  # fmt: skip

    assert 0 < export_voyager(stand_in, str(tmp_path / "index"), 1 << 30)["recall@10"] <= 1


def test_an_index_of_vectors_of_very_different_lengths_finds_nearly_all(tmp_path):
    """In the order of the rows, which is by hash, an index of these finds less than half."""
    rng = np.random.default_rng(0)
    items = (rng.normal(size=(8000, 16)) * rng.gamma(1, 1, size=(8000, 1))).astype(np.float32)
    users = rng.normal(size=(50, 16)).astype(np.float32)
    stand_in = SimpleNamespace(
        rank=16, item_factors=items, item_hashes=np.arange(8000), item_ids=[f"i{n}" for n in range(8000)], source="m",
        info={"generation": "g"}, user_factors=users, user_hashes=np.arange(50), played=lambda row: (np.array([row]), None),
    )  # fmt: skip

    figures = export_voyager(stand_in, str(tmp_path / "index"), 1 << 30)
    by_rows, recall = Index(Space.InnerProduct, num_dimensions=16), Recall(stand_in)
    by_rows.add_items(items)
    recall.add(by_rows, items, 0)

    assert figures["recall@10"] > 0.95
    assert recall.value() < 0.6
