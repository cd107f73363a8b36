"""Say in docs/scaling.md how time and memory grow here, and from what size on a cluster is faster.

    python benchmarks/break_even.py            draws the picture and writes the section from benchmarks/curves.json
    python benchmarks/break_even.py --hadoop   first measures what a half takes on Hadoop, however small the data are; starts one
                                               for that, which takes JDK 17 and Maven

A cluster of m machines wins where a half takes longer than j m / (m - 1) on one machine, j being the start of a job.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
CURVES, START = HERE / "curves.json", HERE / "hadoop.json"
PAGE = HERE.parent / "docs" / "scaling.md"
BEGIN, END = "<!-- written by benchmarks/break_even.py -->\n", "<!-- end of benchmarks/break_even.py -->\n"
MACHINES = (2, 4, 16)
UNITS = {"seconds": "s", "peak_mb": "MB"}


def start_of_a_half() -> float:
    """Train on sample_logs on a single-node Hadoop of its own, and return the median seconds of a half."""
    from local_hadoop.cluster import Cluster
    from local_hadoop.fetch import CACHE
    from mr_als.storage.places import storage_of

    cluster = Cluster(CACHE / "hadoop-break-even")
    cluster.run.mkdir(parents=True, exist_ok=True)
    try:
        cluster.start()
        os.environ.update(cluster.environment())
        where = f"{cluster.default_fs}/benchmark"
        storage = storage_of(where)
        storage.make_directory(f"{where}/logs")
        for path in (HERE.parent / "sample_logs").glob("*.tsv*"):
            storage.write(f"{where}/logs/{path.name}", path.read_bytes())
        words = [f"{where}/logs", "--model", f"{where}/model", "-r", "hadoop", "--rank=16", "--tolerance=0", "--max-iterations=2"]
        command = [sys.executable, "-m", "mr_als", "train", *words, "--json", "-q"]
        done = subprocess.run(command, check=True, cwd=HERE.parent, stdout=subprocess.PIPE)
    finally:
        cluster.clean()
    return statistics.median(entry["seconds"] for entry in json.loads(done.stdout)["history"])


def seconds_a_pair(plays: dict[str, Any]) -> float:
    """Compute the seconds that each additional pair costs in a half, from the two longest trainings of the curve over plays.

    >>> seconds_a_pair({"x": [1, 1_000_000, 2_000_000], "y": [0.1, 0.5, 0.9]})
    2e-07
    """
    (x0, x1), (y0, y1) = plays["x"][-2:], plays["y"][-2:]
    return float((y1 - y0) / (x1 - x0) / 2)


def section(curves: dict[str, Any], start: float) -> str:
    """Format what goes between the marks; `start` is 0 if it was not measured."""
    rows = [
        f"| {found['varied']} | {found['x'][0]:,} to {found['x'][-1]:,} | {found['y'][0]:.3g} to {found['y'][-1]:.3g} "
        f"{UNITS[found['measured']]} | {len(found['all'][0])} |"
        for found in curves.values()
    ]
    lines = [
        "![How time and memory grow](pictures/curves.svg)",
        "",
        "Measured by `python benchmarks/curves.py`: one thing varies, the rest stays at 20,000 users, 10,000 items, a million",
        "pairs (4 million for tasks) and rank 64; for plays and blocks it is 100,000 users and 50,000 items, for blocks also 8",
        "million pairs that are shuffled. The dashed lines show exact proportion; some 90 MB of each task are Python, NumPy",
        "and buffers, whatever the blocks.",
        "",
        "| varied | from, to | an iteration, or the largest task | median of |",
        "|---|---|---|---|",
        *rows,
        *(even(curves["plays"], start) if start else []),
    ]
    return "\n".join(lines) + "\n"


def even(plays: dict[str, Any], start: float) -> list[str]:
    """Format from how many pairs on several machines win, if starting a half's job takes `start` seconds."""
    pair = seconds_a_pair(plays)
    least = {m: start * m / (m - 1) for m in MACHINES}
    return [
        "",
        f"A pair more costs {1e6 * pair:.2g} microseconds in a half here ({plays['machine']}), and a half of `sample_logs` takes",
        f"{start:.0f} seconds on Hadoop (a single node), nearly all of it the start of the job. So machines like this one win,",
        "at rank 64, from this many pairs on (`python benchmarks/break_even.py`):",
        "",
        "| machines | a half must take on one | pairs |",
        "|---|---|---|",
        *(f"| {m} | {seconds:.0f} s | {seconds / pair / 1e6:.0f} million |" for m, seconds in least.items()),
    ]


def main(arguments: list[str]) -> None:
    """Measure what is asked for, draw, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hadoop", action="store_true")
    if parser.parse_args(arguments).hadoop:
        START.write_text(json.dumps({"seconds_of_a_half": start_of_a_half()}) + "\n", encoding="utf-8")
    subprocess.run([sys.executable, str(HERE.parent / "docs" / "pictures" / "make.py")], check=True, cwd=HERE.parent)
    start = json.loads(START.read_text(encoding="utf-8"))["seconds_of_a_half"] if START.exists() else 0.0
    text = section(json.loads(CURVES.read_text(encoding="utf-8")), start)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(f"{page.split(BEGIN)[0]}{BEGIN}\n{text}\n{END}{page.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
