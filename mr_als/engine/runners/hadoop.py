"""Jobs on Hadoop (YARN and HDFS), through mrjob's runner: what it is told, and what we do in its place.

1. Our settings are the first of the mrjob.conf files, so that any that the user names, and -D, have the last word.
2. mrjob starts a JVM, a second each, for the version, every directory and every file; over HTTP that takes milliseconds
   (`WebFilesystem`). What is left is one JVM for the client, one for the application master, and one a task.
3. A job outlives a driver that was killed. All jobs of one model carry a tag, by which the next driver finds and ends them.
4. A job's output counts only with its `_SUCCESS`, and committer 1 moves nothing into place before the whole job is done.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

from mr_als.engine import mrjob_fixes  # noqa: F401  (before mrjob)
from mr_als.engine.job import UNFIT
from mr_als.engine.parts import finished
from mr_als.engine.runners.runner import Call, Runner
from mr_als.engine.runners.yarn import capacity, end_orphans, tag_of
from mr_als.errors import UsageError
from mr_als.storage.hadoop_client import kerberos_trouble
from mr_als.storage.places import scheme_of, storage_of

from mrjob.fs.hadoop import HadoopFilesystem  # isort: skip  (after mrjob_fixes)

# of a task's JVM: its heap, and all of it with code, threads and buffers
HEAP, JVM = 320 << 20, 512 << 20
# what may not be in a path of -files, quoted or not: its client undoes the quotes of a URI before it reads it again as one
_NO_URI = ' "<>\\^`{|}%#?,'


class Hadoop(Runner):
    """YARN and HDFS, by Hadoop Streaming."""

    name = "hadoop"
    place = "hdfs:///"
    log_level = logging.INFO  # all that Hadoop's client says

    def tasks(self, given: Sequence[str]) -> int:
        """Ask how many the cluster can run at a time."""
        return capacity()

    @contextmanager
    def arguments(self, call: Call) -> Iterator[tuple[list[str], list[str]]]:
        """Yield our settings, and the tag of the job.

        A container has a tenth more than a task's Python, and its JVM; the number of tasks is a hint for logs.

        Raises
        ------
        UsageError
            If the output would be on this machine, or where Hadoop takes no files from.
        """
        check_output(self, call.output)
        if found := set(_NO_URI) & set(call.output):
            msg = f"{call.output}: Hadoop hands files to tasks by URI, and takes none with {sorted(found)[0]!r}; give another name"
            raise UsageError(msg)
        megabytes = container(call.task_memory)
        options = {
            "bootstrap_mrjob": False,
            "check_input_paths": False,
            "cleanup": ["TMP"],
            "cleanup_on_failure": ["TMP"],
            "hadoop_tmp_dir": os.path.join(os.path.dirname(call.output), "mrjob"),
            "python_bin": [sys.executable],
            # the package lies in the task's directory; Python looks for it beside the script, which is a link to elsewhere
            "cmdenv": {"PYTHONPATH": ".", "OPENBLAS_NUM_THREADS": "1"},
            "jobconf": {
                **jobconf(call),
                # where the cluster's java.opts name no heap, it would get eight tenths of the container
                "mapreduce.job.heap.memory-mb.ratio": round(HEAP / (megabytes << 20), 4),
                "mapreduce.fileoutputcommitter.algorithm.version": 1,
            },
        }
        with conf_file(self.name, options) as words:
            yield words, ["-D", f"mapreduce.job.tags={tag_of(call.owner or call.output)}"]

    @contextmanager
    def around(self, made: Any, call: Call) -> Iterator[None]:
        """Spare mrjob its JVMs; end what an earlier driver left before the job, and the job itself if it is given up."""
        made.fs.hadoop = WebFilesystem(made._opts["hadoop_bin"] or None)
        set_reduces(made, call)
        for name in ("_file_arg_hash_paths", "_archive_arg_hash_paths"):
            setattr(made, name, partial(_quoted, getattr(made, name)))
        owner = call.owner or call.output
        end_orphans(owner)
        try:
            with utf8_names():
                yield
        except BaseException:  # Ctrl-C, too
            end_orphans(owner)
            raise

    def explain(self, log: str, made: Any) -> str:
        """Say what went wrong where the client's log tells it in words of Java, else nothing; and where the tasks' logs are."""
        interpretation = (getattr(made, "_log_interpretations", None) or [{}])[-1].get("step", {})
        application = interpretation.get("application_id") or ""
        where = f"; logs: yarn logs -applicationId {application}" if application else ""
        python = " ".join(made._opts["python_bin"] or ["python3"])
        if trouble := kerberos_trouble(log):
            return f"{trouble}{where}"
        if f"subprocess failed with code {UNFIT}" in log:
            why = "because a package is missing or Python is older than 3.10"
            return f"{python} on a node cannot run a task, {why}: {_ENVIRONMENT}{where}"
        if "Cannot run program" in log or "subprocess failed with code 127" in log:
            return f"there is no {python} on a node: {_ENVIRONMENT}{where}"
        if found := re.search(r"is running [^\n]*beyond the '?(?:PHYSICAL|physical)'? memory limit[^\n]*", log):
            return f"a task took more memory than its container has ({found[0].split('. Killing')[0]}); raise --task-memory{where}"
        if found := re.search(r"ResourceRequest: <memory:(\d+)\D[^\n]*maxContainerCapability:<memory:(\d+)", log):
            asked = f"a task asks for {found[1]} MB, and no container there may have more than {found[2]}"
            return f"{asked}; lower --task-memory, or have yarn.scheduler.maximum-allocation-mb raised{where}"
        if found := re.search(r'(?:Error Launching job : |Exception in thread "main" )(?:[\w.$]+: )?([^\n]+)', log):
            return f"Hadoop rejects it: {found[1]}{where}"
        if found := re.search(r"(?:QuotaExceededException|TaskLimitException): ([^\n]*)|No space left on device", log):
            said = (found[1] or found[0]).rstrip(". ")
            return f"there is no space for the output of a task ({said}); make room and run the same command again{where}"
        return where.removeprefix("; ")

    def parts(self, output: str) -> list[str]:
        """List the parts of a job that came to its end."""
        return finished(output)


@contextmanager
def utf8_names() -> Iterator[None]:
    """Let Hadoop's client read names as UTF-8: in the C locale, and others, Java takes a letter beyond ASCII for question marks."""
    before = os.environ.get("LC_ALL")
    chosen = before or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or ""
    if "utf8" not in chosen.lower().replace("-", ""):
        os.environ["LC_ALL"] = "C.UTF-8"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("LC_ALL", None)
        else:
            os.environ["LC_ALL"] = before


def check_output(runner: Runner, output: str) -> None:
    """Check that a job would write where its tasks see files.

    Raises
    ------
    UsageError
        If it would write to this machine.
    """
    if scheme_of(output) == "file":
        way = f"leave -r {runner.name} out, or name places such as {runner.place}..."
        msg = f"-r {runner.name}: the job would write to {output} on this machine; {way}"
        raise UsageError(msg)


def container(task_memory: int) -> int:
    """Compute the megabytes of a container: a tenth more than a task's Python takes, and its JVM."""
    return -(-(task_memory + task_memory // 10 + JVM) >> 20)


def jobconf(call: Call) -> dict[str, Any]:
    """Build the properties of a job that Hadoop and EMR share."""
    return {
        "mapreduce.map.memory.mb": container(call.task_memory),
        "mapreduce.reduce.memory.mb": container(call.task_memory),
        "mapreduce.job.maps": call.tasks,
        "mapreduce.map.speculative": False,
        "mapreduce.reduce.speculative": False,
        # the paths of many parts are one variable in the environment of each task
        "stream.jobconf.truncate.limit": 20000,
    }


@contextmanager
def conf_file(name: str, options: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the words that name a mrjob.conf of options, for as long as it is there."""
    with tempfile.NamedTemporaryFile("w", prefix="mr-als-", suffix=".conf") as file:
        json.dump({"runners": {name: options}}, file)
        file.flush()
        yield ["-c", file.name]


class WebFilesystem(HadoopFilesystem):  # type: ignore[misc]
    """What mrjob does with files of a job, over WebHDFS or S3's own interface, instead of `hadoop fs`."""

    def mkdir(self, path: str) -> None:
        """Make a directory."""
        storage_of(path).make_directory(path)

    def put(self, src: str, path: str) -> None:
        """Upload a file."""
        storage_of(path).upload(src, path)

    def rm(self, path_glob: str) -> None:
        """Remove a file or directory."""
        storage_of(path_glob).remove(path_glob)

    def exists(self, path_glob: str) -> bool:
        """Say whether there is a file or directory with files."""
        storage = storage_of(path_glob)
        return storage.size(path_glob) >= 0 or bool(storage.names(path_glob))

    def get_hadoop_version(self) -> str:
        """Return a version; mrjob only needs to know that properties have the names used since Hadoop 2."""
        return "3"


def _quoted(named: Callable[..., Iterator[str]], *args: Any, **kwargs: Any) -> Iterator[str]:
    """Yield what mrjob names for -files and -archives as the URIs that Hadoop takes it for: a space in one is %20."""
    for path, _, name in (word.rpartition("#") for word in named(*args, **kwargs)):
        yield f"{quote(path, safe='/:@')}#{name}"


def set_reduces(made: Any, call: Call) -> None:
    """Set the number of reduce tasks of a step that has a reducer, where the user has not."""
    if made._get_step(0).get("reducer"):
        made._opts["jobconf"].setdefault("mapreduce.job.reduces", call.reduces or call.tasks)
    else:
        # mrjob's own 0 comes first, and the last one counts
        made._opts["jobconf"].pop("mapreduce.job.reduces", None)


_ENVIRONMENT = "give the nodes one with mr_als' requirements by python_bin and upload_archives in a file for -c (docs/engines.md)"
