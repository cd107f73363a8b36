"""Figures as curves: the worked example's convergence, and what benchmarks/curves.py measured."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
from drawing import Drawing
from plot import Plot, linear, logarithmic

from mr_als.maths.array import Array
from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS


def convergence() -> Drawing:
    """Draw the weighted RMSE and the objective of the worked example, half by half."""
    history = Lesson(EXAMPLE, EXAMPLE_FACTORS).trained[2]
    d = Drawing(900, 300, "The objective falls in every half, the weighted RMSE does not")
    for n, (figure, name) in enumerate((("objective", "objective"), ("wrmse", "weighted RMSE"))):
        x, y = (linear(np.array([entry[key] for entry in history], float)) for key in ("half", figure))
        plot = Plot(d, (72 + 450 * n, 44, 360, 196), x, y, (name, "half", name))
        plot.curve([entry["half"] for entry in history], [entry[figure] for entry in history], "faint", width=1)
        for entry in history:
            plot.dot(entry["half"], entry[figure], "blue-edge" if entry["solved"] == "users" else "orange-edge", 4)
    for n, (side, colour) in enumerate((("users solved", "blue-edge"), ("items solved", "orange-edge"))):
        d.shape("circle", colour, cx=350 + 130 * n, cy=286, r=4)
        d.text(360 + 130 * n, 290, side, anchor="start", size=12)
    return d


UNITS = {"seconds": "seconds an iteration", "peak_mb": "MB of the largest task"}
# what is expected to grow in proportion to what is varied, and what shares its work among what is varied
IN_PROPORTION, SHARED_AMONG = ("plays", "rank"), ("tasks", "blocks")


def curves(results: dict[str, Any]) -> Drawing:
    """Draw what benchmarks/curves.py measured, both axes logarithmic: every run and the medians as dots, a curve through them.

    The curve is the cost model of `mr_als.planning`: a fixed part and one that grows with what is varied, or is shared among it.
    A dashed line is what would be in proportion to the last value.
    """
    d = Drawing(900, 24 + 266 * -(-len(results) // 2), "How time and memory grow")
    runs = by_configuration(results)
    for n, found in enumerate(results.values()):
        x = [float(value) for value in found["x"]]
        measured = [runs[configuration(found, value)] for value in found["x"]]
        y = [median(values) for values in measured]
        varied = found["varied"]
        unit = UNITS[found["measured"]]
        frame = (72 + 450 * (n % 2), 42 + 266 * (n // 2), 360, 172)
        scales = logarithmic(np.array(x), x), logarithmic(np.concatenate([np.array(values) for values in measured]))
        plot = Plot(d, frame, *scales, (f"{unit} against {varied}", varied, unit.split(" of ")[0]))
        if list(results)[n] in IN_PROPORTION:
            start = max(x[0], x[-1] * plot.y.low / y[-1])
            plot.curve([start, x[-1]], [y[-1] * start / x[-1], y[-1]], "orange-edge", "dashed")
        for at, values in zip(x, measured, strict=True):
            for value in values:
                plot.dot(at, value, "blue-edge", 3, 0.4)
        plot.curve(*fitted(np.array(x), np.array(y), varied in SHARED_AMONG), "blue-edge")
        for at, value, values in zip(x, y, measured, strict=True):
            plot.dot(at, value, "blue-edge", 4)
            plot.label(at, max(values), f"{value:.3g}", dy=-9)
    _legend(d, 545, d.size[1] - 180)
    return d


def fitted(x: Array, y: Array, shared: bool) -> tuple[list[float], list[float]]:
    """Fit y = a + b x, or a + b / x, with the least relative errors; return points of that curve."""
    terms = np.column_stack([np.ones_like(x), 1 / x if shared else x])
    a, b = np.linalg.lstsq(terms / y[:, None], np.ones_like(y), rcond=None)[0]
    along = np.geomspace(x[0], x[-1], 40)
    # on a logarithmic axis nothing lies below what was measured least
    return along.tolist(), np.maximum(a + b * (1 / along if shared else along), y.min() / 1.2).tolist()


def _legend(d: Drawing, x: float, y: float) -> None:
    """Say what dots and lines are, in the place of a last plot."""
    d.shape("circle", "blue-edge", cx=x, cy=y, r=3, opacity=0.4)
    d.shape("circle", "blue-edge", cx=x, cy=y + 26, r=4)
    d.shape("line", "l-blue-edge", x1=x - 14, x2=x + 14, y1=y + 52, y2=y + 52, stroke_width=2)
    d.shape("line", "l-orange-edge dashed", x1=x - 14, x2=x + 14, y1=y + 78, y2=y + 78, stroke_width=2)
    curve = "fitted to the medians: a fixed part, and one in proportion"
    for n, words in enumerate(("a run", "the median of all runs of a configuration", curve, "in proportion to the last median")):
        d.text(x + 24, y + 26 * n + 4, words, anchor="start", size=12)


def configuration(curve: dict[str, Any], value: float) -> tuple[Any, ...]:
    """Name what was run at one value of a curve, and what was measured."""
    return (curve["measured"], *sorted({**curve.get("base", {}), curve["varied"]: value}.items()))


def by_configuration(results: dict[str, Any]) -> dict[tuple[Any, ...], Sequence[float]]:
    """Collect all runs of each configuration: where two curves cross, they share one."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for curve in results.values():
        for value, runs in zip(curve["x"], curve.get("all", [[y] for y in curve["y"]]), strict=True):
            found.setdefault(configuration(curve, value), []).extend(runs)
    return found
