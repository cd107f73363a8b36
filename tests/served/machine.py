"""The machine on which the nights of docs/examples/nightly.sh run, for tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.served.music import day_of
from tests.served.postgres import ask, program

ROOT = Path(__file__).resolve().parents[2]
NIGHTLY = ROOT / "docs" / "examples" / "nightly.sh"


class Service:
    """The machine on which the nights run."""

    def __init__(self, folder, database):
        self.logs, self.archive, self.state = folder / "logs", folder / "archive", folder / "state"
        for path in (self.logs, self.archive, folder / "bin"):
            path.mkdir()
        program_of_ours = folder / "bin" / "mr-als"
        program_of_ours.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mr_als "$@"\n')
        program_of_ours.chmod(0o755)
        self.environment = {
            **database,
            "PATH": f"{folder / 'bin'}:{Path(program('psql')).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "LOGS": str(self.logs),
            "STATE": str(self.state),
            "RUNNER": "inline",
            "PREPARE": "--user-blocks 2 --item-blocks 3 --max-bad-lines 1%",
            "TRAIN": "--rank 10 --max-iterations 3",
            "GATE": "--fail-below ndcg@10=0.15",
        }
        self.database = database

    def day(self, number, **how):
        """Write a day's log, and move away what is older than four days."""
        path = self.archive / f"2024-05-{number:02d}.tsv"
        path.write_text("".join(day_of(number, **how)))
        for old in sorted(self.logs.iterdir())[:-3]:
            old.unlink()
        shutil.copy2(path, self.logs)

    def night(self, *step, **environment):
        """Run the script; return its exit code and what it said."""
        done = subprocess.run(
            [str(NIGHTLY), *step], env={**self.environment, **environment}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    @property
    def generation(self):
        return json.loads((self.state / "model" / "model.json").read_text())["generation"]

    def served(self):
        """Read what the table says: its generation, and (user, rank, item, score) of all."""
        columns = "generation, user_id, rank, item, score"
        rows = ask(self.database, f'SELECT {columns} FROM recommendations ORDER BY user_id COLLATE "C", rank')
        (generation,) = {row[0] for row in rows}
        return generation, [(user, int(rank), item, float(score)) for _, user, rank, item, score in rows]


def recommended(model):
    """List what the model recommends to all its users, as the table should have it."""
    return [
        (user, rank, item, pytest.approx(score, abs=2e-6))
        for user in sorted(model.user_ids)
        for rank, (item, score) in enumerate(model.recommend(user, 10), 1)
    ]
