"""Threads of one program that train at the same time: which of them may use the session, and which has to wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition
from typing import TypeVar

__all__ = ["Turns"]

Taken = TypeVar("Taken")


class Turns:
    """What there is one of at a time: whoever can use the one that is there does so, anybody else waits until nobody uses it."""

    def __init__(self) -> None:
        self._changed, self._users = Condition(), 0

    @contextmanager
    def using(self, serves: Callable[[], bool], take: Callable[[], Taken]) -> Iterator[Taken]:
        """Yield what `take` returns, which may replace what is there, unless that `serves`.

        Both are called by one thread at a time.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._users or serves())
            taken = take()
            self._users += 1
        try:
            yield taken
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()
