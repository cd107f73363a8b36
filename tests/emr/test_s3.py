"""Files in S3: the promises of `Storage`, against a stand-in of S3."""

from __future__ import annotations

import pytest

from mr_als.errors import UsageError
from mr_als.storage.places import storage_of
from tests.storage.storage_promises import StoragePromises

pytestmark = pytest.mark.s3


class TestS3(StoragePromises):
    @pytest.fixture
    def place(self, bucket):
        return f"{bucket}/folder"


def test_a_bucket_that_is_not_there_is_named(aws):
    with pytest.raises(UsageError, match=r"no bucket 'no-such-bucket'"):
        storage_of("s3://no-such-bucket/m").make_directory("s3://no-such-bucket/m")


def test_a_uri_without_a_bucket_is_refused(aws):
    with pytest.raises(UsageError, match="names no bucket"):
        storage_of("s3:///m")
