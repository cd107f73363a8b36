"""The notebook: made from the page, it runs, its questions have answers, and its plots are there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import pytest

from mr_als.teaching.matrix import EXAMPLE
from mr_als.teaching.walkthrough import SECTIONS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "worked-example.md"
sys.path.insert(0, str(DOCS))

import lecture  # noqa: E402
import notebook  # noqa: E402

SVG = "image/svg+xml"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def built(page):
    return notebook.build(page)


def outputs_of(book):
    return [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


def test_it_is_that_of_the_page_and_gives_its_outputs(built):
    """All but the lines of a plot, which another version of Matplotlib draws in another way."""
    kept = nbformat.read(notebook.NOTEBOOK, as_version=4)
    plots = [[output.data for output in outputs_of(book) if SVG in output.get("data", {})] for book in (built, kept)]

    assert [len(found) for found in plots] == [len(lecture.PLOTS)] * 2
    for data in (*plots[0], *plots[1]):
        assert data.pop(SVG).startswith("<?xml")
    assert kept == built, "run: python docs/refresh.py"


def test_the_cell_that_installs_is_there_and_is_not_run(built):
    cell = next(cell for cell in built.cells if cell.source.endswith(lecture.INSTALL.splitlines()[-1]))

    assert "%pip install" in cell.source
    assert cell.execution_count is None


def test_formulas_questions_and_plots_are_those_of_sections():
    known = {section.name for section in SECTIONS}

    assert set(lecture.FORMULAS) | set(lecture.PLOTS) | set(lecture.QUESTIONS) <= known
    assert set(notebook.CELLS) == known


def test_every_question_and_exercise_has_an_answer_that_is_folded_away(built, page):
    asked = [cell.source for cell in built.cells if re.match(r"\*\*(Question|Exercise)", cell.source)]
    exercises = re.findall(r"^\*\*\d+\.\*\* ", page, re.MULTILINE)

    assert sum(text.startswith("**Exercise") for text in asked) == len(exercises)
    for text in asked:
        assert len(re.findall(r"<details>\n<summary>Answer</summary>\n\n.+?\n\n</details>", text, re.DOTALL)) == 1, text
    assert all("{" not in text.split("```")[0] for text in asked)


def test_numbers_in_answers_are_those_that_the_page_prints(page):
    printed = set(
        re.findall(r"\d+(?:\.\d+)?(?:/\d+)?", "\n".join(re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)))
    )

    for question, answer in lecture.QUESTIONS.values():
        said = f"{question} {answer}".format(u=EXAMPLE.users, i=EXAMPLE.items)
        assert set(re.findall(r"(?<![\w.])\d+\.\d+|\d+/\d+|(?<![\w.])\d\d+(?![\w.])", said)) <= printed, said


def test_the_prose_has_no_links_to_sections_that_are_not_there(built):
    text = "\n".join(cell.source for cell in built.cells if cell.cell_type == "markdown")

    assert "](#" not in text
    assert "pictures/" not in text
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        assert re.match("https?:", target) or (DOCS / target).exists(), target
