"""WebHDFS: the NameNode's and DataNodes' own HTTP interface, on by default. Files are `mr_als.storage.hdfs`'s.

A request is repeated for a minute while the NameNode does not answer or is in safe mode, as after a restart.
"""

from __future__ import annotations

import getpass
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit

from mr_als.errors import StorageError, UsageError
from mr_als.storage.hadoop_conf import read_conf

# what a NameNode says that is starting, or that is not the active one of a pair
_WAIT = ("SafeModeException", "RetriableException", "StandbyException", "NotYetReplicatedException", "Failed to find datanode")
_PATIENCE = 60.0  # seconds
_REDIRECTS = (301, 302, 303, 307)

# opens what is to be written; anew for each try
Content = Callable[[], BinaryIO]


class RemoteError(Exception):
    """What the NameNode or a DataNode answered instead of a result."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message.splitlines()[0] if message else ''}")
        self.kind = kind


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keep a redirect as an answer: to write, the data go to the second address only."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing."""


class WebHdfs:
    """The web interface of one HDFS file system.

    Parameters
    ----------
    uri : of any file in it, such as hdfs://namenode:8020/logs; hdfs:///logs is in the file system that is configured

    Raises
    ------
    UsageError
        If there is no NameNode in the URI, nor in the configuration.
    """

    def __init__(self, uri: str) -> None:
        conf = read_conf()
        self.authority = urlsplit(uri).netloc or urlsplit(conf.get("fs.defaultFS", "")).netloc
        if not self.authority:
            msg = (
                f"{uri}: names no NameNode, and fs.defaultFS of the Hadoop configuration is not hdfs://; write hdfs://HOST:PORT/..."
            )
            raise UsageError(msg)
        self._addresses = web_addresses(self.authority, conf)
        self._user = os.environ.get("HADOOP_USER_NAME") or getpass.getuser()
        # a cluster is never behind the proxy that leads out of it
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect).open

    def request(self, method: str, operation: str, uri: str, content: Content | None = None, **query: Any) -> Any:
        """Ask for an operation on a file or directory, and give the open response.

        Parameters
        ----------
        content : opens what is to be written
        query : parameters of the operation

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
            for base in list(self._addresses):
                try:
                    return self._follow(method, f"{base}/webhdfs/v1{quote(path_of(uri))}?{words}", content)
                except RemoteError as error:
                    reason = str(error)
                    if not any(word in reason for word in _WAIT):
                        raise
                except (OSError, http.client.HTTPException) as error:
                    reason = f"{base}: {error}"
                self._addresses.append(self._addresses.pop(0))  # the other NameNode of a pair
            if time.monotonic() > until:
                msg = f"{uri}: HDFS does not answer ({reason}); is the NameNode up, and WebHDFS on (dfs.webhdfs.enabled)?"
                raise StorageError(msg)
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def json(self, method: str, operation: str, uri: str, **query: Any) -> Any:
        """Ask for an operation, and give what is answered: JSON, or nothing."""
        with self.request(method, operation, uri, **query) as answer:
            text = answer.read()
        return json.loads(text) if text else {}

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


def path_of(uri: str) -> str:
    """Extract the path of a URI; "/" for the root.

    >>> path_of("hdfs://namenode:8020/logs/"), path_of("hdfs:///")
    ('/logs', '/')
    """
    return "/" + uri.split("://", 1)[-1].partition("/")[2].strip("/")


def web_addresses(authority: str, conf: dict[str, str]) -> list[str]:
    """List the web addresses of the NameNode, or of each NameNode of a high-availability pair."""
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
