"""Say in docs/production.md how long the query of a service takes, and what `mr-als plan` says of three sizes on this machine.

    python -m benchmarks.night      starts a PostgreSQL of its own; needs Debian's package

The query is asked by one client over loopback, in turns with `SELECT 1`, which says what the connection takes by itself.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from mr_als.progress import duration, size
from tests.served.postgres import ask, postgres, program

PAGE = Path(__file__).resolve().parents[1] / "docs" / "production.md"
MARKS = [(f"<!-- {what}: written by python -m benchmarks.night -->\n", f"<!-- end of {what} -->\n") for what in ("query", "sizes")]
SIZES = (("20K", "10K", "1M"), ("200K", "50K", "20M"), ("2M", "200K", "200M"))
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


def sizes() -> str:
    """Format the table of sizes: what plan says of each."""
    lines = ["| users | items | pairs | largest process, `-r inline` | an iteration here |", "|---|---|---|---|---|"]
    for users, items, pairs in SIZES:
        command = [sys.executable, "-m", "mr_als", "plan", "--users", users, "--items", items, "--pairs", pairs, "--json", "-q"]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        seconds = duration(found["seconds_of_an_iteration"])
        lines.append(f"| {users} | {items} | {pairs} | {size(found['memory_of_this_machine'])} | {seconds} |")
    return "\n".join(lines) + f"\n\nRank 64, {os.cpu_count()} cores, numba installed (`python -m benchmarks.night`).\n"


def section(query: float, nothing: float) -> str:
    """Format what is said of the query."""
    return (
        f"That query takes {query:.2f} ms, and `SELECT 1` over the same connection {nothing:.2f} ms: {USERS:,} users with\n"
        f"ten items each, one client over loopback, a prepared statement, median of {TIMES} runs, {os.cpu_count()} cores\n"
        "(`python -m benchmarks.night`).\n"
    )


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    for (begin, end), text in zip(MARKS, (section(*measure()), sizes()), strict=True):
        before, _, rest = page.partition(begin)
        page = before + begin + text + end + rest.partition(end)[2]
        print(text)
    PAGE.write_text(page, encoding="utf-8")
