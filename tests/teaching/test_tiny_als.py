"""The half in forty lines gives the numbers of the worked example, inline; on Hadoop and Spark it is run by their tests."""

from __future__ import annotations

import ast
import re

import pytest

from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS
from tests.teaching.tiny import EXAMPLES, ROOT, half_1, run

TINY = str(EXAMPLES / "tiny.tsv")


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_the_user_half_is_that_of_the_page_with_any_number_of_blocks(blocks):
    assert sorted(run("tiny_als.py", "-q", f"--blocks={blocks}", TINY).splitlines()) == half_1()


def test_its_output_and_the_plays_are_the_input_of_the_item_half(tmp_path):
    users = run("tiny_als.py", "-q", TINY)
    plays = [line for line in (EXAMPLES / "tiny.tsv").read_text().splitlines(keepends=True) if line.startswith("play")]
    (tmp_path / "half-2.tsv").write_text("".join(plays) + users)

    items = sorted(run("tiny_als.py", "-q", "--solve=item", str(tmp_path / "half-2.tsv")).splitlines())

    expected = Lesson(EXAMPLE, EXAMPLE_FACTORS).first_items
    assert [line.split("\t")[1] for line in items] == list(EXAMPLE.items)
    for line, y in zip(items, expected, strict=True):
        assert [float(number) for number in line.split("\t")[2:]] == pytest.approx(y.tolist(), abs=2e-6)


def test_its_input_is_the_example():
    lines = [line.split("\t") for line in (EXAMPLES / "tiny.tsv").read_text().splitlines()]

    assert [(fields[1], fields[2], float(fields[3])) for fields in lines if fields[0] == "play"] == EXAMPLE.pairs()
    assert [[float(number) for number in fields[2:]] for fields in lines if fields[0] == "vector"] == EXAMPLE_FACTORS.tolist()


@pytest.mark.parametrize("script", ["tiny_als.py", "tiny_spark.py"])
def test_the_page_shows_its_code(script):
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)```$", page, re.MULTILINE | re.DOTALL)

    assert len([block for block in blocks if block in (EXAMPLES / script).read_text()]) == 1


def test_it_is_forty_lines_of_code():
    tree = ast.parse((EXAMPLES / "tiny_als.py").read_text())
    docstrings = [node.body[0] for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    without = {n for node in docstrings for n in range(node.lineno, node.end_lineno + 1)}

    code = {n for n, line in enumerate((EXAMPLES / "tiny_als.py").read_text().splitlines(), 1) if line.strip() and n not in without}
    assert len(code) <= 44
