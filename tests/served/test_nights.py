"""Thirty nights of docs/examples/nightly.sh in fast motion, with all that happens to nights: each morning the right table.

Night n finds the logs of days n - 2 to n + 1, as older ones have been moved away, and withholds the newest for its gate.
"""

from __future__ import annotations

import shutil
import subprocess
import threading

import pytest

import mr_als
from mr_als.options import InputOptions
from mr_als.preparing.prepare import prepare
from mr_als.preparing.summing import open_plays
from tests.served.machine import Service, recommended
from tests.served.music import BAD
from tests.served.postgres import ask, program

pytestmark = pytest.mark.postgres

BLOCKS = {"user_blocks": "2", "item_blocks": "3"}
KILLED, BAD_LINES, HALF, BELOW, BACK = 6, 11, 16, 21, 26
# the step that stops, its exit code, and what it says
STOPPED = {
    KILLED: ("train", 137, ""),
    BAD_LINES - 1: ("gate", 1, "more than --max-bad-lines 1%"),  # it is the newest, which the gate asks about
    BAD_LINES: ("add", 1, "more than --max-bad-lines 1%"),
    HALF: ("train", 3, "less than --min-size 0.9"),
    BELOW: ("gate", 3, "ndcg@10 is 0."),
}


class Reader(threading.Thread):
    """A service that keeps asking for one user, over one connection."""

    QUERY = "SELECT count(*), count(DISTINCT generation), min(rank), max(rank) FROM recommendations WHERE user_id = 'user-001';\n"

    def __init__(self, database):
        super().__init__()
        self.answers, self.errors, self._go_on, self._pause = 0, [], True, threading.Event()
        command = [program("psql"), "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._psql = subprocess.Popen(command, env=database, text=True, bufsize=1, **pipes)

    def run(self):
        while self._go_on and not self.errors:
            try:
                self._psql.stdin.write(self.QUERY)
            except BrokenPipeError:
                break
            answer = self._psql.stdout.readline().strip()
            self._pause.wait(0.005)  # for what else there is to do
            self.answers += 1
            if answer != "10|1|1|10":
                self.errors.append(answer)

    def stop(self):
        self._go_on = False
        self.join()
        _, said = self._psql.communicate()
        return self.errors, said


def blocks_of(plays):
    return [[(n, bytes(payload)) for n, payload in side.blocks()] for side in (plays.users, plays.items)]


def test_thirty_nights(tmp_path, database):
    service = Service(tmp_path, database)
    service.day(1)
    reader, mornings, expected = None, {}, None
    for night in range(1, 31):
        # what happens to this night
        how = {"bad": 2 * BAD} if night == BAD_LINES - 1 else {"odd": True} if night == BELOW else {}
        service.day(night + 1, **how)
        environment = {"MR_ALS_CRASH_AT": "after-half-003"} if night == KILLED else {}
        if night == BAD_LINES + 1:  # somebody has fetched the broken log again
            service.day(BAD_LINES)
            service.day(night + 1)
        if night == HALF:  # a disk has died
            shutil.move(service.state / "plays", tmp_path / "backup")
        if night == HALF + 1:
            shutil.rmtree(service.state / "plays")
            shutil.move(tmp_path / "backup", service.state / "plays")

        code, said = service.night(**environment)

        if night in STOPPED:
            step, ended, words = STOPPED[night]
            assert (code, words in said) == (ended, True), said
            assert f"{step} ended with exit code {ended}: what is served stays" in said
        else:
            assert code == 0, said
            model = mr_als.load(str(service.state / "model"))
            assert model.info["generation"] not in mornings
            expected = mornings[model.info["generation"]] = recommended(model)
        if night == BACK:
            code, said = service.night("back")
            assert code == 0, said
            expected = list(mornings.values())[-2]
        # the morning
        generation, rows = service.served()
        assert generation == service.generation
        assert rows == expected == mornings[generation], night
        if reader is None:
            reader = Reader(database)
            reader.start()
    errors, said = reader.stop()

    assert (errors, said) == ([], "")
    assert reader.answers > 100
    # the generations that stay are those in the database and beside it
    kept = {path.name for path in (service.state / "model" / "generations").iterdir() if path.is_dir()}
    tables = {
        name.removeprefix("recommendations_")
        for (name,) in ask(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    }
    assert generation in tables <= kept
    assert tables == {path.name for path in (service.state / "recommendations").iterdir()}
    # all days but the newest
    (service.archive / "2024-05-31.tsv").unlink()
    at_once = prepare([str(service.archive)], str(tmp_path / "at-once"), InputOptions(**BLOCKS))
    assert blocks_of(open_plays(str(service.state / "plays"))) == blocks_of(at_once)
