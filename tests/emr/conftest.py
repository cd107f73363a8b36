"""A stand-in of AWS for all tests of S3 and EMR."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emr.stand_in import make_bucket, stand_in


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """Yield the address of a running stand-in, which clients find by themselves."""
    with stand_in() as address:
        yield address


@pytest.fixture
def bucket(aws: str) -> str:
    """Create a bucket and return its URI."""
    return f"s3://{make_bucket()}"
