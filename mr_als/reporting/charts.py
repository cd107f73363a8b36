"""SVG charts of the report: lines, bars and points on linear or logarithmic axes.

A chart is 640 x 320 units and scales with the page. The n-th series has the class `sn`, whose colour is in the style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from mr_als.maths.array import Array

__all__ = ["STYLE", "Series", "bar_chart", "line_chart", "point_chart"]

# of the charts and of the page around them
STYLE = files("mr_als.reporting").joinpath("style.css").read_text(encoding="utf-8")
WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 92, 22, 34, 60
# points drawn of one series: more are not seen, but read by every browser
MOST_POINTS = 1500


class Series(NamedTuple):
    """One series: its name in the legend, and float x (n,), y (n,)."""

    name: str
    x: Array
    y: Array


class _Axis:
    """Maps values to places along an axis, and knows its ticks."""

    def __init__(self, values: Array, start: float, end: float, *, log: bool, ticks: int = 5) -> None:
        finite = values[np.isfinite(values) & ((values > 0) | (not log))]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (1.0, 1.0)
        self.log, self._start, self._end = log, start, end
        self.ticks = _log_ticks(low, high) if log else _ticks(low, high, ticks)
        low, high = min(low, self.ticks[0]), max(high, self.ticks[-1])
        self._low, self._high = (math.log10(low), math.log10(high)) if log else (low, high)

    def place(self, value: Any) -> Any:
        """Map a value, or an array of values, to its place on the axis."""
        scaled = np.log10(value) if self.log else value
        span = self._high - self._low or 1.0
        return self._start + (scaled - self._low) / span * (self._end - self._start)


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Choose round numbers around [low, high], 1, 2 or 5 times a power of ten apart."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / about))
    step *= next(m for m in (1, 2, 5, 10) if span / (m * step) <= about)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Choose powers of ten around [low, high], and where they are few, 2 and 5 times those as well."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    if last - first > 2:
        return [10.0**n for n in range(first, last + 1)]
    ticks = [step * 10.0**n for n in range(first, last + 1) for step in (1, 2, 5)]
    start = max(n for n, tick in enumerate(ticks) if tick <= low * (1 + 1e-9))
    end = next(n for n, tick in enumerate(ticks) if n > start and tick >= high * (1 - 1e-9))
    return ticks[start : end + 1]


def number(value: float) -> str:
    """Format a number in short form.

    >>> [number(v) for v in (0.0, 0.25, 12345.0, 2e6, 1e-5)]
    ['0', '0.25', '12,345', '2M', '1e-05']
    """
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        for unit, name in ((1e9, "G"), (1e6, "M")):
            if abs(value) >= unit:
                return f"{value / unit:.4g}{name}"
        return f"{value:.2g}"
    return f"{value:,.4f}".rstrip("0").rstrip(".") if value != int(value) else f"{int(value):,}"


def _frame(title: str, x: _Axis, y: _Axis, x_label: str, y_label: str, body: str, names: Sequence[str]) -> str:
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>']
    for tick in y.ticks:
        height = f"{y.place(tick):.1f}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height}" y2="{height}"/>')
        parts.append(f'<text class="tick" text-anchor="end" x="{LEFT - 8}" y="{y.place(tick) + 4:.1f}">{number(tick)}</text>')
    for tick in x.ticks:
        # at the end of the axis, a label in the middle would reach over the edge
        anchor, at = ("end", WIDTH - 4) if x.place(tick) > WIDTH - RIGHT - 20 else ("middle", x.place(tick))
        parts.append(f'<text class="tick" text-anchor="{anchor}" x="{at:.1f}" y="{HEIGHT - BOTTOM + 20}">{number(tick)}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="label" text-anchor="middle" x="{middle:.0f}" y="{HEIGHT - 10}">{escape(x_label)}</text>')
    parts.append(f'<text class="label" x="4" y="18">{escape(y_label)}</text>')
    if len(names) > 1:
        for n, name in enumerate(reversed(names)):
            at = WIDTH - RIGHT - 130 * (n + 1)
            parts.append(f'<rect class="fill s{len(names) - 1 - n}" x="{at}" y="8" width="10" height="10"/>')
            parts.append(f'<text class="tick" x="{at + 15}" y="18">{escape(name)}</text>')
    return "".join(parts) + body + "</svg>"


def _axes(series: Sequence[Series], *, log_x: bool, log_y: bool, from_zero: bool = False) -> tuple[_Axis, _Axis]:
    every_x = np.concatenate([np.asarray(s.x, float) for s in series])
    every_y = np.concatenate([np.asarray(s.y, float) for s in series] + ([np.zeros(1)] if from_zero else []))
    return _Axis(every_x, LEFT, WIDTH - RIGHT, log=log_x, ticks=6), _Axis(every_y, HEIGHT - BOTTOM, TOP, log=log_y)


def line_chart(title: str, series: Sequence[Series], x_label: str, y_label: str, *, log_y: bool = False) -> str:
    """Draw each series as a line with a dot at every value."""
    x, y = _axes(series, log_x=False, log_y=log_y)
    body = []
    for n, s in enumerate(series):
        places = [f"{x.place(a):.1f},{y.place(b):.1f}" for a, b in zip(s.x, s.y, strict=True)]
        body.append(f'<polyline class="line s{n}" points="{" ".join(places)}"/>')
        for place, a, b in zip(places, s.x, s.y, strict=True):
            cx, cy = place.split(",")
            label = f"{s.name}: {number(float(a))}, {b:.6g}"
            body.append(f'<circle class="fill s{n}" cx="{cx}" cy="{cy}" r="3"><title>{escape(label)}</title></circle>')
    return _frame(title, x, y, x_label, y_label, "".join(body), [s.name for s in series])


def point_chart(title: str, series: Sequence[Series], x_label: str, y_label: str, *, log_x: bool = True, log_y: bool = True) -> str:
    """Draw each series as points, evenly thinned out where there are very many."""
    kept = [Series(s.name, *_positive(s, log_x=log_x, log_y=log_y)) for s in series]
    x, y = _axes(kept, log_x=log_x, log_y=log_y)
    body = []
    for n, s in enumerate(kept):
        thin = np.linspace(0, len(s.x) - 1, min(len(s.x), MOST_POINTS)).astype(int) if len(s.x) else np.zeros(0, int)
        dots = {(round(float(a), 1), round(float(b), 1)) for a, b in zip(x.place(s.x[thin]), y.place(s.y[thin]), strict=True)}
        body += [f'<circle class="point s{n}" cx="{a}" cy="{b}" r="2"/>' for a, b in sorted(dots)]
    return _frame(title, x, y, x_label, y_label, "".join(body), [s.name for s in series])


def _positive(s: Series, *, log_x: bool, log_y: bool) -> tuple[Array, Array]:
    keep = ((s.x > 0) | (not log_x)) & ((s.y > 0) | (not log_y))
    return s.x[keep], s.y[keep]


def bar_chart(title: str, series: Sequence[Series], x_label: str, y_label: str) -> str:
    """Draw a bar at every x; series share the axis and have colours of their own."""
    x, y = _axes(series, log_x=False, log_y=False, from_zero=True)
    n_bars = sum(len(s.x) for s in series)
    width = max(2.0, 0.7 * (WIDTH - LEFT - RIGHT) / max(n_bars + 1, 2))
    body, base = [], y.place(0.0)
    for n, s in enumerate(series):
        for a, b in zip(s.x, s.y, strict=True):
            left = min(max(x.place(a) - width / 2, LEFT), WIDTH - RIGHT - width)
            label = f"{s.name}: {number(float(a))}, {number(float(b))}"
            body.append(
                f'<rect class="fill s{n}" x="{left:.1f}" y="{y.place(b):.1f}" width="{width:.1f}" '
                f'height="{max(base - y.place(b), 0.5):.1f}"><title>{escape(label)}</title></rect>'
            )
    return _frame(title, x, y, x_label, y_label, "".join(body), [s.name for s in series])
