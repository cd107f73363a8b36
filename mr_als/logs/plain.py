"""Plain lines: what the records of every format become before they are parsed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["SEPARATOR", "Plain", "Report"]

# between fields that may hold any printable character; as a control character it is in no id
SEPARATOR = b"\x1f"

# takes a line that is bad: its number in the chunk from 0, why, in which column, and its text
Report = Callable[[int, str, str, bytes], None]


class Plain(NamedTuple):
    """The records of a chunk as plain lines, in order: line i is record i.

    text : whole lines, at least one, each with its end
    delimiter : the byte between the fields
    done : lines that are no play or were found bad already, whatever they look like
    left_out : how many of these say in good form that there is no user or no item, as a podcast has no artist
    raw : gives the text of a record as it stands in the log; None where that is the plain line
    headers : how many of the lines that are done belong to a header
    """

    text: bytes
    delimiter: bytes
    done: Sequence[int] = ()
    left_out: int = 0
    raw: Callable[[int], bytes] | None = None
    headers: int = 0
