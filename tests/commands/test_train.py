"""`mr-als train` and `mr-als prepare`, from the outside."""

from __future__ import annotations

import json

import pytest

import mr_als
from mr_als import cli
from tests.toy import generation_bytes, toy_lines, write

SMALL = ["--rank", "5", "--max-iterations", "2", "--tolerance", "0", "--user-blocks", "2", "--item-blocks", "2"]


@pytest.fixture
def logs(tmp_path):
    return write(tmp_path / "counts.tsv", toy_lines())


def test_prints_what_was_learnt_on_stdout_and_how_on_stderr(logs, tmp_path, capsys):
    assert cli.main(["train", logs, "--model", str(tmp_path / "m"), "--join", "shuffle", *SMALL]) == 0

    out, err = capsys.readouterr()
    assert "120 users, 50 items" in out
    assert "reducer" in err
    for half in range(1, 6):
        line = next(line for line in err.splitlines() if line.startswith(f"half {half:3d}  "))
        for word in ("rows", "wRMSE", "objective", "MB", " s"):
            assert word in line
    assert f"mr-als recommend --model {tmp_path / 'm'} user-" in err


def test_quiet_says_nothing_on_stderr(logs, tmp_path, capsys):
    assert cli.main(["train", logs, "--model", str(tmp_path / "m"), "-q", *SMALL]) == 0

    assert capsys.readouterr().err == ""


def test_json_prints_the_content_of_model_json(logs, tmp_path, capsys):
    assert cli.main(["train", logs, "--model", str(tmp_path / "m"), "--json", *SMALL]) == 0

    assert json.loads(capsys.readouterr().out) == mr_als.load(str(tmp_path / "m")).info


def test_verbose_shows_the_log_of_mrjob(logs, tmp_path, capsys):
    assert cli.main(["prepare", logs, "--plays", str(tmp_path / "p"), "-v"]) == 0

    assert "step 1 of 1" in capsys.readouterr().err


def test_training_from_prepared_plays_gives_the_same_model(logs, tmp_path, capsys):
    blocks = SMALL[-4:]
    assert cli.main(["prepare", logs, "--plays", str(tmp_path / "p"), *blocks]) == 0
    assert "users\t120\n" in capsys.readouterr().out

    assert cli.main(["train", "--plays", str(tmp_path / "p"), "--model", str(tmp_path / "a"), *SMALL]) == 0
    assert cli.main(["train", logs, "--model", str(tmp_path / "b"), *SMALL]) == 0

    assert generation_bytes(tmp_path / "a") == generation_bytes(tmp_path / "b")


def test_prepare_prints_its_totals_as_json(logs, tmp_path, capsys):
    assert cli.main(["prepare", logs, "--plays", str(tmp_path / "p"), "--json", "-q"]) == 0

    totals = json.loads(capsys.readouterr().out)
    assert totals["users"] == 120
    assert totals["lines"] == len(toy_lines())
    assert totals["bad_lines"] == 0


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda plays: (plays / "plays.json").unlink(), "no plays.json"),
        (lambda plays: (plays / "plays.json").write_text("{"), "plays.json cannot be read (no JSON"),
        (lambda plays: next(plays.glob("attempt-*/users.raw")).write_bytes(b"x"), "1 bytes where the manifest says"),
    ],
)
def test_a_damaged_plays_directory_is_one_sentence(damage, text, logs, tmp_path, capsys):
    assert cli.main(["prepare", logs, "--plays", str(tmp_path / "p"), "-q"]) == 0
    damage(tmp_path / "p")
    capsys.readouterr()

    code = cli.main(["train", "--plays", str(tmp_path / "p"), "--model", str(tmp_path / "m"), "-q", *SMALL])

    out, err = capsys.readouterr()
    assert (code, out) == (1, "")
    assert text in err
    assert "prepare" in err
    assert len(err.splitlines()) == 1


def test_a_property_reaches_the_jobs_and_an_mrjob_conf_is_read(logs, tmp_path, capsys):
    (tmp_path / "mrjob.conf").write_text('{"runners": {"inline": {"jobconf": {"mapreduce.job.name": "a"}}}}')

    code = cli.main(
        ["prepare", logs, "--plays", str(tmp_path / "p"), "-q", "-c", str(tmp_path / "mrjob.conf"), "-D", "mapreduce.job.name=b"]
    )

    assert code == 0
