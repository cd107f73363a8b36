"""What several tests of the mathematics share."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from mr_als.maths.solve import KERNELS

INSTALLED = [kernel for kernel in KERNELS if kernel == "numpy" or find_spec(kernel)]


@pytest.fixture(params=INSTALLED)
def kernel(request):
    """Return each installed kernel in turn."""
    return request.param
