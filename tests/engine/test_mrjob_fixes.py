"""Each workaround for mrjob, by what goes wrong without it."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import logging
import os
import subprocess
import sys
import textwrap
from datetime import datetime

import pytest
from mrjob import inline
from mrjob import runner as runners

from mr_als.engine import launch
from mr_als.engine.loose_version import LooseVersion
from mr_als.engine.runners.runner import Call
from mr_als.errors import BadInputError, JobFailedError

JOB = '''
import pathlib, sys
from mr_als.engine.job import ALSJob
from mr_als.errors import BadInputError

class MREcho(ALSJob):
    """Count lines by file, print on the way, and fail when told to."""

    def configure_args(self):
        super().configure_args()
        self.add_passthru_arg("--fail", default="")
        self.add_file_arg("--word")
        self.add_passthru_arg("--node", action="store_true")

    def mapper_init(self):
        self.n = 0

    def mapper(self, kind, value):
        self.n += 1
        if self.options.fail == "ours":
            raise BadInputError("line 7: expected a cat, got a dog")
        if self.options.fail == "bug":
            raise KeyError("a bug")
        print("printed in a mapper")
        print("printed to stderr \\u2603", file=sys.stderr)
        yield kind, value

    def mapper_final(self):
        yield b"count", (b"0", b"%d" % self.n)
        if self.options.word:
            word = pathlib.Path(self.options.word)
            yield b"word", (b"0", word.read_bytes())
            if self.options.node:
                yield b"node", (b"0", b"%d" % word.stat().st_ino)

    def reducer(self, kind, values):
        print("printed in a reducer")
        for value in values:
            yield kind, value

JOB = MREcho

if __name__ == "__main__":
    MREcho.run()
'''


@pytest.fixture
def run_echo(tmp_path, monkeypatch):
    """Run the job on files, and give the lines that come out, sorted."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "mr_echo.py").write_text(JOB)
    (tmp_path / "mr_als").mkdir()
    monkeypatch.delitem(sys.modules, "mr_als_job_mr_echo", raising=False)

    def run(inputs, runner="inline", *arguments, tasks=1):
        # loaded from where launch looks for jobs, beside the package
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(launch.engine, "__file__", str(tmp_path / "mr_als" / "engine" / "__init__.py"))
            launch.load_job("mr_echo")
        parts = launch.run_job(Call("mr_echo", inputs, str(tmp_path / f"out-{runner}"), arguments, tasks=tasks), runner)
        lines = []
        for part in parts:
            with open(part, "rb") as file:
                lines += file.read().splitlines()
        return sorted(lines)

    yield run
    sys.modules.pop("mr_als_job_mr_echo", None)


LINES = [b"kind\t%08d\tpayload\n" % n for n in range(6)]


@pytest.mark.parametrize("runner", ["inline", "local"])
@pytest.mark.parametrize(("name", "compress"), [("in.gz", gzip.compress), ("in.bz2", bz2.compress)])
def test_all_members_of_a_compressed_input_reach_the_job(name, compress, runner, run_echo, tmp_path):
    """mrjob alone stops after the first member, silently."""
    (tmp_path / name).write_bytes(compress(LINES[0]) + compress(b"") + compress(b"".join(LINES[1:])))

    assert run_echo([str(tmp_path / name)], runner) == sorted([b"count\t0\t6", *(line.strip() for line in LINES)])


@pytest.mark.parametrize("runner", ["inline", "local"])
@pytest.mark.parametrize(("name", "compress"), [("in.gz", gzip.compress), ("in.bz2", bz2.compress)])
def test_a_compressed_input_that_is_cut_off_fails_the_job(name, compress, runner, run_echo, tmp_path):
    data = compress(b"".join(LINES)) + compress(os.urandom(3000))
    (tmp_path / name).write_bytes(data[:-100])

    with pytest.raises(JobFailedError, match="in the middle of a member"):
        run_echo([str(tmp_path / name)], runner)


@pytest.mark.parametrize("padding", [1, 512, 100_000])
def test_zeros_behind_a_gz_file_are_padding(padding, run_echo, tmp_path):
    """As tapes and some tools write them; `gzip -d` ignores them too."""
    (tmp_path / "in.gz").write_bytes(gzip.compress(b"".join(LINES)) + bytes(padding))

    assert b"count\t0\t6" in run_echo([str(tmp_path / "in.gz")])


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_an_input_file_is_one_map_task(runner, run_echo, tmp_path):
    """mrjob cuts files by bytes, and would part the pieces of a block."""
    paths = []
    for n in range(2):
        paths.append(str(tmp_path / f"{n}.lines"))
        with open(paths[-1], "wb") as file:
            file.writelines(LINES[: 3 + n])

    lines = run_echo(paths, runner, tasks=4)

    assert [line for line in lines if line.startswith(b"count")] == [b"count\t0\t3", b"count\t0\t4"]


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_what_a_task_prints_is_no_output(runner, run_echo, tmp_path, capfd):
    (tmp_path / "in").write_bytes(b"".join(LINES))

    lines = run_echo([str(tmp_path / "in")], runner)

    assert lines == sorted([b"count\t0\t6", *(line.strip() for line in LINES)])
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("runner", ["inline", "local"])
@pytest.mark.parametrize("name", ["a#b", "#", "x[1]*", "two words", "%2e"])
def test_any_directory_may_hold_inputs_and_files_of_a_job(name, runner, run_echo, tmp_path):
    """mrjob takes an input for a glob, and what stands behind a # for another name of a file."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "in").write_bytes(LINES[0])
    (tmp_path / name / "word").write_bytes(b"aardvark")

    lines = run_echo([str(tmp_path / name / "in")], runner, f"--word={tmp_path / name / 'word'}")

    assert lines == [b"count\t0\t1", LINES[0].strip(), b"word\t0\taardvark"]


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_a_large_file_is_no_copy_and_stays_as_it_is(runner, run_echo, tmp_path):
    """mrjob alone copies it, and makes the copy executable."""
    (tmp_path / "in").write_bytes(LINES[0])
    (tmp_path / "word").write_bytes(bytes(range(65, 91)) * 100_000)
    before = (tmp_path / "word").stat()

    lines = run_echo([str(tmp_path / "in")], runner, f"--word={tmp_path / 'word'}", "--node")

    assert b"node\t0\t%d" % before.st_ino in lines
    assert b"word\t0\t" + bytes(range(65, 91)) * 100_000 in lines
    assert (tmp_path / "word").stat().st_mode == before.st_mode


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_an_error_of_ours_in_a_task_comes_out_as_itself_and_a_bug_names_the_job(runner, run_echo, tmp_path):
    (tmp_path / "in").write_bytes(LINES[0])

    with pytest.raises(BadInputError, match=r"^line 7: expected a cat, got a dog$"):
        run_echo([str(tmp_path / "in")], runner, "--fail=ours")
    with pytest.raises(JobFailedError, match=r"job mr_echo failed on runner .*KeyError.*a bug"):
        run_echo([str(tmp_path / "in")], runner, "--fail=bug")


def test_a_job_that_is_not_installed_is_named():
    with pytest.raises(JobFailedError, match=r"job mr_none\.py is neither in .* nor in .*: reinstall mr_als"):
        launch.load_job("mr_none")


def test_running_a_job_leaves_no_handler_on_mrjobs_log(run_echo, tmp_path):
    (tmp_path / "in").write_bytes(LINES[0])
    before = list(logging.getLogger("mrjob").handlers)

    run_echo([str(tmp_path / "in")])

    assert logging.getLogger("mrjob").handlers == before


def test_jobs_that_start_in_the_same_microsecond_do_not_share_a_scratch_directory(run_echo, tmp_path, monkeypatch):
    """mrjob names it by script, user and time, and removes another job's of that name."""

    class Stopped(datetime):
        @classmethod
        def utcnow(cls):
            return cls(2026, 1, 2, 3, 4, 5, 6)

    names, real = [], runners.MRJobRunner._get_local_tmp_dir
    monkeypatch.setattr(runners.datetime, "datetime", Stopped)
    monkeypatch.setattr(runners.MRJobRunner, "_get_local_tmp_dir", lambda self: names.append(real(self)) or names[-1])
    for name in ("first", "second"):
        (tmp_path / name).write_bytes(b"".join(LINES))
        run_echo([str(tmp_path / name)])

    assert len({*names}) == 2
    assert all(".20260102.030405.000006" in name for name in names)


def test_an_environment_that_a_signal_kept_mrjob_from_restoring_is_put_back(run_echo, tmp_path, monkeypatch):
    """It clears it, and then fills it again."""

    @contextlib.contextmanager
    def broken_off():
        yield
        os.environ.clear()
        os.environ["MAPREDUCE_JOB_ID"] = "left behind"
        raise KeyboardInterrupt

    before = dict(os.environ)
    (tmp_path / "in").write_bytes(LINES[0])
    monkeypatch.setattr(inline, "save_current_environment", broken_off)

    with pytest.raises(KeyboardInterrupt):
        run_echo([str(tmp_path / "in")])

    assert dict(os.environ) == before


def test_mrjob_imports_where_pipes_and_distutils_are_gone():
    """As on Python 3.13 without setuptools; and what other code finds of them is as before."""
    code = """
        import sys
        class Gone:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("pipes", "distutils", "_distutils_hack"):
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Gone())
        for name in [n for n in sys.modules if n.partition(".")[0] in ("pipes", "distutils")]:
            del sys.modules[name]
        import mr_als.engine.mrjob_fixes
        import mrjob.job, mrjob.local, mrjob.hadoop
        assert not [n for n in sys.modules if n.partition(".")[0] in ("pipes", "distutils")]
        print("ok")
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True
    )

    assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        ("2.7.1", "2.7.1", 0),
        ("2.7", "2.7.1", -1),
        ("2.10", "2.9", 1),
        ("0.20.203", "1.0", -1),
        ("3.4.2", "3.4.2a", -1),
        ("1", "a", -1),
    ],
)
def test_versions_compare_as_distutils_compared_them(one, other, order):
    a, b = LooseVersion(one), LooseVersion(other)

    assert (a < b, a == b, a > b) == (order < 0, order == 0, order > 0)
    assert (a < other, a == other, a > other) == (order < 0, order == 0, order > 0)
    assert (hash(a) == hash(b)) == (order == 0)
