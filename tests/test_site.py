"""The site that `make docs` builds: every page is on it, formulas are MathML, and reading it needs no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mr_als.teaching.interactive import interactive_page
from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site; a broken link or docstring fails."""
    place = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--config-file",
        "mkdocs.yml",
        "--site-dir",
        str(place),
    ]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"})
    return place


def test_every_page_is_on_the_site_and_in_its_navigation(site):
    shown = set(re.findall(r'href="([^"#]+\.html)"', (site / "index.html").read_text(encoding="utf-8")))

    pages = {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    rooms = {f"reference/{path.parent.name}.html" for path in (ROOT / "mr_als").glob("*/__init__.py")}
    assert sorted((pages | rooms) - shown) == []
    assert sorted(page for page in shown if not (site / page).exists()) == []


def test_the_interactive_page_is_on_the_site_and_in_its_navigation(site):
    assert 'href="interactive.html"' in (site / "index.html").read_text(encoding="utf-8")
    page = (site / "interactive.html").read_text(encoding="utf-8")
    assert page == interactive_page(Lesson(EXAMPLE, EXAMPLE_FACTORS))


def test_formulas_are_mathml(site):
    for page in ("index.html", "worked-example.html"):
        text = (site / page).read_text(encoding="utf-8")
        assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in text
        assert "arithmatex" not in text


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = r'<(?:script|img|iframe|link)[^>]*\b(?:src|href)="?(https?://[^"\s>]+)'
    found = {(path.name, url) for path in site.rglob("*.html") for url in re.findall(loaded, path.read_text(encoding="utf-8"))}

    assert found == set()


def test_the_search_finds_what_pages_and_docstrings_say(site):
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")

    for words in ("implicit feedback matrix", "cold start", "hyperparameter", "checkpoint", "mr_als.maths.reference"):
        assert words in index, words


def test_docstrings_are_shown_with_their_examples_as_code(site):
    text = (site / "reference" / "maths.html").read_text(encoding="utf-8")

    assert "solve_row" in text
    assert "&gt;&gt;&gt;" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)
