"""Export a model to formats that others read: NumPy's npz, Parquet, lines of text, and an index for nearest neighbours.

Both sides are written a piece at a time, except to npz, whose ids are one array. What is exported appears when it is complete.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mr_als.engine.outputs import new_output
from mr_als.errors import UsageError
from mr_als.models.model import Model
from mr_als.models.nearest import export_voyager
from mr_als.options import TASK_MEMORY
from mr_als.storage.local import LocalStorage

__all__ = ["FORMATS", "export"]

ROWS = 1 << 16


def export(model: Model, form: str, path: str, task_memory: int = TASK_MEMORY) -> dict[str, Any]:
    """Write a model as `form`, one of `FORMATS`, to a new file (npz) or directory (the others); return figures of what it made.

    Parameters
    ----------
    task_memory : bytes; of voyager, which cuts the items into blocks that fit

    Raises
    ------
    UsageError
        If `path` exists or can not be written, or a library is missing.
    """
    storage, scratch = LocalStorage(), f"{path.rstrip('/')}.{uuid.uuid4().hex[:8]}.new"
    with new_output("-o", path, "file" if form == "npz" else "directory"):
        try:
            figures = FORMATS[form](model, scratch, task_memory)
            storage.rename(scratch, path)
            return figures
        except OSError as error:
            msg = f"-o {path}: cannot be written ({error.strerror}); name a path that you may write to"
            raise UsageError(msg) from None
        finally:
            storage.remove(scratch)


def _sides(model: Model) -> Iterator[tuple[str, Any, npt.NDArray[np.float32]]]:
    """Yield the name, ids and factors of each side."""
    yield "users", model.user_ids, model.user_factors
    yield "items", model.item_ids, model.item_factors


def _parts(ids: Any, factors: npt.NDArray[np.float32]) -> Iterator[tuple[list[str], npt.NDArray[np.float32]]]:
    """Yield ids and factors, a piece at a time."""
    for start in range(0, len(ids), ROWS):
        rows = range(start, min(start + ROWS, len(ids)))
        yield [ids[row] for row in rows], np.asarray(factors[rows.start : rows.stop])


def _npz(model: Model, path: str, _: int) -> dict[str, Any]:
    """Write arrays user_ids, user_factors, item_ids, item_factors, and the plays as CSR: plays_start, plays_item, plays_amount."""
    arrays: dict[str, Any] = {name: getattr(model, name) for name in ("plays_start", "plays_item", "plays_amount")}
    for side, ids, factors in _sides(model):
        arrays |= {f"{side[:-1]}_ids": np.array(list(ids) or [""])[: len(ids)], f"{side[:-1]}_factors": factors}
    with open(path, "wb") as file:
        np.savez(file, **arrays)
    return {}


def _tsv(model: Model, path: str, _: int) -> dict[str, Any]:
    """Write users.tsv and items.tsv: an id and its numbers, which read back as the same float32."""
    Path(path).mkdir()
    for side, ids, factors in _sides(model):
        with open(os.path.join(path, f"{side}.tsv"), "w", encoding="utf-8", newline="\n") as file:
            for names, rows in _parts(ids, factors):
                lines = zip(names, rows.tolist(), strict=True)
                file.writelines("\t".join([str(name), *(f"{value:.9g}" for value in row)]) + "\n" for name, row in lines)
    return {}


def _parquet(model: Model, path: str, _: int) -> dict[str, Any]:
    """Write users.parquet and items.parquet: columns id (string, or int64 of integers) and factors (list of rank float32)."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        msg = "--format parquet needs pyarrow: pip install 'pyarrow>=16'"
        raise UsageError(msg) from None
    Path(path).mkdir()
    vectors = pa.list_(pa.float32(), model.rank)
    for side, ids, factors in _sides(model):
        kind = pa.int64() if len(ids) and isinstance(ids[0], int) else pa.string()
        schema = pa.schema([("id", kind), ("factors", vectors)])
        with pq.ParquetWriter(os.path.join(path, f"{side}.parquet"), schema) as writer:
            for names, rows in _parts(ids, factors):
                values = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), type=vectors)
                writer.write_table(pa.table([pa.array(names, kind), values], schema=schema))
    return {}


FORMATS: dict[str, Callable[[Model, str, int], dict[str, Any]]] = {
    "npz": _npz,
    "parquet": _parquet,
    "tsv": _tsv,
    "voyager": export_voyager,
}
