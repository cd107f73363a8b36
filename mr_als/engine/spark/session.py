"""The Spark session: one for all jobs of a process. It is found or made by the first job, and only what we made is stopped.

A program that has a session of its own, and one that was itself submitted (`spark-submit`, EMR Serverless, Databricks), lends it.

It is long because what is set, checked and ended of a session has to be read together.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import mr_als
from mr_als.engine.mrjob_fixes import load_runner
from mr_als.engine.spark.submit import write_package
from mr_als.engine.spark.tasks import lacking
from mr_als.engine.spark.turns import Turns
from mr_als.errors import JobFailedError, UsageError
from mr_als.options import TASK_MEMORY

from mrjob.job import MRJob  # isort: skip  (after mrjob_fixes)

__all__ = ["Wanted", "in_session", "is_local", "master_of", "session", "stop", "wanted"]

LOCAL = "local[*]"
# workers that are looked at before anything runs
MOST_LOOKED_AT = 64
# what every task imports
NEEDED = ("numpy", "mrjob")
ENVIRONMENT = "set PYSPARK_PYTHON to one with mr_als' requirements that is there on every node (docs/engines.md)"
# megabytes of a JVM beside its heap
JVM_OVERHEAD = 384
# of a program that spark-submit started: the JVM is there already
SUBMITTED = "PYSPARK_GATEWAY_PORT"


class Wanted(NamedTuple):
    """What the user asks of a session.

    master : empty if nothing is said
    properties : (name, value) of Spark's and Hadoop's properties
    environment : (name, value) of the tasks
    python : of the workers
    files : Python files to be sent to them
    """

    master: str
    properties: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]
    python: str
    files: tuple[str, ...]


class Made(NamedTuple):
    """A session that we made.

    wanted : what was asked of it
    task_memory : bytes of a task for which its executors have room
    gateway : to the JVM that we started for it; None if the program had one
    place : where that writes its log
    """

    context: Any
    wanted: Wanted
    task_memory: int
    gateway: Any
    place: str

    def serves(self, asked: Wanted, task_memory: int) -> bool:
        """Say whether it is alive and what is asked for."""
        alive = self.context._jsc is not None and (self.gateway is None or self.gateway.proc.poll() is None)
        roomy = task_memory <= self.task_memory or not self.context.master.startswith(("yarn", "k8s"))
        return alive and roomy and self.wanted == asked


_SILENT = logging.NullHandler()

_made: Made | None = None
# by id of an application: what its workers have been sent, and what they have been asked for
_shipped: defaultdict[str, set[str]] = defaultdict(set)
_turns = Turns()
# while a session of ours begins or ends, Spark knows one that we do not
_changing = threading.RLock()


def master_of(given: Sequence[str]) -> str:
    """Find the master that the user's mrjob arguments name, else that of a session that is there; empty if there is neither."""
    if "--spark-master" in given:
        return given[given.index("--spark-master") + 1]
    if given and (named := wanted(given).master):
        return named
    if (context := _lent()) is not None:
        return str(context.master)
    return ""


def is_local(master: str) -> bool:
    """Say whether a master runs its tasks on this machine; the default does.

    >>> is_local(""), is_local("local[4]"), is_local("yarn"), is_local("spark://10.0.0.1:7077")
    (True, True, False, False)
    """
    return not master or master.split("[")[0] == "local"


def wanted(given: Sequence[str]) -> Wanted:
    """Read what the user gave, in arguments and the mrjob.conf files that they name, as mrjob does."""
    files = [path for word, path in pairwise(given) if word in ("-c", "--conf-path")]
    return _wanted(tuple(given), tuple(os.stat(path).st_mtime_ns for path in files))


@lru_cache(maxsize=1)
def _wanted(given: tuple[str, ...], changed: tuple[int, ...]) -> Wanted:
    load_runner("spark.runner")
    # without a handler, Python would print mrjob's warnings, such as that there is no file
    logging.getLogger("mrjob").addHandler(_SILENT)
    options = MRJob(["-r", "spark", *([] if changed else ["--no-conf"]), *given]).make_runner()._opts
    named = {
        name if name.startswith("spark.") else f"spark.hadoop.{name}": str(value) for name, value in options["jobconf"].items()
    }
    master = named.pop("spark.master", "")  # another way to say --master
    properties, environment = (tuple(sorted(pairs.items())) for pairs in (named, options["cmdenv"]))
    python = " ".join(options["python_bin"] or [])
    return Wanted(options["spark_master"] or master, properties, environment, python, tuple(options["py_files"] or ()))


@contextmanager
def in_session(asked: Wanted, task_memory: int = TASK_MEMORY, needed: Iterable[str] = NEEDED) -> Iterator[Any]:
    """Yield the SparkContext for a job; while other threads run jobs in one that does not serve, wait until they are done."""
    with _turns.using(lambda: _serves(asked, task_memory), lambda: session(asked, task_memory, needed)) as context:
        yield context


def _serves(asked: Wanted, task_memory: int) -> bool:
    return _lent() is not None or _made is None or _made.serves(asked, task_memory)


def session(asked: Wanted, task_memory: int = TASK_MEMORY, needed: Iterable[str] = NEEDED) -> Any:
    """Return the SparkContext for a job: that of the program, that of the last job, or a new one.

    Parameters
    ----------
    needed : modules that its tasks import

    Raises
    ------
    UsageError
        If PySpark is not installed, or the program's session contradicts what is asked.
    JobFailedError
        If Spark does not start.
    """
    if (context := _lent()) is not None:
        _check_lent(context, asked)
        _ship(context, needed, asked.files)
        return context
    if _made is not None and not _made.serves(asked, task_memory):
        stop()
    if _made is None:
        # what is made although a signal came is stopped at the end of the process
        aside(lambda: _make_alone(asked, task_memory))
    assert _made is not None
    if not is_local(_made.context.master):
        _ship(_made.context, needed)
    return _made.context


def stop() -> None:
    """Stop the session that we made, if there is one: at the end of the process, or when the next job asks for another."""
    global _made
    with _changing:
        if _made is None:
            return
        made, _made = _made, None
        _stop_quietly(made.context)
        _end(made.gateway, made.place)


atexit.register(stop)


def _end(gateway: Any, place: str) -> None:
    """End the JVM that we started, if we did, and remove what it wrote; Spark would use it again."""
    if gateway is not None:
        with contextlib.suppress(Exception):
            gateway.shutdown()
        with contextlib.suppress(Exception):
            gateway.proc.stdin.close()
            gateway.proc.wait(10)
        _context_class()._gateway = _context_class()._jvm = None
    shutil.rmtree(place, ignore_errors=True)


def _stop_quietly(context: Any) -> None:
    with contextlib.suppress(Exception):  # its JVM may have died
        context.stop()


def _context_class() -> Any:
    if find_spec("pyspark") is None:
        msg = "-r spark needs PySpark, which is not installed; install it with: pip install 'pyspark>=3.5'"
        raise UsageError(msg)
    from pyspark import SparkContext

    return SparkContext


def _lent() -> Any:
    """Return the session of the program that we run in; None if it has none."""
    if SUBMITTED in os.environ:
        if _context_class()._active_spark_context is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as below
                atexit.register(_stop_quietly, _context_class().getOrCreate())  # nobody else will
        return _context_class().getOrCreate()
    if "pyspark" not in sys.modules:
        return None
    with _changing:
        active = getattr(_context_class(), "_active_spark_context", None)
        return None if active is None or (_made is not None and active is _made.context) else active


def _check_lent(context: Any, asked: Wanted) -> None:
    """Refuse what a session that is there cannot give."""
    has = dict(context.getConf().getAll())
    others = [f"-D {name}={value}" for name, value in asked.properties if has.get(name) != value]
    others += [f"--master {asked.master}"] if asked.master not in ("", context.master) else []
    given = {**{name: has.get(f"spark.executorEnv.{name}") for name, _ in asked.environment}, **context.environment}
    others += [f"cmdenv {name}: {value}, of mrjob's configuration," for name, value in asked.environment if given[name] != value]
    if asked.python not in ("", context.pythonExec):
        others += [f"python_bin: {asked.python}, of mrjob's configuration,"]
    if others:
        msg = (
            f"this program has a Spark session already, on {context.master}, in which {others[0]} has no effect; "
            "leave it out, or give it where the session is made"
        )
        raise UsageError(msg)


def _make_alone(asked: Wanted, task_memory: int) -> None:
    with _changing:
        _make(asked, task_memory)


def _make(asked: Wanted, task_memory: int) -> None:
    """Start Spark: its JVM, quietly, and the session."""
    global _made
    make = _context_class()
    from pyspark import SparkConf, java_gateway
    from pyspark.errors import PySparkException

    place = tempfile.mkdtemp(prefix="mr-als-spark-")
    log = os.path.join(place, "spark.log")
    master = asked.master or LOCAL
    conf = SparkConf(loadDefaults=False).setAll([("spark.master", master), ("spark.app.name", "mr-als")])
    conf.setAll(
        [*_properties(master, place, task_memory, int(dict(asked.properties).get("spark.executor.cores", 1))), *asked.properties]
    )
    gateway = None
    try:
        with open(log, "wb") as said, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions of pandas, which it imports and we do not use
            if make._gateway is None:  # else the program had a session, and Spark goes on with its JVM
                gateway = java_gateway.launch_gateway(conf, {"stdout": said, "stderr": said})
            context = make(conf=conf, gateway=gateway, environment={**_environment(master), **dict(asked.environment)})
    except Exception as error:
        why = _why(log, error)
        _end(gateway, place)
        msg = f"Spark does not start on {master}: {why}"
        raise JobFailedError(msg) from (None if isinstance(error, PySparkException) else error)
    except BaseException:
        _end(gateway, place)
        raise
    _made = Made(context, asked, task_memory, gateway, place)
    context.pythonExec = asked.python or os.environ.get("PYSPARK_PYTHON") or sys.executable
    for path in asked.files:
        context.addPyFile(path)


def _ship(context: Any, needed: Iterable[str], files: Iterable[str] = ()) -> None:
    """Send the package and the user's files to the workers of a session, once, and see that they can run a task."""
    has = _shipped[context.applicationId]
    for path in {_zip(), *files} - has:
        context.addPyFile(path)
        has.add(path)
    if new := {*needed} - has:
        aside(lambda: _check_workers(context, new))
        has |= new


def _check_workers(context: Any, needed: Iterable[str]) -> None:
    """Look at the workers that are there before anything runs, for modules that they need.

    Raises
    ------
    JobFailedError
        If the Python of one cannot run a task.
    """
    number = min(context.defaultParallelism, MOST_LOOKED_AT)
    try:
        found = context.parallelize(range(number), number).mapPartitions(partial(lacking, sorted(needed, reverse=True))).collect()
    except Exception as error:
        if not (said := told(str(error))):
            raise
        raise JobFailedError(said) from None
    if found:
        host, what = min(found)
        msg = f"a worker on {host} cannot run a task: {what}; {ENVIRONMENT}"
        raise JobFailedError(msg)


def told(log: str) -> str:
    """Say what went wrong where a log tells it in words of Spark, else nothing."""
    if found := re.search(r"Python worker exited unexpectedly|Container killed by YARN|OOMKilled|exceeding physical memory", log):
        return (
            f"a Python worker was killed, for want of memory as a rule ({found[0]}); give executors more, "
            "-D spark.executor.memoryOverhead=SIZE, or their tasks a smaller --task-memory"
        )
    if found := re.search(r"different version (?:than that in driver )?[^\n]*|PYTHON_VERSION_MISMATCH[^\n]*", log):
        return f"a worker's Python is not that of the driver ({found[0].strip()}); {ENVIRONMENT}"
    if found := re.search(r"No module named '?(numpy|mrjob|s3fs)|Cannot run program \"([^\"]*)\"", log):
        lacks = f"lacks {found[1]}" if found[1] else f"is missing: there is no {found[2]}"
        return f"a worker's Python {lacks}; {ENVIRONMENT}"
    return ""


@cache
def _zip() -> str:
    """Zip the package for the process: executors that come later fetch it, too."""
    place = tempfile.mkdtemp(prefix="mr-als-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    path = os.path.join(place, f"mr_als-{mr_als.__version__}.zip")
    write_package(path)
    return path


def _properties(master: str, place: str, task_memory: int, cores: int) -> Iterator[tuple[str, str]]:
    """Yield our settings, which the user's override."""
    yield "spark.ui.showConsoleProgress", "false"
    yield "spark.log.level", "WARN"
    # within which the driver fetches a result; a busy machine may take longer than the usual 15 s
    yield "spark.python.authenticate.socketTimeout", "120s"
    if is_local(master):
        # on one machine Spark listens on loopback only, and its web page is nobody's business
        yield from (("spark.ui.enabled", "false"), ("spark.driver.host", "127.0.0.1"), ("spark.driver.bindAddress", "127.0.0.1"))
        yield "spark.local.dir", place
    else:
        # beside the JVM, a Python worker a core; what YARN and Kubernetes give an executor is the sum
        yield "spark.executor.memoryOverhead", f"{(cores * (task_memory + task_memory // 10) >> 20) + JVM_OVERHEAD}m"


def _environment(master: str) -> dict[str, str]:
    """Return the variables of the tasks: BLAS does not start threads; on this machine, where the package is."""
    found = {"OPENBLAS_NUM_THREADS": "1"}
    if is_local(master):
        parent = str(Path(mr_als.__file__).resolve().parents[1])
        found["PYTHONPATH"] = os.pathsep.join([parent, *filter(None, [os.environ.get("PYTHONPATH")])])
    return found


def aside(function: Callable[[], Any], give_up: Callable[[], None] = lambda: None) -> Any:
    """Run a function in a thread and return its result; when a signal comes, `give_up` is to end it.

    In the main thread Spark would put its own handling of Ctrl-C in place of ours, and its gateway print a traceback.
    """
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(function)
        try:
            return running.result()
        except BaseException:
            while not running.done():  # also what begins only now
                with contextlib.suppress(Exception):  # Spark may be dead
                    give_up()
                wait([running], 1)
            raise


def _why(log: str, error: Exception) -> str:
    """Say why Spark did not start: what its JVM said last that is no line of a stack, or what it told Python."""
    text = Path(log).read_text(errors="replace") if os.path.exists(log) else ""
    said, told = (_statements(words) for words in (text, str(error)))
    causes = [
        " ".join(said[n : n + 2]) for n, line in enumerate(said) if "Exception" in line or "Error" in line or "JAVA_HOME" in line
    ]
    raised = [line.removeprefix(": ") for line in told if line.startswith(": ")]  # behind "an error occurred while calling ..."
    return (causes or raised or said or told or [type(error).__name__])[-1][:300]


def _statements(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("\t", " "))]
