"""Say in docs/production.md how long the query of a service takes: PostgreSQL, one client over loopback, beside `SELECT 1`.

    python -m benchmarks.night      starts a PostgreSQL of its own; needs Debian's package

The rest of an answer is the network and the connection: `SELECT 1` over the same connection says what these take.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

from tests.served.postgres import ask, postgres, program

PAGE = Path(__file__).resolve().parents[1] / "docs" / "production.md"
BEGIN, END = "<!-- begin: written by python -m benchmarks.night -->\n", "<!-- end: written by python -m benchmarks.night -->\n"
USERS, ITEMS, SECONDS, TIMES = 100_000, 20_000, 5, 5
TABLE = f"""
CREATE TABLE recommendations_0123456789ab AS
  SELECT 'user-' || u AS user_id, r AS rank, 'item-' || (u * 7919 + r * 104729) % {ITEMS} AS item, (1.0 / r)::real AS score
  FROM generate_series(1, {USERS}) u, generate_series(1, 10) r;
ALTER TABLE recommendations_0123456789ab ADD PRIMARY KEY (user_id, rank);
CREATE VIEW recommendations AS SELECT *, '0123456789ab'::text AS generation FROM recommendations_0123456789ab;
ANALYZE recommendations_0123456789ab;
"""
QUERY = f"""\\set u random(1, {USERS})
SELECT item, score FROM recommendations WHERE user_id = 'user-' || :u ORDER BY rank LIMIT 10;
"""


def milliseconds(there: dict[str, str], script: str) -> float:
    """Return the mean latency of a script that one client runs again and again, prepared, over one connection."""
    command = [program("pgbench"), "-n", "-M", "prepared", "-c", "1", "-T", str(SECONDS), "-f", script]
    said = subprocess.run(command, env=there, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"latency average = ([\d.]+) ms", said)[1])  # type: ignore[index]


def measure() -> tuple[float, float]:
    """Return the median milliseconds of the query and of `SELECT 1`, in turns."""
    with postgres() as there, tempfile.TemporaryDirectory() as folder:
        ask(there, TABLE)
        scripts = [Path(folder, name) for name in ("query.sql", "nothing.sql")]
        for path, text in zip(scripts, (QUERY, "SELECT 1;\n"), strict=True):
            path.write_text(text)
        found = [[milliseconds(there, str(path)) for path in scripts] for _ in range(TIMES)]
    query, nothing = (statistics.median(column) for column in zip(*found, strict=True))
    return query, nothing


def section(query: float, nothing: float) -> str:
    """Format what goes between the marks."""
    return (
        f"That query takes {query:.2f} ms, and `SELECT 1` over the same connection {nothing:.2f} ms: {USERS:,} users with\n"
        f"ten items each, one client over loopback, a prepared statement, median of {TIMES} runs, {os.cpu_count()} cores\n"
        "(`python -m benchmarks.night`).\n"
    )


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    text = section(*measure())
    PAGE.write_text(before + BEGIN + text + END + rest.partition(END)[2], encoding="utf-8")
    print(text)
