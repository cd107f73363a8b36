"""Files in Google Cloud Storage, through gcsfs: a put with `ifGenerationMatch=0` fails if the object exists.

Credentials are found as Google's own libraries find them: GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login`,
or the service account of the machine. The endpoint may be that of another service: STORAGE_EMULATOR_HOST.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from mr_als.errors import MRALSError
from mr_als.storage.clouds.objects import ObjectStorage

SCHEMES = ("gs",)

_LOGIN = "set GOOGLE_APPLICATION_CREDENTIALS, run `gcloud auth application-default login`, or give the machine a service account"


class GcsStorage(ObjectStorage):
    """Objects in Google Cloud Storage; all paths are URIs such as gs://bucket/logs."""

    cloud = "Google Cloud Storage"
    form = "gs://BUCKET/..."
    package = "gcsfs"
    install = "'gcsfs>=2024.12'"

    def _connect(self, uri: str) -> Any:
        from gcsfs.core import GCSFileSystem  # not the package's other one, which also asks by gRPC what kind a bucket is

        # it logs the tracebacks of what it raises
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
        return GCSFileSystem(use_listings_cache=False)

    def _identity(self, info: dict[str, Any]) -> list[int]:
        """Return its modification time in ms, and the number of its generation."""
        return [round(1000 * info["mtime"].timestamp()), int(info["generation"])]

    def _is_beyond(self, error: Exception) -> bool:
        return getattr(error, "code", None) == 416

    def _meaning(self, path: str, error: Exception) -> MRALSError | None:
        from aiohttp import ClientError
        from gcsfs.retry import ChecksumError, HttpError
        from google.auth.exceptions import GoogleAuthError

        if isinstance(error, GoogleAuthError) or getattr(error, "code", None) == 401:
            return self._refuses(path, error, _LOGIN)
        if isinstance(error, OSError) and str(error).startswith("Forbidden"):
            return self._refuses(path, error, "check the roles of the account in use")
        known = (OSError, ValueError, RuntimeError, HttpError, ChecksumError, ClientError, asyncio.TimeoutError)
        return self._cannot(path, error) if isinstance(error, known) else None


__all__ = ["SCHEMES", "GcsStorage"]
