"""A database for each module of tests that asks for one."""

from __future__ import annotations

import pytest

from tests.served.postgres import postgres


@pytest.fixture(scope="module")
def database():
    with postgres() as there:
        yield there
