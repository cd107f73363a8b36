"""A pair of axes on a drawing: linear or logarithmic, with ticks, names and a frame; curves, dots and arrows in data units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from drawing import LETTER, Drawing

from mr_als.maths.array import Array
from mr_als.reporting.charts import number


class Scale(NamedTuple):
    """How the numbers of an axis are laid out: from `low` to `high`, with marks at `ticks`."""

    low: float
    high: float
    ticks: Sequence[float]
    log: bool = False

    def share(self, value: float) -> float:
        """Map a value to its share of the way from low to high."""
        low, high, at = (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return (at - low) / (high - low)


def linear(values: Array, about: int = 5) -> Scale:
    """Choose round numbers around all values, 1, 2 or 5 times a power of ten apart."""
    low, high = float(np.min(values)), float(np.max(values))
    step = 10.0 ** math.floor(math.log10((high - low) / about))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= about)
    ticks = [n * step for n in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]
    return Scale(ticks[0], ticks[-1], ticks)


def logarithmic(values: Array, ticks: Sequence[float] | None = None) -> Scale:
    """Choose a scale that holds all values with some room; unless they are given, ticks at three or more round numbers."""
    low, high = float(np.min(values)) / 1.25, float(np.max(values)) * 1.35
    powers = [10.0**n for n in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    round_numbers = ([m * ten for ten in powers for m in ms if low <= m * ten <= high] for ms in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7)))
    few, many = round_numbers
    return Scale(low, high, ticks or (few if len(few) > 2 else many), True)


def same_unit(values: Array, room: tuple[float, float], tick: float) -> Scale:
    """Choose a scale that ends `room` before and after the values, for axes on which a unit has one length."""
    low, high = float(np.min(values)) - room[0], float(np.max(values)) + room[1]
    return Scale(low, high, [n * tick for n in range(math.ceil(low / tick), math.floor(high / tick) + 1)])


class Plot:
    """Axes whose inner frame is `width` x `height`, its upper left corner at (left, top) of the drawing."""

    def __init__(
        self, d: Drawing, frame: tuple[float, float, float, float], x: Scale, y: Scale, names: tuple[str, str, str]
    ) -> None:
        """Draw frame, ticks and names.

        Parameters
        ----------
        frame : left, top, width, height
        names : of the plot, of the x axis, of the y axis
        """
        self.drawing, (self.left, self.top, self.width, self.height), self.x, self.y = d, frame, x, y
        bottom = self.top + self.height
        for tick in y.ticks:
            height = self.at(x.low, tick)[1]
            d.shape("line", "l-line", x1=self.left, x2=self.left + self.width, y1=height, y2=height)
            d.text(self.left - 7, height + 4, number(tick), size=11, anchor="end", css="faint")
        for tick in x.ticks:
            across = self.at(tick, y.low)[0]
            d.shape("line", "l-line", x1=across, x2=across, y1=self.top, y2=bottom)
            d.text(across, bottom + 15, number(tick), size=11, css="faint")
        d.shape("path", "open l-faint", d=f"M{self.left} {self.top} V{bottom} H{self.left + self.width}")
        middle = self.left + self.width / 2
        d.text(middle, self.top - 10, names[0], bold=True)
        d.text(middle, bottom + 32, names[1], size=12)
        if names[2]:
            turned = self.left - 46, self.top + self.height / 2
            d.text(*turned, names[2], size=12)
            d.parts[-1] = d.parts[-1].replace("<text ", f"<text transform='rotate(-90 {turned[0]:.5g} {turned[1]:.5g})' ")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Map a point to its place on the drawing."""
        return self.left + self.x.share(x) * self.width, self.top + (1 - self.y.share(y)) * self.height

    def curve(self, xs: Sequence[float], ys: Sequence[float], colour: str, css: str = "", width: float = 2) -> None:
        """Draw a line through points."""
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in (self.at(x, y) for x, y in zip(xs, ys, strict=True)))
        self.drawing.shape("polyline", f"open l-{colour} {css}".strip(), points=points, stroke_width=width)

    def dot(self, x: float, y: float, colour: str, size: float = 3.5, opacity: float = 1) -> None:
        """Draw a dot."""
        cx, cy = self.at(x, y)
        self.drawing.shape("circle", colour, cx=cx, cy=cy, r=size, opacity=opacity)

    def arrow(self, start: Sequence[float], end: Sequence[float], colour: str) -> None:
        """Draw an arrow between two points."""
        self.drawing.arrow(*self.at(*start), *self.at(*end), colour=colour)

    def label(
        self, x: float, y: float, words: str, *, dx: float = 0, dy: float = 0, css: str = "ink", anchor: str = "middle"
    ) -> None:
        """Write beside a point, `dx` and `dy` away from it, on a ground that what lies below does not shine through."""
        left, top = (a + b for a, b in zip(self.at(x, y), (dx, dy), strict=True))
        width = 12 * LETTER * len(words)
        start = left - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        self.drawing.shape("rect", "paper", x=start - 1, y=top - 11, width=width + 2, height=14, opacity=0.8)
        self.drawing.text(left, top, words, size=12, css=css, anchor=anchor)
