"""Measure Spark MLlib's ALS on the cores of this machine, data cached in memory.

    python benchmarks/peer_spark.py S-counts.tsv --rank 64 --iterations 1,4
    python benchmarks/peer_spark.py S-counts.tsv --rank 64 --iterations 10 --end-to-end

Its confidence is 1 + alpha r, so it gets r = log(1 + plays) and alpha = 10; its lambda is times the row's count of
positive pairs, so compare it with `--regularization-scaling count`.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()  # before the imports: they are part of what is measured

import argparse  # noqa: E402
import os  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from common import ALPHA, confidence_of, per_iteration, read_counts, report, weighted_rmse  # noqa: E402

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
REGULARIZATION = 0.01


def dense(frame: Any, n: int, rank: int) -> Any:
    """Collect factors (id, features) into an array (n, rank)."""
    factors = np.zeros((n, rank), np.float32)
    for row in frame.toLocalIterator():
        factors[row["id"]] = row["features"]
    return factors


def session() -> Any:
    """Start Spark on this machine alone."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{THREADS}]").config("spark.driver.memory", "8g")
    for name in ("spark.ui.enabled", "spark.ui.showConsoleProgress"):
        builder = builder.config(name, "false")
    for name in ("spark.driver.host", "spark.driver.bindAddress"):
        builder = builder.config(name, "127.0.0.1")
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--iterations", default="1,3")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--end-to-end", action="store_true", help="from the start of the process to the saved model")
    given = parser.parse_args()

    from pyspark.ml.recommendation import ALS
    from pyspark.sql import functions

    spark = session()
    # ids in the file are numbers already: Spark reads them itself
    frame = spark.read.csv(given.path, sep="\t", schema="user INT, item INT, plays DOUBLE")
    frame = frame.select("user", "item", functions.log1p("plays").cast("float").alias("rating"))

    def train(n: int) -> Any:
        als = ALS(
            rank=given.rank, maxIter=n, regParam=REGULARIZATION, implicitPrefs=True, alpha=ALPHA, seed=0, checkpointInterval=-1,
            numUserBlocks=2 * THREADS, numItemBlocks=2 * THREADS, userCol="user", itemCol="item", ratingCol="rating",
        )  # fmt: skip
        model = als.fit(frame)
        model.itemFactors.count()
        return model

    if given.end_to_end:
        model = train(int(given.iterations))
        with tempfile.TemporaryDirectory() as place:
            model.write().save(os.path.join(place, "model"))
        seconds = time.perf_counter() - STARTED
    else:
        frame = frame.cache()
        frame.count()
        seconds, model = per_iteration(train, [int(n) for n in given.iterations.split(",")])
    users, items, plays, *_ = read_counts(given.path)
    numbers = [model.userFactors, model.itemFactors]
    ids = [np.unique(np.loadtxt(given.path, dtype=np.int64, delimiter="\t", usecols=column)) for column in (0, 1)]
    factors = [dense(f, int(i.max()) + 1, given.rank)[i] for f, i in zip(numbers, ids, strict=True)]
    wrmse = weighted_rmse(*factors, users, items, confidence_of(plays))
    # the work is done by the JVM, which is a child of this process
    status = Path(f"/proc/{spark.sparkContext._gateway.proc.pid}/status").read_text()
    report(seconds, wrmse=wrmse, peak_mb=int(status.split("VmHWM:")[1].split()[0]) // 1024)
    spark.stop()


if __name__ == "__main__":
    main()
