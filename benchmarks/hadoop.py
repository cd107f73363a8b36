"""One training on the single-node Hadoop: where the time of a half goes, what is shuffled, how many JVMs start.

    python -m benchmarks.hadoop                        shape S of benchmarks/data.py, rank 64, 5 iterations, both joins
    python -m benchmarks.hadoop --iterations 1 --join broadcast --mahout
    python -m benchmarks.hadoop --join broadcast --spark

Starts a cluster of its own, uploads the plays, trains, reads the counters of the jobs from the JobHistoryServer, and stops it.
A half's work is what the same half takes inline, on the cores of this machine, by the same kernel. All else is overhead: the
start of JVMs, waiting for containers, polling, base64. `--mahout` adds Mahout's ParallelALS on the same plays, `--spark` the
same training by `-r spark` on the same YARN and HDFS.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import data, peer_mahout
from local_hadoop.cluster import Cluster
from mr_als.engine.engine import Engine
from mr_als.engine.runners.yarn import capacity, tag_of
from mr_als.engine.spark import session
from mr_als.options import LoopOptions, PlanOptions, SolverOptions, Training
from mr_als.progress import Progress
from mr_als.storage.places import storage_of
from mr_als.training.train import train

MB = 1 << 20
# in the configuration of each job
OUTPUT = "mapreduce.output.fileoutputformat.outputdir"


def name_of(output: str) -> str:
    """Name a job after the directory of its attempt: half-001, pass-002, or prepare.

    >>> name_of("hdfs://h/m/generations/3f/half-012-0a1b2c3d/output"), name_of("hdfs://h/m/generations/3f/plays/a/output")
    ('half-012', 'prepare')
    """
    found = re.search(r"/((?:half|pass)-\d+)-[0-9a-f]+/output$", output)
    return found[1] if found else "prepare"


def jobs_of(cluster: Cluster, model: str) -> dict[str, dict[str, float]]:
    """Find what each finished job of a model took, by its name: of several attempts, what the last one took."""
    apps = cluster.get("resourcemanager", f"/ws/v1/cluster/apps?applicationTags={tag_of(model)}")["apps"]["app"]
    found = {}
    for app in sorted(apps, key=lambda app: app["startedTime"]):
        path = f"/ws/v1/history/mapreduce/jobs/{app['id'].replace('application', 'job')}"
        until = time.monotonic() + 30
        while True:  # it arrives in the history some seconds after its end
            try:
                job = cluster.get("historyserver", path)["job"]
                groups = cluster.get("historyserver", f"{path}/counters")["jobCounters"]["counterGroup"]
                conf = {one["name"]: one["value"] for one in cluster.get("historyserver", f"{path}/conf")["conf"]["property"]}
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(1)
        counters = {c["name"]: c["totalCounterValue"] for group in groups for c in group["counter"]}
        found[name_of(conf[OUTPUT])] = {
            "seconds": (job["finishTime"] - job["submitTime"]) / 1000,
            "shuffled": counters.get("REDUCE_SHUFFLE_BYTES", 0) / MB,
            # the client, the application master, and one a task
            "jvms": 2 + job["mapsTotal"] + job["reducesTotal"],
        }  # fmt: skip
    return found


def options(join: str, iterations: int) -> Training:
    """Build the plan of all trainings here; on a cluster the kernel is NumPy's."""
    loop, plan = LoopOptions(tolerance="0", max_iterations=iterations), PlanOptions(join=join, kernel="numpy")
    return Training(solver=SolverOptions(rank=64), loop=loop, plan=plan)


def inline(path: str, join: str, iterations: int) -> list[float]:
    """Measure the seconds of each half of the same training run inline, from half 1 on."""
    with tempfile.TemporaryDirectory() as folder:
        info = train([path], str(Path(folder) / "model"), options(join, iterations))
    return [entry["seconds"] for entry in info["history"]]


def measure(cluster: Cluster, logs: str, join: str, iterations: int) -> dict[str, Any]:
    """Train, and return a row for each half."""
    model = f"{cluster.default_fs}/benchmark/{join}"
    engine = Engine("hadoop", "lines", capacity())
    info = train([logs], model, options(join, iterations), engine=engine, restart=True, progress=Progress())
    jobs = jobs_of(cluster, storage_of(model).absolute(model))
    halves = [{**entry, "job": jobs[f"half-{entry['half']:03d}"]} for entry in info["history"]]
    passes = {name: job for name, job in sorted(jobs.items()) if name.startswith("pass")}
    return {"prepare": jobs["prepare"], "passes": passes, "initial": jobs["half-000"], "halves": halves}


def on_spark(cluster: Cluster, logs: str, join: str, iterations: int) -> float:
    """Measure the seconds of an iteration of the same training on Spark, in a session on YARN; the first half is not counted."""
    import pyspark

    properties = (
        f"spark.yarn.jars=local:{Path(pyspark.__file__).parent}/jars/*", "spark.driver.host=127.0.0.1",
        "spark.driver.bindAddress=127.0.0.1", "spark.executor.memory=768m", "spark.yarn.am.memory=512m",
        "spark.executor.instances=2",
    )  # fmt: skip
    given = ["--spark-master", "yarn", *[word for text in properties for word in ("-D", text)]]
    model = f"{cluster.default_fs}/benchmark/spark-{join}"
    engine = Engine.of("spark", given, [logs, model])
    info = train([logs], model, options(join, iterations), engine=engine, restart=True, progress=Progress())
    session.stop()
    return iteration_of(info["history"])


def iteration_of(halves: list[dict[str, Any]]) -> float:
    """Compute the seconds of an iteration, two halves, from all but the first."""
    return 2 * statistics.mean(entry["seconds"] for entry in halves[1:])


def table(join: str, found: dict[str, Any], work: list[float]) -> str:
    """Format a Markdown table; `work` is the seconds of each half run inline."""
    rows = [
        f"`--join {join}`",
        "",
        "| job | seconds | of these its job | the same inline | MB shuffled | JVM starts |",
        "|---|---|---|---|---|---|",
    ]
    halves = [
        (f"half {e['half']}, {e['solved']}", f"{e['seconds']:.1f}", e["job"], f"{w:.1f}")
        for e, w in zip(found["halves"], work, strict=True)
    ]
    passes = [(name.replace("-00", " "), "", job, "") for name, job in found["passes"].items()]
    before = [("prepare", "", found["prepare"], ""), *passes, ("half 0, items", "", found["initial"], "")]
    for name, seconds, job, here in [*before, *halves]:
        rows.append(f"| {name} | {seconds} | {job['seconds']:.1f} | {here} | {job['shuffled']:.1f} | {job['jvms']:.0f} |")
    last = found["halves"][1:]
    mean, least = (2 * sum(values) / len(last) for values in ([e["seconds"] for e in last], work[1:]))
    rows.append(f"\nAn iteration, two halves: {mean:.1f} s, {least:.1f} s of it work; wRMSE {last[-1]['wrmse']:.6f}")
    return "\n".join(rows)


def main() -> None:
    """Run the measurement and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="S", choices=tuple(data.SHAPES))
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--join", action="append", choices=("broadcast", "shuffle"), help="may be repeated (default: both)")
    parser.add_argument("--mahout", action="store_true", help="also one iteration of Mahout's ParallelALS")
    parser.add_argument("--spark", action="store_true", help="also the same training on Spark")
    given = parser.parse_args()
    del sys.argv[1:]  # where mrjob finds --spark, and takes it for its own
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "cluster")
        try:
            cluster.start()
            os.environ.update(cluster.environment())
            path = str(Path(folder) / "counts.tsv")
            with open(path, "wb") as file:
                file.writelines(data.counts_lines(data.SHAPES[given.shape]))
            logs = f"{cluster.default_fs}/logs/counts.tsv"
            storage_of(logs).upload(path, logs)
            for join in given.join or ("broadcast", "shuffle"):
                found = measure(cluster, logs, join, given.iterations)
                print(table(join, found, inline(path, join, given.iterations)), flush=True)
                if given.spark:
                    there, here = on_spark(cluster, logs, join, given.iterations), iteration_of(found["halves"])
                    print(f"The same on Spark: an iteration takes {there:.1f} s, {there / here:.2f} of that.\n", flush=True)
            if given.mahout:
                print(peer_mahout.measure(cluster, path, iterations=1))
        finally:
            cluster.clean()


if __name__ == "__main__":
    main()
