"""The command line: exit codes, help, and one sentence for every way to use it wrongly."""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mr_als import __version__, cli
from tests.toy import toy_lines, write

ROOT = Path(cli.__file__).parent.parent


def run(capsys, *arguments):
    """Run a command; give exit code, stdout and stderr."""
    code = cli.main([str(a) for a in arguments])
    return (code, *capsys.readouterr())


def options_of(name):
    """List the options of a sub-command."""
    action = next(a for a in cli.make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return [o for o in action.choices[name]._actions if o.option_strings and not isinstance(o, argparse._HelpAction)]


def python(*arguments, **options):
    """Run this interpreter with the package importable."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=60, **options)


@pytest.fixture
def logs(tmp_path):
    return write(tmp_path / "counts.tsv", toy_lines())


def test_there_is_a_command_for_every_file():
    files = {path.stem for path in (ROOT / "mr_als" / "commands").glob("*.py")} - {"__init__", "shared"}

    assert set(cli.command_names()) == files
    assert {"train", "prepare", "recommend", "similar", "explain", "verify"} <= files


@pytest.mark.parametrize("name", cli.command_names())
def test_help_teaches_by_a_description_and_an_example(name, capsys):
    code, out, _ = run(capsys, name, "--help")

    assert code == 0
    assert out.startswith(f"usage: mr-als {name}")
    assert f"mr-als {name}" in out.split("example:")[1]


@pytest.mark.parametrize("name", cli.command_names())
def test_every_option_states_its_default_or_that_it_is_required(name):
    for option in options_of(name):
        if "--version" not in option.option_strings:
            assert ("(required)" if option.required else "(default: ") in option.help, f"{name} {option.option_strings}"


@pytest.mark.parametrize("name", cli.command_names())
def test_what_stands_for_a_value_says_what_it_holds(name):
    for option in options_of(name):
        if option.nargs != 0 and not option.choices:
            assert option.metavar, f"{name} {option.option_strings}"
            assert option.metavar == "COLUMNS" or option.metavar.lower() != option.dest, f"{name} {option.option_strings}"


@pytest.mark.parametrize("name", cli.command_names())
def test_every_stated_default_is_the_real_one(name):
    for option in options_of(name):
        stated = re.search(r"\(default: ([^\s,)]+)", option.help)
        if stated and option.default not in (None, "", [], False, argparse.SUPPRESS) and not stated[1].endswith("M"):
            real = f"{option.default:g}" if isinstance(option.default, float) else str(option.default)
            assert real == stated[1].replace("%%", "%").removesuffix(".0"), f"{name} {option.option_strings}"


@pytest.mark.parametrize("name", cli.command_names())
def test_every_command_has_the_shared_options(name):
    flags = {flag for option in options_of(name) for flag in option.option_strings}

    assert {"-q", "--quiet", "-v", "--json", "--version"} <= flags


@pytest.mark.parametrize("name", ["train", "prepare", "recommend"])
def test_commands_that_run_jobs_have_the_options_of_engines(name):
    flags = {flag for option in options_of(name) for flag in option.option_strings}

    assert {"-r", "--runner", "-c", "--conf-path", "-D"} <= flags


@pytest.mark.parametrize("arguments", [["--version"], ["train", "--version"]])
def test_version_is_printed(arguments, capsys):
    assert run(capsys, *arguments) == (0, f"mr-als {__version__}\n", "")


def test_help_and_errors_need_neither_numpy_nor_mrjob():
    code = "import sys; from mr_als import cli; cli.main(['train', '--help']); print(sorted({'numpy', 'mrjob'} & set(sys.modules)))"

    assert python("-c", code).stdout.splitlines()[-1] == "[]"


def test_numpy_is_told_to_use_one_blas_thread_before_it_is_loaded():
    code = "import os, sys, mr_als.cli; print('numpy' in sys.modules, os.environ['OPENBLAS_NUM_THREADS'])"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "1"]


def test_using_a_model_needs_no_mrjob(tmp_path):
    code = (
        "import sys; from mr_als import cli; import mr_als.models.model, mr_als.models.verify\n"
        f"cli.main(['similar', '--model', {str(tmp_path)!r}, 'x']); print('mrjob' in sys.modules)"
    )

    assert python("-c", code).stdout.splitlines()[-1] == "False"


def test_commands_import_only_light_modules_at_the_top():
    """All of them are imported to print `mr-als --help`."""
    light = {"mr_als.commands.shared", "mr_als.engine.runners.runner", "mr_als.errors", "mr_als.options", "mr_als"}
    for path in (ROOT / "mr_als" / "commands").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in getattr(node, "names", [])]
            for name in names if isinstance(node, (ast.Import, ast.ImportFrom)) else []:
                assert name in light or name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"


@pytest.mark.parametrize(
    ("arguments", "flag", "value", "expected"),
    [
        (["--rank", "0"], "--rank", "0", "from 1 to 2048"),
        (["--rank", "many"], "--rank", "many", "whole number"),
        (["--alpha", "-1"], "--alpha", "-1", "above 0"),
        (["--alpha", "nan"], "--alpha", "nan", "number"),
        (["--regularization", "-0.1"], "--regularization", "-0.1", "at least 0"),
        (["--tolerance", "soon"], "--tolerance", "soon", "number"),
        (["--max-iterations", "-1"], "--max-iterations", "-1", "at least 0"),
        (["--solver", "magic"], "--solver", "magic", "cholesky"),
        (["--confidence", "full"], "--confidence", "full", "linear"),
        (["--task-memory", "lots"], "--task-memory", "lots", "512M"),
        (["--user-blocks", "0"], "--user-blocks", "0", "auto"),
        (["--runner", "moon"], "--runner", "moon", "inline"),
        (["-D", "novalue"], "-D", "novalue", "NAME=VALUE"),
    ],
)
def test_an_option_out_of_range_names_flag_value_and_what_is_expected(arguments, flag, value, expected, capsys):
    code, out, err = run(capsys, "train", "x.tsv", "--model", "m", *arguments)

    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    for text in ("mr-als: ", flag, value, expected, "mr-als train --help"):
        assert text in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "name a command, such as train; see: mr-als --help"),
        (["fly"], "fly"),
        (["train", "x.tsv"], "--model"),
        (["train", "--model", "m", "--mod", "n"], "--mod"),
        (["train", "--model", "m", "x.tsv", "--zzz"], "unrecognized arguments: --zzz; see: mr-als train --help"),
        (["recommend", "--model", "m", "u", "-Z"], "unrecognized arguments: -Z; see: mr-als recommend --help"),
        (["recommend", "--model", "m", "-n", "0"], "at least 1"),
        (["similar", "--model", "m"], "ITEM"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, text, capsys):
    code, out, err = run(capsys, *arguments)

    assert (code, out) == (2, "")
    assert err.startswith("mr-als: ")
    assert text in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "meant", "command"),
    [
        (["recomend", "--model", "m"], "'recommend'", "mr-als --help"),
        (["Train"], "'train'", "mr-als --help"),
        (["train", "x.tsv", "--modle", "m"], "'--model'", "mr-als train --help"),
        (["train", "x.tsv", "--model", "m", "--regularisation=3"], "'--regularization'", "mr-als train --help"),
        (["train", "x.tsv", "--model", "m", "--solver", "cholseky"], "'cholesky'", "mr-als train --help"),
        (["plan", "--user", "5"], "'--users'", "mr-als plan --help"),
    ],
)
def test_what_was_nearly_typed_is_named_and_the_help_of_the_command(arguments, meant, command, capsys):
    code, out, err = run(capsys, *arguments)

    assert (code, out) == (2, "")
    assert f"did you mean {meant}? See: {command}\n" in err


def test_a_missing_mrjob_conf_is_refused(logs, tmp_path, capsys):
    code, _, err = run(capsys, "train", logs, "--model", tmp_path / "m", "-c", tmp_path / "no.conf")

    assert code == 2
    assert "no.conf" in err


def test_no_such_log_file_is_one_sentence(tmp_path, capsys):
    code, out, err = run(capsys, "train", tmp_path / "none.tsv", "--model", tmp_path / "m", "-q")

    assert (code, out) == (1, "")
    assert "none.tsv: no such file" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("command", "target"), [("train", "--model"), ("prepare", "--plays")])
def test_a_directory_that_cannot_be_made_is_a_usage_error(command, target, logs, tmp_path, capsys):
    (tmp_path / "file").write_text("")

    code, _, err = run(capsys, command, logs, target, tmp_path / "file" / "inside")

    assert code == 2
    assert "cannot be made a directory" in err


def test_neither_logs_nor_plays_is_a_usage_error(tmp_path, capsys):
    code, _, err = run(capsys, "train", "--model", tmp_path / "m")

    assert code == 2
    assert "--plays" in err


def test_an_empty_window_of_time_is_a_usage_error(logs, tmp_path, capsys):
    code, _, err = run(capsys, "prepare", logs, "--plays", tmp_path / "p", "--since", "2024-03-02", "--until", "2024-03-01")

    assert code == 2
    assert "--since 2024-03-02" in err


def test_a_log_without_a_usable_line_is_one_sentence(tmp_path, capsys):
    code, _, err = run(capsys, "train", write(tmp_path / "x.tsv", ["hello\n"]), "--model", tmp_path / "m", "-q")

    assert code in (1, 2)
    assert err.startswith("mr-als: ")
    assert "Traceback" not in err


def test_an_interrupt_is_130_and_says_that_the_same_command_resumes(logs, tmp_path, capsys, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("mr_als.training.train.train", interrupted)

    code, _, err = run(capsys, "train", logs, "--model", tmp_path / "m", "-q")

    assert code == 130
    assert "repeat the command to resume" in err


def test_a_bug_keeps_its_traceback(logs, tmp_path, monkeypatch):
    def broken(*args, **options):
        raise ZeroDivisionError

    monkeypatch.setattr("mr_als.training.train.train", broken)

    with pytest.raises(ZeroDivisionError):
        cli.main(["train", logs, "--model", str(tmp_path / "m"), "-q"])
