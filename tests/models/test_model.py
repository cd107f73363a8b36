"""A published model, read back: ids, plays, recommendations, neighbours, explanations."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mr_als
from mr_als.errors import ModelError
from tests.toy import RANK, dense_plays, options, run, toy_lines, write


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    run([write(folder / "counts.tsv", toy_lines())], folder / "model", options())
    return folder / "model"


@pytest.fixture
def model(path):
    return mr_als.load(str(path))


def zero_item(path, tmp_path, row):
    """Copy a model and make one item's vector zero."""
    import shutil

    shutil.copytree(path, tmp_path / "changed")
    changed = mr_als.load(str(tmp_path / "changed"))
    factors = np.load(f"{changed.generation}/items/factors.npy", mmap_mode="r+")
    factors[row] = 0
    factors.flush()
    return mr_als.load(str(tmp_path / "changed"))


def test_row_i_of_the_factors_belongs_to_id_i(model):
    assert model.user_factors.shape == (len(model.user_ids), RANK)
    assert model.item_factors.shape == (len(model.item_ids), RANK)
    assert model.user_factors.dtype == model.item_factors.dtype == np.float32
    assert [model.user_index(user) for user in model.user_ids] == list(range(len(model.user_ids)))
    assert [model.item_index(item) for item in model.item_ids] == list(range(len(model.item_ids)))


@pytest.mark.parametrize("row", [120, 121, -121, 1 << 40])
def test_there_is_no_id_beyond_the_last(row, model):
    assert len(model.user_ids) == 120
    assert model.user_ids[-1] == model.user_ids[119]
    assert model.user_ids[-120] == model.user_ids[0]
    with pytest.raises(IndexError):
        model.user_ids[row]


def test_info_is_the_parsed_model_json(model, path):
    assert model.info == json.loads((path / "model.json").read_text())
    assert model.info["history"][-1]["solved"] == "users"


@pytest.mark.parametrize("ask", ["user_index", "plays", "recommend"])
def test_an_unknown_user_is_a_key_error_with_the_id(ask, model):
    with pytest.raises(KeyError, match="nobody"):
        getattr(model, ask)("nobody")


@pytest.mark.parametrize("ask", ["item_index", "similar_items"])
def test_an_unknown_item_is_a_key_error_with_the_id(ask, model):
    with pytest.raises(KeyError, match="nothing"):
        getattr(model, ask)("nothing")


def test_explaining_unknown_ids_is_a_key_error(model):
    with pytest.raises(KeyError, match="nobody"):
        model.explain("nobody", model.item_ids[0])
    with pytest.raises(KeyError, match="nothing"):
        model.explain(model.user_ids[0], "nothing")


def test_plays_are_those_of_the_logs_most_played_first(model):
    plays = dense_plays(toy_lines(), list(model.user_ids), list(model.item_ids))

    for row, user in enumerate(model.user_ids):
        found = model.plays(user)
        assert dict(found) == {model.item_ids[i]: plays[row, i] for i in np.flatnonzero(plays[row])}
        assert [amount for _, amount in found] == sorted((amount for _, amount in found), reverse=True)


def test_all_plays_come_as_the_sparse_matrix_of_the_logs(model):
    found = model.user_items

    assert found.shape == (len(model.user_ids), len(model.item_ids))
    np.testing.assert_array_equal(found.toarray(), dense_plays(toy_lines(), list(model.user_ids), list(model.item_ids)))


def test_recommends_the_best_scores_among_what_was_not_played(model):
    for row, user in enumerate(model.user_ids):
        scores = model.user_factors[row].astype(float) @ model.item_factors.T.astype(float)
        played = {item for item, _ in model.plays(user)}
        expected = sorted((i for i in range(len(scores)) if model.item_ids[i] not in played), key=lambda i: -scores[i])[:5]

        found = model.recommend(user, 5)

        assert [item for item, _ in found] == [model.item_ids[i] for i in expected]
        np.testing.assert_allclose([score for _, score in found], scores[expected], atol=1e-6)


def test_recommends_played_items_when_asked(model):
    found = model.recommend("user-0", len(model.item_ids) + 5, include_played=True)

    assert sorted(item for item, _ in found) == sorted(model.item_ids)


def test_neighbours_are_of_the_same_taste_and_not_the_item_itself(model):
    found = model.similar_items("taste-1-item-3", 5)

    assert len(found) == 5
    assert all(item.startswith("taste-1-") and item != "taste-1-item-3" for item, _ in found)
    assert [cosine for _, cosine in found] == sorted((cosine for _, cosine in found), reverse=True)


def test_zero_vectors_are_nobodys_neighbours_and_have_none(path, model, tmp_path):
    changed = zero_item(path, tmp_path, row=7)
    name = changed.item_ids[7]

    assert changed.similar_items(name) == []
    for item in set(changed.item_ids) - {name}:
        assert name not in [other for other, _ in changed.similar_items(item, len(changed.item_ids))]


def test_the_parts_of_an_explanation_sum_to_the_score_of_the_stored_vectors(model):
    """Every published user vector solves the published items, so what explains it also reproduces it."""
    for user in list(model.user_ids)[:20]:
        for item in list(model.item_ids)[:10]:
            why = model.explain(user, item)

            stored = float(model.user_factors[model.user_index(user)] @ model.item_factors[model.item_index(item)])
            assert why["score"] == pytest.approx(stored, abs=1e-5)
            assert why["total"] == pytest.approx(sum(part for _, _, part in why["parts"]))
            assert why["total"] == pytest.approx(why["score"], abs=2e-3)


def test_the_parts_of_an_explanation_are_the_users_plays(model):
    why = model.explain("user-1", "taste-1-item-3")

    assert {(item, plays) for item, plays, _ in why["parts"]} == set(model.plays("user-1"))


def test_a_directory_without_a_model_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(ModelError, match="no published model.*mr-als train"):
        mr_als.load(str(tmp_path))


def test_a_damaged_model_is_refused(path, tmp_path):
    import shutil

    shutil.copytree(path, tmp_path / "model")
    model = mr_als.load(str(tmp_path / "model"))
    with open(f"{model.generation}/items/factors.npy", "ab") as file:
        file.write(b"x")

    with pytest.raises(ModelError, match=r"factors\.npy: \d+ bytes where the manifest says"):
        mr_als.load(str(tmp_path / "model"))


def test_a_model_json_that_is_not_json_is_refused(path, tmp_path):
    (tmp_path / "model.json").write_text("{")

    with pytest.raises(ModelError, match=r"model\.json cannot be read"):
        mr_als.load(str(tmp_path))
