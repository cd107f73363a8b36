"""Draw the pictures of the documentation, as SVG in plain Python; numbers in them come from the walkthrough.

python docs/pictures/make.py
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mr_als.reporting import charts
from mr_als.reporting.charts import Series, line_chart
from mr_als.teaching.full_grid import full_grid
from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS
from mr_als.teaching.trace import Traced

HERE = Path(__file__).resolve().parent

INK, FAINT, PAPER = "#1f2933", "#7b8794", "#ffffff"
BLUE, ORANGE, GREEN, GREY = "#dbeafe", "#ffedd5", "#dcfce7", "#f1f5f9"
LINES = {BLUE: "#2563eb", ORANGE: "#ea580c", GREEN: "#16a34a", GREY: "#94a3b8"}
FONT = "font-family='Helvetica, Arial, sans-serif'"

# what the report's style sheet says of charts, in its light colours; they are smaller here, so their letters are larger
_CLASSES = (".tick", ".label", ".grid", ".axis", ".line", ".fill")
_LIGHT = dict(re.findall(r"--(\w+): (#\w+)", charts.STYLE.splitlines()[0]))
STYLE = "".join(line for line in charts.STYLE.splitlines() if line.startswith(_CLASSES))
STYLE = re.sub(r"var\(--(\w+)\)", lambda found: _LIGHT[found[1]], STYLE)
STYLE += ".tick, .label { font-size: 18px; } .line.s1 { stroke-dasharray: 6 6; }"


class Drawing:
    """Shapes on a white sheet, in the order in which they are drawn."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.size, self.title = (width, height), title
        self.parts: list[str] = []

    def box(self, x: float, y: float, w: float, h: float, lines: Sequence[str], fill: str = GREY) -> None:
        """Draw a box with lines of text in its middle, the first one bold."""
        self.parts.append(f"<rect x='{x}' y='{y}' width='{w}' height='{h}' rx='6' fill='{fill}' stroke='{LINES[fill]}'/>")
        top = y + h / 2 - 8 * (len(lines) - 1) + 4.5
        for n, line in enumerate(lines):
            self.text(x + w / 2, top + 16 * n, line, weight="bold" if n == 0 and len(lines) > 1 else "normal")

    def text(
        self, x: float, y: float, line: str, *, size: int = 13, anchor: str = "middle", fill: str = INK, weight: str = "normal"
    ) -> None:
        """Write a line."""
        style = f"font-size='{size}' text-anchor='{anchor}' fill='{fill}' font-weight='{weight}'"
        self.parts.append(f"<text x='{x:g}' y='{y:g}' {style}>{escape(line)}</text>")

    def arrow(
        self, x0: float, y0: float, x1: float, y1: float, label: str = "", *, colour: str = INK, at: float = 0.5, lift: float = 6
    ) -> None:
        """Draw an arrow, its label above the point `at` of the way."""
        self.parts.append(
            f"<line x1='{x0}' y1='{y0}' x2='{x1}' y2='{y1}' stroke='{colour}' stroke-width='1.4' marker-end='url(#tip)'/>"
        )
        if label:
            x, y, width = x0 + (x1 - x0) * at, y0 + (y1 - y0) * at - lift, 6.6 * len(label)
            ground = f"x='{x - width / 2:g}' y='{y - 11:g}' width='{width:g}' height='15'"
            self.parts.append(f"<rect {ground} fill='{PAPER}' opacity='0.9'/>")
            self.text(x, y, label, size=12)

    def chart(self, n: int, title: str, series: Sequence[Series], x_label: str, **how: bool) -> None:
        """Draw the n-th chart, two in a row, as the report of a training draws it."""
        x, y = 10 + 445 * (n % 2), 40 + 250 * (n // 2)
        self.text(x + 220, y - 16, title, weight="bold")
        drawn = line_chart(title, series, x_label, "", **how)
        self.parts.append(drawn.replace("<svg ", f"<svg x='{x}' y='{y}' width='435' height='218' ", 1))

    def svg(self) -> str:
        """Render the text of the file."""
        w, h = self.size
        tip = (
            "<defs><marker id='tip' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' orient='auto'>"
            f"<path d='M0 0 L10 5 L0 10 z' fill='{INK}'/></marker></defs>"
        )
        head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {w} {h}' width='{w}' height='{h}' role='img' {FONT}>"
        style = f"<style>{STYLE}</style>" if any("<svg " in part for part in self.parts) else ""
        sheet = f"<title>{escape(self.title)}</title>{style}{tip}<rect width='{w}' height='{h}' rx='8' fill='{PAPER}'/>"
        return "\n".join([head, sheet, *self.parts, "</svg>"]) + "\n"


def mapreduce() -> Drawing:
    """Draw two machines: splits, map tasks, shuffle, reduce tasks, output; the half grid's records on the arrows."""
    half = Traced(Lesson(EXAMPLE, EXAMPLE_FACTORS)).half_grid()
    d = Drawing(900, 385, "One half-iteration on two machines")
    for n, x in enumerate((60, 180, 400, 640, 800)):
        d.text(x + (20, 40, 40, 20, 0)[n], 28, ("disk", "map tasks", "shuffle (network)", "reduce tasks", "disk")[n], fill=FAINT)
    for n, y in enumerate((60, 240)):
        d.parts.append(
            f"<rect x='14' y='{y - 22}' width='872' height='150' rx='10' fill='none' stroke='{FAINT}' stroke-dasharray='5 4'/>"
        )
        d.text(24, y + 122, f"machine {n}", anchor="start", size=12, fill=FAINT)
        users, items = (("u1 u2", "aria blues etude"), ("u3 u4", "conga disco"))[n]
        d.box(30, y - 8, 110, 44, [f"plays {n}", users], BLUE)
        d.box(30, y + 50, 110, 44, [f"items {n}", items], ORANGE)
        d.box(190, y + 16, 100, 50, [f"map {n}", "routes"])
        d.arrow(140, y + 14, 190, y + 34)
        d.arrow(140, y + 72, 190, y + 50)
        d.box(600, y + 16, 110, 50, [f"reduce {n}", "joins, solves"])
        d.box(780, y + 16, 90, 50, [f"x of {users}"], GREEN)
        d.arrow(710, y + 41, 780, y + 41)
    for sent, what in half.sent:
        start, end = int(sent.producer[-1]), sent.partition
        plays = what.startswith("plays")
        shift = 0 if start != end else (-12 if plays else 12)
        y0, y1 = 60 + 180 * start + 41 + shift, 60 + 180 * end + 41 + shift
        label = what.split(",")[0].replace("vectors of", "y of")
        d.arrow(290, y0, 600, y1, f"{label}: {len(sent.line)} B", at=0.5, lift=4)
    return d


def joins() -> Drawing:
    """Draw what travels in each of the three joins."""
    traced = Traced(Lesson(EXAMPLE, EXAMPLE_FACTORS))
    full, half = full_grid(traced), traced.half_grid()
    d = Drawing(900, 330, "Three ways to join plays and vectors")
    vectors = sum(len(what.split(" of ")[1].split()) for _, what in half.sent if what.startswith("vectors"))
    parts = sum(len(what.split(" of u")[1].split()) for _, what in full.sent)
    columns = (
        ("broadcast", "all item vectors to every map task", "2 tasks x 5 vectors", "all vectors fit into a task's memory"),
        ("full grid", "parts of A and b to the user's reducer", f"{parts} parts of 5 numbers", "an item block fits"),
        (
            "half grid",
            "vectors to the blocks that need them",
            f"{vectors} vectors of 2 numbers",
            "always: what is too much waits on disk",
        ),
    )
    # from item block 0 and 1 to user block 0 and 1
    sent = (
        ("aria blues etude", "aria blues etude", "conga disco", "conga disco"),
        ("u1 u2", "u4", "", "u3 u4"),
        ("aria blues etude", "blues", "", "conga disco"),
    )
    for n, (words, labels) in enumerate(zip(columns, sent, strict=True)):
        _join(d, 20 + 295 * n, words, labels)
    return d


def _join(d: Drawing, x: float, words: tuple[str, str, str, str], labels: Sequence[str]) -> None:
    name, what, count, suits = words
    d.box(x, 16, 270, 298, [], GREY)
    d.text(x + 135, 42, name, size=16, weight="bold")
    d.text(x + 135, 62, what, size=12, fill=FAINT)
    d.box(x + 14, 80, 112, 40, ["aria blues etude"], ORANGE)
    d.box(x + 144, 80, 112, 40, ["conga disco"], ORANGE)
    d.box(x + 14, 210, 112, 40, ["u1 u2"], BLUE)
    d.box(x + 144, 210, 112, 40, ["u3 u4"], BLUE)
    for (x0, x1), label in zip(((70, 70), (70, 200), (200, 70), (200, 200)), labels, strict=True):
        if label:
            d.arrow(x + x0, 120, x + x1, 210, label, at=0.5 if x0 == x1 else 0.28, lift=0)
    d.text(x + 135, 276, count, weight="bold")
    d.text(x + 135, 298, f"when: {suits}", size=11, fill=FAINT)


def loop() -> Drawing:
    """Draw the way from logs to recommendations."""
    d = Drawing(900, 250, "From logs to recommendations")
    d.box(14, 90, 126, 60, ["play logs", "who, what, when"], BLUE)
    d.box(180, 90, 120, 60, ["prepare", "blocks, twice"])
    d.box(360, 30, 170, 60, ["user half", "items fixed"])
    d.box(360, 150, 170, 60, ["item half", "users fixed"])
    d.box(620, 30, 120, 60, ["model", "X, Y, ids, plays"], GREEN)
    d.box(620, 150, 250, 60, ["recommend, similar, explain", "evaluate, export, report"])
    d.arrow(140, 120, 180, 120)
    d.arrow(300, 110, 360, 70)
    d.arrow(300, 130, 360, 170)
    d.arrow(480, 90, 480, 150, "x of users", at=0.5, lift=-4)
    d.arrow(410, 150, 410, 90, "y of items", at=0.5, lift=-4)
    d.arrow(530, 60, 620, 60, "no change", at=0.5)
    d.arrow(680, 90, 700, 150)
    return d


def convergence() -> Drawing:
    """Draw the weighted RMSE and the objective of the worked example, half by half."""
    lesson = Lesson(EXAMPLE, EXAMPLE_FACTORS)
    history = lesson.trained[2]
    d = Drawing(900, 300, "The objective falls in every half, the weighted RMSE does not")
    d.chart(0, "objective", [_series(history, "objective")], "half")
    d.chart(1, "weighted RMSE", [_series(history, "wrmse", side) for side in ("users", "items")], "half")
    return d


def _series(history: Sequence[dict[str, Any]], figure: str, solved: str = "") -> Series:
    entries = [entry for entry in history if solved in ("", entry["solved"])]
    return Series(solved or figure, *(np.array([entry[key] for entry in entries], float) for key in ("half", figure)))


def curves(results: dict[str, Any]) -> Drawing:
    """Draw what benchmarks/curves.py measured, both axes logarithmic, a dotted line where y grows as x."""
    d = Drawing(900, 30 + 250 * -(-len(results) // 2), "How time and memory grow")
    units = {"seconds": "seconds an iteration", "peak_mb": "MB of the largest task"}
    for n, (name, found) in enumerate(results.items()):
        x, y = np.array(found["x"], float), np.array(found["y"], float)
        series = [Series("measured", x, y)]
        if name in ("plays", "rank"):
            # from the last point backwards along slope 1, until it has fallen a little below the first
            factor = min(x[-1] / x[0], 1.25 * y[-1] / y.min())
            series.append(Series("in proportion", x[-1] / np.array([factor, 1]), y[-1] / np.array([factor, 1])))
        varied = found["varied"] if name != "plays" else "pairs played"
        d.chart(n, f"{units[found['measured']]} against {varied}", series, varied, log_x=True, log_y=True, few=True)
    return d


MEASURED = HERE.parents[1] / "benchmarks" / "curves.json"

PICTURES: dict[str, Callable[[], Drawing]] = {"mapreduce": mapreduce, "joins": joins, "loop": loop, "convergence": convergence}

if MEASURED.exists():
    PICTURES["curves"] = lambda: curves(json.loads(MEASURED.read_text(encoding="utf-8")))

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (HERE / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")
