"""Files in a real HDFS: the promises of `Storage`, the same for local files."""

from __future__ import annotations

import threading
import time

import pytest

from mr_als.engine.storage import storage_of
from mr_als.engine.webhdfs import web_addresses
from mr_als.errors import BadInputError, StorageError, UsageError

pytestmark = pytest.mark.hadoop


@pytest.fixture(params=["hdfs", "file"])
def place(request, tmp_path):
    """A directory of each file system."""
    path = request.getfixturevalue("folder") if request.param == "hdfs" else str(tmp_path / "folder")
    storage_of(path).make_directory(path)
    return path


@pytest.fixture
def storage(place):
    return storage_of(place)


def test_what_was_written_is_read_whole_and_in_ranges(storage, place):
    data = bytes(range(256)) * 5000

    assert storage.create(f"{place}/a b+%23ä.bin", data)

    assert storage.read(f"{place}/a b+%23ä.bin") == data
    assert storage.read_range(f"{place}/a b+%23ä.bin", 300_000, 700) == data[300_000:300_700]
    with storage.open(f"{place}/a b+%23ä.bin") as file:
        assert b"".join(iter(lambda: file.read(99_999), b"")) == data
    assert storage.size(f"{place}/a b+%23ä.bin") == len(data)
    assert storage.names(place) == ["a b+%23ä.bin"]


def test_a_local_file_is_uploaded(storage, place, tmp_path):
    (tmp_path / "local").write_bytes(b"x" * 5_000_000)

    storage.upload(str(tmp_path / "local"), f"{place}/uploaded")

    assert storage.sizes(place) == {"uploaded": 5_000_000}


def test_a_file_is_created_once(storage, place):
    assert storage.create(f"{place}/half-001.json", b"first")

    assert not storage.create(f"{place}/half-001.json", b"second")

    assert storage.read(f"{place}/half-001.json") == b"first"
    assert storage.names(place) == ["half-001.json"]


def test_of_many_who_create_a_file_at_once_one_does(storage, place):
    created: list[int] = []

    def attempt(number: int) -> None:
        if storage.create(f"{place}/half-001.json", b"%d" % number * 100):
            created.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(created) == 1
    assert storage.read(f"{place}/half-001.json") == b"%d" % created[0] * 100


def test_replacing_is_seen_as_the_old_or_the_new_file_and_never_as_none(storage, place):
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


def test_a_rename_refuses_a_target_that_exists(storage, place):
    for name in ("old", "new"):
        storage.make_directory(f"{place}/{name}")

    with pytest.raises(FileExistsError):
        storage.rename(f"{place}/old", f"{place}/new")

    storage.rename(f"{place}/old", f"{place}/newer")
    assert storage.names(place) == ["new", "newer"]


def test_missing_files_are_none_and_nothing(storage, place):
    assert storage.read(f"{place}/none") is None
    assert storage.size(f"{place}/none") == -1
    assert storage.names(f"{place}/none") == []
    assert storage.sizes(f"{place}/none") == {}
    storage.remove(f"{place}/none")
    with pytest.raises(StorageError, match="gone or cut off"):
        storage.read_range(f"{place}/none", 0, 1)


def test_logs_are_named_by_files_directories_and_globs(storage, place):
    for name in ("a.tsv", "b.tsv", "sub/c.tsv", "_SUCCESS", ".hidden", "_temporary/d.tsv"):
        storage.make_directory(f"{place}/{name}".rsplit("/", 1)[0])
        storage.create(f"{place}/{name}", b"x")

    def names(*patterns: str) -> list[str]:
        return [path.removeprefix(place + "/") for path in storage.expand([f"{place}/{p}" for p in patterns])]

    assert names("a.tsv") == ["a.tsv"]
    assert names("") == ["a.tsv", "b.tsv", "sub/c.tsv"]
    assert names("?.tsv", "s*/*.tsv") == ["a.tsv", "b.tsv", "sub/c.tsv"]
    with pytest.raises(BadInputError, match="no such file"):
        names("x*")


def test_a_changed_file_has_another_identity(storage, place):
    storage.replace(f"{place}/log", b"one")
    before = storage.identify(f"{place}/log")
    time.sleep(0.01)

    storage.replace(f"{place}/log", b"two")

    assert storage.identify(f"{place}/log") != before


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
