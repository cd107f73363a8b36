"""The half of tiny_als.py on Spark's RDDs, and a training by Spark's own ALS: python tiny_spark.py tiny.tsv."""

import sys
import tempfile

import numpy as np
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

from mr_als.maths.reference import reference_als
from mr_als.maths.weighing.weights import Weights


def half_by_rdds(lines, alpha=1.0, regularization=1.0):
    """Solve all users, the item vectors fixed; lines are those of tiny.tsv, split into fields."""
    plays = lines.filter(lambda f: f[0] == "play").map(lambda f: (f[2], (f[1], float(f[3]))))
    vectors = lines.filter(lambda f: f[0] == "vector").map(lambda f: (f[1], np.array(f[2:], float)))
    gram = vectors.values().map(lambda y: np.outer(y, y)).reduce(np.add)  # summed up by the driver
    met = plays.join(vectors).map(lambda pair: (pair[1][0][0], (1 + alpha * pair[1][0][1], pair[1][1])))

    def solve(met):
        a = gram + sum((c - 1) * np.outer(y, y) for c, y in met) + regularization * np.eye(len(gram))
        return np.linalg.solve(a, sum(c * y for c, y in met))

    return sorted(met.groupByKey().mapValues(solve).collect())


def scores_by_mllib(spark, plays, rank, regularization):
    """Train Spark's ALS on a table of plays (n_users, n_items), whose ids must be integers; return all scores."""
    pairs = [(int(u), int(i), float(plays[u, i])) for u, i in np.argwhere(plays)]
    als = ALS(rank=rank, maxIter=20, regParam=regularization, implicitPrefs=True, alpha=1.0, seed=0, checkpointInterval=5)
    als.setNumBlocks(2)
    model = als.fit(spark.createDataFrame(pairs, ["user", "item", "rating"]))
    X, Y = ([row.features for row in side.orderBy("id").collect()] for side in (model.userFactors, model.itemFactors))
    return np.array(X) @ np.array(Y).T


def main(path):
    """Print the vectors of the half, and the scores of Spark's ALS beside ours."""
    spark = SparkSession.builder.getOrCreate()
    lines = spark.sparkContext.textFile(path).map(lambda line: line.split("\t"))
    for user, x in half_by_rdds(lines):
        print(user, *(f"{number:.6f}" for number in x), sep="\t")
    plays = np.array([[3, 1, 0, 0, 0], [1, 2, 0, 0, 1], [0, 0, 2, 1, 0], [0, 1, 1, 3, 0]], float)
    start = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [1, 0]], float)
    X, Y, _ = reference_als(plays, start, Weights("linear", 1.0, 1.0, 0.3, "count"), 0.0, 30)
    with tempfile.TemporaryDirectory() as folder:
        spark.sparkContext.setCheckpointDir(folder)  # without one, a long lineage overflows Spark's stack
        theirs, ours = scores_by_mllib(spark, plays, 2, 0.3), X @ Y.T
    print("scores by MLlib", *theirs.round(2) + 0.0, "scores by mr_als", *ours.round(2) + 0.0, sep="\n")
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1])
