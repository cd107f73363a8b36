"""Jobs on Spark: all of a process in one session (`mr_als.engine.spark`), and not by mrjob's runner, which starts one a job."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

from mr_als.engine.runners.runner import Call, Runner, check_reach
from mr_als.engine.spark import jobs, session
from mr_als.errors import JobFailedError, MRALSError, UsageError
from mr_als.records.lines import LINES
from mr_als.storage.clouds import s3
from mr_als.storage.hadoop_client import is_secure
from mr_als.storage.hadoop_conf import read_conf
from mr_als.storage.places import scheme_of
from mr_als.storage.webhdfs import SCHEMES

__all__ = ["Spark"]

# tasks on a cluster, whose cores the driver does not know; each gets at least one block, so there may be fewer
CLUSTER_TASKS = 256
# file systems that machines share; those in user space are fuse.something
_SHARED = ("nfs", "nfs4", "lustre", "ceph", "glusterfs", "gpfs", "beegfs", "cifs", "smb3", "ocfs2", "gfs2")


class Spark(Runner):
    """Spark, on this machine or where --master says."""

    name = "spark"
    here_or_there = lasting = True
    # loaded once a worker, which lives as long as the session
    compiled_work = 1 << 24

    def tasks(self, given: Sequence[str]) -> int:
        """Return the number of cores, or more than a cluster has."""
        master = session.master_of(given)
        if not session.is_local(master):
            return CLUSTER_TASKS
        found = re.fullmatch(r"local\[(\d+)(?:,\d+)?\]", master)
        return int(found[1]) if found else 1 if master == "local" else os.cpu_count() or 1

    def compiled_from(self, given: Sequence[str]) -> float:
        """Return how much work compiled code is worth: on this machine alone, as nobody knows what is installed elsewhere."""
        return self.compiled_work if session.is_local(session.master_of(given)) else math.inf

    def works_there(self, given: Sequence[str], paths: Sequence[str]) -> bool:
        """Say whether tasks get their data from HDFS or S3: where anything lies there, unless they run on this machine."""
        return not session.is_local(session.master_of(given)) and any(scheme_of(path) != "file" for path in paths)

    def check_master(self, master: str, paths: Iterable[str], given: Sequence[str] = ()) -> None:
        """Check that tasks on a cluster see all files: in HDFS or S3, or under the same paths everywhere.

        Raises
        ------
        UsageError
            If a path, or without HDFS or S3 the scratch directory, is on a file system of this machine alone.
        """
        master = master or session.master_of(given)
        if session.is_local(master):
            return
        paths = list(paths)
        check_reach(paths, f"-r spark on {master}")
        if any(scheme_of(path) in SCHEMES for path in paths) and is_secure(read_conf()):
            msg = (
                f"Spark's tasks on {master} have no Kerberos ticket, for which the HDFS here asks; use -r hadoop, or -r spark "
                "on this machine alone, without --master"
            )
            raise UsageError(msg)
        shared = [] if any(scheme_of(path) != "file" for path in paths) else [tempfile.gettempdir()]
        for path in (*paths, *shared):
            kind = _file_system(os.path.abspath(path)) if scheme_of(path) == "file" else ""
            if kind and not _is_shared(kind):
                msg = (
                    f"{path} is on the {kind} file system of this machine, which tasks on {master} do not see; name places in HDFS "
                    "or S3, or directories on a file system that all machines share, such as NFS, and set TMPDIR to one"
                )
                raise UsageError(msg)

    def sees(self, path: str) -> bool:
        """Say whether a file system that all machines share holds a path: `check_master` has seen to it that they do."""
        return _is_shared(_file_system(os.path.abspath(path)))

    def run(self, call: Call, job_class: type[Any]) -> list[str]:
        """Run a job in the session, which the first one makes.

        Raises
        ------
        JobFailedError
            If Spark does not start, or a task failed for a reason that has a remedy.
        RuntimeError
            If a task failed; its traceback is logged.
        """
        try:
            there = f"--input={LINES}" in call.arguments
            with session.in_session(session.wanted(call.given), call.task_memory, _needed(call, there)) as context:
                return jobs.run_step(context, call, job_class, there=there)
        except MRALSError:
            raise
        except Exception as error:
            # where mrjob's runners log the tracebacks of tasks; an error of ours may be in them
            logging.getLogger("mrjob").error("%s", error)
            if said := session.told(str(error)):
                msg = f"job {call.name} failed on runner spark: {said}"
                raise JobFailedError(msg) from error
            msg = str(error).strip().split("\n")[0] or type(error).__name__
            raise RuntimeError(msg) from error

    def let_go(self) -> None:
        """Take the plays out of the executors."""
        jobs.let_go()


def _needed(call: Call, there: bool) -> list[str]:
    """List the modules that the tasks of a job import: to read and write S3 themselves, one more."""
    in_s3 = there and any(scheme_of(path) in s3.SCHEMES for path in (*call.inputs, call.output))
    return [*session.NEEDED, *["s3fs"] * in_s3]


def _is_shared(kind: str) -> bool:
    """Say whether machines share file systems of a type."""
    return kind in _SHARED or kind.startswith("fuse.")


def _file_system(path: str) -> str:
    """Find the type of the file system that holds a path; empty if unknown."""
    found = ("", "")
    with contextlib.suppress(OSError), open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            _, place, kind, *_ = line.split(" ")
            place = place.replace("\\040", " ").rstrip("/") + "/"
            if f"{os.path.realpath(path)}/".startswith(place) and len(place) >= len(found[0]):
                found = (place, kind)
    return found[1]
