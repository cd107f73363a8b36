"""Implicit-feedback matrix factorisation as MapReduce: play logs in, recommendations out.

Every task on a cluster imports this module, so it imports nothing heavy.

>>> import mr_als
>>> mr_als.__version__.count(".")
2
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mr_als.models.model import Model

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(path: str) -> Model:
    """Open the published model in the directory `path`; see `mr_als.models.model.Model`.

    Raises
    ------
    ModelError
        If there is no published model, or its files are damaged.
    """
    from mr_als.models.model import Model

    return Model.open(path)
