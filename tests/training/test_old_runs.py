"""A run that version 0.1.0 began is refused by name, and begun anew if that is asked for; `v0.1.0/` holds one, killed after half 2.

MR_ALS_CRASH_AT=after-half-002 mr-als train events.tsv --model model --rank 2 --alpha 10 --regularization 0.003 --max-bad-lines 5
    --user-blocks 2 --item-blocks 2
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import mr_als

OLD = Path(__file__).parent / "v0.1.0"
CHANGED = 1_241_827_200_000_000_000
OPTIONS = (
    "--rank", 2, "--alpha", 10, "--regularization", 0.003, "--max-bad-lines", 5, "--user-blocks", 2, "--item-blocks", 2, "-q",
)  # fmt: skip


@pytest.fixture
def old(tmp_path):
    """Copy the run and its log, and put into the plan where the log lies now."""
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    os.utime(tmp_path / "events.tsv", ns=(CHANGED, CHANGED))
    for path in (tmp_path / "model" / "work" / "run.json", tmp_path / "model" / "work" / "plays" / "plays.json"):
        path.write_text(path.read_text().replace("/logs", str(tmp_path)))
    return tmp_path


def test_it_is_refused_with_what_it_did_not_know_and_what_to_do(old, cli):
    code, _, err = cli("train", old / "events.tsv", "--model", old / "model", *OPTIONS)

    assert code == 1
    assert "holds an unfinished run with another plan: --time-unit is auto, an option that the run did not have" in err
    assert "--restart" in err
    assert "--on-change restart" in err
    assert (old / "model" / "work" / "half-002.json").exists()  # nothing was done to it


@pytest.mark.parametrize("anew", [["--restart"], ["--on-change", "restart"]])
def test_it_is_begun_anew_when_that_is_said(old, anew, cli):
    assert cli("train", old / "events.tsv", "--model", old / "model", *OPTIONS, *anew)[0] == 0

    assert sorted(mr_als.load(str(old / "model")).user_ids) == ["-eve", "ann", "bob"]
    assert not (old / "model" / "work").exists()
