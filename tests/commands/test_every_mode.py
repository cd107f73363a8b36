"""Every command in every mode: with plays or ratings, one user or one item, zeros, what nobody played, models here and elsewhere.

Each test asks for numbers that follow from the log and the stored vectors alone.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import mr_als
from mr_als import cli as command_line
from mr_als.maths.reference import solve_rows
from mr_als.storage.places import storage_of
from tests.commands import modes
from tests.commands.modes import PLAN, RANK, Mode, last_json, lines_of, write_log
from tests.emr.stand_in import make_bucket
from tests.toy import generation_bytes


@pytest.fixture(scope="module")
def in_s3(aws, tmp_path_factory):
    """Yield a function that trains a model in S3, with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        bucket = f"s3://{make_bucket()}"
        yield lambda folder: Mode("s3", folder, modes.STARS, modes.RATINGS, where=bucket).train()


@pytest.fixture(scope="module")
def in_hdfs(hadoop, tmp_path_factory):
    """Yield a function that trains a model in HDFS: the jobs run here, as the cluster's are tested in tests/hadoop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        place = f"{hadoop.default_fs}/tests/{tmp_path_factory.mktemp('hdfs').name}"
        yield lambda folder: Mode("hdfs", folder, modes.STARS, modes.RATINGS, where=place).train()


@pytest.fixture(scope="module")
def on_hadoop(hadoop, tmp_path_factory):
    """Yield a function that trains on the cluster, whose models keep the records of its jobs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        place = f"{hadoop.default_fs}/tests/{tmp_path_factory.mktemp('hadoop').name}"

        def train(folder):
            mode = Mode("hadoop", folder, modes.STARS, (*modes.RATINGS, "--max-iterations", "0"), where=place)
            log = f"{place}/log.tsv"
            storage_of(log).upload(mode.log, log)
            memory = [word for task in ("map", "reduce") for word in ("-D", f"mapreduce.{task}.memory.mb=768")]
            assert command_line.main(["train", log, "--model", mode.model, *mode.options, "-r", "hadoop", *memory, "-q"]) == 0
            return mode

        yield train


ELSEWHERE = [
    pytest.param("in_s3", marks=pytest.mark.s3),
    pytest.param("in_hdfs", marks=pytest.mark.hadoop),
    pytest.param("on_hadoop", marks=pytest.mark.hadoop),
]


@pytest.fixture(scope="module", params=[*modes.HERE, *ELSEWHERE], ids=lambda made: made if isinstance(made, str) else made.__name__)
def mode(request, tmp_path_factory):
    """Return each mode in turn, trained."""
    make = request.getfixturevalue(request.param) if isinstance(request.param, str) else request.param
    return make(tmp_path_factory.mktemp("mode"))


def test_train_learns_from_what_counts_and_every_user_solves_the_dense_equations(mode):
    m, (observed, preference, confidence) = mode.opened, mode.dense()

    assert sorted(m.user_ids) == mode.users
    assert sorted(m.item_ids) == mode.items
    assert (m.info["n_users"], m.info["n_items"], m.info["pairs"]) == (len(mode.users), len(mode.items), len(mode.learnt))
    lam = m.weights.row_regularization(observed.sum(axis=1), len(mode.items))
    exact = solve_rows(preference, confidence, m.item_factors.astype(np.float64), lam)
    scores = m.user_factors @ m.item_factors.T
    np.testing.assert_allclose(scores, exact @ m.item_factors.T.astype(np.float64), atol=2e-3 * max(1.0, preference.max()))
    error = (confidence * (preference - scores.astype(np.float64)) ** 2).sum() / confidence.sum()
    assert m.info["history"][-1]["wrmse"] == pytest.approx(math.sqrt(error), rel=1e-4, abs=1e-6)


def test_what_was_learnt_from_is_stored_zeros_too(mode):
    assert {(u, i): plays for u in mode.opened.user_ids for i, plays in mode.opened.plays(u)} == mode.learnt


def test_prepare_counts_the_lines_and_training_on_its_plays_gives_the_same_bytes(mode, tmp_path, cli):
    everything = {**mode.learnt, **mode.others}

    code, _, err = cli("prepare", mode.log, "--plays", tmp_path / "plays", "--user-blocks", 2, "--item-blocks", 2, *mode.inputs)
    assert (code, "Traceback" in err) == (0, False)
    info = json.loads((tmp_path / "plays/plays.json").read_text())
    assert info["counts"]["lines"] == len(everything)
    assert info["pairs"] == sum(user != "rare" and user != "idle" for user, _ in everything)
    assert info["plays"] == sum(mode.learnt.values())
    if mode.name == "hadoop":
        return  # trained by half an iteration, to save its minute
    assert cli("train", "--plays", tmp_path / "plays", "--model", tmp_path / "model", *mode.options, "-q")[0] == 0

    ours = Path(mode.opened.generation)
    found = generation_bytes(tmp_path / "model")
    names = ("users/factors.npy", "items/factors.npy", "users/plays_amount.npy", "items/ids.txt")
    assert all((ours / name).read_bytes() == found[name] for name in names)


def test_recommend_ranks_what_is_not_known_of_a_user_by_score(mode, cli):
    _, out, _ = cli("recommend", "--model", mode.model, "--all", "-n", 1000, "-q")

    found = {}
    for user, rank, item, score in lines_of(out):
        found.setdefault(user, []).append(item)
        assert int(rank) == len(found[user])
        assert float(score) == pytest.approx(mode.scores[user, item], abs=2e-6)
    assert found == {user: mode.unseen(user) for user in mode.users if mode.unseen(user)}


def test_recommend_to_one_user_says_why_there_is_nothing(mode, cli):
    user = mode.users[0]

    code, out, err = cli("recommend", "--model", mode.model, user, "-n", 2)

    assert code == 0
    assert [line[2] for line in lines_of(out)] == mode.unseen(user)[:2]
    assert ("nothing to recommend" in err) == (not mode.unseen(user))


def test_recommend_to_a_directory_writes_what_it_prints(mode, tmp_path, cli):
    printed = cli("recommend", "--model", mode.model, "--all", "-q")[1]

    assert cli("recommend", "--model", mode.model, "--output", tmp_path / "out", "-q")[0] == 0

    assert "".join(part.read_text() for part in sorted((tmp_path / "out").glob("part-*"))) == printed


def test_new_users_of_the_same_plays_get_the_same(mode, tmp_path, cli):
    user = mode.users[-1]
    twin = {("twin", item): plays for (u, item), plays in mode.learnt.items() if u == user}

    code, out, _ = cli("recommend", "--model", mode.model, "--plays", write_log(tmp_path / "twin.tsv", twin), "-q")

    scores = {item: float(score) for _, _, item, score in lines_of(out)}
    assert code == 0
    assert scores == pytest.approx({item: mode.scores[user, item] for item in mode.unseen(user)}, abs=5e-3)


def test_similar_ranks_the_other_items_by_cosine(mode, cli):
    m, item = mode.opened, mode.items[0]

    code, out, _ = cli("similar", "--model", mode.model, item, "-n", 10**30, "-q")

    y = m.item_factors.astype(np.float64)
    own = y[m.item_index(item)]
    cosines = {name: float(v @ own / np.linalg.norm(v) / np.linalg.norm(own)) for name, v in zip(m.item_ids, y, strict=True)}
    assert code == 0
    assert {name: float(c) for _, _, name, c in lines_of(out)} == pytest.approx({n: cosines[n] for n in mode.items[1:]}, abs=2e-6)


def test_the_parts_of_explain_sum_to_the_score(mode, cli):
    for user in mode.users[:3]:
        for item in mode.items[:4]:
            why = last_json(cli("explain", "--model", mode.model, user, item, "--json", "-q")[1])

            sizes = sum(abs(part["part"]) for part in why["parts"])
            assert why["score"] == pytest.approx(mode.scores[user, item], abs=1e-6)
            assert sum(part["part"] for part in why["parts"]) == pytest.approx(why["score"], abs=1e-3 * sizes)
            assert {part["item"]: part["plays"] for part in why["parts"]} == {
                i: p for (u, i), p in mode.learnt.items() if u == user
            }


def test_explain_says_what_the_numbers_are(mode, cli):
    text = cli("explain", "--model", mode.model, mode.users[0], mode.items[0], "-q")[1]

    assert text.splitlines()[1].split() == (
        ["part", "rating", "rated", "item"] if mode.explicit else ["part", "plays", "played", "item"]
    )


def test_evaluate_finds_the_ranks_of_what_was_held_out(mode, tmp_path, cli):
    """The test item of each user is the last of what they have not played."""
    held_out = {(user, mode.unseen(user)[-1]): 2.0 for user in mode.users if mode.unseen(user)}
    log = write_log(tmp_path / "test.tsv", {**held_out, (mode.users[0], "unknown to all"): 1.0})

    code, out, err = cli("evaluate", "--model", mode.model, log, "-k", f"1,{10**12}", "--json", "-q")

    if not held_out:  # everybody played everything
        assert code == 1
        assert "no test pair can be evaluated" in err
        return
    report = last_json(out)
    assert (report["users"], report["pairs"], report["left_out"]["cold_items"]) == (len(held_out), len(held_out), 1)
    first = np.mean([len(mode.unseen(user)) == 1 for user, _ in held_out])
    assert report["metrics"]["recall@1"]["model"] == pytest.approx(first)
    assert report["metrics"][f"recall@{10**12}"]["model"] == 1.0
    assert report["metrics"]["mrr"]["model"] == pytest.approx(np.mean([1 / len(mode.unseen(user)) for user, _ in held_out]))
    if mode.explicit:
        error = np.mean([(2.0 - mode.scores[pair]) ** 2 for pair in held_out])
        assert report["held_out"]["rmse"] == pytest.approx(math.sqrt(error), rel=1e-4)


def test_sweep_trains_the_points_and_says_which_is_best(mode, tmp_path, cli):
    held_out = {(user, mode.unseen(user)[-1]): 2.0 for user in mode.users if mode.unseen(user)} or mode.learnt
    validation = write_log(tmp_path / "validation.tsv", held_out)
    assert cli("prepare", mode.log, "--plays", tmp_path / "plays", *mode.inputs, "-q")[0] == 0
    weights = [word for word in mode.options[len(PLAN) :] if not word.startswith("--min")]
    weights = [] if not mode.explicit else weights[: weights.index("count") + 1]

    arguments = ["--plays", tmp_path / "plays", "--validation", validation, "--output", tmp_path / "sweep", "-k", "2"]
    code, out, err = cli("sweep", *arguments, "--rank", "1,2", "--max-iterations", "1", *weights, "--json", "-q")

    if held_out is mode.learnt:
        assert code == 1
        assert "no test pair can be evaluated" in err
        return
    found = last_json(out)
    key = ("held_out", "rmse") if mode.explicit else ("metrics", "ndcg@2")
    values = {point["name"]: point["validation"][key[0]][key[1]] for point in found["points"]}
    best = min(values, key=values.__getitem__) if mode.explicit else max(values, key=lambda name: values[name]["model"])
    assert len(values) == 2
    assert found["winner"] == best
    assert mr_als.load(found["model"]).rank in (1, 2)


@pytest.mark.parametrize("form", ["npz", "tsv", "parquet"])
def test_export_writes_the_ids_and_factors(form, mode, tmp_path, cli):
    path = tmp_path / "exported"

    assert cli("export", "--model", mode.model, "--format", form, "-o", path, "-q")[0] == 0

    for side in ("user", "item"):
        if form == "npz":
            arrays = np.load(path)
            ids, factors = arrays[f"{side}_ids"].tolist(), arrays[f"{side}_factors"]
        elif form == "tsv":
            rows = lines_of((path / f"{side}s.tsv").read_text())
            ids, factors = [row[0] for row in rows], np.array([row[1:] for row in rows], np.float64).astype(np.float32)
        else:
            table = pytest.importorskip("pyarrow.parquet").read_table(path / f"{side}s.parquet").to_pydict()
            ids, factors = table["id"], np.array(table["factors"], np.float32)
        assert ids == list(getattr(mode.opened, f"{side}_ids"))
        np.testing.assert_array_equal(factors, getattr(mode.opened, f"{side}_factors"))


def test_verify_says_yes(mode, cli):
    code, out, err = cli("verify", "--model", mode.model)

    assert (code, err) == (0, "")
    assert [line[0] for line in lines_of(out)] == ["ok"] * 7


def test_verify_says_no_if_a_byte_of_a_file_is_another(mode, cli):
    storage = storage_of(mode.model)
    files = storage.expand([f"{mode.model}/generations"])
    # of a model that keeps the records of its jobs, the largest part of a half
    path = max((p for p in files if p.endswith("users/factors.npy") or ("/half-" in p and "/part-" in p)), key=storage.size)
    sound = storage.read(path)
    factors = max(sound.split(b"\n"), key=lambda line: (line.startswith(b"factors"), len(line))) if "/part-" in path else sound[:-1]
    at = sound.index(factors) + len(factors) - 8
    storage.replace(path, sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])

    code, out, err = cli("verify", "--model", mode.model)
    storage.replace(path, sound)

    assert code == 1
    assert "users/factors.npy: not what was published" in out or "factors block 0 is not what its task reported" in err
    assert cli("verify", "--model", mode.model)[0] == 0  # of what lies there, not of a copy


def test_report_shows_the_numbers_of_the_model(mode, tmp_path, cli):
    assert cli("report", "--model", mode.model, "-o", tmp_path / "report.html", "-q")[0] == 0

    html = (tmp_path / "report.html").read_text()
    assert f"Training report of {mode.opened.info['generation']}" in html
    for name, value in (("users", mode.users), ("items", mode.items), ("pairs", mode.learnt)):
        assert f"<b>{len(value)}</b><span>{name}</span>" in html
    assert "nan" not in html.lower().replace("nanosecond", "")
    assert all(item not in html for item in ("ghost", "rarity"))


def test_models_lists_the_generation_that_is_kept(mode, cli):
    (one,) = last_json(cli("models", "--model", mode.model, "--json", "-q")[1])["generations"]

    assert one["current"]
    assert (one["n_users"], one["n_items"], one["pairs"]) == (len(mode.users), len(mode.items), len(mode.learnt))


def test_plan_knows_the_sizes_of_the_log(mode, cli):
    code, out, _ = cli("plan", mode.log, "--rank", RANK, *mode.inputs, "--no-measure", "--json", "-q")

    found = last_json(out)
    assert code == 0
    # before items and users of which no play counts are left out, which takes a join
    assert len(mode.users) <= found["users"] <= len(mode.users) + 2
    assert len(mode.items) <= found["items"] <= len(mode.items) + 2
    assert found["rank"] == RANK


def test_split_deals_every_pair_into_one_part_with_its_strength(mode, tmp_path, cli):
    parts = {part: tmp_path / part for part in ("train", "test")}

    code, _, err = cli(
        "split", mode.log, "--train", parts["train"], "--test", parts["test"], "--by", "random", "--share", "0.3", "-q"
    )

    if code:  # of few pairs a part may come out empty, which is refused
        assert "no pair is in this part" in err
        assert len(mode.learnt) < 5
        return
    found = [
        ((u, i), float(p)) for path in parts.values() for part in path.glob("part-*") for u, i, p in lines_of(part.read_text())
    ]
    assert sorted(found) == sorted({**mode.learnt, **mode.others}.items())
