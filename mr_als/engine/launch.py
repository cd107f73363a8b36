"""Run a job on any of mrjob's runners: `run_job("mr_solve", ...)` gives the paths of the output parts.

Nobody imports a job: it is a *file* that runs on the nodes. `load_job` finds it in `mr_als/jobs/` (a wheel) or in
`jobs/` beside the package (a checkout), loads it from there and registers it, so that mrjob finds its source.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mr_als import engine, errors
from mr_als.engine import emr, hadoop, spark
from mr_als.errors import JobFailedError, MRALSError

# runners whose tasks do not see the files of the driver's machine
CLUSTERS = ("hadoop", "emr")


def load_job(name: str) -> type[Any]:
    """Load the class of the job file `name`.py.

    Raises
    ------
    JobFailedError
        If the file is missing from the installation.
    """
    qualified = f"mr_als_job_{name}"
    if qualified not in sys.modules:
        package = Path(engine.__file__).resolve().parents[1]
        places = [package / "jobs" / f"{name}.py", package.parent / "jobs" / f"{name}.py"]
        path = next((place for place in places if place.exists()), None)
        if path is None:
            msg = f"job {name}.py is neither in {places[0].parent} nor in {places[1].parent}: reinstall mr_als"
            raise JobFailedError(msg)
        spec = importlib.util.spec_from_file_location(qualified, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[qualified] = module
        spec.loader.exec_module(module)
    return sys.modules[qualified].JOB  # type: ignore[no-any-return]


def run_job(
    name: str,
    inputs: Sequence[str],
    output: str,
    arguments: Sequence[str],
    runner: str,
    *,
    tasks: int = 1,
    mrjob_arguments: Sequence[str] = (),
    task_memory: int = 1 << 30,
    reduces: int = 0,
    owner: str = "",
) -> list[str]:
    """Run a job and give its output parts, in the order of their names.

    Parameters
    ----------
    inputs : absolute paths of files; each file is one map task
    output : a directory that does not exist yet
    tasks : number of processes (local), half the number of reduce tasks; tasks that run at a time (hadoop)
    task_memory : bytes of a task, for its container
    reduces : number of reduce tasks (hadoop), by default `tasks`
    owner : the directory that a driver holds while it runs the job; by it a job that outlived its driver is found

    Raises
    ------
    JobFailedError
        If a task failed; an error of ours inside a task comes out as itself.
    """
    job_class = load_job(name)
    causes = _Causes(logging.INFO if runner == "hadoop" else logging.ERROR)
    log = logging.getLogger("mrjob")
    level, log.propagate = log.level, False
    log.setLevel(min(level, causes.level))
    log.addHandler(causes)
    made = None
    owner = owner or output
    try:
        with _engine_arguments(runner, tasks, mrjob_arguments, output, task_memory, owner) as (before, after):
            fixed = ["-r", runner, "--cleanup-on-failure", "TMP", "--output-dir", output, *before]
            if not any(a in ("-c", "--conf-path") for a in (*before, *mrjob_arguments)):
                fixed.append("--no-conf")
            # here mrjob takes paths for globs
            named = [glob.escape(path) for path in inputs] if runner in ("inline", "local") else inputs
            job = job_class([*fixed, *mrjob_arguments, *after, *arguments, *named])
            with job.make_runner() as made, _around(runner, made, reduces or tasks, owner):
                made.run()
    except MRALSError:
        raise
    except Exception as error:
        explained = hadoop.explain_failure(causes.text, made) if runner == "hadoop" and made else ""
        raise _our_error(name, runner, causes.text, error, explained) from error
    finally:
        log.removeHandler(causes)
        log.setLevel(level)
    return hadoop.parts(output) if runner in CLUSTERS else sorted(str(path) for path in Path(output).glob("part-*"))


@contextlib.contextmanager
def _engine_arguments(
    runner: str, tasks: int, given: Sequence[str], output: str, task_memory: int, owner: str
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the mrjob arguments that go before the user's, which may override them, and those that go after."""
    if runner == "hadoop":
        with hadoop.configured(output, task_memory, tasks, owner) as arguments:
            yield arguments
    elif runner == "emr":
        with emr.configured(output, task_memory, tasks) as arguments:
            yield arguments
    elif runner == "spark":
        yield spark.arguments(tasks, given[given.index("--spark-master") + 1] if "--spark-master" in given else ""), []
    else:
        yield ["--num-cores", str(tasks), *(["--no-bootstrap-mrjob", *_task_environment()] if runner == "local" else [])], []


@contextlib.contextmanager
def _around(runner: str, made: Any, reduces: int, owner: str) -> Iterator[None]:
    """Do before and after a run what mrjob leaves to us."""
    if runner == "hadoop":
        hadoop.before_run(made, reduces)
        with hadoop.alone(owner):
            yield
    elif runner == "emr":
        emr.before_run(made, reduces)
        yield
    elif runner == "spark":
        spark.before_run(made)
        try:
            yield
        finally:
            spark.after_run(made)
    else:
        yield


def _task_environment() -> list[str]:
    parent = str(Path(engine.__file__).resolve().parents[2])
    python_path = os.pathsep.join([parent, *filter(None, [os.environ.get("PYTHONPATH")])])
    return ["--cmdenv", f"PYTHONPATH={python_path}", "--cmdenv", "OPENBLAS_NUM_THREADS=1"]


class _Causes(logging.Handler):
    """Keeps what mrjob logs as errors: the traceback of a failed task is in it. Of Hadoop's client it keeps all it says."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = (self.text + record.getMessage() + "\n")[-(1 << 18) :]


def _our_error(name: str, runner: str, log: str, error: Exception, explained: str) -> MRALSError:
    """Find one of our own errors in the log of a failed task; else say which job failed and why."""
    found = re.findall(r"^mr_als\.errors\.(\w+): (.*)$", log, re.MULTILINE)
    if found and found[-1][0] in errors.__all__:
        kind: type[MRALSError] = getattr(errors, found[-1][0])
        return kind(found[-1][1])
    # the last line of a traceback says what happened; without one, the last line of all
    raised = re.findall(r"^[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b.*", log, re.MULTILINE)
    last = raised[-1] if raised else next((line for line in reversed(log.strip().splitlines()) if line.strip()), "")
    if explained:
        return JobFailedError(f"job {name} failed on runner {runner}: {f'{last.strip()}; ' if raised else ''}{explained}")
    msg = f"job {name} failed on runner {runner}: {type(error).__name__}: {error or last}"
    return JobFailedError(f"{msg} ({last.strip()})" if last and last not in msg else msg)
