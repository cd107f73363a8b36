"""Fill the pages in docs/ with what their commands print.

A block ```console whose first line is `$ mr-als walkthrough ...` or `$ mr-als plan ...` holds that command and its output. This
script runs the commands and writes the outputs anew; tests/test_docs.py fails where a page differs from what would be written.

The blocks ```console session of a page are one session: any commands, run one after the other in an empty directory in which
sample_logs/ and docs/ are. Their figures may differ a little from machine to machine. Blocks ```console postgres belong to it where
psql finds a server by PGHOST, which has to be empty; else they stay as they are.

    python docs/refresh.py        also writes the notebooks anew
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import session
from notebook import NOTEBOOK, PAGE, build

from mr_als import cli

DOCS = Path(__file__).resolve().parent
BLOCK = re.compile(r"^```console\n\$ (mr-als (?:walkthrough|plan).*)\n(?:.*\n)*?```$", re.MULTILINE)


SESSION = re.compile(r"^```console (session)\n((?:.*\n)*?)```$", re.MULTILINE)
SERVED = re.compile(r"^```console (session|postgres)\n((?:.*\n)*?)```$", re.MULTILINE)


def output_of(command: str) -> str:
    """Run a command line of `mr-als` in this process, from the repository's folder, and return what it prints."""
    printed, before = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), Path.cwd()
    os.chdir(DOCS.parent)
    try:
        with contextlib.redirect_stdout(printed):
            code = cli.main(shlex.split(command)[1:])
    finally:
        os.chdir(before)
    if code:
        msg = f"{command} ended with exit code {code}"
        raise RuntimeError(msg)
    printed.flush()
    return printed.buffer.getvalue().decode()  # type: ignore[attr-defined]


def refreshed(page: str) -> str:
    """Fill in the outputs of the commands on a page."""
    return BLOCK.sub(lambda found: f"```console\n$ {found[1]}\n{output_of(found[1])}```", page)


def run_session(page: str, blocks: re.Pattern[str] = SESSION) -> str:
    """Run the commands of a page's session and fill in their outputs."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("sample_logs", "docs"):
            Path(folder, name).symlink_to(DOCS.parent / name)
        os.chdir(folder)
        try:
            return blocks.sub(lambda found: f"```console {found[1]}\n{''.join(_ran(found[2]))}```", page)
        finally:
            os.chdir(before)


def _ran(block: str) -> Iterator[str]:
    """Yield each command of a block, including backslash continuation lines, together with its output."""
    for command in re.findall(r"^\$ ((?:.*\\\n)*.*)\n", block, re.MULTILINE):
        yield f"$ {command}\n{_printed(command)}"


def _printed(command: str) -> str:
    """Run one command, `mr-als` in this process, and return what it writes to stdout."""
    words = shlex.split(command.replace("\\\n", " "))
    if words[0] != "mr-als":
        line = re.sub(r"^python\b", sys.executable, command)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where `mr-als` is, for scripts
        environment = {**os.environ, "PYTHONPATH": str(DOCS.parent), "PATH": path}
        return subprocess.run(line, shell=True, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    with io.TextIOWrapper(io.BytesIO(), encoding="utf-8") as printed:
        with contextlib.redirect_stdout(printed):
            code = cli.main(words[1:])
        printed.flush()
        text = printed.buffer.getvalue().decode()
    if code:
        msg = f"{command} ended with exit code {code}"
        raise RuntimeError(msg)
    return text


if __name__ == "__main__":
    for path in sorted([*DOCS.glob("*.md"), DOCS.parent / "README.md"]):
        page = path.read_text(encoding="utf-8")
        if (new := run_session(refreshed(page), SERVED if "PGHOST" in os.environ else SESSION)) != page:
            path.write_text(new, encoding="utf-8")
            print(f"{path.name}: refreshed")
    nbformat.write(build(PAGE.read_text(encoding="utf-8")), NOTEBOOK)
    nbformat.write(session.build(session.PAGE.read_text(encoding="utf-8")), session.NOTEBOOK)
