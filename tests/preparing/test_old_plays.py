"""Plays that version 0.1.0 prepared are trained on, added to and cut anew; `v0.1.0/` holds them, of the log beside them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import mr_als
from mr_als.options import InputOptions
from mr_als.preparing.prepare import prepare
from mr_als.preparing.summing import open_plays

OLD = Path(__file__).parent / "v0.1.0"
# when its log was last changed, in ns: git keeps no times
CHANGED = 1_241_827_200_000_000_000


@pytest.fixture
def old(tmp_path):
    """Copy the plays and the logs, and put into `plays.json` where the log lies now."""
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    os.utime(tmp_path / "events.tsv", ns=(CHANGED, CHANGED))
    path = tmp_path / "plays" / "plays.json"
    path.write_text(path.read_text().replace("/logs", str(tmp_path)))
    return tmp_path


def blocks_of(plays):
    return [[(n, bytes(payload)) for n, payload in side.blocks()] for side in (plays.users, plays.items)]


def at_once(old, *logs, blocks="2"):
    chosen = InputOptions(max_bad_lines="5", user_blocks=blocks, item_blocks=blocks)
    return blocks_of(prepare([str(old / log) for log in logs], str(old / "anew"), chosen))


def test_they_hold_what_the_log_makes_today(old):
    assert blocks_of(open_plays(str(old / "plays"))) == at_once(old, "events.tsv")


def test_they_are_trained_on(old, cli):
    code, out, err = cli("train", "--plays", old / "plays", "--model", old / "model", "--rank", 2)

    assert (code, "3 users, 3 items, 5 pairs, 6 plays" in out) == (0, True), err
    assert sorted(mr_als.load(str(old / "model")).user_ids) == ["-eve", "ann", "bob"]


def test_the_same_command_knows_the_log_and_adds_the_others(old, cli):
    command = ["prepare", old / "*.tsv", "--plays", old / "plays", "--add", "--max-bad-lines", 5, "--json"]

    code, out, err = cli(*command, "--user-blocks", 2, "--item-blocks", 2)

    assert code == 0, err
    assert {**json.loads(out), "directory": ""} == {
        "directory": "", "added": 1, "skipped": 1, "dropped": 0, "segments": 2, "logs": 2, "users": 2, "items": 2, "pairs": 2,
        "plays": 2, "lines": 2, "bad_lines": 0,
    }  # fmt: skip
    assert blocks_of(open_plays(str(old / "plays"))) == at_once(old, "events.tsv", "next.tsv")


def test_they_have_no_times_by_which_to_drop_them(old, cli):
    code, _, err = cli("prepare", "--plays", old / "plays", "--drop", "2009-06-01")

    assert code == 2
    assert "the plays of" in err
    assert "have no times, so it is not known how old they are" in err


def test_they_are_written_in_other_numbers_of_blocks(old, cli):
    assert cli("prepare", "--plays", old / "plays", "--replan", "--user-blocks", 3, "--item-blocks", 3, "-q")[0] == 0

    assert blocks_of(open_plays(str(old / "plays"))) == at_once(old, "events.tsv", blocks="3")
