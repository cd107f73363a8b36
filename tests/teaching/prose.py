"""Sums in the prose of a page, such as `4 x 7 - 1 x 1 = 27`: found, and checked."""

from __future__ import annotations

import re

_NUMBER = r"\(?\d[\d.]*\)?(?:\^2)?"
SUM = re.compile(rf"((?:{_NUMBER}(?: [x+/-] | (?=\()))+{_NUMBER}(?: - \d[\d.]*\^2)?) = (-?\d+(?:\.\d+)?)")


def sums(text: str) -> list[tuple[str, float, float]]:
    """List each sum with what it comes to, and what the text says."""
    found = SUM.findall(" ".join(text.split()))
    return [(left, float(eval(re.sub(r"(?<=\d) \(", " * (", left).replace(" x ", " * ").replace("^", "**"))), float(right))
            for left, right in found]  # fmt: skip
