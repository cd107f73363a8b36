"""Faults from outside: closed streams, a full disk, forged files, odd ids and environments: the same bytes, or one sentence."""

from __future__ import annotations

import ast
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest

import mr_als
from mr_als.cli import main
from mr_als.errors import ModelError
from mr_als.models.info import check_names
from tests.toy import generation_bytes, toy_lines, write

ROOT = Path(__file__).resolve().parents[1]
PLAN = ("--rank", "5", "--max-iterations", "1", "--user-blocks", "2", "--item-blocks", "2", "--tolerance", "0")


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("logs") / "counts.tsv", toy_lines())


@pytest.fixture(scope="module")
def model(logs, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m"
    assert main(["train", logs, "--model", str(path), *PLAN, "-q"]) == 0
    return path


@pytest.fixture
def copy(model, tmp_path):
    """Copy the model so that it may be damaged; return the copy and the directory of its generation."""
    shutil.copytree(model, tmp_path / "copy")
    return tmp_path / "copy", Path(mr_als.load(str(tmp_path / "copy")).generation)


def start(arguments, **options):
    """Run the command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("environment", {})}
    return subprocess.run(
        [sys.executable, "-m", "mr_als", *arguments], env=environment, capture_output=True, text=True, check=False, **options
    )


# closed streams


@pytest.mark.parametrize(("runner", "closed"), [("inline", (1,)), ("inline", (2,)), ("local", (0, 1, 2))])
def test_a_training_whose_streams_are_closed_publishes_the_same_bytes(runner, closed, logs, model, tmp_path):
    command = ["train", logs, "--model", str(tmp_path / "m"), "-r", runner, *PLAN]
    redirects = " ".join(f"{number}>&-" for number in closed)
    line = subprocess.list2cmdline([sys.executable, "-m", "mr_als", *command])

    done = subprocess.run(["sh", "-c", f"exec {line} {redirects}"], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)

    assert done.returncode == 0
    assert generation_bytes(tmp_path / "m") == generation_bytes(model)


# a full disk


@pytest.mark.parametrize("kilobytes", [0, 4])
def test_a_disk_that_is_full_leaves_the_last_model_and_a_run_that_goes_on(kilobytes, logs, model, copy):
    """Files may not grow beyond a few kB, which the jobs or the driver run into, depending on how few."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, kilobytes << 10))

    path, generation = copy
    done = start(["train", logs, "--model", str(path), *PLAN], preexec_fn=limit)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert mr_als.load(str(path)).generation == str(generation)
    assert main(["train", logs, "--model", str(path), *PLAN, "-q"]) == 0
    assert generation_bytes(path) == generation_bytes(model)


# forged files


@pytest.mark.parametrize("name", ["../../../x", "/etc/passwd", "..", "a/../../b", "", "x\n"])
def test_a_name_in_a_file_never_leads_out_of_its_directory(name):
    with pytest.raises(ModelError, match="outside"):
        check_names("s3://bucket/m", ["users/factors.npy", name])


def test_an_array_that_would_have_to_be_unpickled_is_refused(copy, tmp_path, capsys):
    """Planted with a manifest that fits: what it would do is not done."""
    path, generation = copy

    class Touch:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    array = generation / "items" / "factors.npy"
    np.save(array, np.array([Touch()], object), allow_pickle=True)
    manifest = json.loads((generation / "manifest.json").read_text())
    manifest["files"]["items/factors.npy"] = [array.stat().st_size, zlib.crc32(array.read_bytes())]
    (generation / "manifest.json").write_text(json.dumps(manifest))

    assert main(["recommend", "--model", str(path), "user-1"]) == 1

    assert "holds something else than arrays of numbers" in capsys.readouterr().err
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("name", ["log.tsv", "m/model.json", "plays/plays.json", "start.tsv"])
def test_a_pickle_in_the_place_of_any_file_is_not_read_as_one(name, logs, tmp_path, capsys):
    class Touch:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(pickle.dumps(Touch()))
    commands = {
        "log.tsv": ["train", str(tmp_path / "log.tsv"), "--model", str(tmp_path / "new")],
        "m/model.json": ["recommend", "--model", str(tmp_path / "m"), "user-1"],
        "plays/plays.json": ["train", "--plays", str(tmp_path / "plays"), "--model", str(tmp_path / "new")],
        "start.tsv": ["train", logs, "--initial-factors", str(tmp_path / "start.tsv"), "--model", str(tmp_path / "new"), *PLAN],
    }

    assert main(commands[name]) in (1, 2)

    assert capsys.readouterr().err.startswith(("mr-als: ", "prepare: "))
    assert not (tmp_path / "touched").exists()


def test_nothing_in_the_package_can_run_what_it_reads():
    """No pickle, eval, exec or YAML, in the package or in a job."""
    found = []
    for path in sorted([*(ROOT / "mr_als").rglob("*.py"), *(ROOT / "jobs").glob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            names += [node.func.id] if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else []
            names += [node.arg] if isinstance(node, ast.keyword) and node.arg == "allow_pickle" else []
            if {name.split(".")[0] for name in names} & {"pickle", "marshal", "shelve", "yaml", "eval", "exec", "allow_pickle"}:
                found.append(f"{path}:{getattr(node, 'lineno', 0)}")

    assert found == []


def test_a_half_of_another_run_is_refused(logs, model, tmp_path):
    """Same options and inputs, other run: its record and its files, put in the place of ours."""
    for name in ("ours", "other"):
        died = start(["train", logs, "--model", str(tmp_path / name), *PLAN], environment={"MR_ALS_CRASH_AT": "after-half-002"})
        assert died.returncode < 0
    for path in (tmp_path / "other" / "work").glob("half-002*"):
        target = tmp_path / "ours" / "work" / path.name
        shutil.copytree(path, target) if path.is_dir() else shutil.copy(path, target)

    done = start(["train", logs, "--model", str(tmp_path / "ours"), *PLAN])

    assert done.returncode == 1
    assert "half-002.json is of another run" in done.stderr
    assert start(["train", logs, "--model", str(tmp_path / "ours"), "--restart", *PLAN]).returncode == 0
    assert generation_bytes(tmp_path / "ours") == generation_bytes(model)


# odd ids

ODD = ["nan", "null", "None", "True", "0", "-1", "1e3", " leading", "trailing ", '"quoted"', "it's", "back\\slash", "\\t", "a,b"]
ODD += [
    "a;b",
    "#hash",
    "%2e",
    "..",
    "../../x",
    "Björk",
    unicodedata.normalize("NFD", "Björk"),
    "味",
    "\U0001f3b5",
    "\u2028",
    "\x85",
]
ODD += ["x" * 10_000]


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_odd_ids_come_out_as_they_went_in_and_none_is_two_or_half_of_two(runner, tmp_path):
    lines = [f"{user}\t{item}\t{1 + (n + m) % 5}\n" for n, user in enumerate(ODD) for m, item in enumerate(ODD) if (n + m) % 3]
    (tmp_path / "log.tsv").write_text("".join(lines), encoding="utf-8", newline="")
    command = ["train", str(tmp_path / "log.tsv"), "--model", str(tmp_path / "m"), "--join", "shuffle", "-r", runner, *PLAN, "-q"]

    assert main([*command, "--format", "counts"]) == 0

    trained = mr_als.load(str(tmp_path / "m"))
    assert sorted(trained.user_ids) == sorted(trained.item_ids) == sorted(ODD)
    for n, user in enumerate(ODD):
        assert sorted(trained.plays(user)) == sorted((item, float(1 + (n + m) % 5)) for m, item in enumerate(ODD) if (n + m) % 3)
    assert main(["recommend", "--model", str(tmp_path / "m"), "--output", str(tmp_path / "out"), "-r", runner, "-q"]) == 0
    text = b"".join(path.read_bytes() for path in sorted((tmp_path / "out").glob("part-*"))).decode()
    assert {tuple(line.split("\t")[::2]) for line in text.split("\n")[:-1]} == {
        (user, item) for n, user in enumerate(ODD) for m, item in enumerate(ODD) if (n + m) % 3 == 0
    }


# odd environments


@pytest.mark.parametrize(
    ("runner", "environment"),
    [
        ("inline", {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "Asia/Kathmandu", "LANG": ""}),
        ("local", {"PYTHONHASHSEED": "random", "LC_ALL": "tr_TR.UTF-8", "TZ": "America/St_Johns", "PYTHONUTF8": "0"}),
    ],
)
def test_a_training_gives_the_same_bytes_in_any_environment(runner, environment, logs, model, tmp_path):
    """Also with a umask that shuts others out, and in a working directory that cannot be written."""
    (tmp_path / "here").mkdir(mode=0o555)

    done = start(
        ["train", logs, "--model", str(tmp_path / "m"), "-r", runner, "--join", "shuffle", *PLAN],
        environment=environment, cwd=tmp_path / "here", umask=0o077,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert main(["train", logs, "--model", str(tmp_path / "n"), "--join", "shuffle", *PLAN, "-q"]) == 0
    assert generation_bytes(tmp_path / "m") == generation_bytes(tmp_path / "n")
