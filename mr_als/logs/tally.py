"""What became of lines: how many of a log were plays, what the others were, and from when to when they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mr_als.logs.badlines import BadLines

if TYPE_CHECKING:
    from mr_als.logs.parse import Parsed

__all__ = ["HEADER", "NOBODY", "OUTSIDE", "SHORT", "ZERO", "Tally", "added", "joined"]

# what becomes of good lines that are no plays
HEADER, NOBODY, SHORT, OUTSIDE, ZERO = "header", "without user or item", "too short", "outside the window", "zero plays"


class Tally:
    """What became of the lines of many chunks.

    counts : lines, and good lines that the filter left out
    others : good lines that are no plays, by what became of them
    span : first and last time read
    """

    def __init__(self) -> None:
        self.counts = {"lines": 0, "filtered": 0}
        self.others: dict[str, int] = {}
        self.span: tuple[float, float] | None = None

    def add(self, parsed: Parsed) -> None:
        """Add those of a chunk."""
        self.counts["lines"] += parsed.lines
        self.counts["filtered"] += parsed.filtered
        for name, n in parsed.others.items():
            if n:
                self.others[name] = self.others.get(name, 0) + n
        self.span = joined(self.span, parsed.span)


def joined(one: Sequence[float] | None, other: Sequence[float] | None) -> tuple[float, float] | None:
    """Join two spans of times, each of which may be None.

    >>> joined((1.0, 2.0), None), joined((1.0, 2.0), (0.0, 1.5)), joined(None, None)
    ((1.0, 2.0), (0.0, 2.0), None)
    """
    spans = [span for span in (one, other) if span is not None]
    return (min(span[0] for span in spans), max(span[1] for span in spans)) if spans else None


def added(reports: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Add up reports of what became of lines: `counts` and `others` as of a `Tally`, `times`, `bad`, and `lines` of each range."""
    bad, lines, span = BadLines(), dict[str, int](), None
    counts: dict[str, dict[str, int]] = {"counts": {}, "others": {}}
    for report in reports:
        bad.merge(BadLines.from_dict(report["bad"]))
        lines |= report["lines"]
        for name, sums in counts.items():
            for what, n in report.get(name, {}).items():
                sums[what] = sums.get(what, 0) + n
        span = joined(span, report.get("times"))
    return {"bad": bad.to_dict(), "lines": lines, **counts, "times": span}
