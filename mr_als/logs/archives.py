"""Archives are directories: the members of .zip and .tar files, laid down one after the other, a piece at a time.

What an archive may do to a machine is refused by name: members that lie outside of it, that are encrypted, that are archives
themselves, or that grow beyond all measure.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from mr_als.errors import BadInputError
from mr_als.logs.streams import open_log

__all__ = ["is_archive", "unpack"]

_TARS = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.zst")
# a log shrinks to a tenth or a fiftieth; from this size on, what shrank to less than this share was made to fill a disk
_LARGE, _RATIO = 1 << 30, 250
_PIECE = 1 << 20
_LINK = "a link in an archive"
# what the libraries raise on damaged archives, where a place or a name makes no sense; other numbers are of the file system
_OF_DAMAGE = (None, errno.EINVAL, errno.ENAMETOOLONG, errno.EILSEQ)
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error, EOFError, OSError, NotImplementedError, RuntimeError,
    ValueError,
)  # fmt: skip


class _Member(NamedTuple):
    """A member of an archive: its name, what keeps it from being a file, and how its bytes are opened."""

    name: str
    special: str
    encrypted: bool
    open: Callable[[], Any]


def is_archive(path: str) -> bool:
    """Say whether a path is, by its name, that of an archive.

    >>> is_archive("logs/2024.tar.gz"), is_archive("my_spotify_data.ZIP"), is_archive("2024.tsv.gz")
    (True, True, False)
    """
    return path.lower().endswith((".zip", *_TARS))


def unpack(archive: str, directory: str) -> dict[str, str]:
    """Lay down the members of a local archive, and return the names of those that are no files, with the reasons.

    Of several members of one name the last one stays, as when the archive is unpacked by other programs.

    Raises
    ------
    BadInputError
        If it is damaged, or a member is one that must not be unpacked, or must first be unpacked by another program.
    """
    left_out: dict[str, str] = {}
    room = max(_LARGE, _RATIO * os.stat(archive).st_size)
    try:
        for member in _members(archive):
            if member.special:
                left_out[member.name] = member.special
                continue
            _check(archive, member)
            target = os.path.join(directory, *PurePosixPath(member.name).parts)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with member.open() as source, open(target, "wb") as copy:
                while piece := source.read(_PIECE):
                    room -= len(piece)
                    if room < 0:
                        msg = f"{archive}: its members hold more than {_RATIO} times its size; if that is meant, unpack it yourself"
                        raise BadInputError(msg)
                    copy.write(piece)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        msg = f"{archive}: one of its members is a file and a directory ({error}); unpack it yourself"
        raise BadInputError(msg) from None
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno not in _OF_DAMAGE:
            raise
        msg = f"{archive}: damaged or cut off, or no such archive ({error}); fetch or write the file again, or unpack it yourself"
        raise BadInputError(msg) from None
    return left_out


def _members(archive: str) -> Iterator[_Member]:
    """Yield the members that are not directories, in order; of a .tar each must be read before the next one."""
    if archive.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                link = stat.S_ISLNK(info.external_attr >> 16)
                if not info.is_dir():
                    yield _Member(info.filename, _LINK * link, bool(info.flag_bits & 1), partial(packed.open, info))
        return
    name = archive.lower()
    with (
        open(archive, "rb") as raw,
        open_log(f"{name[: -len('.tgz')]}.gz" if name.endswith(".tgz") else name, raw) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        for entry in tar:
            special = _LINK if entry.issym() or entry.islnk() else "" if entry.isfile() else "neither a file nor a directory"
            if not entry.isdir():
                yield _Member(entry.name, special, False, partial(tar.extractfile, entry))


def _check(archive: str, member: _Member) -> None:
    """Refuse a member that must not be unpacked."""
    parts = PurePosixPath(member.name).parts
    if not parts or ".." in parts or parts[0].startswith("/") or "\0" in member.name:
        msg = f"{archive}: its member {member.name!r} lies outside of it; unpack it yourself, if you trust it"
        raise BadInputError(msg)
    if member.encrypted:
        msg = f"{archive}: its member {member.name!r} is encrypted; unpack it with its password, and name the directory"
        raise BadInputError(msg)
    if is_archive(member.name) and not any(part.startswith((".", "_")) for part in parts):
        msg = f"{archive}: its member {member.name!r} is an archive itself; unpack both, and name the directory"
        raise BadInputError(msg)
