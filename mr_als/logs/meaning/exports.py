"""Exports of one person's plays: which they are, by the names in them, and what else lies beside them and is none.

They do not say whose they are: the user is called `me`. Most name an artist and a track, of which the artist is the item.
That there is one user is believed only if no name is left over that could be the user's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

__all__ = ["EXPORTS", "ME", "SPOTIFY", "SPOTIFY_ACCOUNT", "TRACKS", "Export", "export_of", "is_artist", "not_music"]

ME = "me"


class Export(NamedTuple):
    """One kind of export; names are in lower case, without _, - and blanks.

    told_by : names that all its records have, which tell it
    others : beginnings of the other names that its records may have
    """

    name: str
    told_by: tuple[str, ...]
    others: tuple[str, ...]


SPOTIFY = Export(
    "Spotify's extended streaming history",
    ("mastermetadataalbumartistname", "msplayed"),
    (
        "mastermetadata", "spotify", "username", "ts", "platform", "conncountry", "ip", "useragent", "episode", "audiobook",
        "reason", "shuffle", "skipped", "offline", "incognito", "city", "region", "metrocode", "latitude", "longitude",
    ),
)  # fmt: skip
SPOTIFY_ACCOUNT = Export("Spotify's account data", ("artistname", "msplayed"), ("endtime", "ts", "trackname", "albumname"))
_SCROBBLED = ("album", "artist", "track", "uts", "utctime", "date", "loved", "image", "url")
EXPORTS = (
    SPOTIFY,
    SPOTIFY_ACCOUNT,
    Export(
        "ListenBrainz' listens",
        ("trackmetadata.artistname", "listenedat"),
        ("trackmetadata", "insertedat", "recordingmsid", "created", "username", "userid"),
    ),
    *(Export("Last.fm's scrobbles", ("artist", "track", time), _SCROBBLED) for time in ("uts", "utctime", "date")),
    Export(
        "Apple Music's play activity",
        ("playdurationmilliseconds", "eventtype"),
        (
            "age", "album", "apple", "artistname", "auto", "build", "bundle", "carrier", "client", "container", "content",
            "contingency", "device", "display", "end", "evaluation", "event", "feature", "grouping", "house", "ip", "item",
            "lyric", "media", "metrics", "milliseconds", "offline", "original", "ownership", "persistent", "personalized",
            "play", "provided", "repeat", "session", "shared", "shuffle", "siri", "song", "source", "start", "store", "subscri",
            "targeted", "user'", "user’", "utc", "vocal",
        ),
    ),
    Export(
        "YouTube's watch history",
        ("subtitles.0.name", "titleurl", "time"),
        ("header", "title", "subtitles", "products", "activitycontrols", "details", "description", "imageurl", "locationinfos"),
    ),
)  # fmt: skip
# what names the track, where the item is the artist
TRACKS = ("spotifytrackuri", "trackmetadata.trackname", "trackname", "track", "songname", "titleurl")
# what programs call the number of a row
_ROW = ("", "index", "unnamed:0")
# parts of names in records of what is no music
_SPOKEN = ("podcast", "episode", "audiobook")


def export_of(names: Collection[str]) -> Export | None:
    """Find the export that has these plain names, and no others.

    >>> export_of(["endtime", "artistname", "trackname", "msplayed"]).name
    "Spotify's account data"
    >>> export_of(["personid", "endtime", "artistname", "trackname", "msplayed"])
    """
    for export in EXPORTS:
        if all(name in names for name in export.told_by):
            known = (*export.told_by, *export.others)
            return export if all(name in _ROW or name.startswith(known) for name in names) else None
    return None


def is_artist(name: str) -> bool:
    """Say whether a name is one of an artist, or of a channel.

    >>> is_artist("master_metadata_album_artist_name"), is_artist("Artist"), is_artist("artist_id")
    (True, True, False)
    """
    return name.lower().replace("_", "").replace(" ", "").endswith(("artist", "artistname", "subtitles.0.name"))


def not_music(names: Collection[str]) -> str:
    """Say what records with these plain names are of instead of music; an empty string if that is not known.

    >>> not_music(["endtime", "podcastname", "episodename", "msplayed"])
    'podcasts or audiobooks, which have no artist'
    """
    if any(is_artist(name) for name in names):
        return ""
    if any(word in name for name in names for word in _SPOKEN):
        return "podcasts or audiobooks, which have no artist"
    return "searches, which have no channel" if {"titleurl", "title", "header"} <= set(names) else ""
