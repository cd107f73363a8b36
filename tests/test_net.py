"""Nothing that a person does ends in a traceback, in scratch files, or in two commands that write one output."""

from __future__ import annotations

import contextlib
import csv
import errno
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import pyarrow
import pytest

from mr_als import cli
from mr_als.engine.outputs import held
from mr_als.errors import BusyError
from tests.toy import toy_lines, write

ROOT = Path(cli.__file__).parent.parent
SMALL = ("--rank", "2", "--max-iterations", "1", "-q")


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("logs") / "counts.tsv", toy_lines())


@pytest.fixture(scope="module")
def model(logs, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("models") / "m")
    assert cli.main(["train", logs, "--model", path, *SMALL]) == 0
    return path


@pytest.fixture(scope="module")
def plays(logs, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("prepared") / "plays")
    assert cli.main(["prepare", logs, "--plays", path, "-q"]) == 0
    return path


def start(*arguments, **options):
    """Start the command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("environment", {})}
    command = [sys.executable, "-m", "mr_als", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


# what libraries and the system raise


def unreadable():
    """Make one of each error by which a library says that a file is not what it expects."""
    for read in (
        lambda: next(csv.reader(["a\rb"])), lambda: json.loads("{"), lambda: zlib.decompress(b"no"),
        lambda: struct.unpack("<q", b"short"), lambda: b"\xff".decode(), lambda: pyarrow.ipc.open_file(pyarrow.py_buffer(b"no")),
    ):  # fmt: skip
        with contextlib.suppress(OSError):
            try:
                read()
            except Exception as error:
                yield error
    yield EOFError("Compressed file ended before the end-of-stream marker was reached")
    yield pyarrow.lib.ArrowInvalid("Parquet magic bytes not found in footer")


@pytest.mark.parametrize("error", list(unreadable()), ids=lambda error: type(error).__name__)
def test_what_a_library_raises_while_it_reads_is_one_sentence(error, logs, cli, monkeypatch, tmp_path):
    def broken(*args, **options):
        raise error

    monkeypatch.setattr("mr_als.training.train.train", broken)

    code, out, err = cli("train", logs, "--model", tmp_path / "m", "-q")
    _, _, verbose = cli("train", logs, "--model", tmp_path / "m", "-v")

    assert (code, out) == (1, "")
    assert err.startswith("mr-als: a file cannot be read (")
    assert str(error) in err
    assert len(err.splitlines()) == 1
    assert "Traceback" in verbose


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "m/factors.npy"), "m/factors.npy: Permission denied; check that"),
        (OSError(errno.ELOOP, "Too many levels of symbolic links", b"a"), "a: Too many levels of symbolic links"),
        (OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b"), "a -> b: Invalid cross-device link"),
        (OSError(errno.EIO, "Input/output error"), "mr-als: Input/output error"),
        (OSError("something odd"), "mr-als: something odd"),
        (OSError(), "mr-als: OSError"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), "a: No space left on device; finished work is kept; make room"),
        (MemoryError("Unable to allocate 7.45 GiB"), "not enough memory (Unable to allocate 7.45 GiB); give a smaller"),
    ],
)
def test_what_the_system_refuses_is_one_sentence_with_the_file(error, text, logs, cli, monkeypatch, tmp_path):
    def broken(*args, **options):
        raise error

    monkeypatch.setattr("mr_als.training.train.train", broken)

    code, out, err = cli("train", logs, "--model", tmp_path / "m", "-q")

    assert (code, out) == (1, "")
    assert text in err
    assert len(err.splitlines()) == 1


def test_a_file_that_cannot_be_written_is_named(logs, cli, tmp_path, monkeypatch):
    """Its directory goes while the training runs."""
    (tmp_path / "figures").mkdir()
    monkeypatch.setattr("mr_als.commands.train._train", lambda args: (0, (tmp_path / "figures").rmdir()))

    code, _, err = cli("train", logs, "--model", tmp_path / "m", *SMALL, "--metrics", tmp_path / "figures" / "train.prom")

    assert code == 1
    assert f"{tmp_path / 'figures' / 'train.prom'}" in err
    assert "No such file or directory; check that it exists" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("name", "why"), [("missing/train.prom", "there is no directory"), (".", "it is a directory")])
def test_figures_that_could_not_be_written_are_refused_before_anything_runs(name, why, logs, cli, tmp_path):
    code, _, err = cli("train", logs, "--model", tmp_path / "m", *SMALL, "--metrics", tmp_path / name)

    assert code == 2
    assert err.startswith(f"mr-als: --metrics {tmp_path / name}: {why}")
    assert not (tmp_path / "m").exists()


# for programs


def one_object(err):
    """Read the log of a command that says one thing."""
    (line,) = err.splitlines()
    return json.loads(line)


@pytest.mark.parametrize("words", [("--log-format", "json"), ("--log-format=json",)])
def test_an_error_is_an_object_for_programs(words, cli, tmp_path):
    code, out, err = cli("similar", "--model", tmp_path / "m", "x", *words)

    said = one_object(err)
    assert (code, out) == (1, "")
    assert (said["level"], said["event"], said["kind"], said["exit_code"]) == ("error", "error", "ModelError", 1)
    assert said["message"].startswith(f"{tmp_path / 'm'}: no published model in it")


def test_arguments_that_are_not_understood_are_an_object_too(cli):
    code, _, err = cli("train", "x.tsv", "--log-format", "json", "--rank", "many", "--model", "m")

    said = one_object(err)
    assert (code, said["exit_code"], said["kind"]) == (2, 2, "UsageError")
    assert "--rank" in said["message"]


def test_what_is_only_warned_of_is_an_object_too(model, cli, tmp_path):
    items = write(tmp_path / "items.txt", ["hit-0\n", "unknown\n"])

    code, _, err = cli("recommend", "--model", model, "user-1", "--allow", items, "--include-played", "--log-format", "json")

    assert code == 0
    assert one_object(err)["level"] == "warning"
    assert "1 of 2 items are not in the model" in one_object(err)["message"]


def test_the_log_of_a_library_is_objects_too(logs, cli, tmp_path):
    code, _, err = cli("train", logs, "--model", tmp_path / "m", *SMALL[:-1], "-v", "--log-format", "json")

    assert code == 0
    assert "mrjob" in {json.loads(line)["event"] for line in err.splitlines()}


def test_a_signal_is_an_object_too(logs, tmp_path):
    half = tmp_path / "m" / "work" / "half-001.json"
    words = ("--max-iterations", "1000000", "--tolerance", "0", "-q", "--log-format", "json")
    process = start("train", logs, "--model", tmp_path / "m", *words)
    wait_until(half.exists)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)

    assert (process.returncode, one_object(err)["event"], one_object(err)["exit_code"]) == (143, "terminated", 143)


# signals


def descendants(process):
    """List the processes below one, from /proc."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, fields = path.parent.name, path.read_text(errors="replace").rsplit(")", 1)[1].split()
            parents.setdefault(int(fields[1]), []).append(int(name))
    found, new = [], [process]
    while new:
        new = [child for parent in new for child in parents.get(parent, [])]
        found += new
    return found


def runs(process):
    """Say whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(true, seconds=60.0):
    """Look until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("runner", "number", "code", "said"),
    [
        ("inline", signal.SIGTERM, 143, "terminated"),
        ("local", signal.SIGTERM, 143, "terminated"),
        ("inline", signal.SIGHUP, 129, "hung up"),
    ],
)
def test_a_signal_that_ends_a_training_leaves_no_scratch_files_and_no_tasks(runner, number, code, said, logs, tmp_path):
    (tmp_path / "scratch").mkdir()
    half = tmp_path / "m" / "work" / "half-001.json"
    process = start(
        "train", logs, "--model", tmp_path / "m", "-r", runner, "--max-iterations", "1000000", "--tolerance", "0", "-q",
        "--metrics", tmp_path / "train.prom",
        environment={"TMPDIR": str(tmp_path / "scratch")},
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # which nohup ignores for all it starts
    )  # fmt: skip

    # a task of the local runner is a grandchild: mrjob forks a pool, whose processes start the tasks
    wait_until(lambda: half.exists() and (runner == "inline" or len(descendants(process.pid)) > 2))
    below = descendants(process.pid)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)

    assert process.returncode == code
    assert err == f"mr-als: {said}; finished work is kept; repeat the command to resume\n"
    assert os.listdir(tmp_path / "scratch") == []
    assert f'mr_als_train_exit_code{{model="{tmp_path / "m"}"}} {code}\n' in (tmp_path / "train.prom").read_text()
    wait_until(lambda: not any(runs(task) for task in below))
    assert cli.main(["train", logs, "--model", str(tmp_path / "m"), "--restart", *SMALL]) == 0


def test_a_signal_leaves_no_part_of_an_output(model, tmp_path):
    (tmp_path / "users").mkdir()
    os.mkfifo(tmp_path / "users" / "fifo")
    process = start("recommend", "--model", model, "--allow", tmp_path / "users" / "fifo", "--output", tmp_path / "top", "-q")
    with open(tmp_path / "users" / "fifo", "wb"):  # it waits for ids that do not come
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    assert process.returncode == 143
    assert [path.name for path in tmp_path.iterdir()] == ["users"]


def test_a_signal_that_is_ignored_stays_so(logs, tmp_path):
    process = start(
        "train", logs, "--model", tmp_path / "m", *SMALL, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    wait_until(lambda: (tmp_path / "m" / "work").exists())
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)

    assert process.returncode == 0


def test_the_handlers_are_put_back(model):
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    try:
        assert cli.main(["verify", "--model", model, "-q"]) == 0
        assert [signal.getsignal(number) for number in numbers] == [signal.SIG_DFL, signal.SIG_DFL]
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


IMPATIENT = """
import os, signal, sys
import mr_als.training.train
from mr_als import cli

def train(*args, **options):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        open(sys.argv[1], "w").close()

mr_als.training.train.train = train
sys.exit(cli.main(["train", "x.tsv", "--model", "m", "-q"]))
"""


def test_a_second_signal_does_not_interrupt_what_is_cleaned_up_after_the_first(tmp_path):
    command = [sys.executable, "-c", IMPATIENT, str(tmp_path / "cleaned")]

    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 143, done.stderr
    assert (tmp_path / "cleaned").exists()


# two commands with one output


def outputs(logs, model, plays, place):
    """List the commands that write a new output, which is held."""
    yield ["prepare", logs, "--plays", place]
    yield ["recommend", "--model", model, "--output", place]
    yield ["export", "--model", model, "--format", "tsv", "-o", place]
    yield ["sweep", "--plays", plays, "--validation", logs, "--output", place]
    yield ["split", logs, "--train", place, "--test", f"{place}-test"]
    yield ["split", logs, "--train", f"{place}-train", "--test", place]


@pytest.mark.parametrize("number", range(6))
def test_of_two_commands_with_one_output_the_second_is_refused_by_name(number, logs, model, plays, cli, tmp_path):
    command = list(outputs(logs, model, plays, tmp_path / "out"))[number]
    with held(str(tmp_path / "out")):
        code, _, err = cli(*command, "-q")

    assert code == 1
    assert f"{tmp_path / 'out'}: process {os.getpid()} on " in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.glob("*.new")) == []
    assert not (tmp_path / "out" / "plays.json").exists()


def test_an_output_is_held_by_one_at_a_time_and_what_holds_it_goes(tmp_path):
    """Eight threads take it again and again; each has file descriptors of its own, as processes have."""
    inside, most, taken = [], [], []

    def take():
        while len(taken) < 200:
            with contextlib.suppress(BusyError), held(str(tmp_path / "out")):
                inside.append(1)
                most.append(len(inside))
                taken.append(1)
                inside.pop()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) >= 200
    assert max(most) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_output_is_held_by_the_lock_that_others_find(tmp_path, monkeypatch):
    """Who held it before removes the lock between the moments at which it is opened and locked here."""
    lock, real = tmp_path / ".out.lock", fcntl.flock
    opened = []

    def flock(file, operation):
        opened.append(file)
        if len(opened) == 1:
            lock.unlink()
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)

    with held(str(tmp_path / "out")):
        assert len(opened) == 2
        assert lock.exists()
        with pytest.raises(BusyError), held(str(tmp_path / "out")):
            pass
    assert not lock.exists()


@pytest.mark.parametrize(("train", "test"), [("a", "a"), ("a", "./a/"), ("a", "a/b"), ("a/b", "a"), ("link", "a")])
def test_a_split_whose_parts_share_a_directory_is_refused_first(train, test, logs, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "a") if train == "link" else None

    code, _, err = cli("split", logs, "--train", train, "--test", test, "-q")

    assert code == 2
    assert "name one for each part" in err or "link exists" in err
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["train", "LOGS", "--model", ""], "--model"),
        (["train", "LOGS", "", "--model", "m"], "LOGS"),
        (["prepare", "LOGS", "--plays="], "--plays"),
        (["split", "LOGS", "--train", "", "--test", "t"], "--train"),
        (["recommend", "--model", "MODEL", "--output", ""], "-o/--output"),
        (["recommend", "--model", "MODEL", ""], "USER"),
        (["recommend", "--model", "MODEL", "--plays", ""], "--plays"),
        (["explain", "--model", "MODEL", "user-1", ""], "ITEM"),
        (["evaluate", "--model", "MODEL", ""], "TEST"),
    ],
)
def test_a_name_that_is_empty_is_refused(command, name, logs, model, cli, tmp_path, monkeypatch):
    """As of a variable that is not set: the working directory, whose name it would be, is not meant."""
    monkeypatch.chdir(tmp_path)

    code, out, err = cli(*({"LOGS": logs, "MODEL": model}.get(word, word) for word in command))

    assert (code, out) == (2, "")
    assert err.startswith(f"mr-als: {name}: an empty name; is a shell variable unset? See: mr-als {command[0]} --help")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mark", ["\t", "\n", "\r"])
def test_a_working_directory_whose_name_no_line_can_hold_is_refused(mark, logs, cli, tmp_path, monkeypatch):
    (tmp_path / f"a{mark}b").mkdir()
    monkeypatch.chdir(tmp_path / f"a{mark}b")

    code, _, err = cli("train", logs, "--model", "m", *SMALL)

    assert code == 2
    assert "a tab or a line end in the name of a directory or file" in err
    assert not any((tmp_path / f"a{mark}b").iterdir())


# numbers too large to be calculated with


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--regularization-exponent=1e9", "from 0 to 4"),
        ("--task-memory=1e30", "not a size"),
        (f"--task-memory={'9' * 400}", "below 900T"),
        ("--task-memory=999999999T", "below 900T"),
        ("--task-memory=0", "at least 1M"),
        ("--alpha=1e300", "from 1e-15 to 1e+15"),
        ("--regularization=1e-300", "from 1e-15 to 1e+15"),
        (f"--min-ms-played={'9' * 400}", "below 2^63"),
        (f"--seed={'9' * 5000}", "whole number"),
        ("--salt=9223372036854775808", "below 2^63"),
    ],
)
def test_a_number_that_would_overflow_is_refused_first(option, text, cli, tmp_path):
    code, _, err = cli("train", "x.tsv", "--model", tmp_path / "m", option)

    assert code == 2
    assert text in err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "sizes", [("1e30", "5", "5"), ("5", "9" * 400, "5"), ("5", "5", "1e16"), ("inf", "5", "5"), ("1e15", "1e15", "2e15")]
)
def test_a_plan_of_sizes_beyond_all_bounds_is_refused(sizes, cli):
    code, _, err = cli("plan", "--users", sizes[0], "--items", sizes[1], "--pairs", sizes[2], "--no-measure")

    assert code == 2
    assert "from 1 to 1e+15" in err


def test_a_plan_of_the_largest_sizes_is_made(cli):
    code, out, err = cli("plan", "--users", "1e15", "--items", "1e15", "--pairs", "1e15", "--no-measure", "-q")

    assert (code, err) == (0, "")
    assert "users" in out


LOST = """
import os, signal, sys, time
import mr_als.training.train
from mr_als import cli

cli._AGAIN = 0.2

class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

def ignored(*args, **options):
    Finalised()
    time.sleep(30)

def caught(*args, **options):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
    except:
        raise AttributeError("an argument is missing")

def cleaned(*args, **options):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
    finally:
        time.sleep(1)
        open(sys.argv[2], "w").close()

mr_als.training.train.train = {"ignored": ignored, "caught": caught, "cleaned": cleaned}[sys.argv[1]]
sys.exit(cli.main(["train", "x.tsv", "--model", "m", "-q"]))
"""


@pytest.mark.parametrize("how", ["ignored", "caught", "cleaned"])
def test_a_signal_whose_exception_gets_lost_ends_the_command_all_the_same(how, tmp_path):
    """Python ignores one in a finaliser, and mrjob catches all there are; what cleans up has the time that it takes."""
    done = subprocess.run(
        [sys.executable, "-c", LOST, how, str(tmp_path / "cleaned")],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=25,
    )  # fmt: skip

    assert done.returncode == 143, done.stderr
    assert done.stderr == "mr-als: terminated; finished work is kept; repeat the command to resume\n"
    assert (tmp_path / "cleaned").exists() == (how == "cleaned")
