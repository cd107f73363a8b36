"""What an engine is: the interface `Runner`, and the table of all, `RUNNERS`. A new engine is a file here, and a line there.

A runner is one of mrjob's, with what we tell it and what we do in its place. Who asks how it works asks `Runner`, or
`mr_als.engine.engine.Engine`, and never compares names.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from mr_als.errors import UsageError
from mr_als.options import TASK_MEMORY
from mr_als.storage.clouds import azure, gcs
from mr_als.storage.storage import scheme_of

__all__ = ["RUNNERS", "Call", "Runner", "check_reach", "runner_of"]


@dataclass(frozen=True)
class Call:
    """A job, as one of mrjob's runners is to run it.

    name : of the job's file
    inputs : absolute paths of files; each file is one map task
    output : a directory that does not exist yet
    arguments : of the job
    given : mrjob arguments of the user
    tasks : number of processes (local), of tasks that run at a time (hadoop)
    reduces : number of reduce tasks (hadoop), by default `tasks`
    task_memory : bytes of a task, for its container
    owner : the directory that a driver holds while it runs the job; by it a job that outlived its driver is found
    data : the data sets that `inputs` are of
    """

    name: str
    inputs: Sequence[str]
    output: str
    arguments: Sequence[str] = ()
    given: Sequence[str] = ()
    tasks: int = 1
    reduces: int = 0
    task_memory: int = TASK_MEMORY
    owner: str = ""
    data: Sequence[Any] = ()


class Runner:
    """One of mrjob's runners: what is particular about it, and what it has to be told.

    name : the word after -r
    place : where its tasks find files, such as hdfs:///; empty if they see those of this machine
    here_or_there : whether they may also work on the files of a cluster, and then get lines
    runs_here : whether the memory and cores of its tasks are this machine's
    in_driver : whether they run in the driver's process, one at a time and each with all cores
    lasting : whether what runs tasks outlives a job: plays stay there, and a job starts no process
    compiled_work : pairs x rank from which compiled code saves more than loading it costs
    log_level : of what mrjob logs, all from here on is kept, to explain a failure
    """

    name = ""
    place = ""
    here_or_there = False
    lasting = False
    runs_here = False
    in_driver = False
    # nobody knows what is installed elsewhere
    compiled_work: float = math.inf
    log_level = logging.ERROR

    def tasks(self, given: Sequence[str]) -> int:
        """Return how many tasks to split a job into, as many as run at a time where that is known."""
        raise NotImplementedError

    def compiled_from(self, given: Sequence[str]) -> float:
        """Return the pairs x rank from which tasks use compiled code, for the user's mrjob arguments."""
        return self.compiled_work

    def works_there(self, given: Sequence[str], paths: Sequence[str]) -> bool:
        """Say whether tasks read and write the files of a cluster, for the user's mrjob arguments and what they are given."""
        return bool(self.place)

    def check_master(self, master: str, paths: Iterable[str], given: Sequence[str] = ()) -> None:
        """Check that --master, or what the user's mrjob arguments say instead, fits, and that its tasks see the files at `paths`.

        Raises
        ------
        UsageError
            If not.
        """
        if self.place:
            check_reach(paths, f"-r {self.name}")
        if not master:
            return
        msg = f"--master {master} goes with -r spark, not with -r {self.name}"
        raise UsageError(msg)

    def check_place(self, path: str) -> None:
        """Check that tasks can see the file or directory at a path.

        Raises
        ------
        UsageError
            If it is on this machine, and they are not.
        """
        if self.place and scheme_of(path) == "file":
            where = f"{path} is on this machine, and -r {self.name} works on the files of a cluster"
            msg = f"{where}; give a URI such as {self.uri(path)}"
            raise UsageError(msg)

    def sees(self, path: str) -> bool:
        """Say whether tasks on a cluster see the file at a path of this machine, so that they need no copy."""
        return False

    def uri(self, path: str) -> str:
        """Return a URI that could stand for a path."""
        return self.place + os.path.basename(os.path.normpath(path))

    def run(self, call: Call, job_class: type[Any]) -> list[str] | None:
        """Run a job and list its parts, if that is not left to mrjob's runner of this name."""
        return None

    @contextmanager
    def arguments(self, call: Call) -> Iterator[tuple[list[str], list[str]]]:
        """Yield the mrjob arguments that go before the user's, which may override them, and those that go after."""
        yield [], []

    def inputs(self, call: Call) -> list[str]:
        """Return the paths of the input as mrjob wants them."""
        return list(call.inputs)

    @contextmanager
    def around(self, made: Any, call: Call) -> Iterator[None]:
        """Do before and after a job what mrjob's runner, `made`, leaves to us."""
        yield

    def explain(self, log: str, made: Any) -> str:
        """Say what went wrong where a log tells it in words that nobody understands, else nothing."""
        return ""

    def let_go(self) -> None:
        """Free what stays for jobs to come, where it is `lasting`: a program has trained."""

    def parts(self, output: str) -> list[str]:
        """List the parts that a job wrote, in the order of their names."""
        return sorted(str(path) for path in Path(output).glob("part-*"))


def check_reach(paths: Iterable[str], who: str) -> None:
    """Check that tasks on a cluster reach the files at some paths.

    Raises
    ------
    UsageError
        If one is in a cloud of which only the engines of one machine know.
    """
    for path in paths:
        if scheme_of(path) in (*azure.SCHEMES, *gcs.SCHEMES):
            msg = f"{path}: {who} does not support {scheme_of(path)}://; use -r inline or -r local, or copy the files to HDFS or S3"
            raise UsageError(msg)


class Known(NamedTuple):
    """Where an engine is: its file here and the class in it, loaded when they are used; and what the help says of it."""

    file: str
    kind: str
    words: str


RUNNERS = {
    "inline": Known("here", "Inline", "in this process"),
    "local": Known("here", "Local", "on all cores of this machine"),
    "hadoop": Known("hadoop", "Hadoop", "on YARN, with files in HDFS or S3"),
    "emr": Known("emr", "Emr", "on Amazon's Hadoop, with files in S3"),
    "spark": Known("spark", "Spark", "on this machine, or where --master says"),
}


@cache
def runner_of(name: str) -> Runner:
    """Return the runner with a name of the table."""
    known = RUNNERS[name]
    runner: Runner = getattr(import_module(f"mr_als.engine.runners.{known.file}"), known.kind)()
    return runner
