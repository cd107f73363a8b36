"""The table of docs/engines.md: each "yes" of inline and local is done here, each "no" is provoked, each other "yes" has a test."""

from __future__ import annotations

import ast
import bz2
import gzip
import re
from pathlib import Path

import pytest

from mr_als.cli import main
from mr_als.engine.engine import Engine
from mr_als.engine.runners import hadoop
from mr_als.errors import UsageError
from mr_als.options import InputOptions
from mr_als.preparing.inputs import check_engine, find_layouts
from mr_als.preparing.log_files import Logs
from mr_als.records.lines import LINES
from tests.logs.test_archives import make_tar, make_zip
from tests.toy import toy_lines, write

ROOT = Path(__file__).resolve().parents[1]
ENGINES = ("inline", "local", "hadoop", "emr", "spark")
PLAN = ("--rank", "4", "--max-iterations", "0", "--user-blocks", "2", "--item-blocks", "2", "-q")


def table():
    """Read the table as {feature: {engine: word}}."""
    text = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    start = rows.index(["", *ENGINES])
    found = {}
    for feature, *words in rows[start + 2 :]:
        if len(words) != len(ENGINES):
            break
        found[feature] = dict(zip(ENGINES, words, strict=True))
    return found


TABLE = table()

# the tests that hold what is not done here
ON_SPARK, ON_EMR, ON_HADOOP = (
    "tests/spark/test_spark.py::test_",
    "tests/emr/test_emr.py::test_",
    "tests/hadoop/test_train.py::test_",
)
ON_SPARKS_CLUSTER = "tests/spark/test_clusters.py::test_workers_that_share_nothing_but_hdfs_end_with_the_bytes_of_inline"
LINES_ARE_READ = "tests/preparing/test_inputs.py::test_a_job_reads_lines_as_it_reads_ranges"
KILLED_ON_SPARK = ON_SPARK + "a_killed_run_on_compressed_logs_goes_on_to_the_bytes_of_inline"
SPLIT_ON_SPARK = ON_SPARK + "splits_parquet_into_the_parts_of_inline"
TRAINED_ON_EMR = ON_EMR + "a_whole_training_ends_with_the_factors_of_the_inline_runner"
COMPRESSED_ON_HADOOP = ON_HADOOP + "the_sample_logs_some_of_them_compressed_end_in_the_bytes_of_inline"
FROM_HDFS = ON_HADOOP + "engines_of_one_machine_read_and_write_hdfs"
TRAINED_ON_HADOOP = ON_HADOOP + "with_the_shuffle_join_the_same_plan_gives_the_same_bytes_as_inline"
KILLED_ON_HADOOP = ON_HADOOP + "a_killed_driver_is_followed_by_one_that_ends_its_job_and_goes_on_to_the_same_bytes"
KILLED_HERE = "tests/training/test_resume.py::test_a_run_killed_at_a_crash_point_goes_on_to_the_same_bytes"
FROM_CLOUDS = "tests/clouds/test_models.py::test_training_from_and_to_a_cloud_ends_with_the_bytes_of_a_disk"

# feature -> engine -> test
HELD = {
    "logs: columns, CSV, JSON lines": {"hadoop": LINES_ARE_READ, "emr": LINES_ARE_READ, "spark": KILLED_ON_SPARK},
    "logs: `.gz`, `.bz2`": {"hadoop": COMPRESSED_ON_HADOOP, "emr": TRAINED_ON_EMR, "spark": KILLED_ON_SPARK},
    "logs: `.zip`, `.tar.gz`": {"spark": KILLED_ON_SPARK},
    "logs: `.zst`": {"spark": KILLED_ON_SPARK},
    "logs: Parquet, JSON arrays": {"spark": SPLIT_ON_SPARK},
    "logs, plays and model on this machine": {"spark": ON_SPARK + "the_broadcast_join_gives_the_bytes_of_inline"},
    "logs and model in S3": {
        "inline": FROM_CLOUDS,
        "local": FROM_CLOUDS,
        "hadoop": ON_HADOOP + "a_cluster_that_reaches_s3_trains_from_and_to_it",
        "emr": TRAINED_ON_EMR,
        "spark": ON_SPARK + "logs_and_model_in_s3_give_the_bytes_of_a_disk",
    },
    "logs and model in Google Cloud Storage, Azure": {"inline": FROM_CLOUDS, "local": FROM_CLOUDS, "spark": FROM_CLOUDS},
    "logs and model in HDFS": {"inline": FROM_HDFS, "local": FROM_HDFS, "hadoop": TRAINED_ON_HADOOP, "spark": ON_SPARKS_CLUSTER},
    "`--join shuffle`": {"hadoop": TRAINED_ON_HADOOP, "emr": TRAINED_ON_EMR, "spark": KILLED_ON_SPARK},
    "`--join broadcast`": {
        "hadoop": COMPRESSED_ON_HADOOP,
        "emr": TRAINED_ON_EMR,
        "spark": ON_SPARK + "the_broadcast_join_gives_the_bytes_of_inline",
    },
    "a killed or failed run goes on": {
        "inline": KILLED_HERE,
        "local": KILLED_HERE,
        "hadoop": KILLED_ON_HADOOP,
        "emr": ON_EMR + "a_run_whose_step_failed_goes_on_to_the_same_factors",
        "spark": KILLED_ON_SPARK,
    },
    "plays that grow: `prepare --add`, `--replan`": {
        "hadoop": ON_HADOOP + "plays_in_hdfs_grow_to_the_bytes_of_all_logs_at_once",
        "emr": ON_EMR + "plays_in_s3_grow_and_are_cut_anew_to_those_of_inline",
        "spark": ON_SPARK + "plays_grow_to_the_bytes_of_all_logs_at_once",
    },
    "`recommend` to all users": {
        "hadoop": ON_HADOOP + "all_users_are_recommended_to_by_a_job",
        "emr": ON_EMR + "all_users_are_recommended_to_by_a_job",
        "spark": ON_SPARK + "recommends_the_same_as_inline_whatever_alphabet_the_ids_are_in",
    },
    "`split`": {
        "hadoop": ON_HADOOP + "splits_and_evaluates_the_same_as_inline",
        "emr": ON_EMR + "splits_and_evaluates_the_same_as_inline",
        "spark": SPLIT_ON_SPARK,
    },
    "`evaluate`": {
        "hadoop": ON_HADOOP + "splits_and_evaluates_the_same_as_inline",
        "emr": ON_EMR + "splits_and_evaluates_the_same_as_inline",
        "spark": ON_SPARK + "splits_and_evaluates_the_same_as_inline",
    },
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    write(place / "counts.tsv", toy_lines())
    assert main(["train", str(place / "counts.tsv"), "--model", str(place / "m"), *PLAN]) == 0
    return str(place / "m")


def zst(data):
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    return zstd.compress(data)


def parquet(path):
    import pyarrow as pa
    import pyarrow.parquet

    users, items, plays = zip(*(line.split() for line in toy_lines()), strict=True)
    pyarrow.parquet.write_table(pa.table({"user": users, "item": items, "plays": [float(p) for p in plays]}), path)


def make_logs(feature, place):
    """Write logs of the kinds that a feature names."""
    text = "".join(toy_lines()).encode()
    if ".zip" in feature:
        make_zip(place / "log.zip", {"log.tsv": text})
        make_tar(place / "log.tar.gz", {"log.tsv": text})
        return [str(place / "log.zip"), str(place / "log.tar.gz")]
    if "Parquet" in feature:
        parquet(place / "log.parquet")
        return [str(place / "log.parquet")]
    packed = (
        {".zst": zst} if ".zst" in feature else {".gz": gzip.compress, ".bz2": bz2.compress} if ".gz" in feature else {"": bytes}
    )
    for end, pack in packed.items():
        (place / f"log.tsv{end}").write_bytes(pack(text))
    return [str(place / f"log.tsv{end}") for end in packed]


def commands(feature, model, place):
    """Build the command lines of a feature, without an engine."""
    if "Azure" in feature:
        azure = "abfss://c@a.dfs.core.windows.net"
        return [["train", "gs://b/logs", "--model", "hdfs:///m"], ["recommend", "--model", "s3://b/m", "--output", f"{azure}/out"]]
    logs = make_logs(feature, place)
    if "`split`" in feature:
        return [["split", *logs, "--train", f"{place}/train", "--test", f"{place}/test"]]
    if "`evaluate`" in feature:
        return [["evaluate", "--model", model, write(place / "test.tsv", ["user-0\ttaste-1-item-1\t3\n"])]]
    if "`recommend`" in feature:
        return [["recommend", "--model", model, "--output", f"{place}/out"]]
    if "--add" in feature:
        plays = ["--plays", f"{place}/plays"]
        more = write(place / "more.tsv", toy_lines(1))
        return [*(["prepare", *some, *plays, "--add"] for some in (logs, [more])), ["prepare", *plays, "--replan"]]
    if "--join" in feature or "on this machine" in feature:
        join = ["--join", feature.split()[1].strip("`")] if "--join" in feature else []
        return [["train", *logs, "--model", f"{place}/m", *PLAN, *join], ["prepare", *logs, "--plays", f"{place}/plays"]]
    return [["prepare", *logs, "--plays", f"{place}/plays"]]


HERE = [
    (feature, engine)
    for feature, words in TABLE.items()
    for engine in ENGINES[:2]
    if words[engine] == "yes" and engine not in HELD.get(feature, {})
]
REFUSED = [(feature, engine) for feature, words in TABLE.items() for engine in ENGINES if words[engine] == "no"]


def test_the_table_is_read_whole():
    assert list(TABLE) == list(HELD)
    assert {word for words in TABLE.values() for word in words.values()} == {"yes", "no"}
    assert len(REFUSED) >= 5


@pytest.mark.parametrize(("feature", "engine"), HERE)
def test_what_the_table_promises_of_one_machine_is_so(feature, engine, model, tmp_path):
    for command in commands(feature, model, tmp_path):
        assert main([*command, "-r", engine]) == 0


@pytest.mark.parametrize(("feature", "engine"), REFUSED)
def test_what_the_table_refuses_is_refused_before_anything_starts(feature, engine, model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(hadoop, "capacity", lambda: 4)
    monkeypatch.setattr("mrjob.runner.MRJobRunner.run", lambda self: pytest.fail("a job started"))
    if ".zst" in feature or "Parquet" in feature:
        logs = make_logs(feature, tmp_path)
        with pytest.raises(UsageError, match=f"which -r {engine} cannot read"):
            check_engine(find_layouts(logs, InputOptions()), Engine(engine, LINES))
        return
    if ".zip" in feature:
        for log in make_logs(feature, tmp_path):
            with pytest.raises(UsageError, match="archives are read by the engines of one machine only"):
                Logs.of([log], LINES)
        return
    if "HDFS" in feature:
        with pytest.raises(UsageError, match=f"-r {engine}.*s3://BUCKET/m"):
            Engine(engine, LINES).check_place("hdfs:///m")
        return
    for command in commands(feature, model, tmp_path):
        before = sorted(tmp_path.rglob("*"))
        assert main([*command, "-r", engine]) == 2
        assert f"-r {engine}" in capsys.readouterr().err
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("feature", list(TABLE))
def test_every_other_yes_has_a_test_and_no_other_word_has_one(feature):
    done_here = {engine for name, engine in HERE if name == feature}
    assert set(HELD[feature]) == {engine for engine, word in TABLE[feature].items() if word == "yes"} - done_here
    for name in HELD[feature].values():
        path, test = name.split("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, name


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_of_the_table_has_a_section(engine):
    headings = re.findall(r"^## (.*)$", (ROOT / "docs" / "engines.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert any(engine in heading.lower() for heading in headings)
