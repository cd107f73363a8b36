"""Implicit-feedback matrix factorisation as MapReduce: play logs in, recommendations out.

>>> import mr_als
>>> plays = [("ann", "jazz", 9), ("ann", "soul", 3), ("bob", "jazz", 5), ("bob", "soul", 1), ("cid", "jazz", 2)]
>>> mr_als.fit(plays, rank=2, regularization=0.01).recommend("cid")[0][0]
'soul'

Every task on a cluster imports this module, so it imports nothing: a name is looked up when it is first used (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mr_als.api.fit import fit
    from mr_als.api.functions import Split, evaluate, split
    from mr_als.api.model import Model, load
    from mr_als.api.report import Report
    from mr_als.api.sweeping import Sweep, sweep
    from mr_als.errors import MRALSError

__version__ = "0.2.0.dev0"
__all__ = ["MRALSError", "Model", "Report", "Split", "Sweep", "__version__", "evaluate", "fit", "load", "split", "sweep"]

_WHERE = {
    "MRALSError": "mr_als.errors",
    **dict.fromkeys(("Model", "load"), "mr_als.api.model"),
    "Report": "mr_als.api.report",
    "fit": "mr_als.api.fit",
    **dict.fromkeys(("Split", "evaluate", "split"), "mr_als.api.functions"),
    **dict.fromkeys(("Sweep", "sweep"), "mr_als.api.sweeping"),
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        msg = f"module 'mr_als' has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    globals()[name] = getattr(import_module(_WHERE[name]), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
