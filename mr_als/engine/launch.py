"""Run a job file by one of mrjob's runners: `run_job(Call("mr_solve", ...))` returns the paths of the output parts.

Nobody imports a job: it is a *file* that runs on the nodes. `load_job` finds it in `mr_als/jobs/` (a wheel) or in
`jobs/` beside the package (a checkout), loads it from there and registers it, so that mrjob finds its source.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

from mr_als import engine, errors
from mr_als.engine.mrjob_fixes import remove_scratch
from mr_als.engine.runners.runner import Call, runner_of
from mr_als.errors import JobFailedError, MRALSError

# a program may train in several threads
_loading = threading.RLock()


def load_job(name: str) -> type[Any]:
    """Load the class of the job file `name`.py.

    Raises
    ------
    JobFailedError
        If the file is missing from the installation.
    """
    with _loading:
        return _load(name)


def _load(name: str) -> type[Any]:
    qualified = f"mr_als_job_{name}"
    if qualified not in sys.modules:
        package = Path(engine.__file__).resolve().parents[1]
        places = [package / "jobs" / f"{name}.py", package.parent / "jobs" / f"{name}.py"]
        path = next((place for place in places if place.exists()), None)
        # without a file the package is in a zip, as a worker of Spark gets it
        in_zip = importlib.util.find_spec(f"mr_als.jobs.{name}") if path is None and package.parent.is_file() else None
        spec = in_zip if path is None else importlib.util.spec_from_file_location(qualified, path)
        if spec is None:
            msg = f"job {name}.py is neither in {places[0].parent} nor in {places[1].parent}: reinstall mr_als"
            raise JobFailedError(msg)
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[qualified] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:  # in a process that goes on, the next task is to see the same error
            del sys.modules[qualified]
            raise
    return sys.modules[qualified].JOB  # type: ignore[no-any-return]


def run_job(call: Call, runner: str = "inline") -> list[str]:
    """Run a job and return its output parts, in the order of their names.

    Raises
    ------
    JobFailedError
        If a task failed; an error of ours inside a task comes out as itself.
    """
    job_class, how = load_job(call.name), runner_of(runner)
    causes = _Causes(how.log_level)
    log = logging.getLogger("mrjob")
    level, log.propagate = log.level, False
    log.setLevel(min(level, causes.level))
    log.addHandler(causes)
    made = None
    try:
        if (parts := how.run(call, job_class)) is not None:
            return parts
        with how.arguments(call) as (before, after):
            fixed = ["-r", runner, "--label", _label(call), "--cleanup-on-failure", "TMP", "--output-dir", call.output, *before]
            if not any(a in ("-c", "--conf-path") for a in (*before, *call.given)):
                fixed.append("--no-conf")
            job = job_class([*fixed, *call.given, *after, *call.arguments, *how.inputs(call)])
            with job.make_runner() as made, how.around(made, call):
                made.run()
    except MRALSError:
        raise
    except Exception as error:
        raise _our_error(call.name, runner, causes.text, error, how.explain(causes.text, made) if made else "") from error
    except BaseException:  # a signal, which may have come while mrjob made or removed its scratch directory
        if made is not None:
            remove_scratch(made)
        raise
    finally:
        log.removeHandler(causes)
        log.setLevel(level)
    return how.parts(call.output)


def _label(call: Call) -> str:
    """Return a label no other job has: mrjob names scratch directories by label, user and time, and two may start together."""
    return f"{call.name}-{uuid.uuid4().hex[:8]}"


class _Causes(logging.Handler):
    """Keeps what mrjob logs in this thread, from a level on: the traceback of a failed task is in it."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.text, self._thread = "", threading.get_ident()
        self.addFilter(lambda record: record.thread == self._thread)

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
