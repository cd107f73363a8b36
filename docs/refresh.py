"""Fill the pages in docs/ with what their commands print.

A block ```console whose first line is `$ mr-als walkthrough ...` or `$ mr-als plan ...` holds that command and its output. This
script runs the commands and writes the outputs anew; tests/test_docs.py fails where a page differs from what would be written.

    python docs/refresh.py        also writes the notebook of the worked example anew
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from pathlib import Path

from notebook import NOTEBOOK, PAGE, build, to_json

from mr_als import cli

DOCS = Path(__file__).resolve().parent
BLOCK = re.compile(r"^```console\n\$ (mr-als (?:walkthrough|plan).*)\n(?:.*\n)*?```$", re.MULTILINE)


def output_of(command: str) -> str:
    """Run a command line of `mr-als` in this process, from the repository's folder, and give what it prints."""
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
    """Give a page with the outputs of its commands filled in."""
    return BLOCK.sub(lambda found: f"```console\n$ {found[1]}\n{output_of(found[1])}```", page)


if __name__ == "__main__":
    for path in sorted(DOCS.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if (new := refreshed(page)) != page:
            path.write_text(new, encoding="utf-8")
            print(f"{path.name}: refreshed")
    NOTEBOOK.write_text(to_json(build(PAGE.read_text(encoding="utf-8"))), encoding="utf-8")
