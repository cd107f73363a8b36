"""Files in a real HDFS: the promises of every storage, and what is HDFS' own."""

from __future__ import annotations

import threading

import pytest

from mr_als.errors import UsageError
from mr_als.storage.hadoop_conf import web_addresses
from mr_als.storage.places import storage_of
from tests.storage.storage_promises import StoragePromises

pytestmark = pytest.mark.hadoop


class TestHdfs(StoragePromises):
    @pytest.fixture
    def place(self, folder):
        return folder


def test_replacing_is_seen_as_the_old_or_the_new_file_and_never_as_none(folder):
    storage, place = storage_of(folder), folder
    storage.replace(f"{place}/model.json", b"0" * 50_000)
    done, seen = threading.Event(), []

    def look() -> None:
        while not done.is_set():
            found = storage.read(f"{place}/model.json")
            seen.append(None if found is None else (found[:1], len(set(found)), len(found)))

    reader = threading.Thread(target=look)
    reader.start()
    for n in range(1, 20):
        storage.replace(f"{place}/model.json", b"%d" % (n % 10) * 50_000)
    done.set()
    reader.join()

    # HDFS opens by name and then reads from another machine: a reader may be told that the file it found is gone
    assert {entry[1:] for entry in seen if entry} == {(1, 50_000)}
    assert storage.names(place) == ["model.json"]


def test_who_lost_what_was_to_become_the_file_does_not_take_that_of_another_for_it(folder, monkeypatch):
    storage = storage_of(folder)
    storage.create(f"{folder}/lock", b"another's")
    write = type(storage).write

    def write_and_lose(self, path, *data):
        write(self, path, *data)
        self.remove(path)

    monkeypatch.setattr(type(storage), "write", write_and_lose)

    assert not storage.create(f"{folder}/lock", b"ours")
    assert storage.read(f"{folder}/lock") == b"another's"


def test_a_namenode_that_comes_back_is_waited_for(hadoop, folder):
    storage = storage_of(folder)
    storage.make_directory(folder)
    hadoop.kill("namenode")
    timer = threading.Timer(2, hadoop.up, ["namenode"])
    timer.start()

    created = storage.create(f"{folder}/later", b"data")
    timer.join()

    assert created
    assert storage.read(f"{folder}/later") == b"data"


def test_the_web_address_follows_from_the_configuration():
    plain = {"fs.defaultFS": "hdfs://nn:8020", "dfs.namenode.http-address": "0.0.0.0:50070"}
    pair = {
        "dfs.ha.namenodes.prod": "n1,n2",
        "dfs.namenode.http-address.prod.n1": "a:9870",
        "dfs.namenode.http-address.prod.n2": "b:9870",
    }

    assert web_addresses("nn:8020", plain) == ["http://nn:50070"]
    assert web_addresses("other:8020", plain) == ["http://other:9870"]
    assert web_addresses("prod", pair) == ["http://a:9870", "http://b:9870"]
    assert web_addresses("nn", {"dfs.http.policy": "HTTPS_ONLY"}) == ["https://nn:9871"]


def test_without_a_configuration_it_says_what_to_set(monkeypatch):
    for name in ("HADOOP_CONF_DIR", "HADOOP_HOME", "HADOOP_PREFIX", "HADOOP_INSTALL"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(UsageError, match="HADOOP_CONF_DIR"):
        storage_of("hdfs:///logs")
