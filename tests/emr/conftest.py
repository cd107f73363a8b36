"""A stand-in of AWS for all tests of S3 and EMR."""

from __future__ import annotations

import pytest

from tests.emr.stand_in import make_bucket


@pytest.fixture
def bucket(aws: str) -> str:
    """Create a bucket and return its URI."""
    return f"s3://{make_bucket()}"
