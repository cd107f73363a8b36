"""Delegation tokens: what a driver shows WebHDFS instead of a Kerberos ticket.

Hadoop's own client has the ticket, and fetches a token with it (`hdfs fetchdt`): once for a process, and another when half of
its life is over, or when it is refused. At the end of the process it is cancelled. It is a secret as long as it is valid: it is in
the memory of this process and, for as long as it takes to read it, in a directory that nobody else may enter.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mr_als.errors import StorageError
from mr_als.storage.hadoop_client import run_client

_MAGIC = b"HDTS\0"  # a file of tokens, in the format that `fetchdt` has always written
_DAY = 24 * 3600.0
# seconds: how long a token may take to fetch while there is a valid one, less than a lease lasts, or none; until the next try
_SHORT, _LONG, _PAUSE = 20.0, 300.0, 60.0


class DelegationToken:
    """The token of one file system.

    Parameters
    ----------
    file_system : such as hdfs://namenode:8020
    life : seconds in which it is valid
    cancel : ends a token; what it raises does not matter
    """

    def __init__(self, file_system: str, life: float, cancel: Callable[[str], None]) -> None:
        self._file_system, self._life, self._cancel = file_system, life, cancel
        self._held = "", 0.0  # the token, and when it was fetched
        self._again = 0.0  # not before this time, if there was trouble
        self._lock = threading.Lock()  # the lease is renewed by a thread of its own

    def __repr__(self) -> str:
        return f"DelegationToken({self._file_system!r})"

    def value(self, refused: str = "") -> str:
        """Return the token to show now, never one that was `refused`.

        Raises
        ------
        StorageError
            If there is none, as when there is no ticket.
        """
        if young := self._known(refused, self._life / 2):
            return young
        # while another thread fetches the next one, the one before does: who renews a lease has no time to wait
        valid = self._known(refused, self._life)
        if not self._lock.acquire(blocking=not valid):
            return valid
        try:
            return self._known(refused, self._life / 2) or self._next(self._known(refused, self._life))
        finally:
            self._lock.release()

    def close(self) -> None:
        """Cancel the token, if there is one."""
        with self._lock:
            self._replace("")

    def _known(self, refused: str, life: float) -> str:
        """Return the token if it is younger than this, and was not refused; else nothing."""
        text, fetched = self._held
        return text if text != refused and time.monotonic() - fetched < life else ""

    def _next(self, valid: str) -> str:
        """Fetch another token; if that fails the one that is `valid` is good for a while, in which there may be a ticket again."""
        if valid and time.monotonic() < self._again:
            return valid
        try:
            new = _fetch(self._file_system, _SHORT if valid else _LONG)
        except StorageError:
            if not valid:
                raise
            self._again = time.monotonic() + _PAUSE
            return valid
        self._replace(new)
        return new

    def _replace(self, new: str) -> None:
        """Cancel the token before; one that cannot be ends by itself."""
        (before, _), self._held = self._held, (new, time.monotonic())
        if before:
            with contextlib.suppress(Exception):
                self._cancel(before)


_tokens: dict[str, DelegationToken] = {}


def token_of(file_system: str, conf: dict[str, str], cancel: Callable[[str], None]) -> DelegationToken:
    """Return the token of a file system, the same for all of this process, at whose end it is cancelled."""
    if file_system not in _tokens:
        life = int(conf.get("dfs.namenode.delegation.token.renew-interval") or _DAY * 1000) / 1000
        _tokens[file_system] = DelegationToken(file_system, min(life, _DAY), cancel)
        atexit.register(_tokens[file_system].close)
    return _tokens[file_system]


def _fetch(file_system: str, seconds: float = _LONG) -> str:
    """Fetch a token by Hadoop's client."""
    with tempfile.TemporaryDirectory(prefix="mr-als-") as private:  # mode 700
        path = os.path.join(private, "token")
        # where a cluster's clients are to be patient, they would ask for a minute without a ticket
        words = ("fetchdt", "-D", "dfs.client.retry.policy.enabled=false", "-fs", file_system, path)
        run_client("hdfs", *words, seconds=seconds)
        data = Path(path).read_bytes() if os.path.exists(path) else b""
    return read_token(data, file_system)


def read_token(data: bytes, file_system: str) -> str:
    """Return the first token of a token file, as WebHDFS wants it: base64 of Hadoop's Token, without padding.

    Raises
    ------
    StorageError
        If it holds none.
    """
    place = len(_MAGIC)
    try:
        if not data.startswith(_MAGIC):
            raise ValueError
        number, place = _vint(data, place)
        place = _skip(data, place)  # what it is for
        end = place
        for _ in ("identifier", "password", "kind", "service"):
            end = _skip(data, end)
        if not number:
            raise ValueError
    except (ValueError, IndexError):
        msg = f"{file_system}: hdfs fetchdt fetched no delegation token; see what `hdfs fetchdt -fs {file_system} FILE` says"
        raise StorageError(msg) from None
    return base64.urlsafe_b64encode(data[place:end]).decode().rstrip("=")


def _skip(data: bytes, place: int) -> int:
    """Return the place behind some bytes with their length before them."""
    length, place = _vint(data, place)
    if length < 0 or place + length > len(data):
        raise ValueError
    return place + length


def _vint(data: bytes, place: int) -> tuple[int, int]:
    """Read one of Hadoop's integers of variable length, not negative, and the place behind it.

    >>> _vint(bytes([100]), 0), _vint(bytes([0x8E, 0x01, 0x2C]), 0)
    ((100, 1), (300, 3))
    """
    first = data[place] - 256 if data[place] > 127 else data[place]
    if first >= -112:
        return first, place + 1
    end = place + 1 - 112 - first
    if end > len(data) or first < -120:
        raise ValueError
    return int.from_bytes(data[place + 1 : end], "big"), end
