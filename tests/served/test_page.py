"""Every command of docs/production.md, run in the order of the page, with a PostgreSQL beside it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.served.postgres import ask, postgres, program

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import refresh  # noqa: E402

PAGE = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
# names of generations, times and other numbers
VARIES = re.compile(r"\b[0-9a-f]{12}\b|[-+]?\d+(?:\.\d+)?")


@pytest.mark.postgres
def test_the_page_shows_what_its_commands_print_and_its_query_finds(monkeypatch):
    with postgres() as there:
        for name, value in {**there, "PATH": f"{Path(program('psql')).parent}:{os.environ['PATH']}"}.items():
            monkeypatch.setenv(name, value)
        printed = refresh.run_session(PAGE, refresh.SERVED)
        (query,) = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        rows = ask(there, f"PREPARE best(text) AS {query}; EXECUTE best('jazz-fan-017')")

    assert sum("(jazz)" in item for item, _ in rows) > len(rows) / 2 == 5
    shown, now = ([words.split() for _, words in refresh.SERVED.findall(text)] for text in (PAGE, printed))
    assert [[VARIES.sub("0", word) for word in block] for block in shown] == [
        [VARIES.sub("0", word) for word in block] for block in now
    ], "run: python docs/refresh.py, with PGHOST set"
