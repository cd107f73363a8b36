"""Mahout 0.13's ParallelALSFactorizationJob, the last MapReduce ALS before ours, on the cluster of benchmarks/hadoop.py.

Its job jar comes from Maven Central and runs unchanged on Hadoop 3.4. It wants `user,item,strength` with integer ids. Its tasks
get the full compiler of the JVM: they compute for minutes, where ours start and end within seconds.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from local_hadoop.cluster import Cluster
from local_hadoop.fetch import CACHE
from mr_als.storage.places import storage_of

ARTIFACT = "org.apache.mahout:mahout-mr:0.13.0:jar:job"
MAIN = "org.apache.mahout.cf.taste.hadoop.als.ParallelALSFactorizationJob"
TASK_JVM = "-Xmx1500m -XX:+UseSerialGC --add-opens=java.base/java.lang=ALL-UNNAMED"


def fetch() -> Path:
    """Fetch the job jar unless it is already there, and return its path."""
    path = CACHE / "mahout" / "mahout-mr-0.13.0-job.jar"
    if not path.exists():
        command = ["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={path.parent}"]
        subprocess.run(command, check=True, timeout=1200)
    return path


def measure(cluster: Cluster, counts: str, iterations: int) -> str:
    """Train on a local counts file, and say how long each of Mahout's jobs took.

    A half is one job that solves, preceded by none: the other side travels by the distributed cache, as in our broadcast join.
    """
    jar, base = fetch(), f"{cluster.default_fs}/mahout"
    local = Path(counts).with_suffix(".csv")
    with open(counts, encoding="utf-8") as file, open(local, "w", encoding="utf-8") as out:
        out.writelines(line.replace("\t", ",") for line in file)
    storage_of(base).upload(str(local), f"{base}/input/counts.csv")
    started = time.monotonic()
    done = cluster.command(
        "hadoop", "jar", str(jar), MAIN, "-Dmapreduce.map.memory.mb=2560", f"-Dmapreduce.map.java.opts={TASK_JVM}",
        "--input", f"{base}/input", "--output", f"{base}/output", "--tempDir", f"{base}/temp", "--numFeatures", "64",
        "--numIterations", str(iterations), "--lambda", "1", "--implicitFeedback", "true", "--alpha", "10",
        "--numThreadsPerSolver", "2", timeout=7200,
    )  # fmt: skip
    seconds = time.monotonic() - started
    times = [float(s) for s in jobs_of(cluster, re.findall(r"Running job: (job_\d+_\d+)", done.stderr))]
    halves = times[-2 * iterations :]
    listed = ", ".join(f"{s:.0f}" for s in halves)
    return f"Mahout 0.13 ParallelALS: {seconds:.0f} s in all; seconds of the halves' jobs: {listed}"


def jobs_of(cluster: Cluster, ids: list[str]) -> list[float]:
    """Return the seconds that each job took from submission to end."""
    time.sleep(5)  # until the history has the last one
    jobs = [cluster.get("historyserver", f"/ws/v1/history/mapreduce/jobs/{name}")["job"] for name in ids]
    return [(job["finishTime"] - job["submitTime"]) / 1000 for job in jobs]
