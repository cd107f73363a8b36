"""Exports of one person: what lies beside the plays in them and is none, and what is said of how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mr_als.errors import BadInputError
from mr_als.logs import jsonl
from mr_als.logs.meaning.columns import given_as, known_names, plain_name
from mr_als.logs.meaning.detect import Detected
from mr_als.logs.meaning.exports import ME, SPOTIFY, SPOTIFY_ACCOUNT, TRACKS, Export, export_of, is_artist, not_music
from mr_als.logs.streams import COMPRESSED

__all__ = ["Refused", "check_twice", "export_in", "looked_at", "none_of_the_plays", "said_of"]

NO_PLAYS = "no plays, by the names in it"
_PLAYED = {"timestamp", "ms_played", "plays"}


class Refused(NamedTuple):
    """A file that is not read as it is.

    why : what it is instead of plays; empty if that is not known
    beside : whether it is that only beside the plays of an export
    """

    path: str
    error: BadInputError
    why: str
    beside: bool = False


def looked_at(path: str, head: bytes, detected: Callable[[], Detected], *, given: bool) -> Detected | Refused:
    """Find the layout of a file, or what it is instead of plays; `given` says whether its columns are."""
    names = jsonl.names(head) if head.lstrip()[:1] in (b"{", b"[") else []
    if not given and (why := not_music([plain_name(name) for name in names])):
        return Refused(path, BadInputError(f"{path}: {why}; say what they are with --columns user==NAME,item=NAME"), why)
    try:
        return detected()
    except BadInputError as error:
        known = known_names(names).of
        whole = next((path[: -len(end)] for end in COMPRESSED if path.endswith(end)), path).lower()
        played = "item" in known and _PLAYED & known.keys()
        return Refused(path, error, NO_PLAYS if whole.endswith((".json", ".jsonl")) and not played else "", beside=True)


def export_in(found: Detected) -> Export | None:
    """Find the export that a file is part of."""
    return export_of({plain_name(name) for name in (*found.names.values(), *found.unused) if not name.startswith("=")})


def none_of_the_plays(looks: Sequence[Detected | Refused | None]) -> dict[str, str]:
    """Return what is left out of an export, and why.

    Raises
    ------
    BadInputError
        If a file is not understood that may hold plays, or there is no other one.
    """
    found = [one for one in looks if isinstance(one, Detected)]
    refused = [one for one in looks if isinstance(one, Refused)]
    in_export = any(export_in(one) for one in found)
    for one in refused:
        if not one.why or (one.beside and not in_export) or not found:
            raise one.error
    # a list of artists, say, which one user for all records makes plays of
    lists = [one for one in found if in_export and one.layout.user and one.layout.keys and not _PLAYED & {*one.layout.columns}]
    return {one.path: one.why for one in refused} | {one.path: NO_PLAYS for one in lists}


def check_twice(found: Sequence[Detected]) -> None:
    """Check that no plays are there twice: Spotify's account data hold the last year of the streaming history.

    Raises
    ------
    BadInputError
        If they are.
    """
    by_export = {export: one for one in found if (export := export_in(one))}
    if {SPOTIFY, SPOTIFY_ACCOUNT} <= by_export.keys():
        msg = (
            f"{by_export[SPOTIFY_ACCOUNT].path}: of {SPOTIFY_ACCOUNT.name}, and {by_export[SPOTIFY].path} of {SPOTIFY.name}, which "
            "has the same plays: they would count twice; name the files of one of the two"
        )
        raise BadInputError(msg)


def said_of(found: Detected) -> Iterator[str]:
    """Say of a file whose columns were found what could be taken instead: another user, tracks for artists."""
    names = {plain_name(name): name for name in (*found.names.values(), *found.unused)}
    if found.layout.user == ME and found.names:
        export = export_in(found)
        of = f"{export.name}: " if export else ""
        yield f"{of}nothing tells whose plays these are, so all belong to one user, {ME!r}; --columns user==NAME sets another name"
    track = next((names[track] for track in TRACKS if track in names), "")
    if found.layout.found and track and is_artist(found.names.get("item", "")):
        yield f"items are artists; to take tracks, use --columns {given_as({**found.names, 'item': track})}"
