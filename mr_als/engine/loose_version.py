"""Just enough of distutils.version.LooseVersion, which left Python in 3.12: numbers and letter runs, compared in order."""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Any


@total_ordering
class LooseVersion:
    """A version that compares with another one, or with a string.

    >>> LooseVersion("3.4.2") < "3.10"
    True
    """

    def __init__(self, text: str) -> None:
        parts = re.findall(r"\d+|[a-z]+", text)
        self.version = [int(part) if part.isdigit() else part for part in parts]

    def _key(self) -> list[tuple[bool, Any]]:
        return [(isinstance(part, str), part) for part in self.version]

    def __eq__(self, other: object) -> bool:
        return self._key() == (other if isinstance(other, LooseVersion) else LooseVersion(str(other)))._key()

    def __lt__(self, other: object) -> bool:
        return self._key() < (other if isinstance(other, LooseVersion) else LooseVersion(str(other)))._key()

    def __hash__(self) -> int:
        return hash(tuple(self._key()))
