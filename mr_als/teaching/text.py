"""Numbers, vectors, matrices and tables as text, as one would write them by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from mr_als.maths.array import Array

# columns of a line; longer sums go on below
WIDTH = 100
# a fraction is shown where its denominator is at most this
DENOMINATOR = 999


def number(value: float, digits: int = 4) -> str:
    """Format a number to `digits` decimal places, or to fewer if they suffice.

    >>> number(2.0), number(0.3), number(13 / 18), number(-1e-17)
    ('2', '0.3', '0.7222', '0')
    """
    few = next((n for n in range(digits) if abs(value - round(value, n)) < 5e-10), digits)
    return f"{value:.{few}f}".replace("-0", "0") if abs(value) < 5e-10 else f"{value:.{few}f}"


def fraction(value: float) -> str:
    """Format a number as a fraction if it is one with a small denominator, else as `number` does.

    >>> fraction(13 / 18), fraction(2**0.5)
    ('13/18', '1.4142')
    """
    found = Fraction(float(value)).limit_denominator(DENOMINATOR)
    return str(found) if abs(float(found) - value) < 1e-10 else number(value)


def vector(values: Iterable[float], digits: int = 4) -> str:
    """Format a vector in round brackets.

    >>> vector([6, 2])
    '(6, 2)'
    """
    return "(" + ", ".join(number(v, digits) for v in values) + ")"


def sum_of(values: Iterable[float]) -> str:
    """Format a sum, with a minus instead of a plus before negative terms.

    >>> sum_of([2, -0.5, 1])
    '2 - 0.5 + 1'
    """
    return " + ".join(number(v) for v in values).replace("+ -", "- ")


def tiny(value: float) -> str:
    """Format a difference; below 1e-12, its digits depend on the machine.

    >>> tiny(0.0443), tiny(1e-16)
    ('0.0443', 'rounding only')
    """
    return "rounding only" if abs(value) < 1e-12 else number(value)


def exactly(values: Array) -> str:
    """Format a vector, also as fractions where it has any.

    >>> exactly(np.array([13 / 18, 1 / 9]))
    '(13/18, 1/9) = (0.7222, 0.1111)'
    """
    fractions = "(" + ", ".join(fraction(v) for v in values) + ")"
    return vector(values) if fractions == vector(values) else f"{fractions} = {vector(values)}"


def matrix(values: Array) -> list[str]:
    """Format a matrix as lines.

    >>> print(*matrix(np.array([[8, 2], [2, 10]])), sep=chr(10))
    [ 8   2]
    [ 2  10]
    """
    cells = [[number(v) for v in row] for row in np.atleast_2d(values)]
    width = max(len(cell) for row in cells for cell in row)
    return ["[" + "  ".join(cell.rjust(width) for cell in row) + "]" for row in cells]


def equation(*parts: str | Array) -> list[str]:
    """Write texts and matrices beside each other, texts at half height; what does not fit goes on below.

    >>> print(*equation("a = ", np.eye(2), " + 3 ", np.ones((2, 2))), sep=chr(10))
    a = [1  0] + 3 [1  1]
        [0  1]     [1  1]
    """
    bands: list[list[list[str]]] = [[]]
    for part in parts:
        block = [part] if isinstance(part, str) else matrix(part)
        used = sum(len(b[0]) for b in bands[-1])
        starts = isinstance(part, str)  # a term is a text and its matrix: break before the text only
        if starts and bands[-1] and used + len(block[0]) + 30 > WIDTH:
            bands.append([["    "]])
        bands[-1].append(block)
    return [line for band in bands for line in _beside(band)]


def _beside(blocks: Sequence[Sequence[str]]) -> list[str]:
    height = max(len(block) for block in blocks)
    lines = [""] * height
    for block in blocks:
        width = max(len(line) for line in block)
        # a text stands at the upper middle line
        at = (height - 1) // 2 if len(block) == 1 else 0
        for n in range(height):
            lines[n] += (block[n - at] if 0 <= n - at < len(block) else "").ljust(width)
    return [line.rstrip() for line in lines]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Format a table as lines, its first `left` columns left-aligned and all others right-aligned.

    >>> print(*table(["", "A"], [["u1", "3"], ["u2", "10"]]), sep=chr(10))
         A
    u1   3
    u2  10
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        aligned = [c.ljust(w) if n < left else c.rjust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True))]
        return "  ".join(aligned).rstrip()

    return [line(row) for row in (header, *rows)]


def grid(users: Sequence[str], items: Sequence[str], values: Array, empty: float | None = None) -> list[str]:
    """Format a users x items table; cells equal to `empty` are shown as a dot."""
    rows = [[user, *("." if v == empty else number(v) for v in row)] for user, row in zip(users, values, strict=True)]
    return table(["", *items], rows)
