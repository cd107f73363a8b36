"""Show where the time of recommending goes, in processor time on one core.

    python benchmarks/scores.py MODEL

What a search by length saves depends on the lengths of the item vectors alone, so it is shown for the model's and, as the
worst case, for items scaled to one length.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import mr_als
from mr_als.maths.ranking import longest_first
from mr_als.maths.ranking.best import normalized, top_n
from mr_als.maths.ranking.longest_first import best_longest_first
from mr_als.maths.ranking.scoring import best_items, norms

N, USERS, AT_A_TIME = 10, 4096, 256


def microseconds(function: Callable[..., Any], users: range, step: int) -> float:
    """Measure the processor time per user of a function over a range of users, in microseconds: the best of three."""
    best = np.inf
    for _ in range(3):
        started = time.process_time()
        for start in range(users.start, users.stop, step):
            function(start, min(start + step, users.stop))
        best = min(best, time.process_time() - started)
    return 1e6 * best / len(users)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    model = mr_als.load(parser.parse_args().model)
    users, items = np.asarray(model.user_factors[:USERS]), np.asarray(model.item_factors)
    starts = np.asarray(model.plays_start[: len(users) + 1])
    played = np.asarray(model.plays_item[: starts[-1]])
    scored = 0

    def counted(scores: Any, *arguments: Any, **given: Any) -> Any:
        nonlocal scored
        scored += scores.size
        return top_n(scores, *arguments, **given)

    longest_first.top_n = counted  # type: ignore[attr-defined]

    def show(what: str, function: Callable[..., Any]) -> None:
        nonlocal scored
        scored = 0
        taken = microseconds(function, range(len(users)), AT_A_TIME)
        share = f", {100 * scored / (3 * len(users) * len(items)):.1f} % of the scores" if scored else ""
        print(f"  {what:44s} {taken:6.1f} us a user{share}")

    def search(some: Any) -> Callable[..., Any]:
        lengths = norms(some)
        order = np.argsort(-lengths, kind="stable")
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        by_length, lengths, left_out = some[order], lengths[order], places[played]

        def find(a: int, b: int) -> Any:
            inside = left_out[starts[a] : starts[b]]
            return best_longest_first(
                users[a:b], by_length, lengths, N, lambda row: b"%d" % row, 1 << 20, starts[a : b + 1] - starts[a], inside
            )

        return find

    def every(a: int, b: int) -> Any:
        inside = played[starts[a] : starts[b]]
        return best_items(users[a:b], items, N, lambda row: b"%d" % row, longest, starts[a : b + 1] - starts[a], inside)

    longest = float(norms(items).max())
    print(f"{len(users)} users, {len(items)} items, rank {items.shape[1]}: the best {N}, played items left out")
    show("the product alone", lambda a, b: users[a:b] @ items.T)
    show("all scores", every)
    show("the longest first", search(items))
    show("the longest first, all of one length", search(normalized(items)))


if __name__ == "__main__":
    main()
