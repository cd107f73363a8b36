"""The page on Python as a notebook: its prose, and its blocks as cells, which nbclient runs.

A block ```pycon is a cell with what it prints, which doctest compares with the page; a block ```python notebook is a cell of
which the page shows the code alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PAGE = Path(__file__).resolve().parent / "python.md"
NOTEBOOK = PAGE.with_suffix(".ipynb")

_BLOCK = re.compile(r"^```(pycon|python notebook)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def cells_of(kind: str, block: str) -> Iterator[nbformat.NotebookNode]:
    """Yield the cells of a block: of a session one ends with each output, as a cell shows its last value alone."""
    if kind != "pycon":
        yield new_code_cell(block.rstrip())
        return
    for code, output in re.findall(r"((?:^(?:>>>|\.\.\.) .*\n)+)((?:^(?!>>> ).*\n)*)", block, re.MULTILINE):
        # what is shown to fail must not end the notebook
        tags = {"tags": ["raises-exception"]} if "Traceback" in output else {}
        yield new_code_cell(re.sub(r"^.{4}", "", code, flags=re.MULTILINE).rstrip(), metadata=tags)


def build(page: str) -> nbformat.NotebookNode:
    """Turn the page into a notebook with the outputs of its cells."""
    parts, cells = _BLOCK.split(page), []
    for n in range(0, len(parts), 3):
        if parts[n].strip():
            cells.append(new_markdown_cell(parts[n].strip()))
        if n + 2 < len(parts):
            cells += cells_of(parts[n + 1], parts[n + 2])
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    book = new_notebook(cells=cells)
    NotebookClient(book, kernel_name="python3", record_timing=False, coalesce_streams=True).execute(cwd=PAGE.parents[1])
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs = [tidy(output) for output in cell.outputs if output.get("data", {}).get("text/html") != ""]
    # not the versions of what has run it
    book.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return book


def tidy(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Of an error keep the message alone, without the paths of the machine that has run it."""
    if output.output_type == "error":
        output.evalue = re.sub(r"/\S*/mr-als-model-\w+", "/tmp/model", output.evalue)
        output.traceback = [f"{output.ename}: {output.evalue}"]
    return output
