"""Files in S3, through s3fs: a put with `If-None-Match: *` fails if the object exists.

Credentials come from the environment, a profile or the role of the machine. The endpoint may be that of another service:
AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import errno
from typing import Any

from mr_als.errors import MRALSError, UsageError
from mr_als.storage.clouds.objects import ObjectStorage

SCHEMES = ("s3", "s3a", "s3n")


class S3Storage(ObjectStorage):
    """Objects in S3; all paths are URIs such as s3://bucket/logs."""

    cloud = "S3"
    form = "s3://BUCKET/..."
    package = "s3fs"
    install = "'s3fs>=2024.12' 'botocore>=1.35.21'"

    def _connect(self, uri: str) -> Any:
        import s3fs

        return s3fs.S3FileSystem(use_listings_cache=False)

    def _identity(self, info: dict[str, Any]) -> list[int]:
        """Return its modification time in ms, and the start of its ETag as a number, for S3 knows the time to the second only."""
        return [round(1000 * info["LastModified"].timestamp()), int.from_bytes(info["ETag"].strip('"').encode()[:6], "big")]

    def _is_beyond(self, error: Exception) -> bool:
        return isinstance(error, OSError) and error.errno in (None, errno.ENOENT, errno.EINVAL)

    def _meaning(self, path: str, error: Exception) -> MRALSError | None:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        if isinstance(error, NoCredentialsError):
            msg = f"{path}: no AWS credentials found; set AWS_PROFILE, or give the machine a role that may use the bucket"
            return UsageError(msg)
        if isinstance(error, PermissionError):
            return self._refuses(path, error, "check the rights of the role or profile in use")
        return self._cannot(path, error) if isinstance(error, (OSError, BotoCoreError, ClientError)) else None


__all__ = ["SCHEMES", "S3Storage"]
