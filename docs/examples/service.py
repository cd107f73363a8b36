"""What a service does with a model: the plays since the last night count at once, and a new model is opened when there is one."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping

import mr_als


class Recommender:
    """Recommend by the model in a directory, wherever nights publish it."""

    def __init__(self, path: str) -> None:
        self.path, self.model = path, mr_als.load(path)

    def reload(self) -> None:
        """Open the model that is published now, if it is another one; once a minute is enough, it reads one small file."""
        if not self.model.is_current():
            self.model = mr_als.load(self.path)

    def recommend(self, user: str, today: Mapping[str, float], n: int = 10) -> list[tuple[str, float]]:
        """List (item, score) for a user, known or new, who has played `today` since; nothing if the model knows no item of it."""
        plays: Counter[str] = Counter()
        with contextlib.suppress(KeyError):  # of a new user
            plays.update(dict(self.model.plays(user)))
        plays.update(today)
        try:
            return self.model.recommend(plays=plays, n=n)
        except KeyError:  # new items alone
            return []
