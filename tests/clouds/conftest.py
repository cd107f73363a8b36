"""Every test of a bucket runs in each cloud, where the marker of the cloud is asked for."""

from __future__ import annotations

import pytest

from tests.clouds.stand_ins import CLOUDS, Cloud, azure, gs  # noqa: F401


@pytest.fixture(scope="session", params=[pytest.param(one, id=one.name, marks=getattr(pytest.mark, one.name)) for one in CLOUDS])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Return each cloud in turn, its stand-in running."""
    found: Cloud = request.param
    request.getfixturevalue("aws" if found.name == "s3" else found.name)
    return found


@pytest.fixture
def bucket(cloud: Cloud) -> str:
    """Create a bucket and return its URI."""
    return cloud.make_bucket()
