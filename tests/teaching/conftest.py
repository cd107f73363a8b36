"""A browser, and the interactive page to open in it."""

from __future__ import annotations

import pytest

from mr_als.teaching import interactive
from tests.browser import browser
from tests.teaching.lessons import LESSONS


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, lesson in LESSONS.items():
        (folder / f"{name}.html").write_text(interactive.interactive_page(lesson), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in LESSONS}


@pytest.fixture
def page(chromium, pages):
    chromium.open(pages["example"])
    yield chromium
    assert chromium.errors == []
