"""Logs and models in clouds with the local engines: the bytes of a disk, nothing half published, resume, one driver at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import mr_als
from mr_als.cli import main
from mr_als.engine import lease
from mr_als.engine.lease import Lease
from mr_als.errors import BusyError
from mr_als.storage.mirror import mirror_of
from mr_als.storage.places import storage_of
from tests.toy import generation_bytes, toy_lines, write

PLAN = ("--rank", "5", "--max-iterations", "1", "--user-blocks", "2", "--item-blocks", "2", "--tolerance", "0", "-q")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def logs(bucket):
    """Upload two logs and return their URI."""
    lines = toy_lines()
    for name, part in (("a.tsv", lines[:500]), ("day 1/лог ä.tsv", lines[500:])):
        storage_of(bucket).write(f"{bucket}/logs/{name}", "".join(part).encode())
    return f"{bucket}/logs"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Train on the same logs on a disk, and return the bytes of the model."""
    place = tmp_path_factory.mktemp("local")
    write(place / "counts.tsv", toy_lines())
    assert main(["train", str(place / "counts.tsv"), "--model", str(place / "model"), *PLAN]) == 0
    return generation_bytes(place / "model")


def published(model):
    """Read the bytes of all files of the published generation."""
    storage = storage_of(model)
    run = json.loads(storage.read(f"{model}/model.json"))["generation"]
    base = f"{model}/generations/{run}"
    return {path.removeprefix(base + "/"): storage.read(path) for path in storage.expand([base])}


@pytest.mark.parametrize("runner", ["inline", "local", pytest.param("spark", marks=pytest.mark.spark)])
def test_training_from_and_to_a_cloud_ends_with_the_bytes_of_a_disk(runner, logs, bucket, undisturbed, cache):
    model = f"{bucket}/my models/m ü"
    assert main(["train", logs, "--model", model, "-r", runner, *PLAN]) == 0

    assert published(model) == undisturbed
    assert storage_of(bucket).names(model) == ["generations", "model.json"]
    assert not list(cache.rglob("fetched"))


@pytest.fixture
def model(logs, bucket):
    assert main(["train", logs, "--model", f"{bucket}/m", *PLAN]) == 0
    return f"{bucket}/m"


def forget(model):
    """Remove what this machine keeps of a model, as if it were another machine."""
    storage_of(mirror_of(model)).remove(mirror_of(model))


def test_every_command_that_reads_a_model_takes_one_in_a_cloud(model, capfd, tmp_path):
    forget(model)

    for command in (
        ["recommend", "--model", model, "user-3", "-n", "2"],
        ["similar", "--model", model, "taste-0-item-1"],
        ["explain", "--model", model, "user-0", "taste-0-item-1"],
        ["verify", "--model", model],
        ["export", "--model", model, "--format", "npz", "-o", str(tmp_path / "model.npz")],
        ["report", "--model", model, "-o", str(tmp_path / "report.html")],
        ["train", "--plays", str(tmp_path / "plays"), "--model", str(tmp_path / "warm"), "--warm-start", model, *PLAN],
    ):
        if command[0] == "train":
            write(tmp_path / "counts.tsv", toy_lines())
            assert main(["prepare", str(tmp_path / "counts.tsv"), "--plays", str(tmp_path / "plays"), "-q"]) == 0
        assert main(command) == 0, capfd.readouterr().err
    assert mr_als.load(model).recommend("user-3", 1)[0][0].startswith("taste-3")


def test_a_model_is_fetched_once_and_anew_when_it_was_replaced(model, logs, cache):
    forget(model)
    first = mr_als.load(model)
    fetched = Path(first.generation, "items", "factors.npy")
    before = fetched.stat().st_mtime_ns

    assert mr_als.load(model).generation == first.generation
    assert fetched.stat().st_mtime_ns == before

    assert main(["train", logs, "--model", model, *PLAN]) == 0
    assert mr_als.load(model).generation != first.generation
    assert first.recommend("user-3", 2) == mr_als.load(model).recommend("user-3", 2)  # who has the old one open keeps it


def test_verify_looks_at_what_lies_there_and_not_at_a_copy(model, capfd):
    run = mr_als.load(model).info["generation"]
    path = f"{model}/generations/{run}/items/factors.npy"
    data = bytearray(storage_of(model).read(path))
    data[-1] ^= 1
    storage_of(model).replace(path, bytes(data))

    assert main(["verify", "--model", model]) == 1
    assert "items/factors.npy: not what was published" in capfd.readouterr().err


def test_recommendations_are_written_to_a_cloud_success_last(model, bucket, tmp_path):
    assert main(["recommend", "--model", model, "--output", f"{bucket}/out", "-q"]) == 0
    assert main(["recommend", "--model", model, "--output", str(tmp_path / "out"), "-q"]) == 0

    storage = storage_of(bucket)
    assert {name: storage.read(f"{bucket}/out/{name}") for name in storage.names(f"{bucket}/out")} == {
        path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()
    }
    assert main(["recommend", "--model", model, "--output", f"{bucket}/out", "-q"]) == 2


def train_elsewhere(logs, model, **variables):
    """Train in a process of its own."""
    code = f"import sys; from mr_als.cli import main; sys.exit(main({['train', logs, '--model', model, *PLAN]!r}))"
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **variables}, stderr=subprocess.PIPE)


@pytest.mark.parametrize("point", ["after-half-001", "before-publish", "after-publish"])
def test_a_killed_run_goes_on_to_the_same_bytes(point, logs, bucket, undisturbed):
    model = f"{bucket}/m"
    process = train_elsewhere(logs, model, MR_ALS_CRASH_AT=point)
    _, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, err.decode()
    assert (storage_of(model).size(f"{model}/model.json") >= 0) == (point == "after-publish")

    assert main(["train", logs, "--model", model, *PLAN]) == 0

    assert published(model) == undisturbed


def test_two_drivers_do_not_work_on_one_model(logs, bucket, capfd):
    with Lease(f"{bucket}/m"):
        code = main(["train", logs, "--model", f"{bucket}/m", *PLAN])

    assert code == 1
    assert "is working on it" in capfd.readouterr().err
    assert storage_of(bucket).names(f"{bucket}/m") == []


def test_a_lease_of_a_holder_that_shows_no_life_can_be_taken_over(bucket, monkeypatch):
    place = f"{bucket}/m"
    held = json.dumps({"host": "elsewhere", "process": 7, "name": "x"}).encode()
    storage_of(place).replace(f"{place}/lock", held)
    with pytest.raises(BusyError, match="process 7 on elsewhere is working on it"), Lease(place):
        pass

    monkeypatch.setattr(lease, "EXPIRY", -1.0)

    with Lease(place):
        assert storage_of(place).read(f"{place}/lock") != held
    assert storage_of(place).names(place) == []


def test_plays_stay_on_this_machine_and_the_error_says_so(logs, bucket, capfd):
    assert main(["prepare", logs, "--plays", f"{bucket}/plays"]) == 2
    assert "-r inline keeps plays on this machine" in capfd.readouterr().err


def test_logs_in_a_cloud_are_split_and_evaluated(logs, bucket, model, tmp_path, capfd):
    assert main(["split", logs, "--train", f"{bucket}/train", "--test", str(tmp_path / "test"), "-q"]) == 0
    written = [name for name in storage_of(bucket).names(f"{bucket}/train") if name.startswith("part-")]
    assert b"".join(storage_of(bucket).read(f"{bucket}/train/{name}") or b"" for name in written).count(b"\n") > 900
    storage_of(bucket).write(f"{bucket}/test/part.tsv", b"user-0\ttaste-1-item-1\t3\n")
    capfd.readouterr()

    assert main(["evaluate", "--model", model, f"{bucket}/test", "-k", "50", "--json", "-q"]) == 0

    assert json.loads(capfd.readouterr().out)["users"] == 1


def test_compressed_logs_with_bad_lines_in_a_cloud_say_where_the_bad_lines_are(bucket, tmp_path, capfd):
    import gzip

    storage_of(bucket).write(f"{bucket}/logs/c.tsv.gz", gzip.compress(("".join(toy_lines()) + "u\ti\tmany\n").encode()))

    assert main(["prepare", f"{bucket}/logs", "--plays", str(tmp_path / "plays")]) == 0

    assert f"{bucket.split('://')[1]}/logs/c.tsv.gz\t" in (tmp_path / "plays" / "bad-lines.tsv").read_text()
