"""Many data sets as one input of a job: in as many files as the job has tasks, and no part file twice."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from mr_als.engine.datasets import Dataset, deal
from mr_als.engine.parts import Parts

__all__ = ["Together"]


@dataclass(frozen=True)
class Together:
    """Data sets that a job reads as one."""

    data: Sequence[Dataset | Parts]

    @property
    def n_bytes(self) -> int:
        """Size of all of them."""
        return sum(one.n_bytes for one in self.data)

    def write_input(self, directory: str, n_files: int) -> list[str]:
        """Write the line files of those on this machine, and list them and the parts of the others.

        A part may hold blocks of several data sets, such as users and items: it is read once.
        """
        here = [one for one in self.data if isinstance(one, Dataset)]
        parts = [path for one in self.data if isinstance(one, Parts) for path in one.write_input(directory, n_files)]
        if not here:
            return list(dict.fromkeys(parts))
        texts = chain.from_iterable(one.lines() for one in here)
        n_texts = sum(len(one.entries) for one in here)
        return [*deal(texts, n_texts, n_files, os.path.join(directory, "together")), *dict.fromkeys(parts)]
