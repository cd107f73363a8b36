"""A standalone cluster of Spark: a master and workers, each a process with directories of its own; on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from local_hadoop.cluster import find_java, free_ports

# what ends soon is best compiled by the quick compiler alone, or most of the processor's time goes into compiling
QUICK_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
# beside the JVM of an executor runs a Python worker
MEMORY = "600m"


def spark_home() -> Path:
    """Find where PySpark is, which only the tests on Spark have."""
    import pyspark

    return Path(pyspark.__file__).parent


class Standalone:
    """A running master, and its workers by number."""

    def __init__(self, place: Path, python: str) -> None:
        self.place, self.home = place, spark_home()
        self.port, self.web = free_ports(2)
        # of the surroundings of the tests nothing that shows where the package lies
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HADOOP", "XDG"))}
        self.environment = {**kept, "JAVA_HOME": find_java(), "PYSPARK_PYTHON": python, "SPARK_NO_DAEMONIZE": "1"}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """Where the master is."""
        return f"spark://127.0.0.1:{self.port}"

    def start(self, workers: int) -> None:
        """Start all, and wait until the workers have registered."""
        self._run("master", "master.Master", "--host", "127.0.0.1", "--port", str(self.port), "--webui-port", str(self.web))
        for number in range(workers):
            self.add(number)
        self.wait_for(workers)

    def add(self, number: int) -> None:
        """Start a worker of one core."""
        work = str(self.place / f"worker-{number}/work")
        self._run(
            f"worker-{number}", "worker.Worker", self.url, "--host", "127.0.0.1", "--webui-port", "0",
            "--cores", "1", "--memory", MEMORY, "--work-dir", work,
        )  # fmt: skip

    def _run(self, name: str, main: str, *arguments: str) -> None:
        place = self.place / name
        for folder in ("tmp", "local", "work"):
            (place / folder).mkdir(parents=True, exist_ok=True)
        environment = {**self.environment, "TMPDIR": str(place / "tmp"), "SPARK_LOCAL_DIRS": str(place / "local")}
        command = [str(self.home / "bin/spark-class"), f"org.apache.spark.deploy.{main}", *arguments]
        with open(place / "log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=environment, cwd=place, stdout=log, stderr=log, start_new_session=True
            )

    def wait_for(self, workers: int, seconds: float = 90) -> None:
        """Wait until so many workers are registered and alive."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.web}/json/", timeout=5) as page:
                if page.read().count(b'"ALIVE"') == workers + 1:  # the master, too
                    return
            time.sleep(0.2)
        msg = f"no {workers} workers at {self.url} after {seconds} s; see the logs in {self.place}"
        raise TimeoutError(msg)

    def lose(self, number: int) -> None:
        """Kill a worker with all that it started, and remove its disk."""
        name = f"worker-{number}"
        self._end(name)
        shutil.rmtree(self.place / name, ignore_errors=True)

    def executors(self, number: int) -> list[int]:
        """List the processes of the executors that a worker started."""
        return _children(self.processes[f"worker-{number}"].pid)

    def _end(self, name: str) -> None:
        process = self.processes.pop(name)
        for pid in [*_below(process.pid), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        process.wait()

    def stop(self) -> None:
        """Kill all."""
        for name in [*self.processes]:
            self._end(name)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    return []


def _below(pid: int) -> list[int]:
    return [below for child in _children(pid) for below in (*_below(child), child)]


@contextlib.contextmanager
def standalone(place: Path, workers: int = 2, python: str = sys.executable) -> Iterator[Standalone]:
    """Start a cluster in a directory, and end it."""
    cluster = Standalone(place, python)
    try:
        cluster.start(workers)
        yield cluster
    finally:
        cluster.stop()
