"""Trainings on the test cluster, in this process or in one that is to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import mr_als
from mr_als.engine.runners import yarn
from mr_als.options import Training
from mr_als.storage.places import storage_of
from mr_als.training.train import Engine, train
from tests.toy import options

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = 2
# the initial items, and one half, which solves users: each job takes some twenty seconds, and a later half is no other job
SHORT = options("shuffle", blocks=BLOCKS, iterations=0)
# one iteration: the initial items, and three halves
ONE = options("shuffle", blocks=BLOCKS, iterations=1)
# small, so that little is asked of the machine
MEMORY = ("-D", "mapreduce.map.memory.mb=768", "-D", "mapreduce.reduce.memory.mb=768")

DRIVER = """
import sys
from tests.hadoop.runs import train_on
train_on(*sys.argv[1:3], mrjob_arguments=sys.argv[3:])
"""


class Logs(NamedTuple):
    """The same logs on this machine and on the cluster."""

    local: str
    uri: str


def train_on(
    logs: str, model: str, chosen: Training = SHORT, mrjob_arguments: Sequence[str] = (), tasks: int = 1
) -> dict[str, Any]:
    """Train on the cluster, with few tasks, as the start of each takes seconds of a core."""
    return train([logs], model, chosen, engine=on_yarn(tasks, *mrjob_arguments))


def on_yarn(tasks: int = 1, *mrjob_arguments: str) -> Engine:
    """Configure the engine with `tasks` reduce tasks, which data as small as that of the tests would not get."""
    return Engine("hadoop", "lines", tasks, (*MEMORY, "-D", f"mapreduce.job.reduces={tasks}", *mrjob_arguments))


def arrays_of(model: str) -> dict[str, bytes]:
    """Load a model and return the bytes of its arrays."""
    generation = Path(mr_als.load(model).generation)
    return {str(path.relative_to(generation)): path.read_bytes() for path in generation.rglob("*") if path.is_file()}


class Driver:
    """A training in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], model: str) -> None:
        self.process, self.model = process, model

    def wait_for(self, start: str, seconds: float = 240) -> None:
        """Wait until the unfinished run has a file or directory whose name begins so."""
        storage, generations = storage_of(self.model), f"{self.model}/generations"
        self._until(
            lambda: any(
                name.startswith(start) for run in storage.names(generations) for name in storage.names(f"{generations}/{run}")
            ),
            seconds,
        )

    def wait_for_application(self, seconds: float = 120) -> None:
        """Wait until a job of the model runs."""
        self._until(lambda: bool(yarn.applications(storage_of(self.model).absolute(self.model))), seconds)

    def _until(self, ready: Any, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not ready():
            assert self.process.poll() is None, "the driver came to its end meanwhile"
            assert time.monotonic() < end
            time.sleep(0.1)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def driver(logs: str, model: str, *mrjob_arguments: str, crash_at: str = "") -> Iterator[Driver]:
    """Start a driver, to die at a crash point if one is named; in the end it is dead."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MR_ALS_CRASH_AT": crash_at}
    process = subprocess.Popen([sys.executable, "-c", DRIVER, logs, model, *mrjob_arguments], env=environment, cwd=ROOT)
    try:
        yield Driver(process, model)
    finally:
        process.kill()
        process.wait()
