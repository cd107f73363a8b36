"""Files of a model or a sweep that were changed after they were written: one sentence that says which, whatever the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import mr_als
from mr_als import cli as command_line
from mr_als.errors import ModelError
from tests.toy import toy_lines, write

SMALL = ("--rank", "2", "--max-iterations", "1", "-q")
TORN = [b"", b"{", b"[]", b"\xff", b"null"]


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("logs") / "counts.tsv", toy_lines())


@pytest.fixture(scope="module")
def trained(logs, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m"
    assert command_line.main(["train", logs, "--model", str(path), *SMALL]) == 0
    return path


@pytest.fixture
def model(trained, tmp_path):
    """Copy the model so that it may be damaged; return the copy and the directory of its generation."""
    shutil.copytree(trained, tmp_path / "m")
    return tmp_path / "m", Path(mr_als.load(str(tmp_path / "m")).generation)


@pytest.mark.parametrize("name", ["users/ids.txt", "users/ids_start.npy", "users/plays_item.npy", "users/plays_start.npy"])
@pytest.mark.parametrize("at", [0, 10, 128])
def test_a_file_of_a_model_that_was_overwritten_is_never_a_traceback(name, at, model, cli, tmp_path):
    """By bytes that are neither text nor numbers of any use, from a place on; its size stays."""
    path, generation = model
    data = (generation / name).read_bytes()
    (generation / name).write_bytes(data[:at] + b"\xa4" * (len(data) - at))

    for command in (
        ["recommend", "user-1"], ["recommend", "--all"], ["similar", "hit-0"], ["explain", "user-1", "hit-0"], ["verify"],
        ["report", "-o", tmp_path / "report.html"], ["export", "--format", "tsv", "-o", tmp_path / "tsv"],
    ):  # fmt: skip
        code, _, err = cli(command[0], "--model", path, *command[1:], "-q")

        # who reads none of what is damaged goes on
        assert code in (0, 1), command
        assert code == 0 or (err.startswith("mr-als: ") and len(err.splitlines()) == 1), command
    assert cli("verify", "--model", path)[0] == 1


@pytest.mark.parametrize("mark", [b"(", b"'", b"\xa4", b" "])
def test_a_header_of_an_array_with_any_byte_changed_is_no_traceback(mark, model):
    """NumPy reads it as Python: what it raises depends on the byte."""
    path, generation = model
    array = generation / "users" / "plays_start.npy"
    data, refused = array.read_bytes(), 0

    for place in range(128):
        array.write_bytes(data[:place] + mark + data[place + 1 :])
        try:
            mr_als.load(str(path))
        except ModelError as error:
            refused += "holds something else than arrays of numbers" in str(error)

    assert refused > 20


@pytest.mark.parametrize("row", [0, 119])
def test_an_id_that_is_no_text_is_named(row, model):
    path, generation = model
    data = bytearray((generation / "users" / "ids.txt").read_bytes())
    data[np.load(generation / "users" / "ids_start.npy")[row]] = 0xFF
    (generation / "users" / "ids.txt").write_bytes(data)
    opened = mr_als.load(str(path))

    with pytest.raises(ModelError, match=rf"users/ids\.txt: the id of row {row} is not UTF-8 .*: damaged, train again"):
        opened.user_ids[row]
    assert opened.user_ids[60].startswith("user-")


def test_what_goes_wrong_for_a_damaged_file_names_the_file(model, cli, tmp_path):
    """The error itself is one of NumPy's: places of items beyond all items."""
    path, generation = model
    array = np.load(generation / "users" / "plays_item.npy", mmap_mode="r+")
    array[3] = 10**9
    array.flush()

    code, _, err = cli("explain", "--model", path, mr_als.load(str(path)).user_ids[0], "hit-0")

    assert code == 1
    assert f"{generation}: users/plays_item.npy: not what was published; train again" in err


def test_what_goes_wrong_for_a_changed_model_json_says_so(model, cli, tmp_path):
    path, _ = model
    info = json.loads((path / "model.json").read_text())
    info["history"][-1]["seconds"] = None
    (path / "model.json").write_text(json.dumps(info))

    code, _, err = cli("report", "--model", path, "-o", tmp_path / "report.html", "-q")

    assert code == 1
    assert f"{path}: model.json is not what was published; train again" in err


def test_a_bug_keeps_its_traceback_where_the_model_is_sound(trained, tmp_path, monkeypatch):
    def broken(*args, **options):
        raise ZeroDivisionError

    monkeypatch.setattr("mr_als.reporting.page.report", broken)

    with pytest.raises(ZeroDivisionError):
        command_line.main(["report", "--model", str(trained), "-o", str(tmp_path / "report.html")])


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_description_of_a_generation_is_none(torn, model, logs, cli):
    """Training and listing go on: only what was said of it is lost."""
    path, generation = model
    generation.with_suffix(".json").write_bytes(torn)

    assert cli("train", logs, "--model", path, *SMALL)[0] == 0
    code, out, _ = cli("models", "--model", path)

    assert code == 0
    assert generation.name in out


@pytest.fixture(scope="module")
def swept(logs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    assert command_line.main(["prepare", logs, "--plays", str(folder / "plays"), "-q"]) == 0
    write(folder / "held-out.tsv", [f"user-{n}\ttaste-{(n + 1) % 4}-item-1\t1\n" for n in range(20)])
    command = ["sweep", "--plays", str(folder / "plays"), "--validation", str(folder / "held-out.tsv"), *SMALL, "--json"]
    assert command_line.main([*command, "--output", str(folder / "sweep")]) == 0
    return folder / "sweep", command


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_report_of_a_sweep_is_made_again_and_its_own_file_is_named(torn, swept, cli, tmp_path):
    shutil.copytree(swept[0], tmp_path / "sweep")
    (report,) = (tmp_path / "sweep").glob("*/validation.json")
    whole = json.loads(report.read_bytes())
    report.write_bytes(torn)

    assert cli(*swept[1], "--output", tmp_path / "sweep")[0] == 0
    assert {**json.loads(report.read_bytes()), "model": ""} == {**whole, "model": ""}

    report.write_text(json.dumps({**whole, "metrics": {"ndcg@10": "good"}}))
    assert cli(*swept[1], "--output", tmp_path / "sweep")[0] == 0
    assert {**json.loads(report.read_bytes()), "model": ""} == {**whole, "model": ""}

    (tmp_path / "sweep" / "sweep.json").write_bytes(torn)
    code, _, err = cli(*swept[1], "--output", tmp_path / "sweep")
    assert code == 1
    assert f"{tmp_path / 'sweep' / 'sweep.json'} is damaged" in err


def test_a_model_of_a_sweep_that_was_edited_is_named(swept, cli, tmp_path):
    shutil.copytree(swept[0], tmp_path / "sweep")
    (path,) = (tmp_path / "sweep").glob("*/model/model.json")
    info = json.loads(path.read_text())
    del info["options"]["weights"]
    path.write_text(json.dumps(info))

    code, _, err = cli(*swept[1], "--output", tmp_path / "sweep")

    assert code == 1
    assert f"{path.parent}: model.json cannot be read (no options.weights): damaged, train again" in err
