"""What a person sees while it runs: a bar with time left on a terminal, else a line per half. Always on stderr."""

from __future__ import annotations

import sys
import time

WIDTH = 24


class Progress:
    """Report steps; quiet says nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar = not quiet and sys.stderr.isatty()
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if not self._quiet:
            print(("\r\x1b[K" if self._bar else "") + text, file=sys.stderr, flush=True)

    def step(self, done: int, most: int, what: str) -> None:
        """Draw the bar: `done` of at most `most` steps, and the time left if all of them are needed."""
        if not self._bar:
            return
        spent = time.monotonic() - self._started
        left = f"at most {spent / done * (most - done):.0f} s left" if done else ""
        full = WIDTH * done // max(most, 1)
        print(f"\r\x1b[K[{'#' * full}{'.' * (WIDTH - full)}] {what} {left}", end="", file=sys.stderr, flush=True)

    def done(self) -> None:
        """Take the bar away."""
        if self._bar:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
