"""Files in HDFS, over WebHDFS: the NameNode's and DataNodes' own HTTP interface, on by default.

A listing takes milliseconds where `hadoop fs` starts a JVM for a second. What the interface promises and we build on:

* RENAME with `renameoptions=NONE` refuses a target that exists: `create` writes a scratch file and renames it, so
  the file appears whole or not at all, and of two writers one gets False.
* RENAME with `renameoptions=OVERWRITE` replaces the target in one step: `replace`.

A request is repeated for a minute while the NameNode does not answer or is in safe mode, as after a restart.
"""

from __future__ import annotations

import fnmatch
import getpass
import http.client
import io
import json
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit

from mr_als.engine.hadoop_conf import read_conf
from mr_als.errors import BadInputError, StorageError, UsageError

# what a NameNode says that is starting, or that is not the active one of a pair
_WAIT = ("SafeModeException", "RetriableException", "StandbyException", "NotYetReplicatedException", "Failed to find datanode")
_PATIENCE = 60.0  # seconds
_REDIRECTS = (301, 302, 303, 307)

# opens what is to be written; anew for each try
Content = Callable[[], BinaryIO]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keep a redirect as an answer: to write, the data go to the second address only."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing."""


class RemoteError(Exception):
    """What the NameNode or a DataNode answered instead of a result."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message.splitlines()[0] if message else ''}")
        self.kind = kind


class HdfsStorage:
    """An HDFS file system, with the methods of `LocalStorage`. All paths are URIs such as hdfs://namenode:8020/logs."""

    def __init__(self, uri: str) -> None:
        conf = read_conf()
        default = urlsplit(conf.get("fs.defaultFS", ""))
        self.authority = urlsplit(uri).netloc or default.netloc
        if not self.authority:
            msg = (
                f"{uri}: names no NameNode, and fs.defaultFS of the Hadoop configuration is not hdfs://; write hdfs://HOST:PORT/..."
            )
            raise UsageError(msg)
        self.prefix = f"hdfs://{self.authority}"
        self._web = web_addresses(self.authority, conf)
        self._user = os.environ.get("HADOOP_USER_NAME") or getpass.getuser()
        # a cluster is never behind the proxy that leads out of it
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect).open

    # requests

    def _path(self, uri: str) -> str:
        """Give the path of a URI, "/" for the root."""
        return "/" + uri.split("://", 1)[-1].partition("/")[2].strip("/")

    def absolute(self, path: str) -> str:
        """Give the URI that says the same everywhere."""
        return self.prefix + self._path(path)

    def _request(self, method: str, operation: str, uri: str, content: Content | None = None, **query: Any) -> Any:
        """Ask for an operation, and give the open response.

        Raises
        ------
        RemoteError
            If it was refused.
        StorageError
            If nobody answers for a minute.
        """
        words = urlencode({"op": operation, "user.name": self._user, **query})
        until, pause = time.monotonic() + _PATIENCE, 0.1
        while True:
            for base in list(self._web):
                try:
                    return self._follow(method, f"{base}/webhdfs/v1{quote(self._path(uri))}?{words}", content)
                except RemoteError as error:
                    reason = str(error)
                    if not any(word in reason for word in _WAIT):
                        raise
                except (OSError, http.client.HTTPException) as error:
                    reason = f"{base}: {error}"
                self._web.append(self._web.pop(0))  # the other NameNode of a pair
            if time.monotonic() > until:
                msg = f"{uri}: HDFS does not answer ({reason}); is the NameNode up, and WebHDFS on (dfs.webhdfs.enabled)?"
                raise StorageError(msg)
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def _follow(self, method: str, url: str, content: Content | None) -> Any:
        """Send one request; where it leads to a DataNode, send the data there."""
        answer = self._send(method, url)
        for _ in range(2):
            if answer.code not in _REDIRECTS:
                return answer
            answer.close()
            place = answer.headers["Location"]
            if content is None:
                answer = self._send(method, place)
            else:
                with content() as file:
                    answer = self._send(method, place, file)
        return answer

    def _send(self, method: str, url: str, file: BinaryIO | None = None) -> Any:
        headers = {"Content-Type": "application/octet-stream"} if file else {}
        try:
            return self._open(urllib.request.Request(url, data=file, method=method, headers=headers), timeout=120)
        except urllib.error.HTTPError as answer:
            if answer.code in _REDIRECTS:
                return answer
            raise _remote_error(answer) from None

    def _json(self, method: str, operation: str, uri: str, **query: Any) -> Any:
        with self._request(method, operation, uri, **query) as answer:
            text = answer.read()
        return json.loads(text) if text else {}

    def _status(self, uri: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._json("GET", "GETFILESTATUS", uri)["FileStatus"]
        except RemoteError as error:
            if error.kind == "FileNotFoundException":
                return None
            raise _told(uri, error) from None
        return found

    def _list(self, uri: str) -> list[dict[str, Any]]:
        try:
            return list(self._json("GET", "LISTSTATUS", uri)["FileStatuses"]["FileStatus"])
        except RemoteError as error:
            if error.kind == "FileNotFoundException":
                return []
            raise _told(uri, error) from None

    # the methods of every storage

    def make_directory(self, path: str) -> None:
        """Make a directory and its parents."""
        try:
            made = self._json("PUT", "MKDIRS", path)["boolean"]
        except RemoteError as error:
            raise _told(path, error) from None
        if not made:
            msg = f"{path}: cannot be made a directory; name one that you may write to"
            raise UsageError(msg)

    def create(self, path: str, data: bytes) -> bool:
        """Write a new file; give False if it exists already. It appears whole or not at all."""
        scratch = self._scratch(path, data)
        try:
            self.rename(scratch, path)
        except FileExistsError:
            self.remove(scratch)
            return self.read(path) == data  # it is ours if only the answer to a first try got lost
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Write a file in place of what is there; readers see the old or the new one, never a mixture."""
        self.rename(self._scratch(path, data), path, overwrite=True)

    def _scratch(self, path: str, data: bytes) -> str:
        scratch = f"{path}.{uuid.uuid4().hex[:8]}.new"
        self.write(scratch, data)
        return scratch

    def write(self, path: str, data: bytes) -> None:
        """Write a file; it may be seen half written."""
        self._create(path, lambda: io.BytesIO(data))

    def upload(self, local: str, path: str) -> None:
        """Write a file with the content of a local one."""
        self._create(path, lambda: Path(local).open("rb"))  # noqa: SIM115  (closed by `_follow`)

    def _create(self, path: str, content: Content) -> None:
        try:
            self._request("PUT", "CREATE", path, content, overwrite="true").close()
        except RemoteError as error:
            raise _told(path, error) from None

    def rename(self, source: str, target: str, *, overwrite: bool = False) -> None:
        """Rename a file or directory in one step.

        Raises
        ------
        FileExistsError
            If the target exists, and is not to be overwritten.
        """
        options = "OVERWRITE" if overwrite else "NONE"
        try:
            self._json("PUT", "RENAME", source, destination=self._path(target), renameoptions=options)
        except RemoteError as error:
            if error.kind == "FileAlreadyExistsException" and not overwrite:
                raise FileExistsError(target) from None
            if error.kind == "FileNotFoundException" and self._status(target):
                return  # an earlier try was carried out, and only its answer got lost
            raise _told(source, error) from None

    def read(self, path: str) -> bytes | None:
        """Give the bytes of a file, None if there is none."""
        return self._bytes(path)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Give a range of a file's bytes."""
        found = self._bytes(path, offset=offset, length=length) if length else b""
        if found is None or len(found) != length:
            msg = f"{path}: has no bytes {offset} to {offset + length}; it is gone or cut off"
            raise StorageError(msg)
        return found

    def _bytes(self, path: str, **query: Any) -> bytes | None:
        """Read, again from the start if the connection breaks on the way."""
        for attempt in range(5):
            try:
                with self._request("GET", "OPEN", path, **query) as answer:
                    return answer.read()  # type: ignore[no-any-return]
            except RemoteError as error:
                if error.kind in ("FileNotFoundException", "FileNotFound"):
                    return None
                raise _told(path, error) from None
            except (OSError, http.client.HTTPException) as error:
                reason = error
                time.sleep(2**attempt / 10)
        msg = f"{path}: cannot be read: {reason}"
        raise StorageError(msg)

    def open(self, path: str, mode: str = "rb") -> Any:
        """Open a file for reading from its beginning."""
        if mode != "rb":
            msg = f"{path}: mode {mode!r}; files in HDFS are opened to be read, and written whole"
            raise ValueError(msg)
        try:
            return io.BufferedReader(self._request("GET", "OPEN", path), 1 << 20)
        except RemoteError as error:
            raise _told(path, error) from None

    def size(self, path: str) -> int:
        """Give the size in bytes, -1 if there is no such file."""
        status = self._status(path)
        return -1 if status is None or status["type"] != "FILE" else int(status["length"])

    def identify(self, path: str) -> list[int]:
        """Give what changes when a file does: size and time of change."""
        status = self._status(path)
        if status is None:
            msg = f"{path}: no such file"
            raise BadInputError(msg)
        return [int(status["length"]), int(status["modificationTime"])]

    def remove(self, path: str) -> None:
        """Remove a file or a directory with all in it, if it is there."""
        try:
            self._json("DELETE", "DELETE", path, recursive="true")
        except RemoteError as error:
            raise _told(path, error) from None

    def names(self, path: str) -> list[str]:
        """Give the names in a directory, sorted; none if it is missing."""
        return sorted(status["pathSuffix"] for status in self._list(path) if status["pathSuffix"])

    def sizes(self, path: str) -> dict[str, int]:
        """Give the sizes of the files in a directory, by name."""
        return {s["pathSuffix"]: int(s["length"]) for s in self._list(path) if s["type"] == "FILE" and s["pathSuffix"]}

    def expand(self, patterns: list[str]) -> list[str]:
        """Give the URIs of files, of the files in directories, and of globs, sorted; see `LocalStorage.expand`."""
        paths: set[str] = set()
        for pattern in patterns:
            found = [self._path(pattern)] if self._status(pattern) else self._glob(self._path(pattern))
            files = [file for name in found for file in self._files(name)]
            if not files:
                msg = f"{pattern}: no such file, and no file in it; name log files, directories or globs"
                raise BadInputError(msg)
            paths |= {self.prefix + file for file in files}
        return sorted(paths)

    def _glob(self, pattern: str) -> list[str]:
        found = [""]
        for part in pattern.strip("/").split("/"):
            if any(c in part for c in "*?["):
                found = [f"{base}/{name}" for base in found for name in fnmatch.filter(self.names(self.prefix + base), part)]
            else:
                found = [f"{base}/{part}" for base in found]
        return [path for path in found if self._status(self.prefix + path)]

    def _files(self, path: str) -> Iterable[str]:
        for status in self._list(self.prefix + path):
            name = status["pathSuffix"]
            if not name:
                yield path  # the path is a file itself
            elif not name.startswith((".", "_")):
                yield from [f"{path}/{name}"] if status["type"] == "FILE" else self._files(f"{path}/{name}")


def web_addresses(authority: str, conf: dict[str, str]) -> list[str]:
    """Give the web addresses of the NameNode, or of each of a highly available pair."""
    secure = conf.get("dfs.http.policy", "HTTP_ONLY") == "HTTPS_ONLY"
    scheme, key, port = ("https", "dfs.namenode.https-address", 9871) if secure else ("http", "dfs.namenode.http-address", 9870)
    pair = conf.get(f"dfs.ha.namenodes.{authority}")
    if pair:
        names = [f"{key}.{authority}.{node.strip()}" for node in pair.split(",")]
        return [f"{scheme}://{conf[name]}" for name in names if name in conf]
    host = authority.rsplit(":", 1)[0]
    is_default = urlsplit(conf.get("fs.defaultFS", "")).netloc == authority
    address = conf.get(key, "") if is_default else ""
    web_host, _, web_port = address.partition(":")
    # 0.0.0.0 is where the NameNode listens, not where it is
    return [f"{scheme}://{host if web_host in ('', '0.0.0.0') else web_host}:{web_port or port}"]


def _remote_error(answer: urllib.error.HTTPError) -> RemoteError:
    """Read the exception that HDFS sends as JSON."""
    text = answer.read().decode(errors="replace")
    answer.close()
    try:
        remote = json.loads(text)["RemoteException"]
        return RemoteError(remote["exception"], remote["message"])
    except (ValueError, LookupError):
        return RemoteError(
            f"HTTP {answer.code}", "authentication needed: WebHDFS is used as a plain user" if answer.code == 401 else text
        )


def _told(path: str, error: RemoteError) -> StorageError | UsageError:
    """Say it so that one knows what to do."""
    if error.kind == "AccessControlException":
        msg = f"{path}: {error}; ask for the right to it, or set HADOOP_USER_NAME"
        return UsageError(msg)
    msg = f"{path}: {error}"
    return StorageError(msg)


__all__ = ["HdfsStorage", "web_addresses"]
