"""What follows a run: an unfinished one that differs, gates, and figures for whoever watches."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import mr_als
from mr_als.errors import GateError, ResumeError
from mr_als.models.kept import kept
from mr_als.options import RunOptions
from mr_als.training.train import train
from tests.toy import generation_bytes, options, run, toy_lines, write

CRASH = "from mr_als.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
PLAN = ["--rank", "5", "--max-iterations", "3", "--tolerance", "0", "--user-blocks", "2", "--item-blocks", "2"]


@pytest.fixture
def unfinished(tmp_path):
    """Kill a run after its third half."""
    log = write(tmp_path / "counts.tsv", toy_lines())
    command = [sys.executable, "-c", CRASH, "train", log, "--model", str(tmp_path / "model"), *PLAN, "-q"]
    done = subprocess.run(command, env={**os.environ, "MR_ALS_CRASH_AT": "after-half-003"}, check=False)
    assert done.returncode == -9
    return tmp_path


def test_an_unfinished_run_of_other_logs_is_refused_and_the_remedy_named(unfinished):
    more = write(unfinished / "more.tsv", toy_lines(1))

    with pytest.raises(ResumeError, match=r"more.tsv is a new input.*--on-change restart"):
        train([str(unfinished / "counts.tsv"), more], str(unfinished / "model"), options())


def test_on_change_restart_begins_anew_where_inputs_differ(unfinished):
    logs = [str(unfinished / "counts.tsv"), write(unfinished / "more.tsv", toy_lines(1))]
    undisturbed = unfinished / "undisturbed"
    run(logs, undisturbed, options())

    info = train(logs, str(unfinished / "model"), options(), rules=RunOptions(on_change="restart"))

    assert info["history"][0]["half"] == 1
    assert generation_bytes(unfinished / "model") == generation_bytes(undisturbed)


def test_on_change_restart_goes_on_where_they_do_not(unfinished, cli):
    code, _, err = cli("train", unfinished / "counts.tsv", "--model", unfinished / "model", *PLAN, "--on-change", "restart")

    assert code == 0
    assert "going on with the unfinished run" in err
    assert "half   4" in err
    assert "half   3" not in err


def test_a_torn_plan_does_not_jam_the_night_that_restarts(unfinished):
    plan = unfinished / "model" / "work" / "run.json"
    plan.write_bytes(plan.read_bytes()[:40])

    train([str(unfinished / "counts.tsv")], str(unfinished / "model"), options(), rules=RunOptions(on_change="restart"))

    assert mr_als.load(str(unfinished / "model")).info["n_users"] == 120


def test_a_model_whose_error_rose_is_not_published_unless_that_is_wanted(tmp_path):
    log, model = write(tmp_path / "counts.tsv", toy_lines()), str(tmp_path / "model")
    good = train([log], model, options(iterations=8))
    rules = RunOptions(max_wrmse_rise="1%")

    with pytest.raises(GateError, match=r"a rise above --max-wrmse-rise 1%"):
        train([log], model, options(iterations=0), rules=rules)
    assert mr_als.load(model).info["generation"] == good["generation"]
    assert len(kept(model)) == 1

    bad = train([log], model, options(iterations=0))  # the same plan: what was trained is published, not trained again
    assert bad["history"][-1]["wrmse"] > 1.01 * good["history"][-1]["wrmse"]


def test_errors_under_other_weights_are_not_compared_and_that_is_said(tmp_path, cli):
    log, model = write(tmp_path / "counts.tsv", toy_lines()), tmp_path / "model"
    plan = ["--rank", "3", "--regularization", "0.003", "-q", "--max-wrmse-rise", "0"]

    results = [cli("train", log, "--model", model, *plan, "--alpha", alpha) for alpha in ("2", "40")]

    assert [code for code, *_ in results] == [0, 0]
    assert [err.count("--max-wrmse-rise 0 is not applied: ") for *_, err in results] == [0, 1]
    assert "trained with another --alpha, so" in results[1][2]


def test_where_alpha_follows_the_plays_what_is_left_of_the_error_is_compared(tmp_path, cli):
    """Each night has another density, and so another alpha: else the gate would be open every night."""
    plan = ("--model", tmp_path / "model", "--rank", "5", "--max-wrmse-rise", "5%", "-q")
    lines = [f"u{user}\ttaste-{user % 20}-item-{(user // 20 + n) % 20}\t1\n" for n in range(12) for user in range(400)]
    half, whole = write(tmp_path / "half.tsv", lines[: len(lines) // 2]), write(tmp_path / "whole.tsv", lines)
    assert cli("train", half, *plan)[0] == 0
    before = mr_als.load(str(tmp_path / "model"))

    code, _, err = cli("train", whole, *plan, "--max-iterations", "0")
    assert code == 3
    assert "the weighted RMSE over that of a model that knows nothing is 0." in err
    assert before.is_current()

    assert cli("train", whole, *plan, "--on-change", "restart")[::2] == (0, "")
    assert mr_als.load(str(tmp_path / "model")).info["options"]["weights"]["alpha"] != before.info["options"]["weights"]["alpha"]


def test_a_gate_is_exit_code_3_and_the_figures_say_so(tmp_path, cli):
    log, model, figures = write(tmp_path / "counts.tsv", toy_lines()), tmp_path / "model", tmp_path / "train.prom"
    assert cli("train", log, "--model", model, *PLAN, "-q", "--metrics", figures)[0] == 0
    read = dict(line.rsplit(" ", 1) for line in figures.read_text().splitlines() if not line.startswith("#"))
    assert float(read[f'mr_als_train_users{{model="{model}"}}']) == 120
    assert float(read[f'mr_als_train_success{{model="{model}"}}']) == 1

    few = write(tmp_path / "few.tsv", toy_lines()[:50])
    code, _, err = cli("train", few, "--model", model, *PLAN, "-q", "--metrics", figures, "--min-size", "0.5")

    assert code == 3
    assert "less than --min-size 0.5" in err
    text = figures.read_text()
    assert f'mr_als_train_success{{model="{model}"}} 0\n' in text
    assert f'mr_als_train_exit_code{{model="{model}"}} 3\n' in text
    assert "mr_als_train_users" not in text
    assert sorted(path.name for path in tmp_path.glob("train.prom*")) == ["train.prom"]


def test_the_log_for_programs_is_one_object_a_line(tmp_path, cli):
    log = write(tmp_path / "counts.tsv", toy_lines())

    code, _, err = cli("train", log, "--model", tmp_path / "model", *PLAN, "--log-format", "json")
    lines = [json.loads(line) for line in err.splitlines()]

    assert code == 0
    assert all({"time", "level", "event", "message"} <= set(line) for line in lines)
    halves = [line for line in lines if line["event"] == "half"]
    assert [line["half"] for line in halves] == [1, 2, 3, 4, 5, 6, 7]
    assert halves[-1]["wrmse"] == mr_als.load(str(tmp_path / "model")).info["history"][-1]["wrmse"]


def test_a_min_size_that_is_just_reached_is_enough(tmp_path, cli):
    log, model = write(tmp_path / "counts.tsv", toy_lines()), tmp_path / "model"
    fewer = write(tmp_path / "fewer.tsv", [line for line in toy_lines() if not line.startswith("user-7\t")])
    train = ("train", "--model", model, *PLAN, "-q", "--min-size", "1")

    assert [cli(*train, log)[0], cli(*train, log)[0], cli(*train, fewer)[0]] == [0, 0, 3]
