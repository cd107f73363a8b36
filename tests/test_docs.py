"""The documentation: outputs are those of the commands that stand above them, links lead somewhere, options exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from mr_als import cli
from tests.browser import CONTRAST, GEOMETRY, browser

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
sys.path.insert(0, str(ROOT / "docs"))

import refresh  # noqa: E402

NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def text_of(page):
    return page.read_text(encoding="utf-8")


def anchors(page):
    """Derive the anchors of a page's headings, as GitHub does."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def commands_of(page):
    """Find the `mr-als` command lines in code blocks and in backquotes."""
    text = text_of(page)
    blocks = "\n".join(re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL))
    joined = re.sub(r"\\\n\s*", "", blocks)
    lines = re.findall(r"^\s*(?:\$ )?(mr-als .*?)(?:\s+#.*|\s{3,}.*)?$", joined, re.MULTILINE)
    return lines + re.findall(r"`(mr-als [^`\n]+)`", text)


def options_of(command):
    """List the options of a sub-command, from its own parser."""
    subparsers = next(action for action in cli.make_parser()._actions if action.dest == "command")
    return {option for action in subparsers.choices[command]._actions for option in action.option_strings}


@pages
def test_outputs_are_those_of_the_commands_above_them(page):
    assert text_of(page) == refresh.refreshed(text_of(page)), "run: python docs/refresh.py"


@pytest.mark.parametrize("page", [page for page in PAGES if refresh.SESSION.search(text_of(page))], ids=lambda path: path.name)
def test_sessions_print_what_the_page_shows(page):
    """Words are the same; figures may differ a little: two libraries of linear algebra round in two ways."""
    shown, printed = (
        [block.split() for _, block in refresh.SESSION.findall(text)]
        for text in (text_of(page), refresh.run_session(text_of(page)))
    )

    for before, now in zip(shown, printed, strict=True):
        assert [NUMBER.sub("0", word) for word in before] == [NUMBER.sub("0", word) for word in now], "run: python docs/refresh.py"
        figures = [[float(number) for word in words for number in NUMBER.findall(word)] for words in (before, now)]
        assert figures[0] == pytest.approx(figures[1], abs=0.02, rel=0.02), "run: python docs/refresh.py"


@pages
def test_links_lead_to_files_and_headings(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@pages
def test_commands_exist_and_have_the_options_they_are_shown_with(page):
    wrong = []
    for line in commands_of(page):
        words = shlex.split(line.split(" | ")[0].split(" > ")[0].replace("...", ""))
        if len(words) < 2 or words[1].startswith("-") or words[1].isupper():
            continue
        if words[1] not in cli.command_names():
            wrong.append(line)
            continue
        given = {word.split("=")[0] for word in words[2:] if re.fullmatch(r"--?[a-zA-Z][\w-]*(=.*)?", word)}
        wrong += [f"{line}: {option}" for option in sorted(given - options_of(words[1]))]
    assert wrong == []


@pages
def test_every_option_that_is_named_exists(page):
    known = {option for name in cli.command_names() for option in options_of(name)}
    named = set(re.findall(r"`(--[a-z][a-z-]+)", text_of(page)))

    assert sorted(named - known) == []


@pages
def test_files_that_are_named_exist(page):
    named = set(re.findall(r"`((?:mr_als|jobs|tests|docs|benchmarks|sample_logs)/[\w./-]+)`", text_of(page)))

    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.fixture
def make(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "pictures"))
    spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "docs" / "pictures" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_are_those_that_the_script_draws(make):
    folder = ROOT / "docs" / "pictures"
    assert {path.stem for path in folder.glob("*.svg")} == set(make.PICTURES)
    for name, draw in make.PICTURES.items():
        assert (folder / f"{name}.svg").read_text(encoding="utf-8") == draw().svg(), "run: python docs/pictures/make.py"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_can_be_read_in_a_browser(scheme, tmp_path):
    """Nothing is cut, no label lies on another, and all contrast with their ground, light and dark."""
    with browser(tmp_path) as chromium:
        for path in sorted((ROOT / "docs" / "pictures").glob("*.svg")):
            shown = tmp_path / f"{path.stem}.html"
            shown.write_text(f'<meta name="color-scheme" content="light dark">{path.read_text(encoding="utf-8")}', encoding="utf-8")
            chromium.open(shown, 1280, 900, scheme)

            assert chromium.run(GEOMETRY) == [], path.stem
            assert chromium.run(CONTRAST) == [], path.stem


def test_pictures_are_well_formed_and_used():
    shown = "".join(text_of(page) for page in PAGES)
    for path in sorted((ROOT / "docs" / "pictures").glob("*.svg")):
        ElementTree.parse(path)
        assert f"pictures/{path.name}" in shown


def test_the_map_of_the_code_names_every_folder():
    shown = text_of(ROOT / "docs" / "how-it-works.md")
    folders = [path for path in (ROOT / "mr_als").iterdir() if (path / "__init__.py").exists()]

    assert [str(folder.relative_to(ROOT)) for folder in folders if f"`mr_als/{folder.name}/`" not in shown] == []


def test_curves_are_drawn_with_their_numbers(make):
    curve = {"varied": "pairs", "measured": "seconds", "x": [1000, 2000, 4_000_000], "y": [0.5, 1.25, 2.0]}

    drawn = make.curves({"plays": curve, "memory": {**curve, "varied": "blocks", "measured": "peak_mb"}}).svg()

    ElementTree.fromstring(drawn)
    assert all(f">{text}<" in drawn for text in ("0.5", "1.25", "4M", "1,000", "MB of the largest task against blocks"))


def test_where_two_curves_cross_they_share_the_median_of_all_runs(make):
    base = {"users": 20_000, "rank": 64}
    users = {"varied": "users", "x": [5000, 20_000], "all": [[0.1], [0.31, 0.45]], "y": [0.1, 0.38]}
    rank = {"varied": "rank", "x": [64, 128], "all": [[0.59], [1.0]], "y": [0.59, 1.0]}

    drawn = make.curves(
        {name: {**curve, "measured": "seconds", "base": base} for name, curve in (("users", users), ("rank", rank))}
    )

    assert drawn.svg().count(">0.45<") == 2


def test_a_curve_goes_through_what_its_model_explains(make):
    x = np.array([1.0, 2.0, 4.0])
    for shared, y in ((False, 1 + 2 * x), (True, 1 + 2 / x)):
        along, up = sys.modules[make.curves.__module__].fitted(x, y, shared)

        np.testing.assert_allclose(up, 1 + 2 / np.array(along) if shared else 1 + 2 * np.array(along))


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return [importlib.import_module(name) for name in ("plans", "break_even")]


def test_the_page_has_the_marks_between_which_benchmarks_write(benchmarks):
    page = text_of(ROOT / "docs" / "scaling.md")

    for script in benchmarks:
        assert [page.count(mark) for mark in (script.BEGIN, script.END)] == [1, 1], script.__name__


def test_the_table_of_plans_names_what_is_beyond_its_bound(benchmarks):
    good = dict.fromkeys(("seconds", "bytes", "memory", "guessed"), (1.1, 1.0))
    run = benchmarks[0].RUNS[0]

    assert "memory: none." in benchmarks[0].table([(run, good)])
    assert "memory: seconds of run 2." in benchmarks[0].table([(run, good), (run, {**good, "seconds": (1.4, 1.0)})])


def test_the_break_even_follows_from_the_curve_and_the_start_of_a_job(benchmarks):
    plays = {
        "varied": "pairs",
        "measured": "seconds",
        "x": [1, 10**6, 2 * 10**6],
        "y": [0.1, 0.5, 0.9],
        "all": [[0.1]],
        "machine": "2 cores",
    }

    text = benchmarks[1].section({"plays": plays}, 10.0)

    # two machines: t / 2 + 10 = t; a pair takes (0.9 - 0.5) / 10^6 in an iteration of two halves
    assert "| 2 | 20 s | 100 million |" in text
