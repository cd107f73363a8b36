"""Compare the defaults, alpha and lambda from the data, with the best of a grid, on sets of very different kind.

    python benchmarks/defaults.py               all sets, about a quarter of an hour; writes the table in docs/evaluation.md anew
    python benchmarks/defaults.py --only 2      one set; writes nothing

Each set is split, and swept by `mr-als sweep` over all alphas and lambdas below: a point of the grid has numbers for both, the
defaults for none. They are compared by ndcg@20 on the held-out part, among all items not played. Quality does not depend on
load, so this may run beside other work. Sets are the sample logs, and plays of benchmarks/tastes.py that differ in density,
counts, size and rank.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "evaluation.md"
BEGIN, END = "<!-- written by benchmarks/defaults.py -->\n", "<!-- end of benchmarks/defaults.py -->\n"
sys.path[:0] = [str(HERE), str(HERE.parent)]

from tastes import STANDARD, Shape, write  # noqa: E402  (beside this file)

ALPHAS = ("1", "5", "20", "100")
LAMBDAS = ("0.001", "0.004", "0.02", "0.07", "0.3")
METRIC = "ndcg@20"


class Set(NamedTuple):
    """Plays, and the rank that is trained on them; no shape: the sample logs."""

    name: str
    rank: int
    shape: Shape | None = None


SETS = (
    Set("sample logs, the last day", 64),
    Set("`tastes.py`", 64, STANDARD),
    Set("dense, heavy tails", 16, Shape(1000, 600, 32, 30, decay=0.5, strength=3.0)),
    Set("binary", 64, Shape(2000, 1500, 64, 20, once=True, decay=0.5, strength=4.0)),
    Set("many items, heavy tails", 128, Shape(1500, 6000, 128, 20, decay=0.5, strength=5.0)),
    Set("sparse, binary", 64, Shape(3000, 10_000, 100, 10, once=True, decay=0.5, strength=6.0)),
    Set("sparsest, heavy tails", 64, Shape(5000, 30_000, 100, 8, decay=0.5, strength=7.0)),
)


def command(*words: str) -> Any:
    """Run a command of `mr-als`, and return the JSON that it prints."""
    from mr_als import cli

    with io.TextIOWrapper(io.BytesIO(), encoding="utf-8") as printed:
        with contextlib.redirect_stdout(printed):
            code = cli.main([*words, "--json", "-q"])
        printed.flush()
        text = printed.buffer.getvalue().decode()  # type: ignore[attr-defined]
    if code:
        sys.exit(f"mr-als {' '.join(words)} ended with exit code {code}")
    return json.loads(text.splitlines()[-1])


def measure(plays: Set, work: str) -> dict[str, Any]:
    """Split, prepare and sweep a set; return its sizes, what the defaults became, and the metrics of every point."""
    train, test, prepared = (os.path.join(work, name) for name in ("train", "test", "plays"))
    logs, by = str(HERE.parent / "sample_logs"), ["--by=time", "--cut=2024-03-07"]
    if plays.shape is not None:
        logs, by = os.path.join(work, "counts.tsv"), ["--by=random"]
        write(logs, plays.shape)
    command("split", logs, *by, "--train", train, "--test", test)
    sizes = command("prepare", train, "--plays", prepared)
    grid = ["--rank", str(plays.rank), "--alpha", ",".join(["auto", *ALPHAS]), "--regularization", ",".join(["auto", *LAMBDAS])]
    output = os.path.join(work, "sweep")
    points = command("sweep", "--plays", prepared, "--validation", test, "--output", output, "-k", "20", *grid)["points"]
    found = {"sizes": sizes, "points": {}}
    for point in points:
        info = json.loads(Path(output, point["name"], "model", "model.json").read_text(encoding="utf-8"))
        asked = info.get("auto", {})
        name = tuple(str(asked.get(key, info["options"]["weights"][key])) for key in ("alpha", "regularization"))
        found["points"][name] = {"weights": info["options"]["weights"], "metrics": point["validation"]["metrics"]}
    return found


def row(plays: Set, found: dict[str, Any]) -> tuple[str, float, list[str]]:
    """Format a row of the table; return also the defaults over the best of the grid, and metrics in which popularity is better."""
    sizes, auto = found["sizes"], found["points"]["auto", "auto"]
    value = {name: point["metrics"][METRIC]["model"] for name, point in found["points"].items()}
    best = max((name for name in value if "auto" not in name), key=lambda name: value[name])
    lower = {"percentile_rank"}
    lost = [
        name
        for name, metric in auto["metrics"].items()
        if not name.startswith("coverage") and (metric["model"] <= metric["popularity"]) != (name in lower)
    ]
    ratio = value["auto", "auto"] / value[best]
    cells = [
        f"{plays.name}: {sizes['users']} x {sizes['items']}, {sizes['pairs']}",
        f"{sizes['pairs'] / (sizes['users'] * sizes['items']):.4f}",
        f"{plays.rank}",
        f"{auto['weights']['alpha']:g}, {auto['weights']['regularization']:g}",
        f"**{value['auto', 'auto']:.4f}**",
        f"{value[best]:.4f} ({best[0]}, {best[1]})",
        f"{100 * (ratio - 1):+.1f} %",
        f"{auto['metrics'][METRIC]['popularity']:.4f}",
    ]
    return f"| {' | '.join(cells)} |", ratio, lost


def table(rows: list[tuple[str, float, list[str]]]) -> str:
    """Format the table of the page."""
    lines = [
        "| set: users x items, pairs | played | rank | alpha, lambda | ndcg@20 | best of 20 points | against it | popularity |",
        "|---|---|---|---|---|---|---|---|",
        *(text for text, _, _ in rows),
        "",
    ]
    lost = sorted({name for _, _, names in rows for name in names})
    worst = min(ratio for _, ratio, _ in rows)
    lines.append(
        f"The worst is {100 * (worst - 1):+.1f} %. Metrics in which popularity is better on any set: {', '.join(lost) or 'none'}."
    )
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Compare all sets, print the table, and write it to the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, choices=range(len(SETS)), help="number of one set (default: all)")
    parser.add_argument("--all-points", action="store_true", help="print every point of the sweep, too")
    given = parser.parse_args(arguments)
    rows = []
    for plays in SETS if given.only is None else [SETS[given.only]]:
        with tempfile.TemporaryDirectory() as work:
            found = measure(plays, work)
        rows.append(row(plays, found))
        print(rows[-1][0], file=sys.stderr, flush=True)
        for name, point in found["points"].items() if given.all_points else ():
            print(f"  alpha {name[0]}, lambda {name[1]}: {point['metrics'][METRIC]['model']:.4f}", file=sys.stderr, flush=True)
    print(table(rows))
    if given.only is None:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
