"""One half of implicit ALS as a plain mrjob job: text in, text out, nothing hidden.

Input lines are `play TAB user TAB item TAB plays`, and `vector TAB item TAB number TAB number ...` of the fixed side. Output
lines are `vector TAB user TAB number ...`: with the plays they are the input of the next half, for which `--solve item`
exchanges the sides.
"""

import zlib

import numpy as np

from mr_als.engine import mrjob_fixes  # noqa: F401  (mrjob 0.7.4 needs it on Python 3.12 and newer)

from mrjob.job import MRJob  # isort: skip
from mrjob.protocol import RawValueProtocol  # isort: skip


class MRTinyALS(MRJob):
    """Solve all users, the item vectors fixed, or all items, the user vectors fixed."""

    OUTPUT_PROTOCOL = RawValueProtocol

    def configure_args(self):
        """Add what a half needs to know."""
        super().configure_args()
        self.add_passthru_arg("--solve", choices=("user", "item"), default="user")
        self.add_passthru_arg("--blocks", type=int, default=2)
        self.add_passthru_arg("--alpha", type=float, default=1.0)
        self.add_passthru_arg("--regularization", type=float, default=1.0)

    def mapper(self, _, line):
        """Send a play to the block of the row it belongs to, and a vector to every block."""
        kind, *fields = line.split("\t")
        if kind == "vector":
            for block in range(self.options.blocks):
                yield block, ["vector", fields[0], [float(number) for number in fields[1:]]]
        else:
            user, item, plays = fields
            row, column = (user, item) if self.options.solve == "user" else (item, user)
            yield zlib.crc32(row.encode()) % self.options.blocks, ["play", row, column, float(plays)]

    def reducer(self, block, records):
        """Solve the rows of a block."""
        vectors, plays = {}, {}
        for kind, name, *rest in records:
            if kind == "vector":
                vectors[name] = rest[0]
            else:
                plays.setdefault(name, []).append(rest)
        fixed = np.array([vectors[name] for name in sorted(vectors)])
        gram = fixed.T @ fixed
        for row in sorted(plays):
            y = np.array([vectors[column] for column, _ in sorted(plays[row])])
            c = 1 + self.options.alpha * np.array([r for _, r in sorted(plays[row])])
            a = gram + (y.T * (c - 1)) @ y + self.options.regularization * np.eye(len(gram))
            x = np.linalg.solve(a, y.T @ c)
            yield None, "\t".join(["vector", row, *(f"{number:.6f}" for number in x)])


if __name__ == "__main__":
    MRTinyALS.run()
