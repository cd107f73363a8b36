"""Models that version 0.1.0 published are read as it read them; `v0.1.0/` holds two, with what it printed of them.

They are of the logs beside them, rank 2, default options; `explicit` with --regularization 0.05 --regularization-scaling count.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import mr_als

OLD = Path(__file__).parent / "v0.1.0"
KINDS = ["implicit", "explicit"]


@pytest.fixture(params=KINDS)
def old(request, tmp_path):
    """Copy each model in turn, as no reader may write into it."""
    shutil.copytree(OLD / request.param, tmp_path / request.param)
    return tmp_path / request.param


def strengths(name):
    lines = (OLD / f"{name}.tsv").read_text().splitlines()
    return {(user, item): float(amount) for user, item, amount in (line.split("\t") for line in lines)}


def test_what_was_learnt_from_is_all_there(old):
    model = mr_als.load(str(old))

    assert model.info["versions"]["mr_als"] == "0.1.0"
    assert {(u, i): amount for u in model.user_ids for i, amount in model.plays(u)} == strengths(old.name)
    assert model.user_factors.shape == (len(model.user_ids), 2)


def test_recommendations_are_those_it_printed(old, cli):
    code, out, _ = cli("recommend", "--model", old, "--all", "-n", 5, "-q")

    assert code == 0
    assert sorted(out.splitlines()) == (OLD / f"{old.name}.recommend.tsv").read_text().splitlines()


def test_neighbours_are_those_it_printed(old, cli):
    expected = json.loads((OLD / f"{old.name}.similar.json").read_text())

    assert json.loads(cli("similar", "--model", old, expected["item"], "--json", "-q")[1]) == expected


def test_an_explanation_of_plays_is_the_one_it_printed(cli):
    """Of ratings, what it printed was wrong."""
    expected = json.loads((OLD / "implicit.explain.json").read_text())

    found = json.loads(cli("explain", "--model", OLD / "implicit", expected["user"], expected["item"], "--json", "-q")[1])

    assert found["score"] == pytest.approx(expected["score"], rel=1e-12)
    assert [part["item"] for part in found["parts"]] == [part["item"] for part in expected["parts"]]
    assert [part["part"] for part in found["parts"]] == pytest.approx([part["part"] for part in expected["parts"]], rel=1e-9)


def test_the_parts_of_every_score_sum_to_it(old):
    model = mr_als.load(str(old))

    for user in model.user_ids:
        for item in model.item_ids:
            why = model.explain(user, item)
            assert why["total"] == pytest.approx(why["score"], abs=2e-3)  # the solver's tolerance


def test_it_is_verified(old, cli):
    code, out, _ = cli("verify", "--model", old)

    assert code == 0
    assert "WRONG" not in out


def test_it_is_exported_evaluated_and_reported(old, tmp_path, cli):
    (tmp_path / "test.tsv").write_text("-eve\tcafé\t2\nrater-0\tfilm-3\t4\n")

    assert cli("export", "--model", old, "--format", "tsv", "-o", tmp_path / "tsv", "-q")[0] == 0
    assert cli("report", "--model", old, "-o", tmp_path / "report.html", "-q")[0] == 0
    report = json.loads(cli("evaluate", "--model", old, tmp_path / "test.tsv", "-k", "1", "--json", "-q")[1])

    assert report["metrics"]["recall@1"]["model"] == 1.0  # either is the first of those it printed
    assert (report["pairs"], report["left_out"]["cold_users"]) == (1, 1)


def test_a_new_model_begins_with_it_and_replaces_it(old, cli):
    weights = ["--feedback", "explicit", "--regularization", "0.05"] if old.name == "explicit" else ["--regularization", "0.003"]
    before = mr_als.load(str(old)).generation

    assert cli("train", OLD / f"{old.name}.tsv", "--model", old, "--warm-start", old, "--rank", 2, *weights, "-q")[0] == 0

    assert mr_als.load(str(old)).generation != before
    assert Path(before, "manifest.json").exists()  # it is kept, to go back to
    assert cli("verify", "--model", old)[0] == 0
