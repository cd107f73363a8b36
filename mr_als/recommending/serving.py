"""Recommendations as files for where they are served: which generation made them, and Parquet beside lines.

<output>/part-*                  lines `user TAB rank TAB item TAB score`, JSON objects, or Parquet with these columns
<output>/_manifest.json          the model, its generation, what was asked for, and the size of each file
<output>/_SUCCESS                all of it is there
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mr_als.errors import UsageError
from mr_als.models.model import Model
from mr_als.storage.places import storage_of

__all__ = ["MANIFEST", "to_parquet", "write_manifest"]

MANIFEST = "_manifest.json"

# users of a row group; none is in two
USERS_PER_GROUP = 8192


def to_parquet(parts: Sequence[str]) -> None:
    """Turn part files of JSON objects, one per user, into Parquet: columns user, rank, item, score and perhaps fallback.

    Raises
    ------
    UsageError
        If pyarrow is missing.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        msg = "--format parquet needs pyarrow, which is not installed; install it with: pip install 'pyarrow>=16'"
        raise UsageError(msg) from None
    text = pa.string()
    schema = pa.schema([("user", text), ("rank", pa.int32()), ("item", text), ("score", pa.float64()), ("fallback", text)])
    for part in parts:
        with pq.ParquetWriter(f"{part}.parquet", schema) as writer:
            for rows in _row_groups(part):
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        Path(part).unlink()


def _row_groups(part: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of some users at a time."""
    with open(part, encoding="utf-8") as lines:
        while some := list(islice(lines, USERS_PER_GROUP)):
            found = [json.loads(line) for line in some]
            yield [{"user": one["user"], **row, "fallback": one.get("fallback")} for one in found for row in one["recommendations"]]


def write_manifest(directory: str, model: Model, asked: dict[str, Any]) -> None:
    """Write `_manifest.json` into a directory of recommendations: whose they are, what was `asked` for, and what is there."""
    storage = storage_of(directory)
    files = {name: size for name, size in sorted(storage.sizes(directory).items()) if name[0] not in "._"}
    keys = {"model": model.path, "generation": model.info["generation"], "published": model.info.get("published"), **asked}
    storage.write(os.path.join(directory, MANIFEST), json.dumps({**keys, "files": files}, indent=1).encode())
