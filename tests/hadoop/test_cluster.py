"""The single-node Hadoop itself: it runs a streaming job, survives losing a daemon, and knows itself from another."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from local_hadoop.cluster import DAEMONS, Cluster

pytestmark = pytest.mark.hadoop


def test_all_five_daemons_run_as_processes_of_their_own(hadoop):
    assert hadoop.status() == dict.fromkeys(DAEMONS, "up")
    assert len({hadoop.pid(daemon) for daemon in DAEMONS}) == 5


def test_a_streaming_job_counts_words_on_yarn(hadoop, folder, tmp_path):
    (tmp_path / "words").write_text("to be\nor not\nto be\n")
    hadoop.command("hadoop", "fs", "-mkdir", "-p", folder)
    hadoop.command("hadoop", "fs", "-put", str(tmp_path / "words"), f"{folder}/words")
    jar = next((hadoop.home / "share/hadoop").glob("hadoop-streaming-*.jar"))

    job = hadoop.command(
        "hadoop", "jar", str(jar), "-D", "mapreduce.job.reduces=1", "-input", f"{folder}/words", "-output", f"{folder}/counts",
        "-mapper", "/usr/bin/tr ' ' '\\n'", "-reducer", "/usr/bin/uniq -c",
    )  # fmt: skip

    counts = hadoop.command("hadoop", "fs", "-cat", f"{folder}/counts/part-00000").stdout
    assert [line.split() for line in counts.splitlines()] == [["2", "be"], ["1", "not"], ["1", "or"], ["2", "to"]]
    assert "map 100% reduce 100%" in job.stderr


def test_a_cluster_started_elsewhere_is_not_taken_for_ours(hadoop, tmp_path):
    """Same ports, but another id: as if a NameNode of somebody else answered there."""
    (tmp_path / "made.json").write_text(json.dumps({**hadoop.made, "id": "CID-of-somebody-else"}))

    assert hadoop.is_ours()
    assert not Cluster(tmp_path, hadoop.home).is_ours()


@pytest.mark.faults
def test_a_killed_daemon_is_seen_and_comes_back(hadoop):
    hadoop.kill("nodemanager")
    assert hadoop.status()["nodemanager"] == "died"

    hadoop.start()

    assert hadoop.status() == dict.fromkeys(DAEMONS, "up")
    assert hadoop.has_node()


def test_stopping_ends_the_containers_that_a_node_manager_left_and_nothing_else(hadoop, tmp_path):
    """On a cluster that never ran: what is called as a container is, and something else."""
    cluster = Cluster(tmp_path / "run", hadoop.home)
    container, other = (
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", str(path)])
        for path in (cluster.run / "local/usercache/me/container_1", tmp_path / "other")
    )
    try:
        cluster.stop()

        assert container.wait(10) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        container.kill()
        other.kill()
        container.wait()
        other.wait()
