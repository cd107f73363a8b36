"""What can be asked of a model from Python: as implicit's own tests ask it, against dense formulas, in threads and processes."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas
import pytest
from scipy.sparse import csr_array, csr_matrix

import mr_als
from mr_als.errors import BadInputError, MRALSError, UsageError
from tests.toy import toy_lines

ROOT = Path(__file__).resolve().parents[2]
N = 50


def checkerboard(n=N):
    """Even users like all even items, odd users all odd items, but for the diagonal, which is withheld."""
    return csr_matrix(((np.add.outer(np.arange(n), np.arange(n)) % 2 == 0) & ~np.eye(n, dtype=bool)).astype(np.float32))


@pytest.fixture(scope="module")
def board():
    return mr_als.fit(checkerboard(), rank=3)


@pytest.fixture(scope="module")
def toy():
    rows = [(user, item, float(plays)) for user, item, plays in (line.split("\t") for line in toy_lines())]
    return mr_als.fit(rows, rank=5, max_iterations=3)


# what implicit's tests of its base class ask


def test_recommends_to_each_user_the_item_that_was_withheld(board):
    for user in range(N):
        assert [item for item, _ in board.recommend(user, n=1)] == [user]


def test_a_batch_gets_what_each_user_gets_alone(board):
    ids, scores = board.recommend(np.arange(N), n=10)

    assert ids.shape == scores.shape == (N, 10)
    assert (ids.dtype, scores.dtype) == (np.int64, np.float32)
    for user in range(N):
        assert list(zip(ids[user].tolist(), scores[user].tolist(), strict=True)) == board.recommend(user, n=10)


def test_asked_for_more_than_there_is_gives_what_there_is(board):
    found = board.recommend(0, n=10_000)
    ids, scores = board.recommend([0, 1], n=10_000)

    assert len(found) == N - len(board.plays(0))
    assert ids.shape == (2, N)
    assert (ids[0] >= 0).sum() == len(found)
    assert np.isneginf(scores[ids < 0]).all()


def test_played_items_come_back_when_they_are_asked_for(board):
    ids, _ = board.recommend(range(N), n=25, include_played=True)

    assert all(set(ids[user].tolist()) == set(range(user % 2, N, 2)) for user in range(N))


def test_denied_items_are_in_no_list_and_only_allowed_ones_are(board):
    assert 0 not in dict(board.recommend(0, n=N, deny=[0]))
    assert {item for item, _ in board.recommend(0, n=N, allow=[0, 1, 2, 3])} == {0, 1, 3}
    assert {item for item, _ in board.recommend(0, n=N, allow=[0, 1, 2, 3], deny=[3])} == {0, 1}
    ids, _ = board.recommend(range(N), n=2, deny=range(10), include_played=True)
    assert ids.min() >= 10
    ids, _ = board.recommend(range(N), n=9, allow=range(10), include_played=True)
    assert set(ids.ravel().tolist()) == set(range(10))


def test_unknown_items_in_lists_change_nothing_and_an_empty_list_leaves_nothing(board):
    assert board.recommend(3, deny=[999]) == board.recommend(3) == board.recommend(3, allow=range(2 * N))
    assert board.recommend(3, allow=[]) == board.recommend(3, allow=[999]) == []
    assert board.recommend([3, 4], allow=[])[0].shape == (2, 0)


def test_a_long_list_of_denied_items_does_what_a_short_one_does(monkeypatch, toy):
    denied = list(toy.item_ids)[::3]
    expected = toy.recommend(None, 5, deny=denied)
    monkeypatch.setattr("mr_als.api.model.MANY", 3)

    found = toy.recommend(None, 5, deny=denied)

    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_a_user_is_folded_in_to_what_training_made_of_the_same_plays(board):
    everybody = checkerboard()
    vectors = board.fold_in(everybody)

    order = [board.user_index(user) for user in range(N)]
    np.testing.assert_allclose(vectors, board.user_factors[order], atol=2e-3)
    ids, scores = board.recommend(plays=everybody, n=1)
    assert ids[:, 0].tolist() == list(range(N))
    for user in (0, 7):
        plays = dict(board.plays(user))
        np.testing.assert_allclose(board.fold_in(plays), vectors[user], atol=1e-6)
        assert board.recommend(plays=plays, n=1) == [(ids[user, 0], pytest.approx(scores[user, 0], abs=1e-6))]
        assert board.recommend(plays=[plays, {}], n=1)[0].tolist() == [[user], [-1]]


def test_similar_items_are_of_the_same_colour(board):
    for item in range(N):
        found = board.similar_items(item, n=10)
        assert len(found) == 10
        assert all(other % 2 == item % 2 and other != item for other, _ in found)
    ids, cosines = board.similar_items(range(N), n=10)
    assert [list(zip(a.tolist(), b.tolist(), strict=True)) for a, b in zip(ids, cosines, strict=True)] == [
        board.similar_items(item, n=10) for item in range(N)
    ]


def test_similar_items_are_among_those_asked_for(board):
    assert {item for item, _ in board.similar_items(2, allow=[2, 4, 5, 999])} == {4, 5}
    assert 4 not in dict(board.similar_items(2, n=N, deny=[4, 999]))


def test_similar_users_are_of_the_same_colour(board):
    for user in range(N):
        assert all(other % 2 == user % 2 and other != user for other, _ in board.similar_users(user, n=10))
    assert board.similar_users([3, 4], n=2)[0].shape == (2, 2)


def test_rows_and_columns_without_plays_are_nobody_and_like_nothing():
    plays = checkerboard().toarray()
    plays[42] = 0
    plays[:, 41] = 0

    model = mr_als.fit(csr_array(plays), rank=3)

    assert 41 not in set(model.item_ids)
    assert all(41 not in dict(model.similar_items(item)) for item in range(40))
    with pytest.raises(KeyError, match="42: none of the 49 users"):
        model.recommend(42)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.int8])
def test_a_matrix_of_any_type_gives_the_same_model(dtype, board):
    model = mr_als.fit(checkerboard().astype(dtype), rank=3)

    np.testing.assert_array_equal(model.user_factors, board.user_factors)


def test_a_score_is_the_sum_of_its_explanation(board):
    why = board.explain(4, 4)

    assert (why["user"], why["item"]) == (4, 4)
    assert why["total"] == pytest.approx(why["score"], abs=2e-3)
    assert {item for item, _, _ in why["parts"]} == {item for item, _ in board.plays(4)}


def test_scores_are_products_of_the_vectors(toy):
    users, items = list(toy.user_ids)[:4], list(toy.item_ids)[:4]
    dense = toy.user_factors.astype(float) @ toy.item_factors.T.astype(float)

    np.testing.assert_allclose(toy.score(users, items), np.diag(dense)[:4], rtol=1e-6)
    np.testing.assert_allclose(toy.score(users[0], items), dense[0, :4], rtol=1e-6)
    assert toy.score(users[1], items[2]) == pytest.approx(dense[1, 2], rel=1e-6)


def test_all_users_get_the_best_of_the_dense_scores(toy):
    dense = toy.user_factors.astype(float) @ toy.item_factors.T.astype(float)
    dense[toy.user_items.toarray() > 0] = -np.inf

    rows, scores = toy.recommend(n=6, as_rows=True)

    np.testing.assert_array_equal(rows, np.argsort(-dense, axis=1, kind="stable")[:, :6])
    np.testing.assert_allclose(scores, np.take_along_axis(dense, rows, 1), rtol=1e-5)
    ids, _ = toy.recommend(n=6)
    assert ids.dtype == object
    assert ids[3].tolist() == [toy.item_ids[row] for row in rows[3]]


def test_the_command_recommends_the_same(toy, cli):
    code, out, _ = cli("recommend", "--model", toy.path, "--all", "-n", 3)

    assert code == 0
    ids, scores = toy.recommend(n=3)
    found = {(user, item): f"{s:.6f}" for user, items, row in zip(toy.user_ids, ids, scores, strict=True)
             for item, s in zip(items, row, strict=True) if item is not None}  # fmt: skip
    assert {(u, i): s for u, _, i, s in (line.split("\t") for line in out.splitlines())} == found


def test_implicit_recommends_the_same_with_our_factors(toy):
    theirs = toy.to_implicit()
    rows = np.arange(len(toy.user_ids))

    found, scores = theirs.recommend(rows, csr_matrix(toy.user_items), N=5)

    ours, our_scores = toy.recommend(n=5, as_rows=True)
    np.testing.assert_array_equal(found, ours)
    np.testing.assert_allclose(scores, our_scores, rtol=1e-5, atol=1e-6)


# ids


@pytest.mark.parametrize("user", [7, np.int64(7), np.uint8(7), "7", np.str_("7")])
def test_integers_are_found_by_whatever_is_that_number(user, board):
    assert board.recommend(user) == board.recommend(7)


def test_ids_come_back_as_what_they_came_as(board, toy):
    assert all(type(item) is int for item, _ in board.recommend(3) + board.plays(3) + board.similar_items(3))
    assert all(type(item) is str for item, _ in toy.recommend("user-3") + toy.plays("user-3") + toy.similar_items("hit-1"))
    assert (type(board.user_ids[0]), type(toy.user_ids[0])) == (int, str)
    assert board.user_ids[board.user_index(3)] == 3


def test_ids_are_a_sequence_that_can_be_sliced_and_seen(board, toy):
    assert (board.user_ids[:3], board.user_ids[-2:]) == (list(board.user_ids)[:3], list(board.user_ids)[-2:])
    assert toy.item_ids[::-1] == list(toy.item_ids)[::-1]
    assert repr(toy.user_ids) == f"<120 ids: {', '.join(map(repr, toy.user_ids[:3]))}, ...>"


def test_a_matrix_in_the_place_of_a_number_is_an_error_that_helps(board):
    with pytest.raises(UsageError, match="n is a csr_matrix; expected how many items .* plays="):
        board.recommend(3, csr_matrix(board.user_items)[3])
    assert board.recommend(3, np.int64(2)) == board.recommend(3, 2)


@pytest.mark.parametrize("n", [-1, np.int64(-1), "2", 2.5, None, True])
def test_a_length_that_a_list_cannot_have_is_an_error(n, board):
    for ask in (board.recommend, board.similar_items, board.similar_users):
        for one in (3, [3, 4]):
            with pytest.raises(UsageError, match=f"^n is (a {type(n).__name__}|-1); expected how many .* an integer of at least 0"):
                ask(one, n)


def test_lists_of_no_length_are_empty(board):
    for ask in (board.recommend, board.similar_items, board.similar_users):
        assert ask(3, n=0) == []
        assert ask([3, 4], n=np.int8(0))[0].shape == (2, 0)
        assert ask([], n=3)[0].shape == ask([], n=3)[1].shape == (0, 3)


def test_an_array_without_dimensions_is_one_id_and_one_of_two_is_an_error(board, toy):
    assert board.recommend(np.array(3)) == board.recommend(3)
    assert toy.similar_items(np.array("hit-1")) == toy.similar_items("hit-1")
    with pytest.raises(UsageError, match=r"array of shape \(1, 2\); expected an id, or a list"):
        board.recommend(np.array([[1, 2]]))


def test_one_id_is_allowed_or_denied_as_a_list_of_it_is(toy, board):
    assert [item for item, _ in toy.recommend("user-3", 99, allow="hit-1", include_played=True)] == ["hit-1"]
    assert toy.recommend("user-3", deny="hit-1") == toy.recommend("user-3", deny=["hit-1"])
    assert toy.similar_items("hit-1", allow="hit-2") == toy.similar_items("hit-1", allow=["hit-2"])
    assert board.recommend(3, deny=3) == board.recommend(3, deny=[3])


def test_as_many_users_as_items_are_scored(toy):
    with pytest.raises(UsageError, match="score: 3 users and 2 items; expected as many of both, or one of either"):
        toy.score(list(toy.user_ids)[:3], list(toy.item_ids)[:2])


@pytest.mark.parametrize("name", ["", " ", "\ud800"])
def test_an_id_like_no_other_suggests_none(name, toy):
    with pytest.raises(KeyError) as caught:
        toy.recommend(name)
    assert f"{name!r}: none of the 120 users" in str(caught.value)
    assert "did you mean" not in str(caught.value)


def test_an_unknown_id_is_a_key_error_that_names_what_was_meant(toy, board):
    with pytest.raises(KeyError, match=r"'User-3': none of the 120 users of .*; did you mean 'user-3'\?; ids are strings, e.g. '"):
        toy.recommend("User-3")
    with pytest.raises(KeyError, match="'hit_1': none of the .* items .*did you mean 'hit-1'"):
        toy.score("user-3", ["hit-1", "hit_1"])
    with pytest.raises(MRALSError, match="-1: none of the 50 users of .*; ids are integers"):
        board.recommend([3, -1])
    with pytest.raises(KeyError) as caught:
        toy.user_index("nobody")
    assert caught.value.args == ("nobody",)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("wrong", [2.5, None, True, (1,)])
def test_what_can_be_no_id_is_a_type_error(wrong, board):
    with pytest.raises(TypeError, match="an id is an integer or a string"):
        board.user_index(wrong)
    with pytest.raises(TypeError, match="an id is an integer or a string"):
        board.similar_users([wrong] if isinstance(wrong, tuple) else wrong)


def test_plays_of_unknown_items_alone_are_an_error_and_among_others_change_nothing(toy):
    with pytest.raises(KeyError, match="did you mean 'hit-0'"):
        toy.recommend(plays={"Hit-0": 3})
    np.testing.assert_array_equal(toy.fold_in({"hit-0": 3, "nothing": 5}), toy.fold_in({"hit-0": 3}))
    assert toy.recommend(plays={}) == []
    with pytest.raises(KeyError, match="99: none of the 50 items"):
        toy.recommend(plays=csr_array(([1.0], ([0], [99])), shape=(1, 100)))


def test_plays_of_one_item_are_added_up_and_of_ratings_the_mean_counts(board):
    twice = csr_array(([2.0, 3.0, 1.0], [8, 8, 4], [0, 3]), shape=(1, N))
    once = {4: 1, 8: 5}

    np.testing.assert_array_equal(board.fold_in(twice)[0], board.fold_in(once))
    np.testing.assert_array_equal(board.fold_in({8: 2, "8": 3, 4: 1}), board.fold_in(once))
    assert board.recommend(plays=twice, n=3)[0].tolist() == [[item for item, _ in board.recommend(plays=once, n=3)]]
    ratings = mr_als.fit(checkerboard(), rank=3, feedback="explicit", max_iterations=2)
    np.testing.assert_array_equal(ratings.fold_in({8: 2, "8": 3, 4: 0}), ratings.fold_in({4: 0, 8: 2.5}))


@pytest.mark.parametrize("amount", [-1, np.nan, np.inf, "many", None])
def test_what_can_be_no_plays_is_an_error_that_names_the_item(amount, toy):
    said = "the plays of item 'hit-1' are .*; expected a finite number of at least 0"
    with pytest.raises(BadInputError, match=said):
        toy.fold_in([{"hit-0": 1}, {"hit-1": amount}])
    if isinstance(amount, int | float):
        with pytest.raises(BadInputError, match=said):
            toy.recommend(plays=csr_array(([amount], ([0], [toy.item_index("hit-1")])), shape=(1, 50)))


@pytest.mark.parametrize("plays", [[("hit-1", 2)], pandas.Series({"hit-1": 2}), pandas.DataFrame({"hit-1": [2]}), "hit-1", 2])
def test_plays_in_another_form_are_refused_with_those_there_are(plays, toy):
    with pytest.raises(UsageError, match=r"plays has the type .*; expected a dictionary \{item: plays\}, a list .* matrix"):
        toy.recommend(plays=plays)


def test_a_matrix_of_plays_has_the_columns_of_the_model_where_ids_are_strings(toy):
    vectors = toy.fold_in(toy.user_items)

    np.testing.assert_allclose(vectors, toy.user_factors, atol=1e-3)


def test_users_and_plays_are_not_given_together(toy):
    with pytest.raises(UsageError, match="either users of the model, or the plays of others"):
        toy.recommend("user-3", plays={"hit-0": 1})


# reading from many places


def test_threads_read_one_model_as_one_reads_it(toy):
    fresh = mr_als.load(toy.path)
    users = list(toy.user_ids)

    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda user: (fresh.recommend(user, 3), fresh.similar_users(user, 2), fresh.fold_in({"hit-1": 2})), users)
        )

    assert [one for one, _, _ in found] == [toy.recommend(user, 3) for user in users]
    assert [other for _, other, _ in found] == [toy.similar_users(user, 2) for user in users]
    assert all(np.array_equal(vector, found[0][2]) for _, _, vector in found)


def test_threads_train_and_evaluate_one_after_the_other_and_leave_the_process_as_it_was(toy, tmp_path):
    rows = [(f"user-{u}", f"hit-{i}", 1 + u % 3) for u in range(20) for i in range(5)]
    surroundings = (os.getcwd(), dict(os.environ), sys.stdin, sys.stdout, sys.stderr)
    alone = toy.evaluate(rows, k=3)

    with ThreadPoolExecutor(4) as pool:
        models = [pool.submit(mr_als.fit, rows, rank=2, path=tmp_path / str(n), progress=False) for n in range(2)]
        reports = [pool.submit(toy.evaluate, rows, k=3) for _ in range(3)]

    assert all(str(report.result()) == str(alone) for report in reports)
    assert np.array_equal(*(model.result().item_factors for model in models))
    assert (os.getcwd(), dict(os.environ), sys.stdin, sys.stdout, sys.stderr) == surroundings


def test_a_model_is_pickled_by_its_path_and_opens_the_very_generation(tmp_path):
    plays = [(u, i, 1) for u in range(9) for i in range(9) if (u + i) % 2]
    model = mr_als.fit(plays, path=tmp_path / "model", rank=2)
    text = pickle.dumps(model)
    mr_als.fit(plays[1:], path=tmp_path / "model", rank=1)

    again = pickle.loads(text)

    assert len(text) < 20_000
    assert (again.rank, again.source) == (2, model.source)
    assert again.recommend(3) == model.recommend(3)
    mr_als.fit(plays[2:], path=tmp_path / "model", rank=1, keep=1)
    with pytest.raises(MRALSError, match="that was pickled no longer exists"):
        pickle.loads(text)


def test_a_model_of_a_relative_path_is_found_again_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = mr_als.fit([(u, i, 1) for u in range(9) for i in range(9) if (u + i) % 2], path="model", rank=2)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert model.is_current()
    assert pickle.loads(pickle.dumps(model)).recommend(3) == model.save("copy").recommend(3) == model.recommend(3)


def test_a_copy_of_a_temporary_model_outlives_it():
    model = mr_als.fit([(u, i, 1) for u in range(9) for i in range(9) if (u + i) % 2], rank=2)
    copies = copy.copy(model), copy.deepcopy([model])[0]
    del model
    gc.collect()

    assert [Path(one.path).is_dir() for one in copies] == [True, True]


def test_another_process_reads_a_pickled_model(toy, tmp_path):
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(toy))
    code = f"import pickle; print(pickle.load(open({str(tmp_path / 'model.pickle')!r}, 'rb')).recommend('user-3', 1)[0][0])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60)

    assert done.stdout.strip() == toy.recommend("user-3", 1)[0][0]


def test_a_model_says_what_it_is(toy):
    assert repr(toy).startswith("Model(120 users x 50 items, rank 5, wRMSE 0.")
    assert " old, " in repr(toy)
    page = toy._repr_html_()
    assert "<td>120</td>" in page
    assert f"{toy.info['history'][-1]['wrmse']:.5f}" in page


@pytest.mark.parametrize("form", ["npz", "parquet", "tsv"])
def test_integers_and_strings_are_exported(form, board, toy, tmp_path):
    board.export(tmp_path / "board", form)
    toy.export(tmp_path / "toy", form)

    if form == "npz":
        with np.load(tmp_path / "board") as arrays:
            assert arrays["user_ids"].tolist() == list(board.user_ids)
            np.testing.assert_array_equal(arrays["item_factors"], board.item_factors)
    elif form == "parquet":
        import pyarrow.parquet as pq

        assert pq.read_table(tmp_path / "board" / "users.parquet")["id"].to_pylist() == list(board.user_ids)
        assert pq.read_table(tmp_path / "toy" / "users.parquet")["id"].to_pylist() == list(toy.user_ids)
    else:
        lines = (tmp_path / "board" / "users.tsv").read_text().splitlines()
        assert [int(line.split("\t")[0]) for line in lines] == list(board.user_ids)
    with pytest.raises(UsageError, match="expected one of npz, parquet, tsv"):
        toy.export(tmp_path / "other", "xls")
