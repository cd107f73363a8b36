"""What the measurements share: the clock, the two results every one of them prints, and the quality of factors.

A measurement is a process of its own that prints one JSON object: `seconds`, `peak_mb` and whatever says how good its
result is. Both sides of a pair compute their quality by the functions below, outside of the timed part.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ALPHA = 10.0
# pairs whose scores are computed at once
CHUNK = 250_000


def report(seconds: float, **quality: Any) -> None:
    """Print the result of a measurement."""
    unit = 1 << 10 if sys.platform != "darwin" else 1 << 20
    # the larger of this process and of its children, which are the tasks of a local job
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"seconds": seconds, "peak_mb": peak // unit, **quality}))


def per_iteration(train: Callable[[int], Any], counts: list[int]) -> tuple[float, Any]:
    """Train with few and with many iterations; return seconds per iteration, from the difference, and the longer's result.

    What every training begins and ends with (reading, publishing) is in both and cancels. What only the first one of a process
    does (importing, compiling) is left to one that is not measured. With one count, all of it counts.
    """
    done, seconds, result = [0], [0.0], None
    if len(counts) > 1:
        train(counts[0])
    for n in counts:
        started = time.perf_counter()
        result = train(n)
        done.append(n)
        seconds.append(time.perf_counter() - started)
    return (seconds[-1] - seconds[-2]) / (done[-1] - done[-2]), result


def read_counts(path: str) -> tuple[Array, Array, Array, int, int]:
    """Read a counts file: users, items (numbered in the order of their ids), plays, and how many of both there are."""
    users, items, plays = np.loadtxt(path, dtype=np.int64, delimiter="\t", unpack=True)
    user_ids, users = np.unique(users, return_inverse=True)
    item_ids, items = np.unique(items, return_inverse=True)
    return users, items, plays.astype(np.float64), len(user_ids), len(item_ids)


def confidence_of(plays: Array) -> Array:
    """Compute c = 1 + alpha log(1 + r), the setting of all comparisons."""
    return 1.0 + ALPHA * np.log1p(plays)


def weighted_rmse(user_factors: Array, item_factors: Array, users: Array, items: Array, confidence: Array) -> float:
    """Compute sqrt(sum c (p - x.y)^2 / sum c) over all cells, played or not; factors are (n, rank), the rest (pairs,).

    The cells that were not played have c = 1 and p = 0: the sum of (x.y)^2 over *all* cells is tr(X'X Y'Y).
    """
    x, y = user_factors.astype(np.float64), item_factors.astype(np.float64)
    error = float(np.sum((x.T @ x) * (y.T @ y)))
    for start in range(0, len(users), CHUNK):
        part = slice(start, start + CHUNK)
        scores = np.einsum("ij,ij->i", x[users[part]], y[items[part]])
        error += float(np.sum(confidence[part] * (1.0 - scores) ** 2 - scores**2))
    return float(np.sqrt(error / (len(x) * len(y) + np.sum(confidence - 1.0))))


def digest(users: Array, items: Array, plays: Array) -> int:
    """Compute an order-independent checksum of plays; users and items are the numbers in their ids."""
    keys = users.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ items.astype(np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    return int(np.sum(keys * plays.astype(np.uint64)))
