"""Shapes and words on a sheet, as SVG in plain Python, in light colours or dark ones as the reader's browser is set.

Colours are classes of the style sheet below: a picture never names one itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

# name -> (light, dark); NAME-edge is the line around a box of that colour, dark enough to write with
COLOURS = {
    "ink": ("#1f2933", "#e6e9ec"),
    "faint": ("#5b6670", "#9aa5af"),
    "paper": ("#ffffff", "#15191d"),
    "line": ("#dfe3e7", "#343c44"),
    "blue": ("#dbeafe", "#1d3854"),
    "blue-edge": ("#1769aa", "#6db3f2"),
    "orange": ("#ffedd5", "#53321b"),
    "orange-edge": ("#b84a0e", "#f2a56d"),
    "green": ("#dcfce7", "#1d4528"),
    "green-edge": ("#2e7d32", "#81c784"),
    "grey": ("#f1f5f9", "#232a31"),
    "grey-edge": ("#7b8794", "#7b8794"),
}
FONT = "font-family='Helvetica, Arial, sans-serif'"
# width of an average letter, in units of the size of the font
LETTER = 0.5


def style() -> str:
    """Write the style sheet: for each colour a class that fills, and one that draws lines."""
    light, dark = ("".join(f"--{name}: {both[n]}; " for name, both in COLOURS.items()) for n in (0, 1))
    classes = "".join(f".{name} {{ fill: var(--{name}); }} .l-{name} {{ stroke: var(--{name}); }} " for name in COLOURS)
    return (
        f":root {{ {light}}} @media (prefers-color-scheme: dark) {{ :root {{ {dark}}} }} "
        f"{classes}.open {{ fill: none; }} .dashed {{ stroke-dasharray: 5 4; }}"
    )


class Drawing:
    """Shapes on a sheet, in the order in which they are drawn."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.size, self.title = (width, height), title
        self.parts: list[str] = []

    def shape(self, name: str, css: str, **attributes: float | str) -> None:
        """Add an element of SVG; an underscore in the name of an attribute stands for a hyphen."""
        written = (f"{key.replace('_', '-')}='{at if isinstance(at, str) else f'{at:.5g}'}'" for key, at in attributes.items())
        self.parts.append(f"<{name} class='{css}' {' '.join(written)}/>")

    def box(self, x: float, y: float, w: float, h: float, lines: Sequence[str], colour: str = "grey") -> None:
        """Draw a box with lines of text in its middle, the first one bold."""
        self.shape("rect", f"{colour} l-{colour}-edge", x=x, y=y, width=w, height=h, rx=6)
        top = y + h / 2 - 8 * (len(lines) - 1) + 4.5
        for n, line in enumerate(lines):
            self.text(x + w / 2, top + 16 * n, line, bold=n == 0 and len(lines) > 1, width=w - 8)

    def text(
        self, x: float, y: float, line: str, *, size: float = 13, anchor: str = "middle", css: str = "ink",
        bold: bool = False, width: float = 0,
    ) -> None:  # fmt: skip
        """Write a line, in smaller letters where it would be wider than `width`."""
        if width:
            size = min(size, width / (LETTER * len(line) or 1))
        how = f"font-size='{size:.3g}' text-anchor='{anchor}'{' font-weight=' + repr('bold') if bold else ''}"
        self.parts.append(f"<text class='{css}' x='{x:.5g}' y='{y:.5g}' {how}>{escape(line)}</text>")

    def arrow(
        self, x0: float, y0: float, x1: float, y1: float, label: str = "", *, colour: str = "ink", ground: str = "paper",
        at: float = 0.5, lift: float = 6,
    ) -> None:  # fmt: skip
        """Draw an arrow, its label above the point `at` of the way, on the colour of what lies below."""
        ends = {"x1": x0, "y1": y0, "x2": x1, "y2": y1}
        self.shape("line", f"l-{colour}", **ends, stroke_width=1.6, marker_end=f"url(#tip-{colour})")
        if label:
            x, y, width = x0 + (x1 - x0) * at, y0 + (y1 - y0) * at - lift, 12 * LETTER * len(label)
            self.shape("rect", ground, x=x - width / 2, y=y - 11, width=width, height=14, opacity=0.9)
            self.text(x, y, label, size=12)

    def svg(self) -> str:
        """Render the text of the file."""
        w, h = self.size
        body = "\n".join(self.parts)
        tips = "".join(
            f"<marker id='tip-{name}' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' orient='auto'>"
            f"<path class='{name}' d='M0 0 L10 5 L0 10 z'/></marker>"
            for name in COLOURS
            if f"url(#tip-{name})" in body
        )
        head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {w} {h}' width='{w}' height='{h}' role='img' {FONT}>"
        sheet = f"<style>{style()}</style><defs>{tips}</defs><rect class='paper' width='{w}' height='{h}' rx='8'/>"
        return f"{head}\n<title>{escape(self.title)}</title>\n{sheet}\n{body}\n</svg>\n"
