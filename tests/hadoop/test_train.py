"""Training on the real Hadoop: the same plan gives the bytes of the inline runner, whatever happens on the way."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import mr_als
from mr_als.engine.engine import Engine
from mr_als.engine.lease import Lease
from mr_als.engine.runners import yarn
from mr_als.errors import BusyError, JobFailedError, UsageError
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
from tests.hadoop.runs import BLOCKS, ONE, SHORT, arrays_of, driver, on_yarn, train_on
from tests.toy import options, run, write

pytestmark = pytest.mark.hadoop

SAMPLE_LOGS = Path(__file__).parents[2] / "sample_logs"


def test_with_the_shuffle_join_the_same_plan_gives_the_same_bytes_as_inline(trained, toy, tmp_path):
    run([toy.local], tmp_path / "inline", ONE)

    assert arrays_of(trained) == arrays_of(str(tmp_path / "inline"))


@pytest.mark.usefixtures("toy")  # and with it a cache of models of its own
def test_the_sample_logs_some_of_them_compressed_end_in_the_bytes_of_inline(folder, tmp_path, monkeypatch):
    """Whatever they are called, and whatever language the driver is told to speak; `trained` has used the other join."""
    monkeypatch.setenv("LC_ALL", "C")
    for log in sorted(SAMPLE_LOGS.glob("2024*")):
        storage_of(folder).make_directory(f"{folder}/my logs")
        storage_of(folder).upload(str(log), f"{folder}/my logs/größe & tricks' (jazz) – {log.name}")
    prepare([f"{folder}/my logs"], f"{folder}/plays", ONE.inputs, on_yarn(2))
    chosen = options("broadcast", blocks=BLOCKS, iterations=1)
    run([str(SAMPLE_LOGS)], tmp_path / "inline", chosen)

    train([], f"{folder}/model", chosen, plays=f"{folder}/plays", engine=on_yarn(2))

    ours, inline = mr_als.load(f"{folder}/model"), mr_als.load(str(tmp_path / "inline"))
    on_hadoop, here = (arrays_of(model) for model in (f"{folder}/model", str(tmp_path / "inline")))
    assert on_hadoop.pop("bad-lines.tsv") != here.pop("bad-lines.tsv")  # they name the log of a bad line
    assert on_hadoop == here
    assert ours.recommend("jazz-fan-017", 5) == inline.recommend("jazz-fan-017", 5)


@pytest.mark.parametrize(("runner", "words"), [("inline", ()), ("local", ()), ("spark", ("--spark-master", "local[2]"))])
def test_engines_of_one_machine_read_and_write_hdfs(runner, words, toy, undisturbed, folder):
    model = f"{folder}/model"

    train([toy.uri], model, SHORT, engine=Engine(runner, tasks=2, mrjob_arguments=words))

    assert arrays_of(model) == undisturbed
    assert storage_of(model).names(model) == ["generations", "model.json"]


def test_a_cluster_that_reaches_s3_trains_from_and_to_it(hadoop, toy, undisturbed):
    """A stand-in of S3, which the configuration of the cluster names."""
    with stand_in(hadoop.made["ports"]["s3"]):
        bucket = f"s3a://{make_bucket()}"
        storage_of(bucket).upload(toy.local, f"{bucket}/logs/counts.tsv")

        train_on(f"{bucket}/logs", f"{bucket}/models/m")

        assert arrays_of(f"{bucket}/models/m") == undisturbed
        assert storage_of(bucket).names(f"{bucket}/models/m") == ["generations", "model.json"]


def test_a_queue_that_the_cluster_does_not_have_fails_the_first_job_in_words(toy, folder):
    with pytest.raises(JobFailedError, match="job mr_ingest failed on runner hadoop: Hadoop rejects it: .*queue: weekly"):
        train_on(toy.uri, f"{folder}/model", mrjob_arguments=("-D", "mapreduce.job.queuename=weekly"))


def test_a_killed_driver_is_followed_by_one_that_ends_its_job_and_goes_on_to_the_same_bytes(hadoop, toy, undisturbed, folder):
    """Killed while its job runs: the application outlives it, with the tag of the model."""
    model = f"{folder}/model"
    with driver(toy.uri, model) as process:
        process.wait_for("half-001-")
        process.wait_for_application()
        process.kill()
    (orphan,) = yarn.applications(storage_of(model).absolute(model))

    train_on(toy.uri, model)

    assert arrays_of(model) == undisturbed
    assert hadoop.get("resourcemanager", f"/ws/v1/cluster/apps/{orphan}")["app"]["finalStatus"] == "KILLED"
    assert storage_of(model).names(model) == ["generations", "model.json"]


def test_two_drivers_do_not_work_on_one_model(toy, folder):
    storage_of(folder).make_directory(folder)

    with Lease(folder), pytest.raises(BusyError, match=r"process \d+ on .* is working on it"):
        train_on(toy.uri, folder)


def test_all_users_are_recommended_to_by_a_job(trained, folder, cli):
    code, _, err = cli("recommend", "--model", trained, "--output", f"{folder}/top", "-n", "3", "-r", "hadoop")

    assert code == 0, err
    storage = storage_of(folder)
    names = storage.names(f"{folder}/top")
    text = b"".join(storage.read(f"{folder}/top/{name}") or b"" for name in names if name.startswith("part-"))
    model = mr_als.load(trained)
    expected = [
        f"{user}\t{rank}\t{item}\t{score:.6f}"
        for user in model.user_ids
        for rank, (item, score) in enumerate(model.recommend(user, 3), 1)
    ]
    assert sorted(text.decode().splitlines()) == sorted(expected)
    assert {"_SUCCESS", "_manifest.json"} <= set(names)


def test_splits_and_evaluates_the_same_as_inline(toy, folder, tmp_path, cli):
    found = {}
    for log, place, chosen in ((toy.local, str(tmp_path), ()), (toy.uri, folder, ("-r", "hadoop"))):
        parts = [f"--{part}={place}/{part}" for part in ("train", "test")]
        code, _, err = cli("split", log, "--share", "0.2", "--user-blocks", "2", *parts, *chosen)
        assert code == 0, err
        if not chosen:
            run([f"{place}/train"], tmp_path / "model", options(iterations=1))
        code, out, err = cli("evaluate", "--model", tmp_path / "model", f"{place}/test", "--json", *chosen)
        assert code == 0, err
        storage = storage_of(place)
        names = [name for name in storage.names(f"{place}/test") if name.startswith("part-")]
        found[chosen] = [storage.read(f"{place}/test/{name}") for name in names], json.loads(out)

    assert found["-r", "hadoop"] == found[()]


def test_a_model_in_hdfs_explains_and_verifies_itself(trained, cli):
    assert cli("verify", "--model", trained)[0] == 0
    code, out, _ = cli("explain", "--model", trained, "user-1", "taste-1-item-3", "--json")
    assert code == 0
    assert np.isclose(json.loads(out)["total"], json.loads(out)["score"], rtol=1e-3)


def test_a_node_whose_python_lacks_packages_fails_the_first_job_in_words(toy, folder, tmp_path):
    """A Python of its own without packages, named by an mrjob.conf as a user would."""
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    (tmp_path / "mrjob.conf").write_text(json.dumps({"runners": {"hadoop": {"python_bin": str(bare)}}}))
    words = ("-c", str(tmp_path / "mrjob.conf"), "-D", "mapreduce.map.maxattempts=2")

    with pytest.raises(JobFailedError, match=r"bare-python on a node cannot run a task, .*: give the nodes one .*docs/engines\.md"):
        train_on(toy.uri, f"{folder}/model", mrjob_arguments=words)


def test_files_of_this_machine_are_refused_before_anything_runs(toy, tmp_path):
    with pytest.raises(UsageError, match=r"-r hadoop works on the files of a cluster; give a URI such as hdfs:///model"):
        train_on(toy.uri, str(tmp_path / "model"))
    with pytest.raises(UsageError, match=r"give a URI such as hdfs:///counts\.tsv"):
        train_on(toy.local, "hdfs:///models/never")
    assert not Path(tmp_path / "model").exists()
    assert Engine("inline").owned_by(str(tmp_path)).owner == str(tmp_path)


def test_plays_in_hdfs_grow_to_the_bytes_of_all_logs_at_once(toy, folder, tmp_path):
    """A day of two is added to the other, which was prepared alone, as before there was --add."""
    plays, lines = f"{folder}/plays", Path(toy.local).read_text().splitlines(keepends=True)
    for n in range(2):
        storage_of(folder).make_directory(f"{folder}/logs")
        storage_of(folder).upload(write(tmp_path / f"{n}.tsv", lines[n::2]), f"{folder}/logs/{n}.tsv")
    prepare([f"{folder}/logs/0.tsv"], plays, SHORT.inputs, on_yarn(2))
    grown = grow([f"{folder}/logs"], Task(plays, SHORT.inputs, on_yarn(2), Progress(quiet=True), PlanOptions(), 0, False))

    found = open_plays(plays, on_yarn(2))

    whole = prepare([toy.local], str(tmp_path / "whole"), SHORT.inputs)
    assert (grown.added, grown.skipped, grown.segments) == (1, 1, 2)
    assert [(n, bytes(b)) for side in SIDES for n, b in getattr(found, side).blocks()] == [
        (n, bytes(b)) for side in SIDES for n, b in getattr(whole, side).blocks()
    ]
    assert "lock" not in storage_of(folder).names(plays)
