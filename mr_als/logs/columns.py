"""What the fields of a record mean: the option --columns, and names that are known without it.

--columns says it in one of two forms: by place, `user,-,item,plays`, or by name, `user=username,item=artist`, where
records name their fields: in the header of a CSV file, the keys of JSON, the columns of Parquet. In the second form
`user==me` gives all records the user `me`, for JSON and Parquet.
"""

from __future__ import annotations

from collections.abc import Iterable

from mr_als.errors import BadInputError, UsageError
from mr_als.logs.logs import COLUMNS, Layout

__all__ = ["KNOWN", "choose_columns", "is_known", "is_named", "known_columns", "named_columns", "read_columns", "write_columns"]

# names of each column in files people have, the first one found counts; in lower case, without _, - and blanks
KNOWN = {
    "user": ("user", "username", "userid"),
    "item": (
        "item", "itemid",
        "mastermetadataalbumartistname",  # Spotify, extended streaming history
        "trackmetadata.artistname",  # ListenBrainz
        "artist", "artistname", "artistid",
        "movieid",  # MovieLens
    ),
    "timestamp": ("timestamp", "time", "ts", "listenedat", "playedat", "endtime"),
    "ms_played": ("msplayed",),
    "plays": ("plays", "playcount", "listens", "listencount", "count", "rating"),
}  # fmt: skip
# files of one person, which do not say whose they are: the user is called `me`
_OF_ONE_PERSON = ("master_metadata_album_artist_name", "artistName")


def is_named(columns: str) -> bool:
    """Say whether --columns gives names and not places."""
    return "=" in columns


def named_columns(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read `user=name,item=name`: the columns, and the name of each in the log.

    Raises
    ------
    UsageError
        If it is of another form, or user or item is missing or named twice.

    Examples
    --------
    >>> named_columns("user=user_name,item=track_metadata.artist_name")
    (('user', 'item'), ('user_name', 'track_metadata.artist_name'))
    """
    columns: list[str] = []
    keys: list[str] = []
    for part in text.split(","):
        column, equals, key = part.partition("=")
        if not equals or not key or column not in COLUMNS[:-1]:
            msg = f"--columns: {part!r} is not of the form COLUMN=NAME; COLUMN is one of {', '.join(COLUMNS[:-1])}"
            raise UsageError(msg)
        if column in columns or key in keys:
            msg = f"--columns: {column if column in columns else key} is named twice in {text!r}; name it once"
            raise UsageError(msg)
        columns.append(column)
        keys.append(key)
    for column in ("user", "item"):
        if column not in columns:
            msg = f"--columns: {text!r} does not say which is the {column}; add {column}=NAME"
            raise UsageError(msg)
    return tuple(columns), tuple(keys)


def known_columns(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Choose columns among the names of a log; None where no user or no item is among them.

    >>> known_columns(["userId", "movieId", "rating", "timestamp"])
    (('user', 'item', 'timestamp', 'plays'), ('userId', 'movieId', 'timestamp', 'rating'))
    """
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    found = {column: plain[known] for column, every in KNOWN.items() for known in reversed(every) if known in plain}
    if found.get("item") in _OF_ONE_PERSON and "ms_played" in found:
        found.setdefault("user", "=me")
    if "user" not in found or "item" not in found:
        return None
    columns = tuple(column for column in KNOWN if column in found)
    return columns, tuple(found[column] for column in columns)


def is_known(name: str, column: str) -> bool:
    """Say whether a name is one of those of a column.

    >>> is_known("Play Count", "plays"), is_known("many", "plays")
    (True, False)
    """
    return _plain(name) in KNOWN[column]


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def choose_columns(columns: str, names: list[str], path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Take columns from --columns, or choose them among the names of a log.

    Raises
    ------
    BadInputError
        If a name is not in the log, or none is known.
    """
    shown = ", ".join(names[:40]) + (", ..." if len(names) > 40 else "")
    if not columns:
        if known := known_columns(names):
            return known
        msg = f"{path}: none of its names is known as that of a user and an item; say which they are, as in --columns user=NAME,"
        msg += f"item=NAME; its names are {shown}"
        raise BadInputError(msg)
    given = named_columns(columns)
    for column, key in zip(*given, strict=True):
        if key[0] != "=" and key not in names:
            msg = f"{path}: nothing is named {key!r}, which --columns gives for the {column}; its names are {shown}"
            raise BadInputError(msg)
    return given


def write_columns(layout: Layout) -> str:
    """Write the columns of a layout as --columns has them."""
    if not layout.keys:
        return ",".join(layout.columns)
    return ",".join(f"{column}={key}" for column, key in zip(layout.columns, layout.keys, strict=True))


def read_columns(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read what `write_columns` wrote."""
    return named_columns(text) if is_named(text) else (tuple(text.split(",")), ())
