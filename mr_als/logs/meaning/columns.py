"""What the fields of a record mean: the option --columns, and names that are known without it.

--columns says it in one of two forms: by place, `user,-,item,plays`, or by name, `user=username,item=artist`, where
records name their fields: in the header of a CSV file, the keys of JSON, the columns of Parquet. In both, and alone,
`user==me` gives all records the user `me`, whatever the format.

It is long because of its tables of known names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mr_als.errors import BadInputError, UsageError, did_you_mean
from mr_als.logs.logs import COLUMNS, Layout
from mr_als.logs.meaning.exports import ME, export_of

__all__ = [
    "KNOWN", "RATINGS", "Names", "choose_columns", "differ", "is_known", "is_named", "known_columns", "known_names", "listed",
    "named_columns", "not_understood", "plain_name", "write_columns",
]  # fmt: skip

# names of each column in files people have, the first one found counts; in lower case, without _, - and blanks
KNOWN = {
    "user": (
        "user", "username", "userid", "uid", "users",
        "listener", "listenerid", "listenername", "customer", "customerid", "member", "memberid", "account", "accountid",
        "visitorid", "reviewer", "reviewerid",
    ),
    "item": (
        "item", "itemid", "itemname", "items",
        "mastermetadataalbumartistname",  # Spotify, extended streaming history
        "trackmetadata.artistname",  # ListenBrainz
        "subtitles.0.name",  # YouTube
        "artist", "artistname", "artistid",
        "track", "trackname", "trackid", "song", "songname", "songtitle", "songid", "contentname", "title",
        "movie", "movieid", "movietitle",  # MovieLens
        "product", "productid", "productname", "asin", "isbn",
    ),
    "timestamp": (
        "timestamp", "time", "ts", "listenedat", "playedat", "endtime", "date", "datetime", "unixtime", "unixtimestamp", "epoch",
        "uts", "utctime", "reviewtime", "unixreviewtime", "eventendtimestamp", "eventstarttimestamp",
    ),
    "ms_played": ("msplayed", "playedms", "playdurationms", "playdurationmilliseconds"),
    "plays": (
        "plays", "playcount", "playscount", "playcounts", "numplays", "nplays", "numberofplays", "totalplays",
        "listens", "listencount", "numlistens", "totallistens", "streams", "streamcount", "totalstreams",
        "scrobbles", "scrobblecount", "timesplayed", "times", "count", "counts", "weight", "frequency", "freq",
        "views", "viewcount", "clicks", "purchases",
    ),
}  # fmt: skip
# a rating is no play: whoever gave one star did not like it a little
RATINGS = ("rating", "ratings", "stars", "starrating", "score", "overall")
# lastfmstats.com: the column of times, and behind it whose they are
_DATE_AND_USER = "date#"
_SUBJECTS = ("artist", "track", "song", "movie", "product")


class Names(NamedTuple):
    """What is known of the names of a log: the name of each column, and that of a column of ratings, if there is one."""

    of: dict[str, str]
    rating: str = ""

    @property
    def complete(self) -> bool:
        """Whether both the user and the item are named."""
        return "user" in self.of and "item" in self.of


def is_named(columns: str) -> bool:
    """Say whether --columns gives names and not places."""
    return "=" in columns


def constant_user(text: str) -> tuple[str, str]:
    """Take `user==NAME` out of --columns; NAME is empty where there is none.

    Raises
    ------
    UsageError
        If it gives more than one, or what can be no id.

    Examples
    --------
    >>> constant_user("user==ann,item=artist"), constant_user("user==ann"), constant_user("user,item")
    (('item=artist', 'ann'), ('', 'ann'), ('user,item', ''))
    """
    parts = text.split(",")
    users = [part.removeprefix("user==") for part in parts if part.startswith("user==")]
    if len(users) > 1 or not all(user.isprintable() and user for user in users):
        msg = f"--columns: {text!r}: expected one user==NAME, with a name of printable characters"
        raise UsageError(msg)
    return ",".join(part for part in parts if not part.startswith("user==")), "".join(users)


def named_columns(text: str, user: str = "") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read `user=name,item=name`: the columns, and the name of each in the log; no user if all records have the same.

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
            msg += did_you_mean(column, COLUMNS[:-1]) if column not in COLUMNS else ""
            raise UsageError(msg)
        if column in columns or key in keys:
            msg = f"--columns: {column if column in columns else key} is named twice in {text!r}; name it once"
            raise UsageError(msg)
        columns.append(column)
        keys.append(key)
    if user and "user" in columns:
        msg = f"--columns: user is named twice, in {text!r} and as {user!r}; name it once"
        raise UsageError(msg)
    for column in ("user", "item"):
        if column not in columns and not (user and column == "user"):
            msg = f"--columns: {text!r} does not say which is the {column}; add {column}=NAME"
            raise UsageError(msg)
    return tuple(columns), tuple(keys)


def known_names(names: Iterable[str], user: str = "") -> Names:
    """Find what is known among the names of a log; the user of all records is `=NAME`.

    >>> known_names(["userId", "movieId", "rating", "timestamp"])
    Names(of={'user': 'userId', 'item': 'movieId', 'timestamp': 'timestamp'}, rating='rating')
    """
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(plain_name(name), name)
    if dated := next((name for name in plain.values() if name.lower().startswith(_DATE_AND_USER)), ""):
        plain["date"], user = dated, user or dated[len(_DATE_AND_USER) :]
        del plain[plain_name(dated)]
    found = {column: plain[known] for column, every in KNOWN.items() for known in reversed(every) if known in plain}
    if user or ("user" not in found and export_of(plain)):
        found["user"] = f"={user or ME}"
    ordered = {column: found[column] for column in KNOWN if column in found}
    return Names(ordered, next((plain[name] for name in RATINGS if name in plain), ""))


def known_columns(
    names: Iterable[str], path: str, user: str = "", *, ratings: bool
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Choose columns among the names of a log; None where no user or no item is among them.

    Parameters
    ----------
    ratings : whether the log may hold ratings, which are then what its `plays` are

    Raises
    ------
    BadInputError
        If it holds ratings, and may not.

    Examples
    --------
    >>> known_columns(["userId", "movieId", "rating", "timestamp"], "ratings.csv", ratings=True)
    (('user', 'item', 'timestamp', 'plays'), ('userId', 'movieId', 'timestamp', 'rating'))
    """
    known = known_names(names, user)
    if not known.complete:
        return None
    found = dict(known.of)
    if known.rating and (ratings or "plays" not in found):
        found["plays"] = known.rating
        if not ratings:
            msg = (
                f"{path}: {known.rating!r} is a rating, and a rating is not a number of plays; add --feedback explicit to learn "
                f"from them, or treat them as plays with --columns {given_as(found)}, or count each line as one play, "
                f"--columns {given_as(known.of)}"
            )
            raise BadInputError(msg)
    return tuple(found), tuple(found.values())


def given_as(found: dict[str, str]) -> str:
    """Write the names of columns as --columns has them, quoted for a shell where that is needed."""
    text = ",".join(f"{column}={key}" for column, key in found.items())
    return f"'{text}'" if any(c in text for c in ' ;&|<>()$`\\"*?[]#~!{}') else text


def is_known(name: str, column: str) -> bool:
    """Say whether a name is one of those of a column.

    >>> is_known("Play Count", "plays"), is_known("many", "plays")
    (True, False)
    """
    return plain_name(name) in KNOWN[column]


def plain_name(name: str) -> str:
    """Write a name in lower case and without what stands between its words.

    >>> plain_name(" Play_Count")
    'playcount'
    """
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def listed(names: Sequence[str]) -> str:
    """Join names, at most forty of them."""
    return ", ".join(names[:40]) + (", ..." if len(names) > 40 else "")


def differ(column: str, name: str, other: str) -> bool:
    """Say whether two known names of a column mean different things: an artist and a track, a number and a name.

    >>> differ("item", "artist_name", "track"), differ("user", "user_id", "username"), differ("item", "artist", "artistName")
    (True, True, False)
    """
    for words in (_SUBJECTS if column == "item" else (), ("id", "name")):
        found = [next((word for word in words if word in plain_name(text)), "") for text in (name, other)]
        if all(found) and found[0] != found[1]:
            return True
    return False


def choose_columns(
    columns: str, names: Sequence[str], path: str, user: str = "", *, ratings: bool, complete: bool = True
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Take columns from --columns, or choose them among the names of a log, of which user and item are known.

    The name of the user is `=NAME` where all records have the same; `user` is that one if it is given.

    Parameters
    ----------
    complete : whether `names` are all of them; records of JSON may have others later, than those of user and item

    Raises
    ------
    BadInputError
        If a name is not in the log, or ratings are, which may not.
    """
    if not columns and (known := known_columns(names, path, user, ratings=ratings)):
        return known
    given = named_columns(columns, user)
    for column, key in zip(*given, strict=True):
        if key not in names and (complete or column in ("user", "item")):
            msg = f"{path}: nothing is named {key!r}, which --columns gives for the {column}; its names are {listed(names)}"
            msg += did_you_mean(key, names)
            raise BadInputError(msg)
    return (("user", *given[0]), (f"={user}", *given[1])) if user else given


def apart(columns: Sequence[str], keys: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Split what `choose_columns` gives into columns that records have, their names, and the user of all records, if there is one.

    >>> apart(("user", "item"), ("=me", "artist"))
    (('item',), ('artist',), 'me')
    """
    pairs = [(column, key) for column, key in zip(columns, keys, strict=True) if not key.startswith("=")]
    user = "".join(key[1:] for key in keys if key.startswith("="))
    return tuple(column for column, _ in pairs), tuple(key for _, key in pairs), user


def not_understood(names: Sequence[str], path: str, texts: Sequence[str], numbers: Sequence[str], user: str = "") -> str:
    """Say that names are not known, with a --columns line to copy.

    `texts` and `numbers` are the names of columns of text and of numbers, from which it guesses what the others are.
    """
    known = known_names(names, user)
    free = [name for name in (*texts, *numbers) if name and name not in known.of.values() and "," not in name]
    free.sort(key=lambda name: any(word in plain_name(name) for word in (*_SUBJECTS, "album", "title")))  # none is likely a user
    guessed = {column: known.of[column] if column in known.of else free.pop(0) if free else "NAME" for column in ("user", "item")}
    guessed |= {column: name for column, name in known.of.items() if column not in guessed}
    amounts = [name for name in numbers if name not in guessed.values() and not name.lower().endswith("id")]
    if amounts and not {"plays", "ms_played"} & guessed.keys():
        guessed["plays"] = amounts[0]
    missing = " and ".join(f"{article} {column}" for article, column in (("a", "user"), ("an", "item")) if column not in known.of)
    alone = "" if "user" in known.of else f"; if all are the plays of one person, use --columns user=={ME}"
    return (
        f"{path}: none of its names is known as that of {missing}; "
        f"say which they are, as in --columns {given_as(guessed)}; its names are {listed(names)}{alone}"
    )


def write_columns(layout: Layout) -> str:
    """Write the columns of a layout as --columns has them."""
    user = [f"user=={layout.user}"] if layout.user else []
    if not layout.keys:
        return ",".join([*user, *layout.columns])
    return ",".join([*user, *(f"{column}={key}" for column, key in zip(layout.columns, layout.keys, strict=True))])
