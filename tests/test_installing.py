"""What messages and pages tell people to install is what works: mr_als is in no package index, so none names its extras."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
TOLD = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.*"), *(ROOT / "mr_als").rglob("*.py"), *(ROOT / "jobs").glob("*.py")]
TOLD = [path for path in TOLD if path.suffix in {".md", ".py", ".ipynb", ".sh", ".conf", ".service"}]


def test_no_message_and_no_page_names_an_extra_of_a_package_that_no_index_has():
    assert [str(path) for path in TOLD if re.search(r"mr[_-]als\[", path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("path", sorted((ROOT / "mr_als").rglob("*.py")), ids=lambda path: path.stem)
def test_a_message_names_libraries_with_the_bounds_of_the_project(path):
    text = path.read_text(encoding="utf-8")
    told = [
        name
        for line in text.splitlines()
        if "pip install" in line or re.search(r"\b(?:needed|install) = ", line)
        for name in re.findall(r"'([^' ]+)'", line)
    ]

    assert [name for name in told if f'"{name}' not in PROJECT] == []
    assert len(told) >= len(re.findall(r"pip install (?!\{)", text))


@pytest.mark.parametrize("path", [path for path in TOLD if path.suffix in {".md", ".ipynb"}], ids=lambda path: path.name)
def test_a_page_names_extras_that_there_are(path):
    named = re.findall(r"pip install [^\n`]*?'[^'\n]*?\[([a-z0-9,]+)\]'", path.read_text(encoding="utf-8"))

    assert [extra for names in named for extra in names.split(",") if not re.search(rf"^{extra} = \[", PROJECT, re.MULTILINE)] == []
