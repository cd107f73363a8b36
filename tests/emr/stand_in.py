"""A stand-in of AWS: moto's server, on loopback, in this process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

REGION = "eu-west-1"
# what must never be seen anywhere: see test_credentials
CANARIES = {
    "AWS_ACCESS_KEY_ID": "AKIACANARYCANARYCANA",
    "AWS_SECRET_ACCESS_KEY": "canary/secret+canary/secret+canary/secret",
    "AWS_SESSION_TOKEN": "canary-token",
}


@contextmanager
def stand_in(port: int = 0) -> Iterator[str]:
    """Run it, on a free port if none is named, and give its address; the variables by which clients find it are set."""
    from moto.server import ThreadedMotoServer

    patch = pytest.MonkeyPatch()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
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


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """Yield the address of a running stand-in, which clients find by themselves; one for all tests, as clients remember it."""
    with stand_in() as address:
        yield address


def make_bucket() -> str:
    """Create a bucket and return its name."""
    import boto3

    name = f"bucket-{uuid.uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name
