"""Jobs on this machine: in the driver's process (inline), or a process a core (local)."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mr_als import engine
from mr_als.engine.runners.runner import Call, Runner


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
        """Yield the number of tasks."""
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
