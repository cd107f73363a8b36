"""Files in Azure, through adlfs and the Blob service: a put with `If-None-Match: *` fails if the blob exists.

URIs are Hadoop's, with container and account: abfss://logs@company.dfs.core.windows.net/2024. Credentials are found as adlfs finds
them: a login (`az login`, a managed identity, AZURE_CLIENT_ID and what belongs to it), or AZURE_STORAGE_CONNECTION_STRING,
AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN. A connection string may name another endpoint.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from mr_als.errors import MRALSError, StorageError, UsageError
from mr_als.storage.clouds.objects import ObjectStorage
from mr_als.storage.storage import scheme_of

SCHEMES = ("abfss", "abfs")

# seconds that Azure may take to copy a blob
_PATIENCE = 600.0
_LOGIN = "run `az login`, give the machine a managed identity, or set AZURE_STORAGE_CONNECTION_STRING"
_FORM = "abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/..."


class AzureStorage(ObjectStorage):
    """Blobs; all paths are URIs such as abfss://container@account.dfs.core.windows.net/logs."""

    cloud = "Azure"
    form = _FORM
    bucket = "container"
    package = "adlfs"
    install = "'adlfs>=2024.12'"

    def _prefix(self, uri: str) -> str:
        """Return the URI of the container."""
        return f"{scheme_of(uri)}://{urlsplit(uri).netloc}/"

    def _key(self, uri: str) -> str:
        """Extract the container and the name of the blob."""
        place, _, name = uri.split("://", 1)[-1].partition("/")
        return f"{place.partition('@')[0]}/{name}".rstrip("/")

    def _uri(self, key: str) -> str:
        """Return the URI, with the account, which adlfs leaves out."""
        return (self.prefix + key.partition("/")[2]).rstrip("/")

    def _connect(self, uri: str) -> Any:
        """Make the file system of the account.

        Raises
        ------
        UsageError
            If the URI names none, or the connection string is of another one.
        """
        host = urlsplit(uri).netloc.partition("@")[2]
        account = host.partition(".")[0]
        if not account:
            msg = f"{uri}: names no storage account; write {self.form}"
            raise UsageError(msg)
        # they log what they try, and the tracebacks of what they raise
        for name in ("azure", "adlfs"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        system = _file_system()(account_name=account, account_host=host.replace(".dfs.", ".blob.", 1), use_listings_cache=False)
        if (found := system.service_client.account_name) not in (None, account):
            msg = f"{uri}: AZURE_STORAGE_CONNECTION_STRING is of the account {found!r}, not {account!r}; unset it, or change it"
            raise UsageError(msg)
        return system

    def _find(self, path: str) -> dict[str, Any]:
        """Find likewise; of a blob itself adlfs tells the name alone."""
        found = self._fs.find(self._key(path), detail=True)
        return found if isinstance(found, dict) else {name: self._fs.info(name) for name in found}

    def _copy(self, old: str, new: str) -> None:
        """Copy a blob, and wait: Azure may take a copy on as work for later, and until then it is empty."""
        until = time.monotonic() + _PATIENCE
        self._fs.cp_file(old, new)
        while self._fs.info(new)["size"] != self._fs.info(old)["size"]:
            if time.monotonic() > until:
                msg = f"{self._uri(old)}: Azure has not copied it to {self._uri(new)} in {_PATIENCE:.0f} s; try again later"
                raise StorageError(msg)
            time.sleep(1)

    def _identity(self, info: dict[str, Any]) -> list[int]:
        """Return its modification time in ms, and its ETag, for Azure knows the time to the second only."""
        return [round(1000 * info["last_modified"].timestamp()), int(info["etag"].strip('"'), 16)]

    def _is_beyond(self, error: Exception) -> bool:
        return getattr(error, "status_code", None) == 416

    def _meaning(self, path: str, error: Exception) -> MRALSError | None:
        from azure.core.exceptions import AzureError, ClientAuthenticationError

        status = getattr(error, "status_code", None)
        if isinstance(error, ClientAuthenticationError) or status == 401:
            return self._refuses(path, error, _LOGIN)
        if status == 403:
            return self._refuses(path, error, "check the roles of the account in use, such as Storage Blob Data Contributor")
        known = (OSError, ValueError, RuntimeError, AzureError, asyncio.TimeoutError)
        return self._cannot(path, error) if isinstance(error, known) else None


@cache
def _file_system() -> Any:
    """Return the class of adlfs, with names as they are: it would take a `?` in one for the beginning of a query."""
    from adlfs import AzureBlobFileSystem

    class Blobs(AzureBlobFileSystem):  # type: ignore[misc]
        """Blobs by their names, never by a URL."""

        @classmethod
        def _strip_protocol(cls, path: Any) -> Any:
            return [cls._strip_protocol(one) for one in path] if isinstance(path, list) else path.lstrip("/")

    return Blobs


__all__ = ["SCHEMES", "AzureStorage"]
