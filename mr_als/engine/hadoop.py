"""Jobs on Hadoop (YARN and HDFS), through mrjob's runner: what it is told, and what we do in its place.

1. Our settings are the first of the mrjob.conf files, so that any that the user names, and -D, have the last word.
2. mrjob starts a JVM, a second each, for the version, every directory and every file; over HTTP that takes milliseconds
   (`before_run`). What is left is one JVM for the client, one for the application master, and one a task.
3. A job outlives a driver that was killed. All jobs of one model carry a tag, by which the next driver finds and ends them.
4. A job's output counts only with its `_SUCCESS`, and committer 1 moves nothing into place before the whole job is done.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mr_als.engine import mrjob_fixes  # noqa: F401  (before mrjob)
from mr_als.engine.job import UNFIT
from mr_als.engine.parts import SUCCESS
from mr_als.errors import DamagedDataError, JobFailedError, StorageError, UsageError
from mr_als.storage.hadoop_conf import read_conf
from mr_als.storage.places import scheme_of, storage_of

from mrjob.fs.hadoop import HadoopFilesystem  # isort: skip  (after mrjob_fixes)

# of a task's JVM: its heap, and all of it with code, threads and buffers
HEAP, JVM = 320 << 20, 512 << 20
_PATIENCE = 60.0  # seconds
_UNFINISHED = "NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING"


def tag_of(owner: str) -> str:
    """Derive the tag of all jobs that work for one model or directory."""
    return f"mr-als-{hashlib.sha256(owner.encode()).hexdigest()[:20]}"


@contextmanager
def configured(output: str, task_memory: int, tasks: int, owner: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the mrjob arguments that a job needs, before and after the user's, for as long as it runs.

    Parameters
    ----------
    task_memory : bytes of a task's Python; its container has the JVM and a tenth more
    tasks : how many the cluster can run at a time, a hint for the number of map tasks of logs

    Raises
    ------
    UsageError
        If the output would be on this machine.
    """
    if scheme_of(output) == "file":
        msg = f"-r hadoop: the job would write to {output} on this machine; leave -r hadoop out, or name places such as hdfs:///..."
        raise UsageError(msg)
    megabytes = -(-(task_memory + task_memory // 10 + JVM) >> 20)
    heap = round(HEAP / (megabytes << 20), 4)
    options = {
        "bootstrap_mrjob": False,
        "check_input_paths": False,
        "cleanup": ["TMP"],
        "cleanup_on_failure": ["TMP"],
        "hadoop_tmp_dir": os.path.join(os.path.dirname(output), "mrjob"),
        "python_bin": [sys.executable],
        # the package lies in the task's directory; Python looks for it beside the script, which is a link to elsewhere
        "cmdenv": {"PYTHONPATH": ".", "OPENBLAS_NUM_THREADS": "1"},
        "jobconf": {
            "mapreduce.map.memory.mb": megabytes,
            "mapreduce.reduce.memory.mb": megabytes,
            # where the cluster's java.opts name no heap, it would get eight tenths of the container
            "mapreduce.job.heap.memory-mb.ratio": heap,
            "mapreduce.job.maps": tasks,
            "mapreduce.map.speculative": False,
            "mapreduce.reduce.speculative": False,
            "mapreduce.fileoutputcommitter.algorithm.version": 1,
            # the paths of many parts are one variable in the environment of each task
            "stream.jobconf.truncate.limit": 20000,
        },
    }
    with tempfile.NamedTemporaryFile("w", prefix="mr-als-", suffix=".conf") as file:
        json.dump({"runners": {"hadoop": options}}, file)
        file.flush()
        yield ["-c", file.name], ["-D", f"mapreduce.job.tags={tag_of(owner)}"]


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


def before_run(runner: Any, reduces: int) -> None:
    """Spare mrjob its JVMs, and set the number of reduce tasks."""
    runner.fs.hadoop = WebFilesystem(runner._opts["hadoop_bin"] or None)
    set_reduces(runner, reduces)


def set_reduces(runner: Any, reduces: int) -> None:
    """Set the number of reduce tasks of a step that has a reducer, where the user has not."""
    if runner._get_step(0).get("reducer"):
        runner._opts["jobconf"].setdefault("mapreduce.job.reduces", reduces)
    else:
        # mrjob's own 0 comes first, and the last one counts
        runner._opts["jobconf"].pop("mapreduce.job.reduces", None)


def parts(output: str) -> list[str]:
    """List the output parts of a job.

    Raises
    ------
    DamagedDataError
        If the job did not come to its end.
    """
    names = storage_of(output).names(output)
    if SUCCESS not in names:
        msg = f"{output}: no {SUCCESS} in it, so the job has not finished it; run the same command again"
        raise DamagedDataError(msg)
    return [os.path.join(output, name) for name in names if name.startswith("part-")]


def explain_failure(log: str, runner: Any) -> str:
    """Say what went wrong where the client's log tells it in words of Java, else nothing; and where the tasks' logs are."""
    interpretation = (getattr(runner, "_log_interpretations", None) or [{}])[-1].get("step", {})
    application = interpretation.get("application_id") or ""
    where = f"; logs: yarn logs -applicationId {application}" if application else ""
    python = " ".join(runner._opts["python_bin"] or ["python3"])
    if f"subprocess failed with code {UNFIT}" in log:
        return f"{python} on a node cannot run a task, as a package is missing or Python is older than 3.10: {_ENVIRONMENT}{where}"
    if "Cannot run program" in log or "subprocess failed with code 127" in log:
        return f"there is no {python} on a node: {_ENVIRONMENT}{where}"
    if found := re.search(r"is running [^\n]*beyond the '?(?:PHYSICAL|physical)'? memory limit[^\n]*", log):
        return f"a task took more memory than its container has ({found[0].split('. Killing')[0]}); raise --task-memory{where}"
    if found := re.search(r'(?:Error Launching job : |Exception in thread "main" )(?:[\w.$]+: )?([^\n]+)', log):
        return f"Hadoop does not take it: {found[1]}{where}"
    if found := re.search(r"(?:QuotaExceededException|TaskLimitException): ([^\n]*)|No space left on device", log):
        said = (found[1] or found[0]).rstrip(". ")
        return f"there is no space for what a task writes ({said}); make some and run the same command again{where}"
    return where.removeprefix("; ")


_ENVIRONMENT = "give the nodes one with mr_als' requirements by python_bin and upload_archives in a file for -c (docs/engines.md)"


# the ResourceManager


def capacity() -> int:
    """Return the number of tasks that the cluster can run at a time: its virtual cores."""
    return max(1, int(_ask("/ws/v1/cluster/metrics")["clusterMetrics"]["totalVirtualCores"]))


def applications(owner: str) -> list[str]:
    """List the ids of the unfinished applications with the tag of `owner`."""
    found = _ask(f"/ws/v1/cluster/apps?applicationTags={tag_of(owner)}&states={_UNFINISHED}")
    return [app["id"] for app in (found.get("apps") or {}).get("app", [])]


def end_orphans(owner: str) -> list[str]:
    """End what an earlier driver of `owner` left running, and give the ids."""
    found = applications(owner)
    for application in found:
        yarn = shutil.which("yarn") or os.path.join(os.environ.get("HADOOP_HOME", ""), "bin", "yarn")
        done = subprocess.run([yarn, "application", "-kill", application], capture_output=True, text=True, check=False)
        if done.returncode and application in applications(owner):
            said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            msg = f"{application}, left by an earlier run, cannot be ended ({said}); try: yarn application -kill {application}"
            raise JobFailedError(msg)
    return found


@contextmanager
def alone(owner: str) -> Iterator[None]:
    """End what an earlier driver left before a job runs; and the job itself if it is given up, as by Ctrl-C."""
    end_orphans(owner)
    try:
        yield
    except BaseException:
        end_orphans(owner)
        raise


def _ask(path: str) -> Any:
    """Ask the ResourceManager, the active one of a pair, for JSON; for a minute while it does not answer."""
    addresses = resource_managers(read_conf())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + _PATIENCE
    while True:
        for address in addresses:
            request = urllib.request.Request(f"http://{address}{path}", headers={"Accept": "application/json"})
            try:
                with opener.open(request, timeout=20) as answer:
                    return json.load(answer)
            except (OSError, ValueError) as error:
                reason = f"{address}: {error}"
        if time.monotonic() > until:
            msg = f"YARN does not answer ({reason}); is the ResourceManager up, and yarn.resourcemanager.webapp.address right?"
            raise StorageError(msg)
        time.sleep(1)


def resource_managers(conf: dict[str, str]) -> list[str]:
    """List the web addresses of the ResourceManager, or of each one in a highly available pair."""
    suffixes = [f".{name.strip()}" for name in conf.get("yarn.resourcemanager.ha.rm-ids", "").split(",") if name.strip()] or [""]
    found = []
    for suffix in suffixes:
        host = conf.get(f"yarn.resourcemanager.hostname{suffix}", "localhost")
        found.append(conf.get(f"yarn.resourcemanager.webapp.address{suffix}") or f"{host}:8088")
    return found
