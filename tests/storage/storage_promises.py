"""What every storage promises, as a class of tests: a test module subclasses it and gives `place`, a directory to write to."""

from __future__ import annotations

import threading

import pytest

from mr_als.errors import BadInputError, StorageError
from mr_als.storage.places import storage_of


class StoragePromises:
    """The tests."""

    @pytest.fixture
    def storage(self, place):
        storage = storage_of(place)
        storage.make_directory(place)
        return storage

    def test_what_was_written_is_read_whole_and_in_ranges(self, storage, place):
        name, data = "a b+%23ä?#.bin", bytes(range(256)) * 5000

        assert storage.create(f"{place}/{name}", data)

        assert storage.read(f"{place}/{name}") == data
        assert storage.read_range(f"{place}/{name}", 300_000, 700) == data[300_000:300_700]
        with storage.open(f"{place}/{name}") as file:
            assert b"".join(iter(lambda: file.read(99_999), b"")) == data
        assert storage.size(f"{place}/{name}") == len(data)
        assert storage.names(place) == [name]

    def test_a_local_file_is_uploaded(self, storage, place, tmp_path_factory):
        local = tmp_path_factory.mktemp("local") / "file"
        local.write_bytes(b"x" * 5_000_000)
        storage.make_directory(f"{place}/sub")

        storage.upload(str(local), f"{place}/sub/uploaded")

        assert storage.sizes(f"{place}/sub") == {"uploaded": 5_000_000}
        assert storage.names(place) == ["sub"]
        assert storage.sizes(place) == {}

    def test_a_file_is_created_once(self, storage, place):
        assert storage.create(f"{place}/half-001.json", b"first")

        assert not storage.create(f"{place}/half-001.json", b"second")

        assert storage.read(f"{place}/half-001.json") == b"first"
        assert storage.names(place) == ["half-001.json"]

    def test_of_many_who_create_a_file_at_once_one_does(self, storage, place):
        created, start = [], threading.Barrier(8)

        def attempt(number):
            start.wait()
            if storage.create(f"{place}/half-001.json", b"%d" % number * 100):
                created.append(number)

        threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [storage.read(f"{place}/half-001.json")] == [b"%d" % number * 100 for number in created]
        assert storage.names(place) == ["half-001.json"]

    def test_a_file_that_is_replaced_has_other_content_and_another_identity(self, storage, place):
        storage.replace(f"{place}/model.json", b"old")
        before = storage.identify(f"{place}/model.json")

        storage.replace(f"{place}/model.json", b"newer")

        assert storage.read(f"{place}/model.json") == b"newer"
        assert storage.identify(f"{place}/model.json") != before
        assert storage.names(place) == ["model.json"]

    def test_a_directory_is_removed_with_all_in_it_and_nothing_beside_it(self, storage, place):
        for name in ("work/a", "work/b/c", "work-2/d"):
            storage.make_directory(f"{place}/{name}".rsplit("/", 1)[0])
            storage.create(f"{place}/{name}", b"x")

        storage.remove(f"{place}/work")

        assert storage.names(place) == ["work-2"]
        assert storage.names(f"{place}/work-2") == ["d"]

    def test_a_directory_is_renamed_unless_the_target_exists(self, storage, place):
        for name in ("old/_SUCCESS", "old/part-0", "old/sub/part-1", "other/part-2"):
            storage.make_directory(f"{place}/{name}".rsplit("/", 1)[0])
            storage.create(f"{place}/{name}", name.encode())

        with pytest.raises(FileExistsError):
            storage.rename(f"{place}/old", f"{place}/other")
        storage.rename(f"{place}/old", f"{place}/new")

        assert storage.names(place) == ["new", "other"]
        assert storage.names(f"{place}/new") == ["_SUCCESS", "part-0", "sub"]
        assert storage.read(f"{place}/new/sub/part-1") == b"old/sub/part-1"

    def test_missing_files_are_none_and_nothing(self, storage, place):
        assert storage.read(f"{place}/none") is None
        assert storage.size(f"{place}/none") == -1
        assert storage.names(f"{place}/none") == []
        assert storage.sizes(f"{place}/none") == {}
        storage.remove(f"{place}/none")
        storage.create(f"{place}/short", b"abc")
        for name, offset in (("none", 0), ("short", 2), ("short", 7)):
            with pytest.raises(StorageError, match="gone or cut off"):
                storage.read_range(f"{place}/{name}", offset, 2)
        with pytest.raises(BadInputError, match="none: [Nn]o such"):
            storage.identify(f"{place}/none")

    def test_logs_are_named_by_files_directories_and_globs(self, storage, place):
        for name in ("a.tsv", "b.tsv", "sub/c.tsv", "_SUCCESS", ".hidden", "_temporary/d.tsv"):
            storage.make_directory(f"{place}/{name}".rsplit("/", 1)[0])
            storage.create(f"{place}/{name}", b"x")

        def names(*patterns):
            return [path.removeprefix(place + "/") for path in storage.expand([f"{place}/{p}" for p in patterns])]

        assert names("a.tsv") == ["a.tsv"]
        assert names("") == ["a.tsv", "b.tsv", "sub/c.tsv"]
        assert names("?.tsv", "s*/*.tsv") == ["a.tsv", "b.tsv", "sub/c.tsv"]
        with pytest.raises(BadInputError, match="no such file"):
            names("x*")

    def test_what_a_directory_holds_and_is_no_log_is_told_with_the_reason(self, storage, place):
        for name in ("logs/a.tsv", "logs/_SUCCESS", "logs/day/.hidden"):
            storage.make_directory(f"{place}/{name}".rsplit("/", 1)[0])
            storage.create(f"{place}/{name}", b"x")
        left_out = {}

        assert storage.expand([f"{place}/logs"], left_out) == [f"{place}/logs/a.tsv"]
        assert left_out == {f"{place}/logs/{name}": "names that begin with . or _" for name in ("_SUCCESS", "day/.hidden")}
