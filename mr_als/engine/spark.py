"""Jobs on Spark, through mrjob's runner: what it needs to be told, and its traps.

1. Spark's harness imports mrjob before our job, so what mrjob misses in Python 3.12 and later comes in a zip of Python files
   that goes ahead of it; the package itself travels in the same zip.
2. `python_bin` is the first `python3` of the path, unless it is said; it must be the interpreter that runs the driver.
3. With an output directory of our own, mrjob reports a job as failed after it has succeeded, because it makes a
   sub-directory of a temporary directory that nobody has made (`before_run`), and it never removes that one (`after_run`).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mr_als
from mr_als.errors import UsageError

__all__ = ["after_run", "arguments", "before_run"]

# stand-ins for what left Python, see `mr_als.engine.mrjob_fixes`
_STAND_INS = {
    "pipes.py": "from shlex import quote\n",
    "distutils/__init__.py": "",
    "distutils/spawn.py": "import shutil\ndef find_executable(name, path=None):\n    return shutil.which(name, path=path)\n",
    "distutils/version.py": "from mr_als.engine.loose_version import LooseVersion\n",
}


def arguments(tasks: int, master: str = "") -> list[str]:
    """Give the arguments of mrjob that a job on Spark needs; `master` is that of the user, if any.

    Raises
    ------
    UsageError
        If PySpark is not installed.
    """
    if find_spec("pyspark") is None:
        msg = "-r spark needs PySpark, which is not installed; install it with: pip install 'mr_als[spark]'"
        raise UsageError(msg)
    # on one machine Spark listens on loopback only, and its web page is nobody's business; -D of the user's come later and win
    quiet = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    local = not master or master.startswith("local")
    return [
        *[word for name, value in quiet.items() if local for word in ("-D", f"{name}={value}")],
        "--py-files", _package_zip(), "--python-bin", sys.executable, "-D", f"mapreduce.job.reduces={tasks}",
        "--cmdenv", "OPENBLAS_NUM_THREADS=1", "--no-bootstrap-mrjob",
    ]  # fmt: skip


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


def before_run(runner: Any) -> None:
    """Make the temporary directory that mrjob takes for granted."""
    Path(runner._spark_tmp_dir).mkdir(parents=True, exist_ok=True)


def after_run(runner: Any) -> None:
    """Remove what mrjob leaves."""
    shutil.rmtree(runner._spark_tmp_dir, ignore_errors=True)
