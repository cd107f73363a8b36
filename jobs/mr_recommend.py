r"""The best items for many users: map-only, the item factors broadcast.

Input   `users <TAB> block <TAB> UsersBlock`: factors and what was played.
Map     scores of a block of users, items with the longest vectors first and only as far as there can be better ones;
        played items left out, the best n kept
Output  `user <TAB> rank <TAB> item <TAB> score`, best first, or one JSON object a user.
Shuffle none. Items that exceed an eighth of a task's memory come in several tiles, files that a task maps one
        after the other; the best of each tile are merged into the best so far. Users per item byte read are
        many, so this costs less than to send every tile's best through a reducer.

    python jobs/mr_recommend.py --input lines --items tile-000.bin users.lines         (a laptop)
    mr-als recommend --model hdfs:///model --output hdfs:///top -r hadoop              (a cluster)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any

from mr_als.engine.job import ALSJob  # before NumPy: it sets the number of BLAS threads

import numpy as np  # isort: skip
import numpy.typing as npt  # isort: skip

from mr_als.maths.ranking.longest_first import best_longest_first
from mr_als.maths.ranking.scoring import in_order
from mr_als.records.catalogue import USERS, ItemsTile, UsersBlock, rendered
from mr_als.records.lines import Record
from mr_als.records.rendering import rendered_block

# users and scores computed at a time: more would leave the cache for nothing
USERS_AT_A_TIME = 256
MOST_SCORES = 1 << 20


class TextProtocol:
    """Write finished lines as they are."""

    def write(self, key: None, value: bytes) -> bytes:
        """Return the value; mrjob adds the end of the last line."""
        return value


class MRRecommend(ALSJob):
    """Recommend items to blocks of users."""

    OUTPUT_PROTOCOL = TextProtocol
    KINDS = frozenset({USERS})

    def configure_args(self) -> None:
        """Add what is asked for."""
        super().configure_args()
        self.add_file_arg("--items", action="append", default=[], help="a tile of items; once for each, in order")
        self.add_passthru_arg("--number", type=int, default=10, help="items a user (default: 10)")
        self.add_passthru_arg("--include-played", action="store_true", help="recommend what was played, too")
        self.add_passthru_arg("--as-json", action="store_true", help="one JSON object a user")
        self.add_passthru_arg("--threads", type=int, default=1, help="threads that score; change no result (default: 1)")

    def mapper_init(self) -> None:
        """Map the items."""
        super().mapper_init()
        self.tiles = [ItemsTile(path) for path in self.options.items]
        self.firsts = [tile.first for tile in self.tiles]
        # the same items are recommended again and again
        self.name = lru_cache(maxsize=1 << 16)(self.find_name)

    def map_record(self, record: Record) -> Iterator[tuple[None, bytes]]:
        """Recommend to a block of users."""
        users = UsersBlock.unpack(record.payload, checked=record.checked)
        n_users, n = len(users.factors), self.options.number
        rows, scores = np.full((n_users, n), -1), np.full((n_users, n), -np.inf, np.float32)
        parts = [slice(start, min(start + USERS_AT_A_TIME, n_users)) for start in range(0, n_users, USERS_AT_A_TIME)]
        with ThreadPoolExecutor(self.options.threads) as pool:
            for tile in self.tiles:
                for _ in pool.map(partial(self.improve, users, rows, scores, tile), parts):
                    pass  # raises what a thread raised
                if len(self.tiles) > 1:
                    tile.release()
        names = users.ids.to_list()
        if self.options.as_json:
            text = b"".join(self.objects(names, rows, scores))
        else:
            text = rendered_block(names, rows, scores, self.name)
        if text:
            yield None, text[:-1]

    def improve(self, users: UsersBlock, rows: npt.NDArray[Any], scores: npt.NDArray[Any], tile: ItemsTile, part: slice) -> None:
        """Put the best items of a tile into the lists of a part of the users, rows and scores (n_users, n), where they belong."""
        n, left_out = self.options.number, None
        if not self.options.include_played:
            indptr, played = users.played_in(part, tile.first, len(tile))
            left_out = indptr, tile.places[played]
        found, values = best_longest_first(
            users.factors[part], tile.factors, tile.lengths, n, tile.name_at, self.most_scores(), left_out, scores[part, n - 1]
        )
        found = tile.rows_at(found)
        if tile is not self.tiles[0]:
            found, values = in_order(np.hstack([rows[part], found]), np.hstack([scores[part], values]), n, self.name)
        rows[part], scores[part] = found, values

    def most_scores(self) -> int:
        """Compute how many scores a thread may hold."""
        return min(MOST_SCORES, int(self.options.task_memory) // 32 // int(self.options.threads))

    def find_name(self, row: int) -> bytes:
        """Look up the id of an item."""
        return self.tiles[bisect_right(self.firsts, row) - 1].name(row)

    def objects(self, names: list[bytes], rows: npt.NDArray[Any], scores: npt.NDArray[Any]) -> Iterator[bytes]:
        """Yield a JSON object for each user."""
        for user, name in enumerate(names):
            found = rows[user][rows[user] >= 0].tolist()
            yield rendered(name, [self.name(row) for row in found], scores[user, : len(found)], as_json=True)


JOB = MRRecommend

if __name__ == "__main__":
    MRRecommend.run()
