"""The utility matrix of the example, or one that the reader brings: a small CSV file."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mr_als.errors import BadInputError
from mr_als.maths.array import Array
from mr_als.records.factor_lines import read_factor_lines

# rows and columns that still can be followed by eye
LARGEST = 12


class UtilityMatrix(NamedTuple):
    """How often each user played each item: plays is float64 (n_users, n_items)."""

    users: tuple[str, ...]
    items: tuple[str, ...]
    plays: Array

    def pairs(self) -> list[tuple[str, str, float]]:
        """List all pairs with a play as (user, item, plays), row by row."""
        return [(self.users[u], self.items[i], float(self.plays[u, i])) for u, i in np.argwhere(self.plays > 0)]


EXAMPLE = UtilityMatrix(
    ("u1", "u2", "u3", "u4"),
    ("aria", "blues", "conga", "disco", "etude"),
    np.array([[3, 1, 0, 0, 0], [1, 2, 0, 0, 1], [0, 0, 2, 1, 0], [0, 1, 1, 3, 0]], float),
)
# simple enough for a pocket calculator: aria and etude alike, conga and disco alike, blues between them
EXAMPLE_FACTORS = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [1, 0]], float)


def read_matrix(path: str) -> UtilityMatrix:
    """Read a CSV file: item names in the first row, a user's name and plays in each other one; empty means 0.

    Raises
    ------
    BadInputError
        If a cell is not a number of at least 0, a name comes twice, somebody played nothing, or it is too large.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [(n, row) for n, row in enumerate(csv.reader(file), 1) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: cannot be read as a CSV file ({getattr(error, 'strerror', None) or error})"
        raise BadInputError(msg) from None
    if len(rows) < 2:
        msg = f"{path}: expected a row of item names and a row for each user, got {len(rows)} rows"
        raise BadInputError(msg)
    items = [cell.strip() for cell in rows[0][1][1:]]
    users = [row[0].strip() for _, row in rows[1:]]
    plays = np.array([_numbers(path, n, row, items) for n, row in rows[1:]]).reshape(len(users), len(items))
    _check(path, users, items, plays)
    return UtilityMatrix(tuple(users), tuple(items), plays)


def _numbers(path: str, line: int, row: list[str], items: list[str]) -> list[float]:
    if len(row) != len(items) + 1:
        msg = f"{path}:{line}: expected a user and {len(items)} numbers, one for each item, got {len(row)} cells"
        raise BadInputError(msg)
    values = []
    for item, cell in zip(items, row[1:], strict=True):
        try:
            value = float(cell or 0)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            msg = f"{path}:{line}: expected a number of plays of at least 0 for {item}, got {cell!r}"
            raise BadInputError(msg)
        values.append(value)
    return values


def _check(path: str, users: list[str], items: list[str], plays: Array) -> None:
    for what, names, sums in (("user", users, plays.sum(axis=1)), ("item", items, plays.sum(axis=0))):
        if not 1 <= len(names) <= LARGEST:
            msg = f"{path}: {len(names)} {what}s; a matrix one can follow has 1 to {LARGEST}, larger ones are for `mr-als train`"
            raise BadInputError(msg)
        if twice := [name for name in names if names.count(name) > 1 or not name or set(name) & set("\t\r\n")]:
            msg = f"{path}: {what} names must differ, be not empty and without tabs; see {twice[0]!r}"
            raise BadInputError(msg)
        if not sums.all():
            msg = f"{path}: nobody played item {names[int(np.argmin(sums))]!r}; leave the column out"
            if what == "user":
                msg = f"{path}: user {names[int(np.argmin(sums))]!r} played nothing; leave the row out"
            raise BadInputError(msg)


def read_factors(path: str, items: tuple[str, ...], rank: int) -> Array:
    """Read initial item factors, lines `item <TAB> number <TAB> number ...`: float64 (n_items, rank).

    Raises
    ------
    BadInputError
        If a line is not that, has not `rank` numbers, or an item of the matrix is missing.
    """
    names, factors = read_factor_lines(path)
    if factors.shape[1] != rank:
        msg = f"{path}: has {factors.shape[1]} numbers per line, but --rank is {rank}"
        raise BadInputError(msg)
    rows = {name.decode(): row for row, name in enumerate(names)}
    if missing := [item for item in items if item not in rows]:
        msg = f"{path}: no line for item {missing[0]!r}; expected one for each of the {len(items)} items"
        raise BadInputError(msg)
    return factors[[rows[item] for item in items]].astype(np.float64)


def write_counts(matrix: UtilityMatrix, path: str) -> None:
    """Write a log in the format `counts`."""
    Path(path).write_text("".join(f"{u}\t{i}\t{r:g}\n" for u, i, r in matrix.pairs()), encoding="utf-8")


def write_factors(items: tuple[str, ...], factors: Array, path: str) -> None:
    """Write what `--initial-factors` reads."""
    lines = ("\t".join([item, *(repr(float(v)) for v in row)]) for item, row in zip(items, factors, strict=True))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
