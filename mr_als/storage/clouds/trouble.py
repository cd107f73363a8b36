"""What is said where a cloud is not to be had: its package is missing, or it refuses, in words that hold no credentials."""

from __future__ import annotations

import re
from importlib import metadata

from mr_als.errors import UsageError

__all__ = ["check_package", "in_one_line"]

# the first of fsspec's file systems, all numbered by year and month, with puts that fail if the object exists
_LEAST = (2024, 12)
# a signature or token in the words of a URL, as errors may show it
_SECRET = re.compile(r"\b(sig|[\w-]*token|X-\w+-Signature|X-\w+-Credential)=[^&\s\"'<>]+", re.IGNORECASE)


def check_package(package: str, install: str, who: str) -> None:
    """Check that the package of a file system is installed, and new enough.

    Raises
    ------
    UsageError
        If not; in one line, which says what to install.
    """
    found = _version(package)
    if found is None or _number(found) < _LEAST:
        trouble = "which is not installed; install it" if found is None else f"newer than the {found} that is installed; upgrade it"
        msg = f"{who} needs {package}, {trouble} with: pip install {install}"
        raise UsageError(msg)


def _version(package: str) -> str | None:
    """Return the version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _number(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a version.

    >>> _number("2025.3.0"), _number("2024.12.0.post1")
    ((2025, 3), (2024, 12))
    """
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def in_one_line(error: Exception) -> str:
    """Return the words of an error, without what may be a secret in a URL.

    >>> in_one_line(ValueError("Forbidden: https://x.blob.core.windows.net/c?sv=2024&sig=abc%2Bdef&x=1 no rights"))
    'Forbidden: https://x.blob.core.windows.net/c?sv=2024&sig=...&x=1 no rights'
    """
    return _SECRET.sub(r"\1=...", " ".join(str(error).split()))[:300] or type(error).__name__
