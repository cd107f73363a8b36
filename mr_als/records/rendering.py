"""The lines of a block of recommendations, made all at once: bytes are gathered, not formatted one number at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mr_als.maths.array import Array
from mr_als.records.catalogue import rendered
from mr_als.records.ids import ragged

__all__ = ["rendered_block"]

# larger scores would lose digits below as float64
_LARGEST = 1e9


def rendered_block(users: Sequence[bytes], rows: Array, scores: Array, name: Callable[[int], bytes]) -> bytes:
    r"""Format the lines of each user as `rendered` does, one user after another.

    Parameters
    ----------
    users : names
    rows : int64 (n_users, n), items, best first; -1 where there are no more
    scores : float32 (n_users, n)
    name : function of an item that gives its name

    Examples
    --------
    >>> rendered_block([b"ann"], np.array([[4, 2]]), np.array([[0.9, -0.5]], np.float32), lambda row: b"item-%d" % row)
    b'ann\t1\titem-4\t0.900000\nann\t2\titem-2\t-0.500000\n'
    """
    owners, ranks = np.nonzero(rows >= 0)
    items, which = np.unique(rows[owners, ranks], return_inverse=True)
    values = scores[owners, ranks]
    if len(values) and np.abs(values).max() >= _LARGEST:
        found = [[name(row) for row in some[some >= 0].tolist()] for some in rows]
        each = zip(users, found, scores, strict=True)
        return b"".join(rendered(user, names, its[: len(names)], as_json=False) for user, names, its in each)
    ranked = [b"%d" % rank for rank in range(1, rows.shape[1] + 1)]
    pieces = [_column(users), _column(ranked), _column([name(row) for row in items.tolist()]), _decimals(values)]
    places = [owners, ranks, which, np.arange(len(values))]
    before = np.cumsum([0, *(len(text) for text, _, _ in pieces)]).tolist()
    starts = np.column_stack([piece[1][at] + b for piece, at, b in zip(pieces, places, before[:-1], strict=True)])
    ends = np.column_stack([piece[2][at] + b for piece, at, b in zip(pieces, places, before[:-1], strict=True)])
    return np.concatenate([text for text, _, _ in pieces])[ragged(starts.ravel(), ends.ravel())].tobytes()


def _column(fields: Sequence[bytes]) -> tuple[Array, Array, Array]:
    """Join fields, each followed by a tab, into one text, uint8, and find where they start and end in it."""
    lengths = np.array([len(field) + 1 for field in fields], np.int64)
    ends = np.cumsum(lengths)
    return np.frombuffer(b"".join([field + b"\t" for field in fields]), np.uint8), ends - lengths, ends


def _decimals(values: Array) -> tuple[Array, Array, Array]:
    """Format numbers with six decimals and a line end, in the same form as `_column`.

    A float32 times 1e6 has 38 bits, so as float64 it is exact, and so is its rounding to even: as `%.6f` does it.
    """
    millionths = np.rint(np.abs(values.astype(np.float64)) * 1e6).astype(np.int64)
    n_whole = max(1, len(str(int(millionths.max(initial=0)))) - 6)
    text = np.empty((len(values), 1 + n_whole + 8), np.uint8)
    text[:, 0] = text[:, 1 + n_whole] = ord(".")
    text[:, -1] = ord("\n")
    rest = millionths
    for place in (*range(-2, -8, -1), *range(n_whole, 0, -1)):
        rest, digit = np.divmod(rest, 10)
        text[:, place] = digit + ord("0")
    # without the zeros in front, but for the last
    first = 1 + np.argmax(np.column_stack([text[:, 1:n_whole] != ord("0"), np.ones(len(text), bool)]), axis=1)
    minus = np.flatnonzero(np.signbit(values))
    first[minus] -= 1
    text[minus, first[minus]] = ord("-")
    lines = np.arange(len(values)) * text.shape[1]
    return text.ravel(), lines + first, lines + text.shape[1]
