"""Tasks that do what a test wants: the Python that an mrjob.conf names for them is a shell script, which looks at the attempt."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hadoop.runs import Driver


@pytest.fixture
def python_that(tmp_path: Path) -> Callable[[str], tuple[str, ...]]:
    """Return a function that builds the mrjob options to make tasks run `script`, in which "$@" is what they were to run.

    $id is the attempt and how it was called, such as `attempt_17_0001_r_000000_0 ... --reducer ... --solved users ...`.
    """

    def words(script: str) -> tuple[str, ...]:
        path = tmp_path / "python"
        lines = (
            "#!/bin/sh",
            f'echo "$mapreduce_task_attempt_id $*" >> {tmp_path}/attempts',
            f'set -- {sys.executable} "$@"',
            'id="$mapreduce_task_attempt_id $*"',
            script,
            'exec "$@"',
        )
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o755)
        conf = tmp_path / "mrjob.conf"
        conf.write_text(json.dumps({"runners": {"hadoop": {"python_bin": str(path)}}}))
        return "-c", str(conf)

    return words


@pytest.fixture
def attempts(tmp_path: Path) -> Callable[[str], list[str]]:
    """Return a function that lists the ends, such as `m_000001_0`, of the attempts so far that were called with a word."""

    def ends(word: str) -> list[str]:
        lines = (tmp_path / "attempts").read_text().splitlines()
        return [line.split(" ")[0].split("_", 3)[3] for line in lines if word in line]

    return ends


class Gate:
    """At which attempts of tasks wait until a test lets them through."""

    def __init__(self, place: Path) -> None:
        self.closed, self.reached = place / "closed", place / "reached"
        self.closed.touch()

    def script(self, pattern: str) -> str:
        """Build the script that makes attempts wait; see `python_that`."""
        wait = f"while [ -e {self.closed} ]; do sleep 0.2; done"
        return f'case "$id" in {pattern}) [ -e {self.closed} ] && echo $mapreduce_task_attempt_id > {self.reached}; {wait};; esac'

    def wait_for(self, process: Driver, seconds: float = 400) -> str:
        """Wait until an attempt is there, and give its number and task, such as `17_0001_m_000000_0`."""
        end = time.monotonic() + seconds
        while not self.reached.exists() or not self.reached.read_text().endswith("\n"):
            assert process.process.poll() is None, "the driver came to its end meanwhile"
            assert time.monotonic() < end
            time.sleep(0.1)
        return self.reached.read_text().strip().removeprefix("attempt_")

    def open(self) -> None:
        """Let them through, and all that come later."""
        self.closed.unlink(missing_ok=True)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Yield a gate, and open it at the end."""
    made = Gate(tmp_path)
    yield made
    made.open()
