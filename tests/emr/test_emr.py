"""`-r emr`: mrjob's own EMR runner against a stand-in of AWS; what it submits is looked at, and run in little."""

from __future__ import annotations

import bz2
import gzip
import json
import re
import sys
from pathlib import Path

import pytest

import mr_als
from mr_als.cli import main
from mr_als.engine import mrjob_fixes
from mr_als.engine.runners import emr as emr_module
from mr_als.engine.runners.runner import Call
from mr_als.errors import UsageError
from mr_als.preparing.plays import read_plays
from mr_als.records.blocks import SIDES
from mr_als.storage.places import storage_of
from tests.emr.streaming import Emr
from tests.toy import generation_bytes, toy_lines, write

pytestmark = pytest.mark.emr

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "mrjob-emr.conf"
BLOCKS = ("--user-blocks", "2", "--item-blocks", "2", "-q")
PLAN = ("--rank", "5", "--max-iterations", "1", "--user-blocks", "2", "--item-blocks", "2", "--tolerance", "0", "-q")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def emr(aws, monkeypatch):
    """Run the steps that are added to clusters, while the driver waits for them."""
    mrjob_fixes.load_runner("emr")
    import mrjob.emr

    stand_in = Emr()
    monkeypatch.setattr(mrjob.emr, "time", stand_in)
    return stand_in


@pytest.fixture
def logs(bucket):
    """Upload logs, some of them compressed, and return their URI."""
    lines = [line.encode() for line in toy_lines()]
    for n, (end, pack) in enumerate({"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}.items()):
        storage_of(bucket).write(f"{bucket}/logs/counts.tsv{end}", pack(b"".join(lines[n::3])))
    return f"{bucket}/logs"


def arrays(model):
    """Read the bytes of a model's arrays."""
    found = generation_bytes(Path(mr_als.load(model).path))
    return {name: data for name, data in found.items() if name.endswith(".npy")}


@pytest.fixture(scope="module")
def inline(tmp_path_factory):
    """Train on the same logs on this machine with each join, and return the arrays by join."""
    place = tmp_path_factory.mktemp("inline")
    write(place / "counts.tsv", toy_lines())
    for join in ("broadcast", "shuffle"):
        assert main(["train", str(place / "counts.tsv"), "--model", str(place / join), *PLAN, "--join", join]) == 0
    return {join: arrays(str(place / join)) for join in ("broadcast", "shuffle")}


@pytest.fixture
def python(tmp_path):
    """Write an mrjob.conf that runs tasks in this interpreter, as a cluster of its kind would, and return the option."""
    path = tmp_path / "mrjob.conf"
    path.write_text(json.dumps({"runners": {"emr": {"python_bin": sys.executable, "jobconf": {"mapreduce.job.reduces": 3}}}}))
    return ("-c", str(path))


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_a_whole_training_ends_with_the_factors_of_the_inline_runner(join, emr, logs, bucket, python, inline):
    assert main(["train", logs, "--model", f"{bucket}/m", "-r", "emr", *python, *PLAN, "--join", join]) == 0

    assert arrays(f"{bucket}/m") == inline[join]
    assert len(emr.steps) == 10  # prepare, a first pass and four more, half 0, and three halves


def test_a_run_whose_step_failed_goes_on_to_the_same_factors(emr, logs, bucket, python, inline, capfd):
    command = ["train", logs, "--model", f"{bucket}/m", "-r", "emr", *python, *PLAN, "--join", "broadcast"]
    emr.fails = {4}

    assert main(command) == 1
    assert "job mr_solve failed on runner emr" in capfd.readouterr().err
    assert storage_of(bucket).size(f"{bucket}/m/model.json") == -1
    assert main(command) == 0

    assert arrays(f"{bucket}/m") == inline["broadcast"]
    assert len(emr.steps) == 11  # the failed one again, and none that was done


def test_all_users_are_recommended_to_by_a_job(emr, logs, bucket, python, tmp_path):
    assert main(["train", logs, "--model", f"{bucket}/m", *PLAN]) == 0
    command = ["recommend", "--model", f"{bucket}/m", "-n", "3", "-q"]

    assert main([*command, "--output", f"{bucket}/top", "-r", "emr", *python]) == 0
    assert main([*command, "--output", str(tmp_path / "top")]) == 0

    storage = storage_of(bucket)
    names = storage.names(f"{bucket}/top")
    found = b"".join(storage.read(f"{bucket}/top/{name}") or b"" for name in names if name.startswith("part-"))
    expected = b"".join(path.read_bytes() for path in (tmp_path / "top").glob("part-*"))
    assert sorted(found.splitlines()) == sorted(expected.splitlines())
    assert {"_SUCCESS", "_manifest.json"} <= set(names)
    assert len(emr.steps) == 1
    assert storage.names(bucket) == ["logs", "m", "top"]


def test_splits_and_evaluates_the_same_as_inline(emr, logs, bucket, python, tmp_path, capfd):
    found = []
    for place, engine in ((str(tmp_path), []), (f"{bucket}/parts", ["-r", "emr", *python])):
        assert main(["split", logs, "--train", f"{place}/train", "--test", f"{place}/test", "-q", *engine]) == 0
        if not found:
            assert main(["train", f"{place}/train", "--model", f"{bucket}/m", *PLAN]) == 0
        capfd.readouterr()
        assert main(["evaluate", "--model", f"{bucket}/m", f"{place}/test", "-k", "50", "--json", "-q", *engine]) == 0
        storage = storage_of(f"{place}/test")
        pairs = [storage.read(path) for part in ("train", "test") for path in storage.expand([f"{place}/{part}"])]
        found.append((pairs, json.loads(capfd.readouterr().out)))

    assert found[1] == found[0]
    assert len(emr.steps) == 3  # the split, prepare for the test part, and evaluate


def test_what_is_submitted(emr, logs, bucket):
    """A cluster of our settings, and a step that is Hadoop Streaming with the job, the package and nothing else."""
    emr.runs = False

    assert main(["prepare", logs, "--plays", f"{bucket}/plays", "-r", "emr"]) == 1  # a step that wrote nothing is not believed

    cluster, (step,) = emr.clusters[-1], emr.steps
    assert (cluster.release_label, cluster.service_role, cluster.role) == ("emr-7.10.0", "EMR_DefaultRole", "EMR_EC2_DefaultRole")
    assert cluster.bootstrap_actions == []
    assert not cluster.keep_job_flow_alive_when_no_steps
    assert cluster.log_uri.startswith(f"{bucket}/plays/")
    assert [uri.split("#")[1] for uri in step["files"]] == ["mr_ingest.py"]
    assert [uri.split("#")[1] for uri in step["archives"]] == ["mr_als"]
    assert step["mapper"][0].startswith("python3.11 mr_ingest.py --step-num=0 --mapper --input lines")
    assert step["reducer"][0].startswith("python3.11 mr_ingest.py --step-num=0 --reducer --input lines")
    assert step["input"] == [f"{logs}/counts.tsv{end}" for end in ("", ".bz2", ".gz")]
    assert re.fullmatch(rf"{bucket}/plays/attempt-\w+/output/", step["output"][0])
    conf = dict(pair.split("=", 1) for pair in step["D"])
    assert conf["mapreduce.job.reduces"] == "1"  # for so little
    assert conf["mapreduce.reduce.memory.mb"] == str(-(-(1024 * 11 // 10) // 1) + 512 + 1)
    assert sorted(step["cmdenv"]) == ["OPENBLAS_NUM_THREADS=1", "PYTHONPATH=."]


def test_a_step_that_wrote_nothing_is_not_believed(emr, logs, bucket, capfd):
    emr.runs = False

    assert main(["prepare", logs, "--plays", f"{bucket}/plays", "-r", "emr"]) == 1

    assert "no _SUCCESS in it" in capfd.readouterr().err
    assert storage_of(bucket).size(f"{bucket}/plays/plays.json") == -1


def test_nothing_of_a_job_is_left_in_s3_but_its_output(emr, logs, bucket, python):
    assert main(["prepare", logs, "--plays", f"{bucket}/plays", "-r", "emr", *python]) == 0

    (attempt,) = (name for name in storage_of(bucket).names(f"{bucket}/plays") if name.startswith("attempt-"))
    assert storage_of(bucket).names(f"{bucket}/plays/{attempt}") == ["output"]


def test_the_example_of_a_configuration_is_taken_and_has_the_last_word(emr, logs, bucket, tmp_path):
    emr.runs = False
    conf = tmp_path / "mrjob-emr.conf"
    conf.write_text(EXAMPLE.read_text().replace("BUCKET", bucket.removeprefix("s3://")))

    main(["prepare", logs, "--plays", f"{bucket}/plays", "-r", "emr", "-c", str(conf), "-D", "mapreduce.job.reduces=7"])

    cluster, step = emr.clusters[-1], emr.steps[-1]
    assert cluster.log_uri == f"{bucket}/logs/emr/"
    assert cluster.ec2_subnet_id == "subnet-0123456789abcdef0"
    groups = cluster.emr_backend.get_instance_groups(cluster.instance_group_ids)
    assert {(g.role, g.instance_type, g.num_instances) for g in groups} == {("MASTER", "m6i.xlarge", 1), ("CORE", "r6i.2xlarge", 4)}
    (script,) = emr.bootstraps[-1]
    assert "sudo dnf install -y python3.11 python3.11-pip" in script
    assert "sudo python3.11 -m pip install 'mrjob>=0.7.4' 'numpy>=1.24'" in script
    assert dict(pair.split("=", 1) for pair in step["D"])["mapreduce.job.reduces"] == "7"


def test_jobs_are_added_to_a_cluster_that_is_named(emr, logs, bucket, python, tmp_path):
    from mrjob.emr import EMRJobRunner

    made = EMRJobRunner(
        conf_paths=[], release_label="emr-7.10.0", region="eu-west-1", cloud_tmp_dir=f"{bucket}/tmp/", bootstrap_mrjob=False,
        iam_instance_profile="EMR_EC2_DefaultRole", iam_service_role="EMR_DefaultRole", applications=["Hadoop"],
    )  # fmt: skip
    name, before = made.make_persistent_cluster(), len(emr.clusters)
    conf = tmp_path / "cluster.conf"
    conf.write_text(json.dumps({"runners": {"emr": {"cluster_id": name}}}))

    for name in ("plays", "more"):
        assert main(["prepare", logs, "--plays", f"{bucket}/{name}", "-r", "emr", *python, "-c", str(conf), "-q"]) == 0

    assert len(emr.clusters) == before
    assert len(emr.steps) == 2
    assert emr.clusters[-1].state != "TERMINATED"


def test_a_failed_step_is_a_failed_job_and_the_last_good_model_stays(emr, logs, bucket, python, tmp_path, capfd):
    assert main(["train", logs, "--model", f"{bucket}/m", *PLAN]) == 0
    before = storage_of(bucket).read(f"{bucket}/m/model.json")
    broken = tmp_path / "broken.conf"
    broken.write_text(json.dumps({"runners": {"emr": {"python_bin": "false"}}}))

    assert main(["train", logs, "--model", f"{bucket}/m", "-r", "emr", "-c", str(broken), *PLAN]) == 1

    assert "job mr_ingest failed on runner emr" in capfd.readouterr().err
    assert storage_of(bucket).read(f"{bucket}/m/model.json") == before


def test_what_is_on_this_machine_is_refused_before_anything_is_made(emr, logs, bucket, small_logs, tmp_path, capfd):
    before = len(emr.clusters)

    assert main(["train", logs, "--model", str(tmp_path / "m"), "-r", "emr"]) == 2
    assert "give a URI such as s3://BUCKET/m" in capfd.readouterr().err
    assert main(["train", small_logs, "--model", f"{bucket}/m", "-r", "emr"]) == 2
    assert "give a URI such as s3://BUCKET/counts.tsv" in capfd.readouterr().err
    assert len(emr.clusters) == before


def test_without_boto3_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(emr_module, "find_spec", lambda name: None)

    with (
        pytest.raises(UsageError, match=r"pip install 's3fs>=2024.12'"),
        emr_module.Emr().arguments(Call("mr_solve", [], "s3://b/out")),
    ):
        pass


def test_plays_in_s3_grow_and_are_cut_anew_to_those_of_inline(emr, bucket, python, tmp_path):
    lines, here, there = toy_lines(), str(tmp_path / "here"), f"{bucket}/plays"
    for n in range(2):
        storage_of(bucket).write(f"{bucket}/logs/{n}.tsv", "".join(lines[n::2]).encode())
        assert main(["prepare", f"{bucket}/logs", "--plays", there, "--add", "-r", "emr", *python, *BLOCKS]) == 0
    assert main(["prepare", f"{bucket}/logs", "--plays", here, "--user-blocks", "3", "--item-blocks", "1", "-q"]) == 0

    assert main(["prepare", "--plays", there, "--replan", "--user-blocks", "3", "--item-blocks", "1", "-r", "emr", *python]) == 0

    found, expected = (
        [list(map(bytes_of, getattr(read_plays(place), side).blocks())) for side in SIDES] for place in (there, here)
    )
    assert found == expected
    assert len(emr.steps) == 3


def bytes_of(block):
    return block[0], bytes(block[1])
