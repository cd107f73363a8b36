"""Gates of `evaluate`: exit code 3 when a model is worse than asked for, or than popularity; the table is printed all the same."""

from __future__ import annotations

import json

import pytest

from mr_als.commands.evaluate import below
from tests.toy import toy_lines, write


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Train on nine tenths of the toy plays; return the options that evaluate the model on the rest."""
    from mr_als.cli import main

    folder, lines = tmp_path_factory.mktemp("gates"), toy_lines()
    test = write(folder / "test.tsv", lines[::10])
    train = write(folder / "train.tsv", [line for n, line in enumerate(lines) if n % 10])
    plan = ["--rank", "5", "--max-iterations", "3", "--alpha", "10", "--regularization", "0.003", "-q"]
    assert main(["train", train, "--model", str(folder / "model"), *plan]) == 0
    return ["--model", str(folder / "model"), test, "-k", "5", "-q"]


def test_a_model_that_passes_is_exit_code_0(parts, cli):
    report = json.loads(cli("evaluate", *parts, "--json")[1])["metrics"]
    bound = f"ndcg@5={report['ndcg@5']['model'] - 1e-9}"

    assert cli("evaluate", *parts, "--fail-below", bound, "--fail-below-popularity")[0] == 0


def test_a_model_that_does_not_is_exit_code_3_with_its_figures(parts, cli):
    code, out, err = cli("evaluate", *parts, "--fail-below", "ndcg@5=1", "--fail-below", "percentile_rank=0")

    assert code == 3
    assert "ndcg@5 is 0." in err
    assert "percentile_rank is 0." in err
    assert "metric " in out


@pytest.mark.parametrize(
    ("text", "words"), [("ndcg@10=0.3", "not among the metrics"), ("ndcg@5", "METRIC=VALUE"), ("=0.3", "METRIC")]
)
def test_a_gate_that_asks_for_nothing_is_refused(text, words, parts, cli):
    code, _, err = cli("evaluate", *parts, "--fail-below", text)

    assert code == 2
    assert words in err


def test_popularity_is_compared_in_every_metric():
    rows = {"ndcg@5": {"model": 0.2, "popularity": 0.1}, "mrr": {"model": 0.1, "popularity": 0.2}}
    rows["percentile_rank"] = {"model": 0.3, "popularity": 0.2}

    assert [text.split()[0] for text in below({"metrics": rows}, [], popularity=True)] == ["mrr", "percentile_rank"]
