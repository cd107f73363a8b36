"""Jobs on Spark, through mrjob's runner: what it needs to be told, and its traps.

1. Spark's harness imports mrjob before our job, so what mrjob misses in Python 3.12 and later comes in a zip of Python files
   that goes ahead of it; the package itself travels in the same zip.
2. `python_bin` is the first `python3` of the path, unless it is said; it must be the interpreter that runs the driver.
3. With an output directory of our own, mrjob reports a job as failed after it has succeeded, because it makes a
   sub-directory of a temporary directory that nobody has made, and it never removes that one (`around`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mr_als
from mr_als.engine.mrjob_fixes import load_runner
from mr_als.engine.runners.runner import Call, Runner
from mr_als.errors import UsageError
from mr_als.storage.places import scheme_of

__all__ = ["Spark"]

# tasks on a cluster, whose cores the driver does not know; each gets at least one block, so there may be fewer
CLUSTER_TASKS = 256
# file systems that machines share; those in user space are fuse.something
_SHARED = ("nfs", "nfs4", "lustre", "ceph", "glusterfs", "gpfs", "beegfs", "cifs", "smb3", "ocfs2", "gfs2")

# stand-ins for what left Python, see `mr_als.engine.mrjob_fixes`
_STAND_INS = {
    "pipes.py": "from shlex import quote\n",
    "distutils/__init__.py": "",
    "distutils/spawn.py": "import shutil\ndef find_executable(name, path=None):\n    return shutil.which(name, path=path)\n",
    "distutils/version.py": "from mr_als.engine.loose_version import LooseVersion\n",
}


class Spark(Runner):
    """Spark, on this machine or where --master says."""

    name = "spark"

    def tasks(self, given: Sequence[str]) -> int:
        """Return the number of cores, or more than a cluster has."""
        return (os.cpu_count() or 1) if is_local(master_of(given)) else CLUSTER_TASKS

    def check_master(self, master: str, paths: Iterable[str]) -> None:
        """Check that tasks on a cluster can see what the driver hands them: references to files, under the same paths everywhere.

        Raises
        ------
        UsageError
            If a path, or the scratch directory, is on a file system of this machine alone.
        """
        if is_local(master):
            return
        for path in (*paths, tempfile.gettempdir()):
            kind = _file_system(os.path.abspath(path)) if scheme_of(path) == "file" else ""
            if kind and kind not in _SHARED and not kind.startswith("fuse."):
                msg = (
                    f"{path} is on the {kind} file system of this machine, which tasks on {master} do not see; name directories, "
                    "and set TMPDIR (for a model in S3 or HDFS also XDG_CACHE_HOME) to one, on a file system that all machines "
                    "share, such as NFS, or use -r hadoop for data in HDFS"
                )
                raise UsageError(msg)

    @contextmanager
    def arguments(self, call: Call) -> Iterator[tuple[list[str], list[str]]]:
        """Yield the package, the interpreter and the number of tasks.

        Raises
        ------
        UsageError
            If PySpark is not installed.
        """
        if find_spec("pyspark") is None:
            msg = "-r spark needs PySpark, which is not installed; install it with: pip install 'pyspark>=3.5'"
            raise UsageError(msg)
        load_runner("spark.runner")
        # on one machine Spark listens on loopback only, and its web page is nobody's business; -D of the user's come later and win
        quiet = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        local = is_local(master_of(call.given))
        yield [
            *[word for name, value in quiet.items() if local for word in ("-D", f"{name}={value}")],
            "--py-files", _package_zip(), "--python-bin", sys.executable, "-D", f"mapreduce.job.reduces={call.tasks}",
            "--cmdenv", "OPENBLAS_NUM_THREADS=1", "--no-bootstrap-mrjob",
        ], []  # fmt: skip

    @contextmanager
    def around(self, made: Any, call: Call) -> Iterator[None]:
        """Make the temporary directory that mrjob takes for granted, and remove it."""
        Path(made._spark_tmp_dir).mkdir(parents=True, exist_ok=True)
        try:
            yield
        finally:
            shutil.rmtree(made._spark_tmp_dir, ignore_errors=True)


def master_of(given: Sequence[str]) -> str:
    """Find the master among the user's mrjob arguments; empty if there is none."""
    return given[given.index("--spark-master") + 1] if "--spark-master" in given else ""


def is_local(master: str) -> bool:
    """Say whether a master runs its tasks on this machine; the default does.

    >>> is_local(""), is_local("local[4]"), is_local("yarn"), is_local("spark://10.0.0.1:7077")
    (True, True, False, False)
    """
    return not master or master.startswith("local")


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


@cache
def _package_zip() -> str:
    """Zip the package, once a process."""
    package = Path(mr_als.__file__).resolve().parent
    path = Path(tempfile.mkdtemp(prefix="mr_als-")) / "mr_als.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(package.rglob("*.py")):
            archive.write(file, str(file.relative_to(package.parent)))
        if sys.version_info >= (3, 12):
            for name, text in _STAND_INS.items():
                archive.writestr(name, text)
    return str(path)
