"""Compare mr_als with its peers, side by side, and print one table.

    python -m benchmarks.run                                    all rows (`make bench`), some two hours: a pair of M takes minutes
    python -m benchmarks.run --rows iteration-S,prepare-S -n 3
    python -m benchmarks.run --publish                          write the table to benchmarks/results.md, too

Every measurement is a process of its own with two threads (BLAS: one). Ours and the peer's alternate, and a row's ratio is
the median of the ratios of the pairs: so whatever else the machine does in these minutes hits both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # as its scripts find each other, however this one is started

from rows import ROWS, Row, agreement  # noqa: E402

THREADS = 2
PAIRS = 5
LIMITED = ("OMP", "NUMBA", "POLARS_MAX", "RAYON")
BLAS = ("OPENBLAS", "MKL", "BLIS")
LIBRARIES = ("numpy", "scipy", "numba", "mrjob", "implicit", "polars", "pyspark")
START, END = "<!-- table -->", "<!-- end of table -->"


def environment() -> dict[str, str]:
    """Build the environment of all measurements: two threads, one in BLAS."""
    names = {f"{name}_NUM_THREADS" if name != "POLARS_MAX" else "POLARS_MAX_THREADS": str(THREADS) for name in LIMITED}
    return {**os.environ, **names, **{f"{name}_NUM_THREADS": "1" for name in BLAS}}


def measure(command: str, places: dict[str, str], timeout: float) -> dict[str, Any]:
    """Run one measurement; return the JSON object it prints."""
    script, *arguments = command.format(**places).split()
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments],
        env=environment(), capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    if done.returncode:
        msg = f"{script} {' '.join(arguments)} failed with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
        raise RuntimeError(msg)
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else {}


def make_data(row: Row, work: Path) -> str:
    """Generate the row's file, unless it is there, and return its path."""
    path = work / row.data
    if not path.exists():
        say(f"generating {path}")
        shape, form = path.stem.split("-")
        scratch = path.with_suffix(".new")
        subprocess.run([sys.executable, str(HERE / "data.py"), shape, form, str(scratch)], check=True)
        scratch.replace(path)
    return str(path)


def compare(row: Row, pairs: int, work: Path, timeout: float) -> dict[str, Any]:
    """Measure one row: ours and the peer in turn, `pairs` times."""
    places = {"data": make_data(row, work), "work": str(work)}
    for command in row.before:
        measure(command, places, timeout)
    load = os.getloadavg()[0]
    ours, peer = [], []
    for number in range(pairs):
        ours.append(measure(row.ours, places, timeout))
        peer.append(measure(row.peer, places, timeout))
        say(f"{row.name} {number + 1}/{pairs}: {ours[-1]['seconds']:.3f} s, {row.peer_name} {peer[-1]['seconds']:.3f} s")
    same, quality = agreement(row, ours[-1], measure(row.judge, places, timeout) if row.judge else peer[-1])
    return {
        "row": row.name, "target": row.target, "same_quality": same, "quality": quality, "load_before": load,
        "ratios": [a["seconds"] / b["seconds"] for a, b in zip(ours, peer, strict=True)],
        "ours": ours, "peer": peer, "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def compared(row: Row, pairs: int, work: Path, timeout: float) -> dict[str, Any]:
    """Measure one row; what goes wrong is its result, and the other rows go on."""
    try:
        return compare(row, pairs, work, timeout)
    except (RuntimeError, ValueError, KeyError, subprocess.SubprocessError) as error:
        say(f"{row.name}: {error}")
        return {"error": str(error)[:200]}


def machine() -> dict[str, Any]:
    """Describe what the figures depend on."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*: (.*)", info)
    flags = re.search(r"flags\s*: (.*)", info)
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "none"
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "flags": [flag for flag in ("avx2", "fma", "avx512f", "avx512_vnni") if flags and flag in flags[1].split()],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "libraries": versions,
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """Format the measured rows as a Markdown table."""
    lines = [
        "| what | peer | ours, s | peer, s | ratio (least, most) | target | | quality | ours, MB | peer, MB | pairs |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        if (r := results.get(row.name)) is None:
            continue
        if "error" in r:
            lines.append(f"| {row.title} | {row.peer_name} | | | | <= {row.target} | **not measured** | {r['error']} | | | |")
            continue
        ratio = statistics.median(r["ratios"])
        met = "met" if ratio <= row.target and r["same_quality"] else "**missed**" if r["same_quality"] else "**other quality**"
        ours, peer = (statistics.median(m["seconds"] for m in r[who]) for who in ("ours", "peer"))
        memory = [max(m["peak_mb"] for m in r[who]) for who in ("ours", "peer")]
        spread = f"({min(r['ratios']):.2f}, {max(r['ratios']):.2f})"
        lines.append(
            f"| {row.title} | {row.peer_name} | {ours:.3g} | {peer:.3g} | {ratio:.2f} {spread} "
            f"| <= {row.target} | {met} | {r['quality']} | {memory[0]} | {memory[1]} | {len(r['ratios'])} |"
        )
    return "\n".join(lines)


def described(about: dict[str, Any], command: str) -> str:
    """Say on which machine and by which command."""
    libraries = ", ".join(f"{name} {version}" for name, version in about["libraries"].items() if version != "none")
    return (
        f"{about['cores']} cores of {about['cpu']} ({', '.join(about['flags'])}), {about['memory_gb']} GB; "
        f"Python {about['python']}, {libraries}. Two threads, one in BLAS.\n\nCommand: `{command}`"
    )


def publish(text: str) -> None:
    """Put the table in its place in results.md."""
    path = HERE / "results.md"
    before, rest = path.read_text().split(START)
    path.write_text(f"{before}{START}\n\n{text}\n\n{END}{rest.split(END)[1]}")


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print the table, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [row.name for row in ROWS]
    parser.add_argument("--rows", default=",".join(names), help=f"some of {', '.join(names)} (default: all)")
    parser.add_argument("-n", "--pairs", type=int, default=PAIRS, help=f"pairs of measurements a row (default: {PAIRS})")
    parser.add_argument("--work", default=str(HERE / "work"), help="directory of data and results (default: benchmarks/work)")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds that one measurement may take (default: 1800)")
    parser.add_argument("--publish", action="store_true", help="write the table of all rows so far to benchmarks/results.md")
    given = parser.parse_args()
    wanted = given.rows.split(",")
    if unknown := set(wanted) - set(names):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    work = Path(given.work)
    work.mkdir(parents=True, exist_ok=True)
    kept = work / "results.json"
    results: dict[str, Any] = json.loads(kept.read_text())["rows"] if kept.exists() else {}
    about, command = machine(), "python -m benchmarks.run" + (f" -n {given.pairs}" if given.pairs != PAIRS else "")
    for row in ROWS:
        if row.name in wanted:
            results[row.name] = compared(row, given.pairs, work, given.timeout)
            # after each row: an interruption loses nothing
            kept.write_text(json.dumps({"machine": about, "command": command, "rows": results}, indent=1))
            if given.publish:
                publish(f"{table(results)}\n\n{described(about, command)}")
    print(table({name: result for name, result in results.items() if name in wanted}))
    return int(any("error" in results[name] for name in wanted))


if __name__ == "__main__":
    sys.exit(main())
