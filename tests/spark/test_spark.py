"""What runs on Spark (`local[2]`, one session for all tests) ends with the bytes of the inline runner."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet
import pytest

from mr_als.cli import main
from mr_als.engine.engine import Engine
from mr_als.engine.launch import run_job
from mr_als.engine.runners import spark
from mr_als.engine.runners.runner import Call
from mr_als.engine.spark import session
from mr_als.errors import DamagedDataError, UsageError
from mr_als.options import PlanOptions
from mr_als.preparing.growing import grow
from mr_als.preparing.ingesting import Task
from mr_als.preparing.prepare import prepare
from mr_als.preparing.summing import open_plays
from mr_als.progress import Progress
from mr_als.records.blocks import SIDES
from mr_als.storage.places import storage_of
from mr_als.training.train import train
from tests.emr.stand_in import make_bucket, stand_in
from tests.hadoop.runs import arrays_of
from tests.toy import generation_bytes, options, run, toy_lines, write

LOCAL = ("--spark-master", "local[2]")
RUNNER = spark.Spark()


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("logs") / "counts.tsv", toy_lines())


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Write logs in every compression and in an archive to a directory, and return its path."""
    place = tmp_path_factory.mktemp("packed")
    lines = [line.encode() for line in toy_lines()]
    parts = [b"".join(lines[n::5]) for n in range(5)]
    with zipfile.ZipFile(place / "counts.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("counts.tsv", parts.pop())
    for (end, pack), part in zip(
        {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zst_compress}.items(), parts, strict=True
    ):
        (place / f"counts.tsv{end}").write_bytes(pack(part))
    return str(place)


def zst_compress(data):
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    return zstd.compress(data)


@pytest.mark.spark
def test_a_killed_run_on_compressed_logs_goes_on_to_the_bytes_of_inline(packed, tmp_path):
    """With the shuffle join: from logs to a model, killed after the first user half."""
    plan = (
        "--rank",
        "5",
        "--max-iterations",
        "1",
        "--tolerance",
        "0",
        "--user-blocks",
        "2",
        "--item-blocks",
        "2",
        "--join",
        "shuffle",
        "-q",
    )
    assert main(["train", packed, "--model", str(tmp_path / "inline"), *plan]) == 0
    command = ["train", packed, "--model", str(tmp_path / "spark"), "-r", "spark", "--master", "local[2]", *plan]
    code = f"import sys; from mr_als.cli import main; sys.exit(main({command!r}))"
    died = subprocess.run([sys.executable, "-c", code], env={**os.environ, "MR_ALS_CRASH_AT": "after-half-001"}, check=False)
    assert died.returncode == -signal.SIGKILL

    assert main(command) == 0

    assert generation_bytes(tmp_path / "spark") == generation_bytes(tmp_path / "inline")


@pytest.mark.spark
def test_the_broadcast_join_gives_the_bytes_of_inline(logs, tmp_path):
    prepare([logs], str(tmp_path / "plays"), options().inputs)
    chosen, plays = options("broadcast", iterations=0), str(tmp_path / "plays")
    train([], str(tmp_path / "inline"), chosen, plays=plays)

    train([], str(tmp_path / "spark"), chosen, plays=plays, engine=Engine("spark", tasks=2, mrjob_arguments=LOCAL))

    assert generation_bytes(tmp_path / "spark") == generation_bytes(tmp_path / "inline")


@pytest.mark.spark
def test_logs_and_model_in_s3_give_the_bytes_of_a_disk(logs, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    chosen = options("shuffle", iterations=0)
    run([logs], tmp_path / "inline", chosen)
    with stand_in():
        bucket = f"s3://{make_bucket()}"
        storage_of(bucket).upload(logs, f"{bucket}/logs/counts.tsv")

        train([f"{bucket}/logs"], f"{bucket}/m", chosen, engine=Engine("spark", tasks=2, mrjob_arguments=LOCAL))

        assert arrays_of(f"{bucket}/m") == arrays_of(str(tmp_path / "inline"))


@pytest.mark.spark
def test_plays_grow_to_the_bytes_of_all_logs_at_once(tmp_path):
    engine, chosen, lines = Engine("spark", tasks=2, mrjob_arguments=LOCAL), options().inputs, toy_lines()
    logs = [write(tmp_path / f"{n}.tsv", lines[n::2]) for n in range(2)]
    for log in logs:
        grow([log], Task(str(tmp_path / "plays"), chosen, engine, Progress(quiet=True), PlanOptions(), 0, False))

    grown = open_plays(str(tmp_path / "plays"), engine)

    whole = prepare(logs, str(tmp_path / "whole"), chosen)
    assert [(n, bytes(b)) for side in SIDES for n, b in getattr(grown, side).blocks()] == [
        (n, bytes(b)) for side in SIDES for n, b in getattr(whole, side).blocks()
    ]


@pytest.mark.spark
def test_splits_parquet_into_the_parts_of_inline(tmp_path):
    users, items, plays = zip(*(line.split() for line in toy_lines()), strict=True)
    pyarrow.parquet.write_table(
        pyarrow.table({"user": users, "item": items, "plays": [float(p) for p in plays]}), tmp_path / "log.parquet"
    )

    found = []
    for name, engine in (("inline", []), ("spark", ["-r", "spark", "--master", "local[2]"])):
        parts = [str(tmp_path / f"{name}-{part}") for part in ("train", "test")]
        assert main(["split", str(tmp_path / "log.parquet"), "--train", parts[0], "--test", parts[1], "-q", *engine]) == 0
        found.append([path.read_bytes() for part in parts for path in sorted(Path(part).glob("part-*"))])

    assert found[1] == found[0]


@pytest.mark.spark
def test_splits_and_evaluates_the_same_as_inline(logs, tmp_path, capsys):
    found = {}
    for runner, chosen in (("inline", []), ("spark", ["-r", "spark", "--master", "local[2]"])):
        folder = tmp_path / runner
        parts = [f"--{part}={folder / part}" for part in ("train", "test")]
        folder.mkdir()

        assert main(["split", logs, "--share", "0.2", *parts, "-q", *chosen]) == 0
        if runner == "inline":
            run([str(folder / "train")], tmp_path / "model", options(iterations=1))
        capsys.readouterr()
        assert main(["evaluate", "--model", str(tmp_path / "model"), str(folder / "test"), "--json", "-q", *chosen]) == 0

        lines = sorted(line for path in folder.rglob("part-*.tsv") for line in path.read_bytes().splitlines())
        found[runner] = lines, json.loads(capsys.readouterr().out)

    assert found["spark"] == found["inline"]


@pytest.mark.spark
def test_an_error_of_ours_in_a_task_comes_out_as_itself(tmp_path):
    lines = write(tmp_path / "damaged.lines", ["plays\t00000000.0000.0001\tbm90IGEgYmxvY2s=\n"])

    with pytest.raises(DamagedDataError, match="does not begin with MRB1"):
        run_job(Call("mr_solve", [lines], str(tmp_path / "out"), ["--init=items", "--rank=4"], LOCAL), "spark")


def test_without_pyspark_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(session, "find_spec", lambda name: None)

    with pytest.raises(UsageError, match=r"pip install 'pyspark>=3.5'"):
        session.session(session.wanted(LOCAL))


@pytest.mark.spark
def test_recommends_the_same_as_inline_whatever_alphabet_the_ids_are_in(tmp_path):
    lines = [line.replace("taste", "Geschmäcker-味").replace("user", "Björk") for line in toy_lines()]
    run([write(tmp_path / "counts.tsv", lines)], tmp_path / "model", options(iterations=1))
    command = ["recommend", "--model", str(tmp_path / "model"), "-q"]

    assert main([*command, "--output", str(tmp_path / "inline")]) == 0
    assert main([*command, "--output", str(tmp_path / "spark"), "-r", "spark", "--master", "local[2]"]) == 0

    inline, on_spark = (
        sorted(line for part in (tmp_path / name).glob("part-*") for line in part.read_bytes().splitlines())
        for name in ("inline", "spark")
    )
    assert len(inline) == 10 * 120
    assert on_spark == inline


@pytest.fixture
def mounts(monkeypatch):
    """Let a directory be on a file system of some kind."""

    def mounted(directory, kind):
        real = open
        text = f"/dev/sda1 / ext4 rw 0 0\nserver:/data {str(directory).replace(' ', chr(92) + '040')} {kind} rw 0 0\n"
        monkeypatch.setattr(
            "builtins.open", lambda file, *a, **k: io.StringIO(text) if file == "/proc/self/mounts" else real(file, *a, **k)
        )

    return mounted


@pytest.mark.parametrize("master", ["yarn", "spark://10.0.0.1:7077", "k8s://https://10.0.0.1:6443"])
def test_a_master_elsewhere_is_refused_where_its_tasks_do_not_see_the_files(master, logs, tmp_path, mounts, capsys):
    mounts(tmp_path, "xfs")

    assert main(["train", logs, "--model", str(tmp_path / "model"), "-r", "spark", "--master", master]) == 2

    err = capsys.readouterr().err
    assert f"which tasks on {master} do not see" in err
    assert "file system that all machines share" in err
    assert not (tmp_path / "model").exists()


def test_with_a_master_elsewhere_data_in_s3_or_hdfs_are_read_by_the_tasks_and_what_lies_here_is_refused(
    tmp_path, mounts, monkeypatch
):
    mounts(tmp_path, "xfs")

    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    (tmp_path / "core-site.xml").write_text("<configuration/>")

    RUNNER.check_master("yarn", ["s3://b/logs", "hdfs:///m"])
    with pytest.raises(UsageError, match="name places in HDFS or S3, or directories on a file system that all machines share"):
        RUNNER.check_master("yarn", ["s3://b/logs", str(tmp_path / "m")])

    yarn = ("--spark-master", "yarn")
    assert Engine.of("spark", yarn, ["hdfs:///logs", "hdfs:///m"]).on_cluster
    assert not Engine.of("spark", yarn, ["/shared/logs", "/shared/m"]).on_cluster
    assert not Engine.of("spark", LOCAL, ["hdfs:///logs", "hdfs:///m"]).on_cluster


@pytest.mark.parametrize("path", ["gs://b/logs", "abfss://c@a.dfs.core.windows.net/m"])
def test_clouds_that_tasks_elsewhere_do_not_reach_are_refused_with_a_master_elsewhere(path):
    with pytest.raises(UsageError, match="-r spark on yarn does not support (gs|abfss)://; use -r inline or -r local"):
        RUNNER.check_master("yarn", ["hdfs:///logs", path])

    RUNNER.check_master("local[2]", [path])


def test_a_master_elsewhere_is_refused_where_hdfs_asks_for_kerberos(tmp_path, monkeypatch):
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    asks = "<property><name>hadoop.security.authentication</name><value>kerberos</value></property>"
    (tmp_path / "core-site.xml").write_text(f"<configuration>{asks}</configuration>")

    with pytest.raises(UsageError, match="no Kerberos ticket.*use -r hadoop"):
        RUNNER.check_master("yarn", ["hdfs:///logs"])


@pytest.mark.parametrize("kind", ["nfs4", "fuse.juicefs"])
def test_a_master_elsewhere_is_taken_where_all_machines_share_the_files(kind, tmp_path, mounts, monkeypatch):
    place = tmp_path / "a b"
    place.mkdir()
    mounts(place, kind)

    with pytest.raises(UsageError, match=r"/tmp.* is on the ext4 file system"):
        RUNNER.check_master("yarn", [str(place / "model")])
    monkeypatch.setattr("tempfile.tempdir", str(place))
    RUNNER.check_master("yarn", [str(place / "model"), "s3://bucket/logs"])


def test_a_master_of_this_machine_needs_no_shared_files(tmp_path, mounts):
    mounts(tmp_path, "xfs")

    for master in ("", "local", "local[4]", "local[*]"):
        RUNNER.check_master(master, [str(tmp_path)])


def test_a_master_is_for_spark_alone(logs, tmp_path, capsys):
    assert main(["prepare", logs, "--plays", str(tmp_path), "--master", "yarn"]) == 2

    assert "--master yarn goes with -r spark, not with -r inline" in capsys.readouterr().err
