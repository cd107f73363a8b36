"""What a caller sees of a training: a call for each half, and a bar on a terminal or in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from mr_als.progress import Progress

__all__ = ["reporting"]

Callback = Callable[[dict[str, Any]], object]


def reporting(progress: bool | None, callback: Callback | None) -> Progress:
    """Build the reporter: True says all, False nothing, None draws a bar where one can be seen."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if progress is None and getattr(shell, "kernel", None) is not None:
        return _Notebook(callback)
    return _Reporter(callback, lines=progress is True, bar=progress is not False)


class _Reporter(Progress):
    """Calls back, and shows lines, a bar, both or nothing."""

    def __init__(self, callback: Callback | None, *, lines: bool, bar: bool) -> None:
        super().__init__(quiet=not (lines or bar))
        self._callback, self._lines = callback, lines

    def say(self, text: str, event: str = "note", **figures: Any) -> None:
        """Print a line if lines are wanted; call back if it is of a half."""
        if self._lines:
            super().say(text, event, **figures)
        if event == "half" and self._callback:
            self._callback(figures)


class _Notebook(_Reporter):
    """A bar in the output of a cell, which is written anew with each step."""

    def __init__(self, callback: Callback | None) -> None:
        super().__init__(callback, lines=False, bar=True)
        self._handle: Any = None

    def step(self, done: int, most: int, what: str) -> None:
        """Draw the bar."""
        from IPython.display import HTML, display

        bar = HTML(f"<progress value='{done}' max='{most}'></progress> <small>{what}</small>")
        if self._handle is None:
            self._handle = display(bar, display_id=True)
        else:
            self._handle.update(bar)

    def done(self) -> None:
        """Take the bar away."""
        if self._handle is not None:
            from IPython.display import HTML

            self._handle.update(HTML(""))
            self._handle = None
