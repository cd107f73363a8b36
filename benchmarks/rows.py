"""The table: what is compared with what, on which data, and the ratio to be reached."""

from __future__ import annotations

from typing import Any, NamedTuple

EXACT = 1e-3  # relative difference of weighted RMSE that counts as the same quality


class Row(NamedTuple):
    """One line of the table.

    data : file that both measure, `SHAPE-FORMAT.tsv` of benchmarks/data.py
    ours, peer : scripts and their arguments; {data} is the file's path, {work} the directory of all files
    target : the ratio ours / peer is to be at most this
    judge : arguments of the peer's exact solver, whose weighted RMSE ours is held against; none: the peer's own result
    before : commands that make what both need, once
    """

    name: str
    title: str
    peer_name: str
    data: str
    ours: str
    peer: str
    target: float
    judge: str = ""
    before: tuple[str, ...] = ()


_ITERATION = "ours.py iteration {data}"
_IMPLICIT = "peer_implicit.py iteration {data}"
_EXACT = f"{_IMPLICIT} --solver cholesky --iterations 7"
_FEW = "--iterations 1,3"  # where one takes many seconds
_SPARK = f"peer_spark.py {{data}} {_FEW}"
_SPARK_OPTIONS = "--regularization=0.01 --regularization-scaling=count"
_ON_SPARK = f"-r spark --master local[2] {_SPARK_OPTIONS}"
_MODEL = "{work}/M-model"
_DAYS = "{work}/M-days"
_CUT = (f"days.py days {{data}} {_DAYS}",)

ROWS = (
    Row("iteration-S", "iteration, S, rank 64, inline, NumPy alone", "implicit, CG", "S-counts.tsv",
        f"{_ITERATION} --numpy-alone -- --rank 64", f"{_IMPLICIT} --rank 64", 4.0, _EXACT),
    Row("prepare-S", "prepare, 1M raw lines", "polars, bare group-by", "S-events.tsv",
        "ours.py prepare {data}", "peer_polars.py group-by {data}", 2.0),
    Row("iteration-M", "iteration, M, rank 64, inline", "implicit, CG", "M-counts.tsv",
        f"{_ITERATION} -- --rank 64", f"{_IMPLICIT} --rank 64", 0.65, _EXACT),
    Row("iteration-M-128", "iteration, M, rank 128, inline", "implicit, CG", "M-counts.tsv",
        f"{_ITERATION} -- --rank 128", f"{_IMPLICIT} --rank 128", 0.8),
    Row("iteration-M-cholesky", "iteration, M, rank 64, inline, exact solver", "implicit, Cholesky", "M-counts.tsv",
        f"{_ITERATION} {_FEW} -- --rank 64 --solver cholesky", f"{_IMPLICIT} {_FEW} --solver cholesky", 0.5),
    Row("iteration-M-spark", "iteration, M, rank 64, inline", "Spark MLlib, local[2]", "M-counts.tsv",
        f"{_ITERATION} {_FEW} -- --rank 64 {_SPARK_OPTIONS}", _SPARK, 0.06),
    Row("numpy-M-spark", "iteration, M, rank 64, local, NumPy alone", "Spark MLlib, local[2]", "M-counts.tsv",
        f"{_ITERATION} {_FEW} --numpy-alone -- --rank 64 -r local {_SPARK_OPTIONS}", _SPARK, 0.2),
    Row("spark-S", "iteration, S, rank 64, Spark local[2]", "Spark MLlib, local[2]", "S-counts.tsv",
        f"{_ITERATION} {_FEW} -- --rank 64 {_ON_SPARK}", _SPARK, 0.3),
    Row("spark-M", "iteration, M, rank 64, Spark local[2]", "Spark MLlib, local[2]", "M-counts.tsv",
        f"{_ITERATION} {_FEW} -- --rank 64 {_ON_SPARK}", _SPARK, 0.12),
    Row("spark-numpy-S", "iteration, S, rank 64, Spark local[2], NumPy alone", "Spark MLlib, local[2]", "S-counts.tsv",
        f"{_ITERATION} {_FEW} --numpy-alone -- --rank 64 {_ON_SPARK}", _SPARK, 0.4),
    Row("spark-numpy-M", "iteration, M, rank 64, Spark local[2], NumPy alone", "Spark MLlib, local[2]", "M-counts.tsv",
        f"{_ITERATION} {_FEW} --numpy-alone -- --rank 64 {_ON_SPARK}", _SPARK, 0.25),
    Row("spark-end-to-end-S", "counts to a published model, 10 iterations, S, Spark local[2]", "Spark MLlib, local[2]",
        "S-counts.tsv", f"ours.py end-to-end {{data}} --iterations 10 -- --rank 64 {_ON_SPARK}",
        "peer_spark.py {data} --iterations 10 --end-to-end", 0.5),
    Row("end-to-end-M", "counts to factor files, 10 iterations, M, rank 64", "implicit, np.loadtxt, CG", "M-counts.tsv",
        "ours.py end-to-end {data} --iterations 10 -- --rank 64", "peer_implicit.py end-to-end {data} --iterations 10",
        0.75),
    Row("prepare-M", "prepare, 10M raw lines, string ids", "polars, same full output", "M-events.tsv",
        "ours.py prepare {data}", "peer_polars.py full {data}", 0.9),
    Row("add-M", "prepare --add of one day to ninety, 10M raw lines in all", "prepare of all 91", "M-events.tsv",
        f"days.py add {_DAYS}", f"days.py all {_DAYS}", 0.1, before=_CUT),
    Row("segments-M", "a training from 91 segments, the defaults, M", "the same from one piece", "M-events.tsv",
        f"days.py train {_DAYS} --segments", f"days.py train {_DAYS}", 1.2, before=_CUT),
    Row("auto-M", "a training to its tolerance, alpha and lambda from the data, M", "the same without their passes", "M-counts.tsv",
        "ours.py training {data}", "ours.py training {data} --halves-alone", 1.15),
    Row("recommend-M", "top 10 of 100k users, played filtered", "implicit, recommend", "M-counts.tsv",
        f"ours.py recommend {_MODEL}", f"peer_implicit.py recommend {_MODEL} {{data}}", 0.4,
        before=(f"ours.py model {{data}} --model {_MODEL} -- --rank 64",)),
    Row("python-blocks-M", "from Python: blocks of a CSR, M", "implicit, transposition alone", "M-counts.tsv",
        "from_python.py blocks {data}", "peer_implicit.py transpose {data}", 2.0),
    Row("python-fit-M", "from Python: fit of a CSR, 10 iterations, M, rank 64", "implicit, fit, CG", "M-counts.tsv",
        "from_python.py fit {data} --iterations 10", "peer_implicit.py fit {data} --iterations 10", 0.7),
    Row("python-recommend-M", "from Python: top 10 of 100k users, as arrays", "implicit, recommend", "M-counts.tsv",
        f"from_python.py recommend {_MODEL}", f"peer_implicit.py recommend {_MODEL} {{data}}", 0.4,
        before=(f"ours.py model {{data}} --model {_MODEL} -- --rank 64",)),
)  # fmt: skip


def agreement(row: Row, ours: dict[str, Any], peer: dict[str, Any]) -> tuple[bool, str]:
    """Say whether both results are equally good, and how that was judged."""
    if "wrmse" in ours:
        difference = ours["wrmse"] / peer["wrmse"] - 1
        solver = " (its exact solver)" if row.judge else ""
        shown = f"wRMSE {ours['wrmse']:.6f} against {peer['wrmse']:.6f}{solver}, {100 * difference:+.3f} %"
        return difference <= EXACT, shown
    if "digests" in ours:
        same = all(ours[key] == peer[key] for key in ("users", "items", "pairs", "plays", "digests"))
        return same, f"{ours['pairs']} pairs, {'the same' if same else 'OTHERS than those of the peer'}"
    difference = ours["score"] / peer["score"] - 1
    return ours["lines"] == peer["lines"] and abs(difference) <= 1e-4, f"sum of scores {100 * difference:+.4f} %"
