"""A sweep is `train` and `evaluate` of each point, goes on where it stopped, and tests one winner only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mr_als import cli
from mr_als.evaluating import sweep as sweeping
from tests.toy import toy_lines, write

OPTIONS = ["--max-iterations", "3", "--tolerance", "0", "-k", "5", "-q"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Split the toy plays and prepare the training part."""
    folder = tmp_path_factory.mktemp("parts")
    names = {part: str(folder / part) for part in ("train", "validation", "test")}
    split = [word for part, path in names.items() for word in (f"--{part}", path)]
    assert cli.main(["split", write(folder / "log.tsv", toy_lines()), "--by", "random", "--share", "0.15", *split, "-q"]) == 0
    assert cli.main(["prepare", names["train"], "--plays", str(folder / "plays"), "-q"]) == 0
    return {**names, "plays": str(folder / "plays")}


def command(parts, output, *options, test=True):
    held_out = ["--validation", parts["validation"], *(["--test", parts["test"]] if test else [])]
    return ["sweep", "--plays", parts["plays"], *held_out, "--output", str(output), *OPTIONS, *options]


def swept(capsys, arguments):
    """Run the command; give what it prints as JSON."""
    capsys.readouterr()
    assert cli.main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_each_point_is_a_train_and_an_evaluate_and_the_best_one_is_tested(parts, tmp_path, capsys):
    found = swept(capsys, command(parts, tmp_path / "sweep", "--rank", "1,4", "--regularization", "0.003,3", "--select", "mrr"))

    by_hand = {}
    for rank in ("1", "4"):
        for regularization in ("0.003", "3"):
            model = str(tmp_path / f"{rank}-{regularization}")
            given = ["--rank", rank, "--regularization", regularization]
            assert cli.main(["train", "--plays", parts["plays"], "--model", model, *given, *OPTIONS[:4], "-q"]) == 0
            capsys.readouterr()
            for part in ("validation", "test"):
                assert cli.main(["evaluate", "--model", model, parts[part], "-k", "5", "--json", "-q"]) == 0
                by_hand[rank, regularization, part] = json.loads(capsys.readouterr().out)["metrics"]
    assert [point["validation"]["metrics"] for point in found["points"]] == [
        by_hand[rank, regularization, "validation"] for regularization in ("0.003", "3") for rank in ("1", "4")
    ]
    best = max((key for key in by_hand if key[2] == "validation"), key=lambda key: by_hand[key]["mrr"]["model"])
    assert f"rank={best[0]}" in found["winner"].split(",")
    assert found["test"]["metrics"] == by_hand[best[0], best[1], "test"]
    assert len(list((tmp_path / "sweep").glob("*/test.json"))) == 1
    assert Path(found["model"], "model.json").exists()


def test_of_the_percentile_rank_the_lowest_is_best(parts, tmp_path, capsys):
    found = swept(capsys, command(parts, tmp_path / "sweep", "--rank", "1,4", "--select", "percentile_rank"))

    value = {point["name"]: point["validation"]["metrics"]["percentile_rank"]["model"] for point in found["points"]}
    assert value[found["winner"]] == min(value.values())


def test_a_sweep_that_was_killed_goes_on_and_ends_as_an_undisturbed_one(parts, tmp_path, capsys, monkeypatch):
    undisturbed = swept(capsys, command(parts, tmp_path / "one", "--rank", "1,2,3"))
    trained = []

    def dying(logs, model, *args, **keywords):
        trained.append(model)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(logs, model, *args, **keywords)

    from mr_als.training.train import train

    monkeypatch.setattr("mr_als.evaluating.sweep.train", dying)
    assert cli.main(command(parts, tmp_path / "other", "--rank", "1,2,3")) == 130
    found = swept(capsys, command(parts, tmp_path / "other", "--rank", "1,2,3"))

    assert [Path(model).parent.name.split(",")[0] for model in trained] == ["rank=1", "rank=2", "rank=2", "rank=3"]
    assert [point["validation"]["metrics"] for point in found["points"]] == [
        point["validation"]["metrics"] for point in undisturbed["points"]
    ]
    assert found["test"]["metrics"] == undisturbed["test"]["metrics"]


def test_a_grid_may_grow_but_its_parts_may_not_change(parts, tmp_path, capsys):
    first = swept(capsys, command(parts, tmp_path / "sweep", "--rank", "2"))
    before = Path(first["model"], "model.json").stat().st_mtime_ns

    found = swept(capsys, command(parts, tmp_path / "sweep", "--rank", "2,3"))

    assert len(found["points"]) == 2
    assert Path(first["model"], "model.json").stat().st_mtime_ns == before
    assert cli.main(command({**parts, "validation": parts["test"]}, tmp_path / "sweep", "--rank", "2")) == 2
    assert "holds a sweep with other validation: its figures cannot be compared" in capsys.readouterr().err


def test_logs_that_are_added_while_it_runs_are_those_of_no_point(parts, tmp_path, capsys, monkeypatch):
    plays = str(tmp_path / "plays")
    assert cli.main(["prepare", parts["train"], "--plays", plays, "-q"]) == 0
    more = write(tmp_path / "more.tsv", ["someone\tsomething\t1"])
    train = sweeping.train

    def train_while_logs_arrive(*arguments, **named):
        assert cli.main(["prepare", more, "--plays", plays, "--add", "-q"]) == 0
        # who trains next adds them up, and what was there before is left out
        assert cli.main(["train", "--plays", plays, "--model", str(tmp_path / "next"), "--max-iterations", "1", "-q"]) == 0
        capsys.readouterr()
        return train(*arguments, **named)

    monkeypatch.setattr(sweeping, "train", train_while_logs_arrive)
    found = swept(capsys, command({**parts, "plays": plays}, tmp_path / "sweep", "--rank", "2,3", test=False))

    assert len(found["points"]) == 2
    pairs = {
        str(path.parent.parent): json.loads(path.read_text())["history"][-1]["pairs"]
        for path in [tmp_path / "next" / "model.json", *(tmp_path / "sweep").glob("*/model/model.json")]
    }
    grown = pairs.pop(str(tmp_path))
    assert [*pairs.values()] == [grown - 1] * 2


def test_the_table_marks_the_winner_and_shows_popularity_and_the_test_once(parts, tmp_path, capsys):
    assert cli.main(command(parts, tmp_path / "sweep", "--rank", "1,4")) == 0

    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines() if line.startswith(("*", "  rank", "  pop"))].count("*") == 1
    assert printed.count("on the test part:") == 1
    assert any(line.startswith("  popularity") for line in printed.splitlines())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rank", "4,0"], "expected a number from 1 to 2048"), (["--confidence", "log,exp"], "'exp' is none of log, linear"),
        (["--select", "wrmse"], "--select wrmse: no such metric here; choose one of recall@5"),
        (["--select", "recall@7"], "--select recall@7: no such metric"),
    ],
)  # fmt: skip
def test_mistakes_are_told_before_anything_is_trained(parts, options, message, tmp_path, capsys):
    assert cli.main(command(parts, tmp_path / "sweep", *options)) == 2

    assert message in capsys.readouterr().err
    assert not (tmp_path / "sweep").exists()


def test_ratings_are_compared_by_their_held_out_error(tmp_path, capsys):
    lines = [f"u{u}\ti{i}\t{1 + (u * i) % 5}\n" for u in range(30) for i in range(20) if (u + i) % 3]
    train, validation = (
        write(tmp_path / name, part) for name, part in (("train.tsv", lines[::2]), ("validation.tsv", lines[1::2]))
    )
    assert cli.main(["prepare", train, "--plays", str(tmp_path / "plays"), "-q"]) == 0
    given = command({"plays": str(tmp_path / "plays"), "validation": validation}, tmp_path / "sweep", test=False)

    found = swept(capsys, [*given, "--feedback", "explicit", "--rank", "1,2", "--regularization", "0.05"])

    errors = {point["name"]: point["validation"]["held_out"]["rmse"] for point in found["points"]}
    assert found["select"] == "rmse"
    assert errors[found["winner"]] == min(errors.values())
    assert found["test"] is None
