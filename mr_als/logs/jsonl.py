"""JSON: an object a line, or one array of objects a file, as in Spotify's streaming history.

A column is named by its key, one inside another by dots: `track_metadata.artist_name`, and in the first object of some,
`subtitles.0.name`. Numbers keep the digits they are written with, so an id of any length is read right. Where the user or the
item is null, there is none (a podcast has no artist): such a record is left out, and counted so.

It is long because two forms of JSON share one way to find fields.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from mr_als.errors import BadInputError
from mr_als.logs.badlines import LATE
from mr_als.logs.logs import CHUNK, MAX_LINE, ByteRange, Layout, chunks
from mr_als.logs.meaning.columns import known_names, plain_name
from mr_als.logs.meaning.exports import ME, not_music
from mr_als.logs.plain import SEPARATOR, Plain, Report
from mr_als.logs.streams import HEAD

__all__ = ["elements", "is_array", "names", "read", "sample", "translate"]


class _Constant(str):
    """NaN or an infinity, which is no text: JavaScript and Python write them, JSON has none."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_Constant)
# objects whose values are looked at before a file is read
SAMPLE = 100
# different sets of keys that are remembered
MAX_SHAPES = 1000
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_BETWEEN = re.compile(r"[\s,]*")
_MISSING = object()


class _Bad(NamedTuple):
    """Why a record is no play, and in which column."""

    reason: str
    column: str = ""


def is_array(head: bytes) -> bool:
    """Say whether a file that begins so is an array of objects.

    >>> is_array(b' [ {"ts": 1'), is_array(b'{"ts": [1]}')
    (True, False)
    """
    return head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"["


def read(path: str, offset: int, length: int, layout: Layout) -> Iterator[bytes]:
    """Yield the records in a range of a file as lines. An array cannot be split: the first range reads all of it."""
    with ByteRange(path, 0, MAX_LINE) as stream:
        array = is_array(stream.read(HEAD))
    if not array:
        with ByteRange(path, offset, length) as stream:
            yield from chunks(stream)
    elif offset == 0:
        with ByteRange(path, 0, 1 << 62) as stream:
            yield from _chunks(elements(stream, path))


def _chunks(texts: Iterator[str]) -> Iterator[bytes]:
    """Put elements into lines, many at a time; a line end between two keys is a blank."""
    lines: list[str] = []
    size = 0
    for text in texts:
        lines.append(text.replace("\n", " ") + "\n")
        size += len(text)
        if size >= CHUNK:
            yield "".join(lines).encode("utf-8", "surrogateescape")
            lines, size = [], 0
    if lines:
        yield "".join(lines).encode("utf-8", "surrogateescape")


def elements(stream: Any, path: str) -> Iterator[str]:
    """Yield the text of each element of an array, reading one part of it at a time.

    Raises
    ------
    BadInputError
        If the array is damaged or cut off: where its next element begins cannot be known.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    text, at, ended, number = "", 1, False, 1
    while not text and (data := stream.read(CHUNK)):
        text = decoder.decode(data).lstrip()
    while True:
        place = _BETWEEN.match(text, at)
        at = place.end() if place else at
        if text[at : at + 1] == "]":
            behind = text[at + 1 :].strip()
            while not behind and (data := stream.read(CHUNK)):
                behind = decoder.decode(data).strip()
            if behind:
                msg = f"{path}: something follows the array of {number - 1} elements; expected one array per file"
                raise BadInputError(msg)
            return
        try:
            end = _DECODER.raw_decode(text, at)[1]
        except (ValueError, RecursionError):
            end = len(text)
        if end < len(text):
            yield text[at:end]
            at, number = end, number + 1
            continue
        if ended or len(text) - at > MAX_LINE:
            msg = f"{path}: the array is damaged or cut off at its element {number}; fetch or write the file again"
            raise BadInputError(msg)
        data = stream.read(CHUNK)
        text, at, ended = text[at:] + decoder.decode(data, final=not data), 0, not data


def translate(chunk: bytes, layout: Layout, report: Report) -> Plain:
    """Make plain lines of objects."""
    lines = chunk[:-1].split(b"\n")
    columns = list(zip(layout.columns, layout.keys, strict=True))
    plain, done, left_out = [""] * len(lines), [], 0
    shapes: set[tuple[str, ...]] | None = set() if layout.found else None
    user = layout.user if layout.user != ME else ""  # who is only supposed to have played it all is no answer to a late name
    for number, line in enumerate(lines):
        fields = _fields(line, columns, shapes, user)
        if type(fields) is str:
            plain[number] = fields
            continue
        done.append(number)
        if isinstance(fields, _Bad):
            report(number, *fields, line)
        else:
            left_out += 1
    return Plain(("\n".join(plain) + "\n").encode(), SEPARATOR, done, left_out, lines.__getitem__)


def _fields(line: bytes, columns: list[tuple[str, str]], shapes: set[tuple[str, ...]] | None, user: str) -> str | _Bad | None:
    """Format one object as a plain line; None if it has no user or no item.

    `shapes` are keys of objects that name no more columns than there are; None if such names do not matter.
    """
    record = _object(line)
    if isinstance(record, _Bad):
        return record
    if shapes is not None and (shape := tuple(record)) not in shapes:
        known = known_names(shape, user).of.items()
        if late := next((column for column, name in known if column not in dict(columns) and name[0] != "="), ""):
            return _Bad(LATE, late)
        if len(shapes) < MAX_SHAPES:
            shapes.add(shape)
    fields = []
    for column, key in columns:
        value = look_up(record, key)
        if value is _MISSING and column == "item" and _has_no_item(record, key):
            return None
        if value is None:
            if column in ("user", "item"):
                return None
            value = ""
        if type(value) is not str:
            if type(value) is not _Constant:
                return _Bad("missing field" if value is _MISSING else "neither text nor number", column)
            if column in ("user", "item"):
                return _Bad("no id", column)
        if found := _UNFIT.search(value):
            return _Bad("invalid UTF-8" if found[0] >= "\ud800" else "control character", column)
        fields.append(value)
    return "\x1f".join(fields)


def _has_no_item(record: dict[str, Any], key: str) -> bool:
    """Say whether a record without an item's key is one of something else: a podcast, or a video without a channel."""
    return ".0." in key or bool(not_music([plain_name(name) for name in record]))


def _object(line: bytes) -> dict[str, Any] | _Bad:
    if len(line) > MAX_LINE:
        return _Bad("line over 1 MiB")
    if not line or line == b"\r":
        return _Bad("empty line")
    try:
        record = _DECODER.decode(line.decode())
    except UnicodeDecodeError:
        return _Bad("invalid UTF-8")
    except (ValueError, RecursionError):
        return _Bad("not JSON")
    return record if type(record) is dict else _Bad("not an object")


def look_up(record: dict[str, Any], key: str) -> Any:
    """Look up the value of a key; dots descend into objects, unless a key is itself written with them."""
    value = record.get(key, _MISSING)
    if value is _MISSING and "." in key:
        outer, _, inner = key.partition(".")
        inside = record.get(outer, _MISSING)
        if inside is None:
            return None
        if type(inside) is list:  # the first, say, of some
            place, _, inner = inner.partition(".")
            inside = inside[int(place)] if place.isdecimal() and int(place) < len(inside) else None
            if inside is None or not inner:
                return inside
        return look_up(inside, inner) if type(inside) is dict else _MISSING
    return value


def names(head: bytes) -> list[str]:
    """List the keys of the objects at the beginning of a file, nested ones with dots, each once."""
    found = dict[str, None]()
    for record in _records(head):
        found |= dict.fromkeys(_keys(record))
    return list(found)


def sample(head: bytes, names: Sequence[str]) -> list[dict[str, str]]:
    """List the text and numbers in the first objects of a file, by name."""
    rows = ({name: look_up(record, name) for name in names} for record in islice(_records(head), SAMPLE))
    return [{name: value for name, value in row.items() if isinstance(value, str)} for row in rows]


def _records(head: bytes) -> Iterator[dict[str, Any]]:
    """Yield the objects at the beginning of a file."""
    text = head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    at = 1 if is_array(head) else 0
    text = text.lstrip()
    while at < len(text):
        place = _BETWEEN.match(text, at)
        at = place.end() if place else at
        try:
            record, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            # the last one is cut off; a bad line is looked at later
            at = text.find("\n", at) + 1 or len(text)
            continue
        if type(record) is dict:
            yield record


def _keys(record: dict[str, Any]) -> Iterator[str]:
    for key, value in record.items():
        yield key
        if type(value) is list and value and type(value[0]) is dict:
            yield from (f"{key}.0.{inner}" for inner in _keys(value[0]))
        if type(value) is dict:
            yield from (f"{key}.{inner}" for inner in _keys(value))
