"""The page on Python says what its session prints, and its notebook runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

import mr_als

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


@pytest.mark.parametrize(("library", "of"), [("scikit-learn", "sklearn"), ("Voyager", "voyager"), ("faiss", "faiss")])
def test_the_lines_for_neighbour_searches_run_and_find_what_the_model_finds(library, of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = re.search(
        rf"^```python\n# {library}.*?\n(.*?)^```$", session.PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )[1]
    model = mr_als.fit(str(ROOT / "sample_logs" / "2024-03-04.tsv"), rank=8)
    code = code.replace("Crooked Brass (jazz)", item := model.item_ids[3])
    found = {"model": model}

    exec(code, found)

    assert len([line for line in code.splitlines() if line]) == 3
    user = np.array(model.user_factors[5])
    if of == "sklearn":
        expected = [model.item_index(other) for other, _ in model.similar_items(item, n=3)]
        assert found["rows"][0].tolist() == [3, *expected]
    else:
        best = found["index"].query(user, 1)[0] if of == "voyager" else found["index"].search(user[None], 1)[1][0]
        expected = model.recommend(model.user_ids[5], n=1, include_played=True)
        assert model.item_ids[int(best[0])] == expected[0][0]


@pytest.mark.filterwarnings("ignore:OpenBLAS is configured", "ignore:Intel MKL BLAS is configured")
def test_the_lines_for_implicit_recommend_what_the_model_recommends():
    code = re.search(r"^```python\n# implicit.*?\n(.*?)^```$", session.PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[
        1
    ]
    model = mr_als.fit(str(ROOT / "sample_logs" / "2024-03-04.tsv"), rank=8)
    found = {"model": model}

    exec(code.replace("jazz-fan-017", user := model.user_ids[5]), found)

    assert found["items"] == [item for item, _ in model.recommend(user, n=3)]


def test_the_notebook_is_that_of_the_page_runs_and_shows_plots():
    built, kept = session.build(session.PAGE.read_text(encoding="utf-8")), nbformat.read(session.NOTEBOOK, as_version=4)

    assert [cell.source for cell in built.cells] == [cell.source for cell in kept.cells], "run: python docs/refresh.py"
    for book in (built, kept):
        outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
        assert [output.ename for output in outputs if output.output_type == "error"] == ["UnknownIdError"]
        assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
        assert [output for output in outputs if output.get("name") == "stderr"] == []
