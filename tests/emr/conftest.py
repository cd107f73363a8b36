"""A stand-in of AWS for all tests of S3 and EMR: moto's server, on loopback, in this process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

REGION = "eu-west-1"
# what must never be seen anywhere: see test_credentials
CANARIES = {
    "AWS_ACCESS_KEY_ID": "AKIACANARYCANARYCANA",
    "AWS_SECRET_ACCESS_KEY": "canary/secret+canary/secret+canary/secret",
    "AWS_SESSION_TOKEN": "canary-token",
}


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """Give the address of a running stand-in, and set the variables by which clients find it."""
    from moto.server import ThreadedMotoServer

    patch = pytest.MonkeyPatch()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    try:
        variables = {"AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", **CANARIES}
        for name, value in {**variables, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        yield address
    finally:
        patch.undo()
        server.stop()


@pytest.fixture
def bucket(aws: str) -> str:
    """Give the URI of a new bucket."""
    import boto3

    name = f"bucket-{uuid.uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return f"s3://{name}"
