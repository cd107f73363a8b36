"""The recommend job gives what `Model.recommend` gives, however the items and users are cut."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import mr_als
from mr_als.engine.engine import Engine
from mr_als.errors import UsageError
from mr_als.progress import Progress
from mr_als.recommending.recommend import Wanted, published, recommend_to, stored_users, write_tiles
from tests.toy import RANK, options, run, toy_lines, write


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    run([write(folder / "counts.tsv", toy_lines())], folder / "model", options())
    return mr_als.load(str(folder / "model"))


def job(model, directory, engine=Engine(), rows=None, **asked):
    """Run the job for users and give its output."""
    directory.mkdir()
    rows = np.arange(len(model.user_ids)) if rows is None else rows
    parts = recommend_to(model, stored_users(model, rows), Wanted(**asked), str(directory), engine, Progress(quiet=True))
    return b"".join(Path(part).read_bytes() for part in parts).decode()


def expected(model, users=None, n=10, **asked):
    """What the model says, one user at a time."""
    return "".join(
        f"{user}\t{rank}\t{item}\t{score:.6f}\n"
        for user in users or model.user_ids
        for rank, (item, score) in enumerate(model.recommend(user, n, **asked), 1)
    )


@pytest.mark.parametrize("form", ["references", "lines"])
def test_equals_the_model_for_all_users(form, model, tmp_path):
    assert job(model, tmp_path / "job", Engine(form=form, tasks=3)) == expected(model)


def test_equals_the_model_on_the_local_runner(model, tmp_path):
    assert job(model, tmp_path / "job", Engine("local", tasks=2)) == expected(model)


@pytest.mark.parametrize("per_tile", [1, 7, 49])
def test_tiles_of_items_give_the_same(per_tile, model, tmp_path):
    memory = per_tile * 8 * 4 * RANK

    found = job(model, tmp_path / "job", task_memory=memory)

    assert len(list((tmp_path / "job").glob("items-*.bin"))) == -(-len(model.item_ids) // per_tile)
    assert found == expected(model)


def test_many_blocks_of_users_give_the_same(model, tmp_path, monkeypatch):
    monkeypatch.setattr("mr_als.recommending.recommend.USERS_PER_BLOCK", 7)

    assert job(model, tmp_path / "job", Engine(tasks=4)) == expected(model)


@pytest.mark.parametrize("memory", [1 << 30, 8 * 4 * RANK * 9])
def test_includes_played_items_when_asked(memory, model, tmp_path):
    found = job(model, tmp_path / "job", n=60, include_played=True, task_memory=memory)

    assert found == expected(model, n=60, include_played=True)
    assert found.count("user-0\t") == len(model.item_ids)


@pytest.mark.parametrize("at_a_time", [1, 7])
def test_few_users_at_a_time_on_several_threads_give_the_same(at_a_time, model, tmp_path, monkeypatch):
    from mr_als.engine.launch import load_job

    monkeypatch.setattr(sys.modules[load_job("mr_recommend").__module__], "USERS_AT_A_TIME", at_a_time)

    assert job(model, tmp_path / "job", task_memory=9 * 8 * 4 * RANK) == expected(model)


def test_keeps_the_order_of_the_users_asked_for(model, tmp_path):
    users = ["user-5", "user-1", "user-99"]

    found = job(model, tmp_path / "job", rows=np.array([model.user_index(user) for user in users]), n=3)

    assert found == expected(model, users, n=3)


def test_writes_one_json_object_a_user(model, tmp_path):
    found = [json.loads(line) for line in job(model, tmp_path / "job", n=4, as_json=True).splitlines()]

    assert [entry["user"] for entry in found] == list(model.user_ids)
    for entry in found:
        ours = [(r["item"], r["score"]) for r in entry["recommendations"]]
        assert [r["rank"] for r in entry["recommendations"]] == [1, 2, 3, 4]
        assert ours == [(item, round(score, 6)) for item, score in model.recommend(entry["user"], 4)]


def test_no_users_give_no_output(model, tmp_path):
    assert job(model, tmp_path / "job", rows=np.zeros(0, int)) == ""


def test_tiles_hold_all_items_once_with_their_names_and_the_longest_vectors_first(model, tmp_path):
    from mr_als.records.catalogue import ItemsTile

    tiles = [ItemsTile(path) for path in write_tiles(model, str(tmp_path), 8 * 4 * RANK * 9)]

    assert np.array_equal(np.vstack([tile.factors[tile.places] for tile in tiles]), model.item_factors)
    assert all((np.diff(np.linalg.norm(tile.factors, axis=1)) <= 1e-6).all() for tile in tiles)
    names = [tile.name(tile.first + n).decode() for tile in tiles for n in range(len(tile))]
    assert names == list(model.item_ids)


def test_an_output_appears_only_when_it_is_complete(tmp_path):
    with pytest.raises(RuntimeError), published(str(tmp_path / "top")) as directory:
        (tmp_path / directory / "output").mkdir()
        raise RuntimeError

    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_never_overwritten(tmp_path):
    with pytest.raises(UsageError, match="exists"), published(str(tmp_path)):
        pass
