"""`recommend --output DIR --format ...`: the same recommendations in each format, whose they are, and whole row groups."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

import mr_als
from mr_als.recommending import serving
from tests.toy import options, run, toy_lines, write


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    run([write(folder / "counts.tsv", toy_lines())], folder / "model", options())
    return str(folder / "model")


def rows_of(folder, form):
    """Read what was written as {user: [(rank, item, score)]}."""
    found = {}
    for part in sorted(folder.glob("part-*")):
        if form == "parquet":
            lines = pq.read_table(part).to_pylist()
        elif form == "jsonl":
            lines = [
                {"user": one["user"], **row}
                for one in map(json.loads, part.read_text().splitlines())
                for row in one["recommendations"]
            ]
        else:
            fields = [line.rstrip("\n").split("\t") for line in part.read_text().splitlines()]
            lines = [{"user": user, "rank": int(rank), "item": item, "score": float(score)} for user, rank, item, score in fields]
        for row in lines:
            found.setdefault(row["user"], []).append((row["rank"], row["item"], row["score"]))
    return found


@pytest.mark.parametrize("form", ["tsv", "jsonl", "parquet"])
def test_all_formats_hold_what_the_model_recommends(form, path, cli, tmp_path):
    model = mr_als.load(path)

    assert cli("recommend", "--model", path, "--output", tmp_path / "out", "--format", form, "-n", "4", "-q")[0] == 0

    found = rows_of(tmp_path / "out", form)
    assert set(found) == set(model.user_ids)
    for user in list(model.user_ids)[::17]:
        expected = model.recommend(user, 4)
        assert [(rank, item) for rank, item, _ in found[user]] == [(n, item) for n, (item, _) in enumerate(expected, 1)]
        assert [score for *_, score in found[user]] == pytest.approx([score for _, score in expected], abs=1e-6)


def test_the_manifest_names_the_generation_and_the_files(path, cli, tmp_path):
    out = tmp_path / "out"
    assert cli("recommend", "--model", path, "--output", out, "--format", "parquet", "-q")[0] == 0

    said = json.loads((out / "_manifest.json").read_text())

    assert said["generation"] == mr_als.load(path).info["generation"]
    assert (said["format"], said["n"], said["users"]) == ("parquet", 10, 120)
    assert said["files"] == {part.name: part.stat().st_size for part in out.glob("part-*")}
    assert (out / "_SUCCESS").exists()


def test_no_user_is_in_two_row_groups(path, cli, tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "USERS_PER_GROUP", 7)
    assert cli("recommend", "--model", path, "--output", tmp_path / "out", "--format", "parquet", "-n", "3", "-q")[0] == 0

    groups = []
    for part in sorted((tmp_path / "out").glob("part-*")):
        file = pq.ParquetFile(part)
        groups += [set(file.read_row_group(n).column("user").to_pylist()) for n in range(file.num_row_groups)]

    assert len(groups) >= 120 // 7
    assert sum(len(group) for group in groups) == 120


def test_popular_items_for_unknown_users_are_marked(path, cli, tmp_path):
    users = write(tmp_path / "users.txt", ["user-1\n", "stranger\n"])
    words = ("--users", users, "--fallback", "popular", "--format", "parquet", "-q")
    assert cli("recommend", "--model", path, "--output", tmp_path / "out", *words)[0] == 0

    rows = [row for part in (tmp_path / "out").glob("part-*") for row in pq.read_table(part).to_pylist()]

    assert {row["user"]: row["fallback"] for row in rows} == {"user-1": None, "stranger": "popular"}


@pytest.mark.parametrize(
    ("words", "said"), [(("--all", "--format", "tsv"), "with --output DIR"), (("--json", "--format", "tsv"), "contradict")]
)
def test_a_format_that_says_nothing_is_refused(words, said, path, cli, tmp_path):
    output = () if "--all" in words else ("--output", tmp_path / "out")

    code, _, err = cli("recommend", "--model", path, *words, *output)

    assert code == 2
    assert said in err
