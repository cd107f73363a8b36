"""Jobs on this machine: in the driver's process (inline), or a process a core (local)."""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mr_als import engine
from mr_als.engine.runners.runner import Call, Runner

# while mrjob runs a task in this process, the task has its working directory, streams and environment to itself
_alone = threading.RLock()


class Inline(Runner):
    """Tasks one after the other in the driver's process."""

    name = "inline"
    runs_here = in_driver = True
    # loaded once a run
    compiled_work = 1 << 23

    def tasks(self, given: Sequence[str]) -> int:
        """Return 1: the tasks would wait for each other."""
        return 1

    @contextmanager
    def arguments(self, call: Call) -> Iterator[tuple[list[str], list[str]]]:
        """Yield the number of tasks; jobs of other threads wait meanwhile."""
        with _alone, _environment_kept():
            yield ["--num-cores", str(call.tasks)], []

    def inputs(self, call: Call) -> list[str]:
        """Escape the paths, which mrjob takes for globs here."""
        return [glob.escape(path) for path in call.inputs]


class Local(Inline):
    """Tasks in processes of their own, one a core."""

    name = "local"
    in_driver = False
    # loaded once a task
    compiled_work = 1 << 30

    def tasks(self, given: Sequence[str]) -> int:
        """Return the number of cores."""
        return os.cpu_count() or 1

    @contextmanager
    def arguments(self, call: Call) -> Iterator[tuple[list[str], list[str]]]:
        """Yield the number of tasks, and where they find the package."""
        parent = str(Path(engine.__file__).resolve().parents[2])
        python_path = os.pathsep.join([parent, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = ["--cmdenv", f"PYTHONPATH={python_path}", "--cmdenv", "OPENBLAS_NUM_THREADS=1"]
        yield ["--num-cores", str(call.tasks), "--no-bootstrap-mrjob", *environment], []


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Put the environment back after a failure: mrjob clears it before it does so, and a signal may come in between."""
    before = dict(os.environ)
    try:
        yield
    except BaseException:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
        raise
