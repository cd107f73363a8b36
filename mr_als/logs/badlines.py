"""Bad lines: counted by reason, sampled for a quarantine file, never silent and never fatal by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["LATE", "OTHER_HEADER", "SAMPLES", "BadLines", "Sample", "escaped", "numbered", "quarantine_table"]

# samples kept of each reason: enough to see what is wrong, few enough to hold a million bad lines
SAMPLES = 20
# reasons for which no share of lines is small enough: all lines from there on may mean something else
LATE, OTHER_HEADER = "a column that the first records do not name", "a header of other columns"
# characters of a bad line shown
SHOWN = 200


class Sample(NamedTuple):
    """One bad line: its source, its number in it from 1, why it is bad, in which column, and its text, escaped."""

    source: str
    line: int
    reason: str
    field: str
    text: str


def escaped(line: bytes) -> str:
    r"""Format a line in printable form, cut to 200 characters.

    >>> escaped(b"a\x00\tb")
    'a\\x00\\tb'
    """
    text = line[: SHOWN + 1].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)
    return shown if len(line) <= SHOWN and len(shown) <= SHOWN else shown[:SHOWN] + "..."


@dataclass
class BadLines:
    """How many lines were bad for which reason, and the first few of each."""

    counts: dict[str, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def wants(self, reason: str) -> int:
        """Say how many more samples of a reason are worth making."""
        return max(SAMPLES - self.counts.get(reason, 0), 0)

    def count(self, reason: str, n: int) -> None:
        """Count n more lines; their samples come through `samples`."""
        if n:
            self.counts[reason] = self.counts.get(reason, 0) + n

    def add(self, sample: Sample) -> None:
        """Count one line, and keep its sample if it is among the first of its reason."""
        if self.wants(sample.reason):
            self.samples.append(sample)
        self.count(sample.reason, 1)

    def merge(self, other: BadLines) -> None:
        """Add what another task found; of each reason the first samples in order of source and line stay."""
        for reason, n in other.counts.items():
            self.count(reason, n)
        kept: dict[str, int] = {}
        every, self.samples = sorted({*self.samples, *other.samples}, key=_place), []
        for sample in every:
            kept[sample.reason] = kept.get(sample.reason, 0) + 1
            if kept[sample.reason] <= SAMPLES:
                self.samples.append(sample)

    def to_dict(self) -> dict[str, Any]:
        """Convert to a JSON-compatible dictionary that `from_dict` reads."""
        return {"counts": self.counts, "samples": [list(sample) for sample in self.samples]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BadLines:
        """Read what `to_dict` wrote."""
        return cls(dict(data["counts"]), [Sample(*row) for row in data["samples"]])


def _place(sample: Sample) -> tuple[str, int, int]:
    """Order samples by file, place of the range in it, and line."""
    path, _, offset = sample.source.rpartition("@")
    return path, int(offset) if offset.isdigit() else 0, sample.line


def numbered(bad: BadLines, lines: dict[str, int]) -> Iterator[tuple[str, int, Sample]]:
    """Yield each sample with its file and the number of its line in it.

    Parameters
    ----------
    lines : dict
        Number of lines of each range of a file, by its source `path@offset`; a sample counts lines from its range's start.
    """
    ranges = {source: _place(Sample(source, 0, "", "", ""))[:2] for source in lines}
    for sample in bad.samples:
        path, offset, line = _place(sample)
        earlier = sum(n for source, n in lines.items() if ranges[source][0] == path and ranges[source][1] < offset)
        yield path, earlier + line, sample


def quarantine_table(bad: BadLines, lines: dict[str, int]) -> str:
    """Format the samples as a table of file, line, reason, field and text; `lines` as for `numbered`."""
    rows = ["file\tline\treason\tfield\ttext"]
    rows += [f"{path}\t{line}\t{sample.reason}\t{sample.field}\t{sample.text}" for path, line, sample in numbered(bad, lines)]
    return "\n".join(rows) + "\n"
