"""Our exceptions.

* MRALSError                what the command line shows in one line (exit 1)
  + UsageError              options that contradict each other or are out of range (exit 2)
  + BadInputError           log lines or files that are not what the format says
  + GateError               a result that did not pass what was asked of it; what was published stays (exit 3)
  + HashCollisionError      two ids with one 64-bit hash
  + DamagedDataError        a file that is not what its manifest or checksum says
  + SingularSystemError     a row whose normal equations have no unique solution
  + NonFiniteError          a NaN or an infinity where a factor should be
  + ObjectiveRoseError      the regularised objective rose: a defect, never a property of the data
  + BusyError               another process works on the same directory
  + ResumeError             an unfinished run was made with other inputs or options
  + StorageError            a file system that does not answer, or refuses what is asked
  + JobFailedError          a MapReduce job failed
  + ModelError              no published model, or one that cannot be read
  + UnknownIdError          a user or an item that a model does not know; it is a KeyError, too
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

__all__ = [
    "BadInputError",
    "BusyError",
    "DamagedDataError",
    "GateError",
    "HashCollisionError",
    "JobFailedError",
    "MRALSError",
    "ModelError",
    "NonFiniteError",
    "ObjectiveRoseError",
    "ResumeError",
    "SingularSystemError",
    "StorageError",
    "UnknownIdError",
    "UsageError",
    "did_you_mean",
]


class MRALSError(Exception):
    """Base of all errors a user can do something about.

    exit_code : what the command line ends with
    """

    exit_code = 1


class UsageError(MRALSError):
    """Options that contradict each other or are out of range."""

    exit_code = 2


class BadInputError(MRALSError):
    """Log lines or files that are not what the format says."""


class GateError(MRALSError):
    """A result did not pass what was asked of it; what was published before stays."""

    exit_code = 3


class HashCollisionError(MRALSError):
    """Two ids with one 64-bit hash; another --salt separates them."""


class DamagedDataError(MRALSError):
    """A file that is not what its manifest or checksum says."""


class SingularSystemError(MRALSError):
    """A row whose normal equations have no unique solution."""


class NonFiniteError(MRALSError):
    """A NaN or an infinity where a factor should be."""


class ObjectiveRoseError(MRALSError):
    """The regularised objective rose by more than rounding."""


class BusyError(MRALSError):
    """Another process works on the same directory."""


class ResumeError(MRALSError):
    """An unfinished run was made with other inputs or options."""


class StorageError(MRALSError):
    """A file system that does not answer, or refuses what is asked."""


class JobFailedError(MRALSError):
    """A MapReduce job failed; the message holds the cause."""


class ModelError(MRALSError):
    """There is no published model, or it cannot be read."""


class UnknownIdError(MRALSError, KeyError):
    """A model does not know a user or an item.

    Parameters
    ----------
    name : the id
    text : function that gives the message, which is asked for only when it is shown: many who catch this never show it
    """

    def __init__(self, name: Any, text: Callable[[], str]) -> None:
        super().__init__(name)
        self._text = text

    def __str__(self) -> str:
        return self._text()

    def __reduce__(self) -> tuple[Any, ...]:
        return _said, (self.args[0], str(self))


def _said(name: Any, text: str) -> UnknownIdError:
    return UnknownIdError(name, lambda: text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return what a message about an unknown word ends with: the known one that is closest, if any is close.

    >>> did_you_mean("recomend", ["train", "recommend"]), did_you_mean("fly", ["train", "recommend"])
    ("; did you mean 'recommend'?", '')
    """
    import difflib  # only for somebody who has mistyped

    plain: dict[str, str] = {}
    for name in known:
        plain.setdefault(name.casefold().strip(), name)
    close = difflib.get_close_matches(word.casefold().strip(), plain, 1, 0.75)
    return f"; did you mean {plain[close[0]]!r}?" if close else ""
