"""JSON files of ours: read, and refused if they are torn, of another program, of another format, or have fields of other kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from mr_als import __version__
from mr_als.errors import MRALSError

__all__ = ["NUMBER", "Kind", "parsed", "wrong_fields"]

NUMBER = (int, float)


class Kind(NamedTuple):
    """One of our files, as its readers know it.

    format : what this version writes and reads
    fields : what readers rely on: name -> type, types, the fields of an object, or a list of one of these: one or more of it,
        with `...` behind it none or more
    remedy : what to do where it cannot be read
    error : what is raised then
    unnamed : whether version 0.1.0 wrote it without its format, which was 1
    """

    format: int
    fields: Mapping[str, Any]
    remedy: str
    error: type[MRALSError]
    unnamed: bool = False


def parsed(data: bytes, file: str, kind: Kind) -> dict[str, Any]:
    """Parse a file; `file` is what messages call it, such as `DIRECTORY: model.json`.

    Raises
    ------
    MRALSError
        `kind.error`, if it is no such file, or of a format that this version does not read.
    """
    try:
        info = json.loads(data)
    except (ValueError, RecursionError) as error:
        msg = f"{file} cannot be read (no JSON: {error}): torn, or of another program; {kind.remedy}"
        raise kind.error(msg) from None
    if kind.unnamed and isinstance(info, dict):
        info = {"format": 1, **info}
    if not isinstance(info, dict) or "format" not in info:
        what = f"fields {', '.join(map(repr, list(info)[:3]))}" if isinstance(info, dict) else type(info).__name__
        msg = f"{file} cannot be read (no format in it, but {what}): of another program; {kind.remedy}"
        raise kind.error(msg)
    if info["format"] != kind.format:
        writer = info["versions"].get("mr_als") if isinstance(info.get("versions"), dict) else "another version"
        msg = (
            f"{file} has format {info['format']!r}, and mr_als {__version__} reads format {kind.format}; "
            f"use the version that wrote it ({writer}), or {kind.remedy}"
        )
        raise kind.error(msg)
    if wrong := wrong_fields(info, kind.fields):
        msg = f"{file} cannot be read ({', '.join(wrong[:3])}): damaged, {kind.remedy}"
        raise kind.error(msg)
    return info


def wrong_fields(found: Mapping[str, Any], fields: Mapping[str, Any], within: str = "") -> list[str]:
    """List the fields that are missing or of another kind, in words.

    >>> wrong_fields({"rank": "many", "history": [{}]}, {"rank": int, "seed": int, "history": [{"half": int}]})
    ["rank is 'many'", 'no seed', 'no history[0].half']
    >>> wrong_fields({"each": [], "blocks": []}, {"each": [dict, ...], "blocks": [int]})
    ['blocks is []']
    """
    wrong = []
    for name, kind in fields.items():
        wrong += _wrong(found[name], kind, within + name) if name in found else [f"no {within}{name}"]
    return wrong


def _wrong(value: Any, kind: Any, name: str) -> list[str]:
    if isinstance(kind, Mapping) and isinstance(value, dict):
        return wrong_fields(value, kind, f"{name}.")
    if isinstance(kind, list) and isinstance(value, list) and (value or kind[-1] is ...):
        return [text for n, one in enumerate(value) for text in _wrong(one, kind[0], f"{name}[{n}]")]
    if not isinstance(kind, (Mapping, list)) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return []
    return [f"{name} is {value!r:.40}"]
