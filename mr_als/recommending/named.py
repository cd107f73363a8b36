"""Files of one id per line: the users to recommend to, the items to choose from."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import numpy as np

from mr_als.errors import BadInputError, ModelError
from mr_als.maths.array import Array
from mr_als.models.model import Model

__all__ = ["kept_items", "read_ids"]


def read_ids(flag: str, path: str) -> list[str]:
    """Read the distinct ids in a file, in order.

    Raises
    ------
    BadInputError
        If it cannot be read, is not UTF-8, or holds no id.
    """
    try:
        if path == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                data = file.read()
        lines = data.decode("utf-8-sig").split("\n")
    except OSError as error:
        msg = f"{flag} {path}: {error.strerror}; expected a file of one id per line"
        raise BadInputError(msg) from None
    except UnicodeDecodeError as error:
        msg = f"{flag} {path}: byte {error.start} is not UTF-8; expected one id per line"
        raise BadInputError(msg) from None
    ids = list(dict.fromkeys(line.removesuffix("\r") for line in lines if line.removesuffix("\r")))
    if not ids:
        msg = f"{flag} {path}: no id in it; expected one id per line"
        raise BadInputError(msg)
    return ids


def kept_items(model: Model, allow: str | None, deny: str | None, complain: Callable[[str], None]) -> Array | None:
    """Select the rows of the items to choose from, ascending; None for all.

    Raises
    ------
    ModelError
        If none is left.
    """
    if not allow and not deny:
        return None
    rows = np.arange(len(model.item_ids))
    if allow:
        rows = np.intersect1d(rows, item_rows(model, "--allow", allow, complain))
    if deny:
        rows = np.setdiff1d(rows, item_rows(model, "--deny", deny, complain))
    if not len(rows):
        msg = f"{model.path}: --allow {allow or 'everything'} and --deny {deny or 'nothing'} leave no item to recommend"
        raise ModelError(msg)
    return rows


def item_rows(model: Model, flag: str, path: str, complain: Callable[[str], None]) -> list[int]:
    """Look up the rows of the items listed in a file, and warn about unknown ones."""
    items = read_ids(flag, path)
    rows = []
    for item in items:
        with contextlib.suppress(KeyError):
            rows.append(model.item_index(item))
    if len(rows) < len(items):
        complain(f"{flag} {path}: {len(items) - len(rows)} of {len(items)} items are not in the model")
    return rows
