"""Which storage a path or URI belongs to; a new file system is a class with the methods of `Storage`, and a line here."""

from __future__ import annotations

from mr_als.errors import UsageError
from mr_als.storage.clouds import azure, gcs, s3
from mr_als.storage.hdfs import HdfsStorage
from mr_als.storage.local import LocalStorage
from mr_als.storage.storage import Storage, scheme_of
from mr_als.storage.webhdfs import SCHEMES

__all__ = ["scheme_of", "storage_of"]

_CLOUDS = {s3.S3Storage: s3.SCHEMES, gcs.GcsStorage: gcs.SCHEMES, azure.AzureStorage: azure.SCHEMES}


def storage_of(path: str) -> Storage:
    """Select the storage that a path or URI names.

    Raises
    ------
    UsageError
        If its scheme is not supported, or its configuration is missing.
    """
    scheme = scheme_of(path)
    if scheme == "file":
        return LocalStorage()
    if scheme in SCHEMES:
        return HdfsStorage(path)
    for storage, schemes in _CLOUDS.items():
        if scheme in schemes:
            return storage(path)
    msg = f"{path}: {scheme}:// is not supported; use a local path, hdfs://, s3://, gs:// or abfss://"
    raise UsageError(msg)
