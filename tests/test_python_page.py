"""The page on Python says what its session prints, and its notebook runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import session  # noqa: E402


def test_the_session_prints_what_the_page_shows(tmp_path):
    blocks = re.findall(r"^```pycon\n(.*?)^```$", session.PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    text = tmp_path / "session.txt"
    text.write_text("\n".join(blocks), encoding="utf-8")
    flags = "doctest_optionflags=NUMBER ELLIPSIS NORMALIZE_WHITESPACE"
    command = [sys.executable, "-m", "pytest", str(text), "--doctest-glob=*.txt", "-q", "-p", "no:cacheprovider", "-o", flags]

    done = subprocess.run(
        [*command, f"--rootdir={tmp_path}", "-c", os.devnull], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert len(blocks) > 8
    assert done.returncode == 0, done.stdout


def test_the_notebook_is_that_of_the_page_runs_and_shows_plots():
    built, kept = session.build(session.PAGE.read_text(encoding="utf-8")), nbformat.read(session.NOTEBOOK, as_version=4)

    assert [cell.source for cell in built.cells] == [cell.source for cell in kept.cells], "run: python docs/refresh.py"
    for book in (built, kept):
        outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
        assert [output.ename for output in outputs if output.output_type == "error"] == ["UnknownIdError"]
        assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
        assert [output for output in outputs if output.get("name") == "stderr"] == []
