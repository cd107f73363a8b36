"""Files: what is created is whole and created once; what is named is found."""

from __future__ import annotations

import os
import threading

import pytest

from mr_als.errors import BadInputError, UsageError
from mr_als.storage.local import LocalStorage
from mr_als.storage.places import storage_of
from tests.storage.storage_promises import StoragePromises

storage = LocalStorage()


def names_in(directory):
    return sorted(os.listdir(directory))


class TestLocalStorage(StoragePromises):
    @pytest.fixture
    def place(self, tmp_path):
        return str(tmp_path / "folder")


def test_of_several_processes_that_create_one_file_exactly_one_wins(tmp_path):
    path, children = str(tmp_path / "file"), []
    gate, opened = os.pipe()
    for number in range(6):
        if not (child := os.fork()):
            os.close(opened)
            os.read(gate, 1)  # returns when the parent closes its end
            os._exit(0 if storage.create(path, b"%d" % number) else 1)
        children.append(child)
    os.close(gate)
    os.close(opened)

    won = [number for number, child in enumerate(children) if os.waitpid(child, 0)[1] == 0]

    assert [storage.read(path)] == [b"%d" % number for number in won]


def test_readers_see_the_old_or_the_new_file_while_it_is_replaced(tmp_path):
    path, done = str(tmp_path / "model.json"), threading.Event()
    contents = [bytes([letter]) * 100_000 for letter in b"ab"]
    storage.replace(path, contents[0])

    def write():
        for turn in range(30):
            storage.replace(path, contents[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(storage.read(path))
    writer.join()

    assert seen <= set(contents)
    assert names_in(tmp_path) == ["model.json"]


@pytest.mark.parametrize("write", [storage.create, storage.replace])
def test_a_write_that_fails_leaves_nothing_behind(write, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left"):
        write(str(tmp_path / "file"), b"data")

    assert names_in(tmp_path) == []


def test_what_lies_below_a_file_is_missing(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    assert storage.read(str(tmp_path / "file/none")) is None
    assert storage.size(str(tmp_path / "file/none")) == -1
    assert storage.names(str(tmp_path / "file/none")) == []


def test_a_directory_that_cannot_be_made_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(UsageError, match=r"file/below: cannot be made a directory \(Not a directory\)"):
        storage.make_directory(str(tmp_path / "file" / "below"))


@pytest.fixture
def logs(tmp_path):
    """A directory of logs, with files that Hadoop would not read either."""
    for name in ("b.tsv", "a.tsv", "day/c.tsv", ".hidden", "_SUCCESS", "_tmp/d.tsv", "day/.e.tsv", "we[i]rd *.tsv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def found_in(logs, *patterns):
    paths = storage.expand([str(logs / pattern) for pattern in patterns])
    return [os.path.relpath(path, logs) for path in paths]


def test_a_directory_stands_for_all_files_in_it_that_are_not_hidden(logs):
    assert found_in(logs, "") == ["a.tsv", "b.tsv", "day/c.tsv", "we[i]rd *.tsv"]


def test_a_glob_stands_for_what_it_matches_and_a_name_for_itself(logs):
    assert found_in(logs, "?.tsv") == ["a.tsv", "b.tsv"]
    assert found_in(logs, "we[i]rd *.tsv") == ["we[i]rd *.tsv"]
    assert found_in(logs, "_SUCCESS") == ["_SUCCESS"]


def test_a_file_named_twice_is_read_once_in_an_order_that_does_not_depend_on_the_command_line(logs):
    assert found_in(logs, "b.tsv", "a.tsv", "day/../b.tsv", "[ab].tsv") == ["a.tsv", "b.tsv"]


@pytest.mark.parametrize("pattern", ["missing.tsv", "*.gz", "_tmp/*.gz", "empty"])
def test_a_pattern_that_names_nothing_is_bad_input_that_names_it(pattern, logs):
    (logs / "empty").mkdir()

    with pytest.raises(BadInputError, match="no such file") as caught:
        found_in(logs, "a.tsv", pattern)

    assert str(logs / pattern) in str(caught.value)


def test_linked_directories_are_followed_once_and_no_file_is_read_twice(tmp_path):
    """A circle of links, a link to a directory elsewhere, links and a second name of a file in the same directory."""
    for name in ("logs/a.tsv", "logs/day/b.tsv", "elsewhere/2024/c.tsv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for name, target in {
        "logs/0": "day", "logs/day/up": "..", "logs/old": "../elsewhere", "logs/old2": "../elsewhere/2024",
        "logs/A.tsv": "a.tsv", "logs/self": "self",
    }.items():  # fmt: skip
        (tmp_path / name).symlink_to(target)
    (tmp_path / "logs/z.tsv").hardlink_to(tmp_path / "logs/a.tsv")
    left_out = {}

    found = storage.expand([str(tmp_path / "logs"), str(tmp_path / "logs/old")], left_out)

    assert [os.path.relpath(path, tmp_path / "logs") for path in found] == ["a.tsv", "day/b.tsv", "old/2024/c.tsv"]
    again = dict.fromkeys(("0", "A.tsv", "day/up", "old2", "z.tsv"), "other names of files that are read")
    assert {os.path.relpath(path, tmp_path / "logs"): why for path, why in left_out.items()} == {
        **again, "self": "a link that leads nowhere",
    }  # fmt: skip


def test_what_cannot_be_read_in_a_directory_is_told_with_the_reason(tmp_path, monkeypatch):
    (tmp_path / "a.tsv").write_text("x")
    (tmp_path / "c.tsv").symlink_to("/mnt/not-mounted/c.tsv")
    (tmp_path / "closed").mkdir()
    os.mkfifo(tmp_path / "pipe")
    scandir = os.scandir

    def scan(path):
        if os.path.basename(path) == "closed":  # no mode of it keeps a superuser out
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    left_out = {}

    assert storage.expand([str(tmp_path)], left_out) == [str(tmp_path / "a.tsv")]
    assert {os.path.basename(path): why for path, why in left_out.items()} == {
        "c.tsv": "a link that leads nowhere", "closed": "a directory without permission to enter",
        "pipe": "neither a file nor a directory, but a pipe, socket or device",
    }  # fmt: skip
    with pytest.raises(BadInputError, match=r"closed: no such file.*closed is left out: a directory without permission to enter"):
        storage.expand([str(tmp_path / "a.tsv"), str(tmp_path / "closed")])


def test_a_glob_matches_hidden_names_only_if_it_says_so(logs):
    (logs / "_tmp/_e.tsv").write_text("x")

    assert found_in(logs, "*") == ["a.tsv", "b.tsv", "day/c.tsv", "we[i]rd *.tsv"]
    assert found_in(logs, "_S*") == ["_SUCCESS"]
    assert found_in(logs, "_tmp/*") == ["_tmp/d.tsv"]
    assert found_in(logs, "**/*.tsv") == ["a.tsv", "b.tsv", "day/c.tsv", "we[i]rd *.tsv"]


def test_a_pipe_is_refused_because_it_can_be_read_only_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(BadInputError, match="pipe: not a regular file"):
        storage.expand([str(tmp_path / "pipe")])


def test_a_name_with_a_tab_or_line_end_is_refused(tmp_path):
    (tmp_path / "a\tb.tsv").write_text("x")

    with pytest.raises(BadInputError, match=r"'.*a\\tb\.tsv': a tab or a line end"):
        storage.expand([str(tmp_path)])


def test_an_unknown_scheme_is_a_usage_error():
    with pytest.raises(UsageError, match="gopher://"):
        storage_of("gopher://logs")
