"""WebHDFS: the NameNode's and DataNodes' own HTTP interface, on by default. Files are `mr_als.storage.hdfs`'s.

A request is repeated for a minute while the NameNode does not answer or is in safe mode, as after a restart. Where the cluster
asks for Kerberos it shows a delegation token (`tokens`), else it names the user; TLS trusts whom the cluster trusts (`tls`).
"""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import os
import re
import ssl
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode, urljoin, urlsplit

from mr_als.errors import StorageError, UsageError
from mr_als.storage.hadoop_client import is_secure
from mr_als.storage.hadoop_conf import GATEWAY, WEB_SCHEMES, read_conf, web_addresses
from mr_als.storage.tls import tls_context
from mr_als.storage.tokens import token_of

# what a NameNode says that is starting, or that is not the active one of a pair
_WAIT = ("SafeModeException", "RetriableException", "StandbyException", "NotYetReplicatedException", "Failed to find datanode")
_PATIENCE = 60.0  # seconds
# the kind of error of what is not there
MISSING = "FileNotFoundException"
_REDIRECTS = (301, 302, 303, 307)
SCHEMES = ("hdfs", *WEB_SCHEMES)

_UNTRUSTED = "see ssl.client.truststore.location in ssl-client.xml, or name a PEM file of its authority in SSL_CERT_FILE"
_READ_ONLY = "HttpFS cannot put one file in the place of another, so it is for reading; write to hdfs://NAMENODE:PORT/..."

# opens what is to be written; anew for each try
Content = Callable[[], BinaryIO]


# a token in the words of a URL, as errors may show it
_SECRET = re.compile(r"\b(delegation|token)=[^&\s\"'<>]+")


class RemoteError(Exception):
    """What the NameNode or a DataNode answered instead of a result."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {without_token(message.splitlines()[0] if message else '')}")
        self.kind = kind


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keep a redirect as an answer: to write, the data go to the second address only."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing."""


class WebHdfs:
    """The web interface of one HDFS file system.

    Parameters
    ----------
    uri : of any file in it, such as hdfs://namenode:8020/logs; hdfs:///logs is in the file system that is configured;
        swebhdfs://namenode:9871/logs and webhdfs://httpfs:14000/logs have the web address itself

    Raises
    ------
    UsageError
        If there is no NameNode in the URI, nor in the configuration.
    """

    def __init__(self, uri: str) -> None:
        conf = read_conf()
        scheme = uri.partition("://")[0]
        self.authority = urlsplit(uri).netloc or urlsplit(conf.get("fs.defaultFS", "")).netloc
        if not self.authority:
            msg = (
                f"{uri}: names no NameNode, and fs.defaultFS of the Hadoop configuration is not hdfs://; write hdfs://HOST:PORT/..."
            )
            raise UsageError(msg)
        gateway = os.environ.get(GATEWAY, "").rstrip("/")
        # what else has an address of its own may be HttpFS
        self._may_rename = not gateway and scheme not in WEB_SCHEMES
        self._addresses = [gateway] if gateway else web_addresses(self.authority, conf, scheme)
        self._user = os.environ.get("HADOOP_USER_NAME") or getpass.getuser()
        self._token = token_of(f"{scheme}://{self.authority}", conf, self._cancel) if is_secure(conf) else None
        # a cluster is never behind the proxy that leads out of it
        handlers: list[Any] = [urllib.request.ProxyHandler({}), _NoRedirect]
        if conf.get("dfs.http.policy") == "HTTPS_ONLY" or any(address.startswith("https:") for address in self._addresses):
            handlers.append(urllib.request.HTTPSHandler(context=tls_context()))
        self._open = urllib.request.build_opener(*handlers).open

    def request(self, method: str, operation: str, uri: str, content: Content | None = None, **query: Any) -> Any:
        """Ask for an operation on a file or directory, and return the open response.

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
        return self._patiently(operation, uri, query, lambda url: self._follow(method, url, content))

    def _patiently(self, operation: str, uri: str, query: dict[str, Any], ask: Callable[[str], Any]) -> Any:
        """Call `ask` with the web address of an operation, again for a minute while nobody answers, or the answer breaks off."""
        until, pause = time.monotonic() + _PATIENCE, 0.1
        refused = ""
        while True:
            for base in list(self._addresses):
                shown = self._shown(refused)
                words = urlencode({"op": operation, **shown, **query})
                try:
                    return ask(f"{base}/webhdfs/v1{quote(path_of(uri))}?{words}")
                except RemoteError as error:
                    reason = str(error)
                    if self._token and "InvalidToken" in reason and not refused:
                        refused = shown["delegation"]
                        continue
                    if not any(word in reason for word in _WAIT):
                        raise
                except (OSError, http.client.HTTPException) as error:
                    reason = f"{base}: {without_token(str(error))}"
                self._addresses.append(self._addresses.pop(0))  # the other NameNode of a pair
            if time.monotonic() > until:
                msg = f"{uri}: HDFS does not answer ({reason}); is the NameNode up, and WebHDFS on (dfs.webhdfs.enabled)?"
                raise StorageError(msg)
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def _shown(self, refused: str = "") -> dict[str, str]:
        """Say who asks: a token, another one than was refused, or where no cluster asks for it the name of a user."""
        return {"delegation": self._token.value(refused)} if self._token else {"user.name": self._user}

    def _cancel(self, token: str) -> None:
        """Cancel a delegation token, by its own right."""
        words = urlencode({"op": "CANCELDELEGATIONTOKEN", "token": token, "delegation": token})
        for base in self._addresses:
            with contextlib.suppress(RemoteError, OSError, http.client.HTTPException):
                self._send("PUT", f"{base}/webhdfs/v1/?{words}", seconds=10).close()

    def json(self, method: str, operation: str, uri: str, **query: Any) -> Any:
        """Ask for an operation likewise, and return the JSON of the answer; an empty dict if there is none."""

        def whole(url: str) -> Any:
            with self._follow(method, url, None) as answer:
                text = answer.read()
            try:
                return json.loads(text) if text else {}
            except ValueError:
                msg = f"no JSON, but {text[:60]!r}"
                raise OSError(msg) from None

        return self._patiently(operation, uri, query, whole)

    def check_rename(self, uri: str) -> None:
        """Raise UsageError if `renameoptions` mean nothing to who answers: HttpFS says "false" where there is nothing to rename."""
        if self._may_rename:
            return
        nothing = f"{uri}.{uuid.uuid4().hex}"
        with contextlib.suppress(RemoteError):
            if "boolean" in self.json("PUT", "RENAME", nothing, destination=path_of(nothing), renameoptions="NONE"):
                msg = f"{uri}: {_READ_ONLY}"
                raise UsageError(msg)
        self._may_rename = True

    def _follow(self, method: str, url: str, content: Content | None) -> Any:
        """Send one request; where it leads to a DataNode, send the data there."""
        answer = self._send(method, url)
        for _ in range(2):
            if answer.code not in _REDIRECTS:
                return answer
            answer.close()
            place = urljoin(url, answer.headers["Location"])
            if content is None:
                answer = self._send(method, place)
            else:
                with content() as file:
                    answer = self._send(method, place, file)
        return answer

    def _send(self, method: str, url: str, file: BinaryIO | None = None, seconds: float = 120) -> Any:
        headers = {"Content-Type": "application/octet-stream"} if file else {}
        try:
            return self._open(urllib.request.Request(url, data=file, method=method, headers=headers), timeout=seconds)
        except urllib.error.HTTPError as answer:
            if answer.code in _REDIRECTS:
                return answer
            raise _remote_error(answer) from None
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ssl.SSLCertVerificationError):
                raise
            scheme, host, *_ = urlsplit(url)  # what comes behind it holds a token
            msg = f"{scheme}://{host}: {error.reason}; {_UNTRUSTED}"
            raise StorageError(msg) from None


def without_token(words: str) -> str:
    """Leave out the tokens of URLs in the words of an error.

    >>> without_token("/webhdfs/v1/logs?op=OPEN&delegation=IAAEamFuZQ&offset=0 is refused")
    '/webhdfs/v1/logs?op=OPEN&delegation=...&offset=0 is refused'
    """
    return _SECRET.sub(r"\1=...", words)


def path_of(uri: str) -> str:
    """Extract the path of a URI; "/" for the root.

    >>> path_of("hdfs://namenode:8020/logs/"), path_of("hdfs:///")
    ('/logs', '/')
    """
    return "/" + uri.split("://", 1)[-1].partition("/")[2].strip("/")


def _remote_error(answer: urllib.error.HTTPError) -> RemoteError:
    """Read the exception that HDFS sends as JSON."""
    text = answer.read().decode(errors="replace")
    answer.close()
    try:
        remote = json.loads(text)["RemoteException"]
        # so it says, where it looks at permissions, that a name below a file is none
        missing = remote["exception"] == "AccessControlException" and remote["message"].endswith("(is not a directory)")
        return RemoteError(MISSING if missing else remote["exception"], remote["message"])
    except (ValueError, LookupError):
        asks = "it asks for Kerberos, and hadoop.security.authentication is not kerberos here; take the cluster's own core-site.xml"
        page = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
        return RemoteError(f"HTTP {answer.code}", asks if answer.code == 401 else page[1].strip() if page else text)
