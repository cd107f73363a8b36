"""Evaluation against a ranking of the dense score matrix by hand, on any engine, with all that can be odd in a test set."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import mr_als
from mr_als import cli
from mr_als.engine.engine import Engine
from mr_als.errors import BadInputError
from mr_als.evaluating.evaluate import Asked, evaluate
from mr_als.options import InputOptions
from mr_als.progress import Progress
from tests.toy import dense_plays, options, run, toy_lines, write

KS = (3, 10)


@pytest.fixture(scope="module")
def held_out():
    """Split the toy plays: every fifth line is a test pair, unless it is the only play of its item."""
    lines = toy_lines()
    return [line for n, line in enumerate(lines) if n % 5], [line for n, line in enumerate(lines) if n % 5 == 0]


@pytest.fixture(scope="module")
def model(tmp_path_factory, held_out):
    folder = tmp_path_factory.mktemp("model")
    run([write(folder / "train.tsv", held_out[0])], folder / "model", options())
    return mr_als.load(str(folder / "model"))


def evaluated(model, tests, engine=Engine(), **asked):
    """Evaluate at both ks."""
    return evaluate(model, [str(t) for t in tests], Asked(ks=KS, **asked), InputOptions(), engine, Progress(quiet=True))


def pairs_of(lines):
    return {tuple(line.split("\t")[:2]): float(line.split("\t")[2]) for line in lines}


def by_hand(scores, train, test, candidates=None):
    """Compute all metrics of a score matrix without ties from their definitions."""
    found = {f"{name}@{k}": [] for k in KS for name in ("recall", "capped_recall", "precision", "ndcg", "map", "hit_rate")}
    found["mrr"] = []
    places, weights = [], []
    for user in np.flatnonzero((test > 0).any(1)):
        live = np.flatnonzero(train[user] == 0) if candidates is None else candidates[user]
        order = live[np.argsort(-scores[user, live], kind="stable")]
        relevant = (test[user, order] > 0).astype(int)
        ranks = np.flatnonzero(relevant) + 1
        T = len(ranks)
        for k in KS:
            hits = relevant[:k].sum()
            found[f"recall@{k}"].append(hits / T)
            found[f"capped_recall@{k}"].append(hits / min(k, T))
            found[f"precision@{k}"].append(hits / k)
            found[f"hit_rate@{k}"].append(float(hits > 0))
            ideal = sum(1 / math.log2(1 + r) for r in range(1, min(k, T) + 1))
            found[f"ndcg@{k}"].append(sum(1 / math.log2(1 + r) for r in ranks if r <= k) / ideal)
            found[f"map@{k}"].append(sum(relevant[:r].sum() / r for r in ranks if r <= k) / min(k, T))
        found["mrr"].append(1 / ranks[0])
        places += [(r - 1) / (len(live) - 1) for r in ranks]
        weights += test[user, order[ranks - 1]].tolist()
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return means | {"percentile_rank": float(np.average(places, weights=weights))}


def dense(model, lines):
    """Build the dense matrix of plays of the model's users and items."""
    users, items = list(model.user_ids), list(model.item_ids)
    known = [line for line in lines if line.split("\t")[0] in users and line.split("\t")[1] in items]
    return dense_plays(known, users, items)


def test_equals_a_ranking_by_hand(model, held_out, tmp_path):
    train, test = (dense(model, lines) for lines in held_out)
    expected = by_hand(model.user_factors.astype(float) @ model.item_factors.astype(float).T, train, test)

    report = evaluated(model, [write(tmp_path / "test.tsv", held_out[1])])

    assert report["users"] == (test > 0).any(1).sum()
    assert report["pairs"] == (test > 0).sum()
    for name, value in expected.items():
        assert report["metrics"][name]["model"] == pytest.approx(value, abs=1e-9), name


def test_popularity_equals_the_average_over_random_orders_of_equal_items(model, held_out, tmp_path):
    train, test = (dense(model, lines) for lines in held_out)
    listeners = (train > 0).sum(0)
    rng = np.random.default_rng(0)
    samples = [by_hand(listeners + rng.random(train.shape) / 2, train, test) for _ in range(60)]

    report = evaluated(model, [write(tmp_path / "test.tsv", held_out[1])])

    for name, row in report["metrics"].items():
        drawn = np.array([sample[name] for sample in samples])
        assert row["popularity"] == pytest.approx(drawn.mean(), abs=5 * drawn.std() / math.sqrt(60) + 1e-12), name


def test_coverage_is_the_share_of_items_among_the_recommendations(model, held_out, tmp_path):
    test = {user for user, _ in pairs_of(held_out[1])}
    recommended = {item for user in test for item, _ in model.recommend(user, 3)}

    report = evaluated(model, [write(tmp_path / "test.tsv", held_out[1])])

    assert report["coverage"]["coverage@3"]["model"] == pytest.approx(len(recommended) / len(model.item_ids))


def test_the_held_out_error_is_over_all_cells_but_the_training_pairs(model, held_out, tmp_path):
    train, test = (dense(model, lines) for lines in held_out)
    scores = model.user_factors.astype(float) @ model.item_factors.astype(float).T
    c = np.where(test > 0, model.weights.confidence_of(np.maximum(test, 1e-300)), 1.0)
    cells = train == 0

    found = evaluated(model, [write(tmp_path / "test.tsv", held_out[1])])["held_out"]

    error = (c * ((test > 0) - scores) ** 2)[cells].sum() / c[cells].sum()
    zero = (c * (test > 0))[cells].sum() / c[cells].sum()
    assert found["wrmse"] == pytest.approx(math.sqrt(error), rel=1e-9)
    assert found["zero_model"] == pytest.approx(math.sqrt(zero), rel=1e-9)


def test_what_can_not_be_evaluated_is_counted(model, held_out, tmp_path):
    trained = held_out[0][:7]
    odd = [
        "stranger\thit-0\t3\n",
        "stranger\tnew-1\t1\n",
        "user-1\tnew-1\t1\n",
        "user-1\tnew-2\t1\n",
        "user-2\tnew-2\t5\n",
        "user-3\thit-0\t0\n",
    ]

    plain = evaluated(model, [write(tmp_path / "test.tsv", held_out[1])])
    report = evaluated(model, [write(tmp_path / "test.tsv", held_out[1]), write(tmp_path / "odd.tsv", [*odd, *trained])])

    assert report["left_out"] == {
        "cold_items": 2, "cold_users": 1, "cold_user_pairs": 2, "cold_item_pairs": 3, "played_in_training": 7,
    }  # fmt: skip
    assert report["metrics"] == plain["metrics"]


def test_a_test_set_of_strangers_is_an_error_that_says_so(model, tmp_path):
    with pytest.raises(BadInputError, match=r"2 cold user pairs"):
        evaluated(model, [write(tmp_path / "test.tsv", ["stranger\thit-0\t3\n", "stranger\thit-1\t1\n"])])


@pytest.mark.parametrize("engine", [Engine("local", tasks=2), Engine(form="lines"), Engine("local", form="lines", tasks=2)])
def test_no_result_depends_on_the_engine_or_the_form_of_records(engine, model, held_out, tmp_path, monkeypatch):
    monkeypatch.setattr("mr_als.evaluating.matching.USERS_PER_BLOCK", 30)
    test = write(tmp_path / "test.tsv", held_out[1])

    assert evaluated(model, [test], engine) == evaluated(model, [test])


def test_results_of_other_blocks_and_tiles_differ_by_rounding_only(model, held_out, tmp_path, monkeypatch):
    test = write(tmp_path / "test.tsv", held_out[1])
    whole = evaluated(model, [test])

    monkeypatch.setattr("mr_als.evaluating.matching.USERS_PER_BLOCK", 7)
    cut = evaluated(model, [test], task_memory=8 * 4 * model.rank * 9)

    assert cut["coverage"] == whole["coverage"]
    for name, row in whole["metrics"].items():
        assert cut["metrics"][name]["model"] == pytest.approx(row["model"], rel=1e-12)
        assert cut["metrics"][name]["interval"] == pytest.approx(row["interval"], rel=1e-12)


def test_candidates_are_ranked_alone(model, held_out, tmp_path):
    train, test = (dense(model, lines) for lines in held_out)
    users, items = list(model.user_ids), list(model.item_ids)
    rng = np.random.default_rng(0)
    drawn = [np.union1d(rng.choice(len(items), 12), np.flatnonzero(test[u])) for u in range(len(users))]
    drawn = [c[train[u, c] == 0] for u, c in enumerate(drawn)]
    lines = [f"{users[u]}\t{items[i]}\n" for u, c in enumerate(drawn) for i in c]
    expected = by_hand(model.user_factors.astype(float) @ model.item_factors.astype(float).T, train, test, drawn)

    report = evaluated(model, [write(tmp_path / "test.tsv", held_out[1])], candidates=write(tmp_path / "candidates.tsv", lines))

    assert "coverage" not in report
    for name, value in expected.items():
        assert report["metrics"][name]["model"] == pytest.approx(value, abs=1e-9), name


def test_the_usual_file_of_negatives_is_read_as_it_is(model, held_out, tmp_path):
    test = [next(line for line in held_out[1] if line.startswith(f"user-{n}\t")) for n in range(5)]
    played = {pair for lines in held_out for pair in pairs_of(lines)}
    negatives = {n: [i for i in model.item_ids if (f"user-{n}", i) not in played][:9] for n in range(5)}
    wide = [f"(user-{n},{test[n].split(chr(9))[1]})\t" + "\t".join(negatives[n]) + "\n" for n in range(5)]
    long = [f"user-{n}\t{item}\n" for n in range(5) for item in negatives[n]]
    path = write(tmp_path / "test.tsv", test)

    one = evaluated(model, [path], candidates=write(tmp_path / "wide.negative", wide))
    other = evaluated(model, [path], candidates=write(tmp_path / "long.tsv", long))

    assert one["metrics"] == other["metrics"]


def test_new_users_are_folded_in_and_score_as_if_they_had_been_in_training(model, held_out, tmp_path):
    """A user of the model, given with the same history under another name, gets the same places."""

    def renamed(lines):
        return [line.replace("user-", "new-") for line in lines]

    report = evaluated(
        model,
        [write(tmp_path / "test.tsv", renamed(held_out[1]))],
        history=(write(tmp_path / "history.tsv", renamed(held_out[0])),),
    )

    same = evaluated(model, [write(tmp_path / "same.tsv", held_out[1])])
    assert report["users"] == same["users"]
    assert report["left_out"]["cold_users"] == 0
    for name, row in same["metrics"].items():
        assert report["metrics"][name]["model"] == pytest.approx(row["model"], abs=0.02), name
        assert report["metrics"][name]["popularity"] == pytest.approx(row["popularity"], abs=1e-12), name


def test_the_history_beside_a_split_by_users_is_found(held_out, tmp_path, capsys):
    logs = write(tmp_path / "all.tsv", toy_lines())
    train, test = str(tmp_path / "train"), str(tmp_path / "test")
    assert cli.main(["split", logs, "--by", "users", "--share", "0.2", "--train", train, "--test", test, "-q"]) == 0
    trained = ["train", train, "--model", str(tmp_path / "m"), "--rank", "5", "--max-iterations", "3", "-q"]
    assert cli.main(trained) == 0
    capsys.readouterr()

    assert cli.main(["evaluate", "--model", str(tmp_path / "m"), test, "-k", "5", "--json", "-q"]) == 0

    report = json.loads(capsys.readouterr().out)
    assert report["left_out"]["cold_users"] == 0
    assert report["metrics"]["recall@5"]["model"] > 2 * report["metrics"]["recall@5"]["popularity"]


def test_the_interval_contains_the_difference_and_excludes_what_is_far(model, held_out, tmp_path):
    report = evaluated(model, [write(tmp_path / "test.tsv", held_out[1])])

    for name, row in report["metrics"].items():
        low, high = row["interval"]
        assert low <= row["difference"] <= high, name
    assert report["metrics"]["recall@10"]["interval"][0] > 0


def test_the_command_prints_a_table_and_what_its_numbers_can_not_be_compared_with(model, held_out, tmp_path, capsys):
    test = write(tmp_path / "test.tsv", held_out[1])
    candidates = write(tmp_path / "c.tsv", [f"user-{n}\thit-0\n" for n in range(120)])

    assert cli.main(["evaluate", "--model", model.path, test, "-q"]) == 0
    table = capsys.readouterr().out
    assert cli.main(["evaluate", "--model", model.path, test, "-q", "--candidates", candidates]) == 0
    within = capsys.readouterr().out

    assert [line.split()[0] for line in table.splitlines()[4:6]] == ["recall@10", "capped_recall@10"]
    assert "not comparable across alpha" in table
    assert "cannot be compared with ranks among all items" in within
    assert "cannot be compared with ranks among all items" not in table


def test_bad_candidates_are_named_with_their_line(model, held_out, tmp_path):
    test, bad = write(tmp_path / "test.tsv", held_out[1]), write(tmp_path / "bad.tsv", ["user-1\thit-0\n", "user-2\n"])

    with pytest.raises(BadInputError, match=r"bad\.tsv:2: expected a user and items"):
        evaluated(model, [test], candidates=bad)
    with pytest.raises(BadInputError, match="No such file"):
        evaluated(model, [test], candidates=str(tmp_path / "none"))
