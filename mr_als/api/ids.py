"""Ids as a program has them: integers, strings or NumPy's scalars in, rows out, and back in the kind they came as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mr_als.errors import UnknownIdError, UsageError
from mr_als.maths.array import Array
from mr_als.models.model import Names
from mr_als.models.near import did_you_mean_id
from mr_als.records.ids import Ids, hash_ids
from mr_als.records.join import match

if TYPE_CHECKING:
    from mr_als.models.model import Model

__all__ = ["Numbers", "Side", "is_one", "is_whole", "several"]


class Numbers(Names):
    """Ids that are integers, in row order."""

    def __getitem__(self, row: Any) -> Any:
        found = super().__getitem__(row)
        return found if isinstance(row, slice) else int(found)

    def __iter__(self) -> Iterator[int]:  # type: ignore[override]
        return (self[row] for row in range(len(self)))


def is_one(names: Any) -> bool:
    """Say whether something is an id, or nothing at all, and not several."""
    return isinstance(names, str | bytes) or not np.iterable(names)


def is_whole(value: Any) -> bool:
    """Say whether something is an integer, Python's or NumPy's."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def several(names: Any) -> Any:
    """Make a list or an array of ids, of one as well as of several.

    Raises
    ------
    UsageError
        If they are an array of rows.
    """
    if is_one(names):
        return [names.item() if isinstance(names, np.ndarray) else names]
    if not isinstance(names, np.ndarray):
        return list(names)
    if names.ndim > 1:
        msg = f"the ids are an array of shape {names.shape}; expected an id, or a list or an array of one dimension: ids.ravel()"
        raise UsageError(msg)
    return names


class Side:
    """The users or the items of a model: looks ids up, and names rows.

    Parameters
    ----------
    name : "users" or "items"
    """

    def __init__(self, model: Model, name: str) -> None:
        self.name, self._path = name, model.path  # not the model, which refers to this
        self.hashes: Array = getattr(model, f"{name[:-1]}_hashes")
        self.texts: Names = getattr(model, f"{name[:-1]}_ids")
        self.whole = model.info.get("ids", {}).get(name) == "int"
        self._salt = model.info["options"]["inputs"]["salt"]

    @property
    def ids(self) -> Names:
        """The ids in row order, of the kind they came as."""
        if not self.whole:
            return self.texts
        numbers = Numbers.__new__(Numbers)
        numbers.starts, numbers.text = self.texts.starts, self.texts.text
        return numbers

    def rows(self, names: Iterable[Any]) -> Array:
        """Find the rows of ids, int64 (n,); -1 where one is unknown."""
        if isinstance(names, np.ndarray) and names.dtype.kind in "iu":
            ids = Ids.of_numbers(names)
        else:
            ids = Ids.of([_encoded(name) for name in names])
        rows, found = match(hash_ids(ids, self._salt), self.hashes)
        some = np.flatnonzero(found)
        # the same hash is the same id but once in 2^64 times: here, too, that is looked at
        starts = self.texts.starts
        known = Ids.cut(np.asarray(self.texts.text), np.asarray(starts[rows[some]]), np.asarray(starts[rows[some] + 1]) - 1)
        same = Ids.join([ids.take(some), known]).same(np.arange(len(some)), len(some) + np.arange(len(some)))
        found[some[~same]] = False
        return np.where(found, rows, -1)

    def some(self, names: Any) -> Array:
        """Find the rows of those ids, or of one, that are known, ascending and each once."""
        rows = self.rows(several(names))
        return np.unique(rows[rows >= 0])

    def known_rows(self, names: Any) -> Array:
        """Find the rows of ids, or of one, int64 (n,).

        Raises
        ------
        UnknownIdError
            If one is unknown.
        """
        names = several(names)
        rows = self.rows(names)
        if (rows < 0).any():
            raise self.unknown(names[int(np.argmax(rows < 0))])
        return rows

    def row(self, name: Any) -> int:
        """Find the row of an id, which must be known."""
        return int(self.known_rows([name])[0])

    def unknown(self, name: Any) -> UnknownIdError:
        """Make the error of an unknown id; what may have been meant is looked for only when it is shown."""

        def text() -> str:
            shown = name.item() if isinstance(name, np.generic) else name
            kind = "integers" if self.whole else "strings"
            some = ", ".join(repr(self.ids[row]) for row in range(min(3, len(self.texts))))
            close = did_you_mean_id(self.texts, str(name))
            return f"{shown!r}: none of the {len(self.texts)} {self.name} of {self._path}{close}; ids are {kind}, e.g. {some}"

        return UnknownIdError(name, text)

    def named(self, rows: Array) -> Array:
        """Name rows of any shape: int64 or object (str); -1 or None where a row is -1."""
        used = np.zeros(len(self.texts) + 1, bool)
        used[rows] = True  # -1 is the last one
        asked, ids = np.flatnonzero(used[:-1]).tolist(), self.ids
        named = [ids[row] for row in asked]
        fits = self.whole and max(named, default=0) < 1 << 63  # type: ignore[operator]
        names = np.full(len(used), -1 if self.whole else None, np.int64 if fits else object)
        names[asked] = named
        found: Array = names[rows]
        return found


def _encoded(name: Any) -> bytes:
    if isinstance(name, str):
        return name.encode("utf-8", "surrogatepass")
    if is_whole(name):
        return b"%d" % name
    msg = f"an id is an integer or a string, got {name!r}"
    raise TypeError(msg)
