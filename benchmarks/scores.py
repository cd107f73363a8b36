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


class Scorers:
    """Ways to find the best items of users `a` to `b` of a model, who have played some."""

    def __init__(self, model: Any) -> None:
        self.users, self.items = np.asarray(model.user_factors[:USERS]), np.asarray(model.item_factors)
        self._starts = np.asarray(model.plays_start[: len(self.users) + 1])
        self._played = np.asarray(model.plays_item[: self._starts[-1]])
        self._longest = float(norms(self.items).max())

    def every(self, a: int, b: int) -> Any:
        """Compute all scores."""
        left_out = self._starts[a : b + 1] - self._starts[a], self._played[self._starts[a] : self._starts[b]]
        return best_items(self.users[a:b], self.items, N, lambda row: b"%d" % row, self._longest, *left_out)

    def search(self, items: Any) -> Callable[[int, int], Any]:
        """Sort items by length, and return what begins with the longest."""
        lengths = norms(items)
        order = np.argsort(-lengths, kind="stable")
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        by_length, lengths, played = items[order], lengths[order], places[self._played]

        def find(a: int, b: int) -> Any:
            left_out = self._starts[a : b + 1] - self._starts[a], played[self._starts[a] : self._starts[b]]
            return best_longest_first(self.users[a:b], by_length, lengths, N, lambda row: b"%d" % row, 1 << 20, left_out)

        return find


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    scorers = Scorers(mr_als.load(parser.parse_args().model))
    users, items, scored = scorers.users, scorers.items, [0]

    def counted(scores: Any, *arguments: Any, **given: Any) -> Any:
        scored[0] += scores.size
        return top_n(scores, *arguments, **given)

    longest_first.top_n = counted  # type: ignore[attr-defined]
    print(f"{len(users)} users, {len(items)} items, rank {items.shape[1]}: the best {N}, played items left out")
    for what, function in (
        ("the product alone", lambda a, b: users[a:b] @ items.T),
        ("all scores", scorers.every),
        ("the longest first", scorers.search(items)),
        ("the longest first, all of one length", scorers.search(normalized(items))),
    ):
        scored[0] = 0
        taken = microseconds(function, range(len(users)), AT_A_TIME)
        share = f", {100 * scored[0] / (3 * len(users) * len(items)):.1f} % of the scores" if scored[0] else ""
        print(f"  {what:44s} {taken:6.1f} us a user{share}")


if __name__ == "__main__":
    main()
