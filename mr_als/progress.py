"""What a person sees while it runs: a bar with time left on a terminal, else a line per half. Always on stderr."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import datetime, timezone
from typing import Any

WIDTH = 24
CLEAR = "\r\x1b[K"


class Progress:
    """Report steps; quiet says nothing but warnings. As JSON, a line is an object with time, level, event, message and figures."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self._quiet, self._json = quiet, as_json
        self._terminal = not quiet and not as_json and sys.stderr.isatty()
        self._started, self._first, self._bar = time.monotonic(), -1, ""

    def say(self, text: str, event: str = "note", **figures: Any) -> None:
        """Print a line, above the bar if there is one; `event` and `figures` are for programs, and only in JSON."""
        if not self._quiet:
            self._print(text, "info", event, **figures)

    def warn(self, text: str) -> None:
        """Print a line whether quiet or not."""
        self._print(text, "warning", "warning")

    def _print(self, text: str, level: str, event: str, **figures: Any) -> None:
        line = log_line(level, event, text, **figures) if self._json else text
        print(f"{CLEAR if self._bar else ''}{line}\n{self._bar}", end="", file=sys.stderr, flush=True)

    def step(self, done: int, most: int, what: str) -> None:
        """Draw the bar: `done` of at most `most` steps, and the time left if all of them are needed."""
        if not self._terminal:
            return
        if self._first < 0:
            # a resumed run begins in the middle: only the steps since then say how long one takes
            self._first, self._started = done, time.monotonic()
        full = WIDTH * done // max(most, 1)
        self._bar = f"[{'#' * full}{'.' * (WIDTH - full)}] {what}{self._left(done, most)}"
        print(f"{CLEAR}{self._bar}", end="", file=sys.stderr, flush=True)

    def _left(self, done: int, most: int) -> str:
        if done <= self._first:
            return ""
        seconds = (time.monotonic() - self._started) / (done - self._first) * (most - done)
        return f", at most {duration(seconds)} left"

    def done(self) -> None:
        """Take the bar away."""
        if self._bar:
            self._bar = ""
            print(CLEAR, end="", file=sys.stderr, flush=True)


class LogLines(logging.Formatter):
    """Format the log of a library likewise; its name is the event."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object."""
        return log_line(record.levelname.lower(), record.name.partition(".")[0], record.getMessage())


def log_line(level: str, event: str, message: str, **figures: Any) -> str:
    """Format a line of a log for programs: one JSON object, its time in UTC.

    >>> json.loads(log_line("info", "half", "half 3 ...", wrmse=0.25))["wrmse"]
    0.25
    """
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return json.dumps({"time": now, "level": level, "event": event, "message": message, **figures}, ensure_ascii=False)


def duration(seconds: float) -> str:
    """Format a duration as a person would say it.

    >>> duration(7.2), duration(95), duration(7500)
    ('8 s', '1:35 min', '2:05 h')
    """
    if seconds < 60:
        return f"{int(seconds) + 1} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def size(n_bytes: float) -> str:
    """Format a number of bytes, in powers of ten.

    >>> size(208), size(2.6e6), size(1.1e12)
    ('208 B', '2.6 MB', '1.1 TB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def what_a_half_does(number: int, solved: str, fixed: str, join: str) -> str:
    """Say in words what the job of a half does; empty from half 3 on, which repeat the first two.

    >>> what_a_half_does(0, "items", "users", "shuffle")
    'half 0, items: job mr_solve gives every item a random vector, drawn from the seed and its id'
    """
    if number == 0:
        return f"half 0, {solved}: job mr_solve gives every {solved[:-1]} a random vector, drawn from the seed and its id"
    if number > 2:
        return ""
    if join == "broadcast":
        how = (
            f"the vectors of all {fixed} travel to every map task, which solves its blocks of {solved} where they are; "
            "nothing is shuffled"
        )
    else:
        how = (
            f"mappers send each block of {solved} its plays and the {fixed[:-1]} vectors that its rows need; "
            f"they meet in a reducer, which solves one small system of equations for each {solved[:-1]}"
        )
    again = "; from here on the two halves take turns" if number == 2 else ""
    return f"half {number}, {solved}: job mr_solve, join {join}: {how}{again}"
