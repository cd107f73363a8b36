"""`mr-als recommend` beyond the users of the model: fold-in, allowed and denied items, and the fallback."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mr_als
from mr_als import cli
from tests.toy import options, run, toy_lines, write


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    run([write(folder / "counts.tsv", toy_lines())], folder / "model", options(solver="cholesky"))
    return mr_als.load(str(folder / "model"))


def printed(capsys, model, *words):
    """Run the command; give what it printed, as fields, and what it said."""
    code = cli.main(["recommend", "--model", model.path, "-q", *words])
    out, err = capsys.readouterr()
    assert code == 0, err
    return [line.split("\t") for line in out.splitlines()], err


def renamed(user="user-7", name="new"):
    return [line.replace(f"{user}\t", f"{name}\t") for line in toy_lines() if line.startswith(f"{user}\t")]


def test_a_new_user_gets_what_a_user_of_the_same_plays_gets(model, tmp_path, capsys):
    plays = write(tmp_path / "new.tsv", renamed())

    actual, _ = printed(capsys, model, "--plays", plays)

    expected = model.recommend("user-7", 10)
    assert [row[:3] for row in actual] == [["new", str(n), item] for n, (item, _) in enumerate(expected, 1)]
    np.testing.assert_allclose([float(row[3]) for row in actual], [score for _, score in expected], atol=1e-4)


def test_many_new_users_come_from_the_job_and_are_the_same(model, tmp_path, capsys):
    plays = write(tmp_path / "new.tsv", [line for n in range(9) for line in renamed(f"user-{n}", f"new-{n}")])
    few, _ = printed(capsys, model, "--plays", plays)

    printed(capsys, model, "--plays", plays, "--output", str(tmp_path / "out"))

    many = [line.split("\t") for part in sorted((tmp_path / "out").glob("part-*")) for line in part.read_text().splitlines()]
    assert many == few


def test_only_named_new_users_are_recommended_to(model, tmp_path, capsys):
    plays = write(tmp_path / "new.tsv", renamed("user-1", "one") + renamed("user-2", "two"))

    actual, _ = printed(capsys, model, "--plays", plays, "two", "-n", "1")

    assert [row[0] for row in actual] == ["two"]
    assert cli.main(["recommend", "--model", model.path, "--plays", plays, "three", "-q"]) == 1
    assert "no plays of 'three'" in capsys.readouterr().err


def test_items_the_model_does_not_know_are_counted(model, tmp_path, capsys):
    plays = write(tmp_path / "new.tsv", [*renamed(), "new\tunheard\t3\n"])
    known, _ = printed(capsys, model, "--plays", write(tmp_path / "known.tsv", renamed()))

    assert cli.main(["recommend", "--model", model.path, "--plays", plays]) == 0

    out, err = capsys.readouterr()
    assert [line.split("\t") for line in out.splitlines()] == known
    assert "1 pairs of --plays are left out" in err


@pytest.mark.parametrize("output", [False, True])
def test_allowed_and_denied_items(output, model, tmp_path, capsys):
    allow = write(tmp_path / "allow", [f"{item}\n" for item in list(model.item_ids)[:30]] + ["unheard\n"])
    deny = write(tmp_path / "deny", [f"{item}\n" for item in list(model.item_ids)[20:40]])
    left = set(list(model.item_ids)[:20])
    words = ["--allow", allow, "--deny", deny, "-n", "50"]

    if output:
        _, err = printed(capsys, model, *words, "--output", str(tmp_path / "out"))
        lines = [line for part in (tmp_path / "out").glob("part-*") for line in part.read_text().splitlines()]
        actual = [row for row in (line.split("\t") for line in lines) if row[0] == "user-7"]
    else:
        actual, err = printed(capsys, model, "user-7", *words)

    expected = [(item, score) for item, score in model.recommend("user-7", 50) if item in left]
    assert [(row[2], float(row[3])) for row in actual] == [(item, pytest.approx(score, abs=1e-6)) for item, score in expected]
    assert "1 of 31 items are not in the model" in err


def test_nothing_allowed_is_an_error(model, tmp_path, capsys):
    item = write(tmp_path / "items", [f"{model.item_ids[0]}\n"])

    assert cli.main(["recommend", "--model", model.path, "user-7", "--allow", item, "--deny", item]) == 1
    assert "leave no item to recommend" in capsys.readouterr().err


def test_unknown_users_get_what_is_popular_and_it_is_marked(model, tmp_path, capsys):
    listeners = {}
    for line in toy_lines():
        user, item, _ = line.split("\t")
        listeners.setdefault(item, set()).add(user)
    best = sorted(listeners, key=lambda item: (-len(listeners[item]), item.encode()))[:3]

    actual, err = printed(capsys, model, "stranger", "user-7", "-n", "3", "--fallback", "popular")
    assert cli.main(["recommend", "--model", model.path, "stranger", "-n", "3", "--fallback", "popular", "--json", "-q"]) == 0

    assert [row[0] for row in actual] == ["user-7"] * 3 + ["stranger"] * 3
    assert [len(row) for row in actual] == [4, 4, 4, 5, 5, 5]
    assert actual[3:] == [
        ["stranger", str(n), item, f"{len(listeners[item]) / 120:.6f}", "popular"] for n, item in enumerate(best, 1)
    ]
    assert "1 users are unknown" in err
    assert json.loads(capsys.readouterr().out)["fallback"] == "popular"


def test_the_fallback_goes_to_a_part_of_its_own(model, tmp_path, capsys):
    users = write(tmp_path / "users", ["user-7\n", "stranger\n"])

    printed(capsys, model, "--users", users, "--fallback", "popular", "--output", str(tmp_path / "out"))

    assert (tmp_path / "out" / "part-popular").read_text().count("stranger\t") == 10


def test_without_a_fallback_an_unknown_user_is_an_error(model, capsys):
    assert cli.main(["recommend", "--model", model.path, "stranger"]) == 1
    assert "none of its 120 users is 'stranger'" in capsys.readouterr().err
