"""Measure `polars`: a raw log grouped by user and item, alone or with all that `mr-als prepare` writes.

    python benchmarks/peer_polars.py group-by S-events.tsv
    python benchmarks/peer_polars.py full M-events.tsv

`full` gives what a factorisation needs: sums of plays, ids of both sides, and the plays in CSR form by user and by item,
written as .npy files. Neither looks at the timestamps, nor checks any line.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import os  # noqa: E402
import tempfile  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

MIN_MS_PLAYED = 30_000


def scan(path: str) -> Any:
    """Read a log lazily: user and item of every play that was long enough."""
    names = ["timestamp", "user", "item", "ms_played"]
    types = dict(zip(names, (pl.String, pl.String, pl.String, pl.Int64), strict=True))
    log = pl.scan_csv(path, separator="\t", has_header=False, schema=types, quote_char=None)
    return log.filter(pl.col("ms_played") >= MIN_MS_PLAYED).select("user", "item")


def group_by(path: str) -> Any:
    """Sum plays by pair."""
    return scan(path).group_by("user", "item").len().collect(engine="streaming")


def full(path: str, work: str) -> dict[str, Any]:
    """Sum plays by pair, number both sides, and write ids and both CSR matrices."""
    sums = group_by(path)
    arrays: dict[str, Any] = {"plays": sums["len"].to_numpy()}
    for side in ("user", "item"):
        ids = sums.select(pl.col(side).unique().sort())
        with_number = ids.with_row_index("number")
        arrays[f"{side}_ids"] = ids[side]
        arrays[side] = sums.select(side).join(with_number, on=side, how="left", maintain_order="left")["number"].to_numpy()
    for rows, columns in (("user", "item"), ("item", "user")):
        n_columns = len(arrays[f"{columns}_ids"])
        keys = arrays[rows].astype(np.int64) * n_columns + arrays[columns]
        ordered = pl.DataFrame({"key": keys, "plays": arrays["plays"]}).sort("key")
        key = ordered["key"].to_numpy()
        indptr = np.searchsorted(key, np.arange(len(arrays[f"{rows}_ids"]) + 1) * n_columns)
        csr = {"indptr": indptr, "indices": (key % n_columns).astype(np.int32), "plays": ordered["plays"].to_numpy()}
        for name, data in csr.items():
            np.save(os.path.join(work, f"by_{rows}_{name}.npy"), data)
        arrays[f"{rows}_ids"].to_frame().write_csv(os.path.join(work, f"{rows}_ids.txt"), include_header=False)
    return arrays


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("group-by", "full"))
    parser.add_argument("path")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        if given.task == "full":
            full(given.path, work)
            seconds = time.perf_counter() - STARTED
            sums = group_by(given.path)
        else:
            sums = group_by(given.path)
            seconds = time.perf_counter() - STARTED
    from common import digest, report

    users, items = (sums[side].str.split("-").list.last().cast(pl.Int64) for side in ("user", "item"))
    plays = sums["len"].to_numpy()
    value = digest(users.to_numpy(), items.to_numpy(), plays)
    report(
        seconds, users=users.n_unique(), items=items.n_unique(), pairs=len(plays), plays=float(plays.sum()), digests=[value, value]
    )


if __name__ == "__main__":
    main()
