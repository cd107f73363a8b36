"""Publishing: a finished run becomes an immutable generation, then `model.json` is replaced; nothing else changes.

    <model>/model.json                            names the generation that is the model now
    <model>/generations/<run>/manifest.json       sizes and checksums of its files
    <model>/generations/<run>/users/, items/      factors.npy, hashes.npy, ids.txt, ids_start.npy
    <model>/generations/<run>/users/plays_*.npy   each user's plays as CSR over the item rows
    <model>/generations/<run>/bad-lines.tsv       samples of log lines that were left out, if there were any

Everything is written block by block: the driver never holds all ids, all plays or all factors.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

import mr_als
from mr_als.engine.engine import Data
from mr_als.engine.parts import Parts
from mr_als.engine.runs import crash_point
from mr_als.errors import DamagedDataError, NonFiniteError
from mr_als.models.generations import bad_lines, keep_records
from mr_als.models.info import FORMAT
from mr_als.models.kept import prune, remember, replace_model
from mr_als.preparing.plays import Plays
from mr_als.records.blocks import FactorBlock, PlaysBlock
from mr_als.records.ids import Ids
from mr_als.records.join import join, match
from mr_als.records.spill import file_checksum, pieces
from mr_als.storage.local import LocalStorage
from mr_als.storage.mirror import mirror_of, push
from mr_als.storage.places import scheme_of, storage_of

# ids that are written at a time
NAMES = 1 << 16
# rows that are converted at a time, to be in the cache when they are written
TOGETHER = 1 << 15


class ArrayFile:
    """A .npy file that grows by appending rows; the header is written last, when it is left without an error."""

    HEADER = 128

    def __init__(self, path: str, dtype: str, width: int = 0) -> None:
        self._file = open(path, "wb")  # noqa: SIM115  (closed by `__exit__`)
        self._file.write(b"\0" * self.HEADER)
        self._dtype, self._width, self.n = np.dtype(dtype), width, 0

    def __enter__(self) -> ArrayFile:
        """Return itself, to be closed when it is left."""
        return self

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Append rows."""
        for part in pieces(len(rows), TOGETHER):
            self._file.write(np.ascontiguousarray(rows[part], self._dtype).data)
        self.n += len(rows)

    def __exit__(self, kind: object, *_: object) -> None:
        """Write the header, for which NumPy leaves room for any number of rows, so that it always takes as many bytes."""
        with self._file:
            if kind is not None:
                return
            self._file.seek(0)
            shape = (self.n, self._width) if self._width else (self.n,)
            header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(self._file, header)
            assert self._file.tell() == self.HEADER
            self._file.flush()
            os.fsync(self._file.fileno())


class Contents(NamedTuple):
    """What a generation is made of: of each side its plays and its factors, block by block.

    zeros : bool, whether a strength of 0 was learnt from, as a rating of 0 is
    """

    users: tuple[Data, Data]
    items: tuple[Data, Data]
    zeros: bool


def publish(model: str, run: str, plays: Plays, users: Data, items: Data, info: dict[str, Any], keep: int = 2) -> dict[str, Any]:
    """Write the generation `run` and let `model.json` name it; return the content of `model.json`.

    Raises
    ------
    NonFiniteError
        If a factor is not finite; nothing is published then.
    """
    storage = storage_of(model)
    generation = os.path.join(model, "generations", run)
    before = remember(model)
    if isinstance(users, Parts) and scheme_of(model) != "file":
        keep_records(generation, plays, users, items)
    elif storage.size(os.path.join(generation, "manifest.json")) < 0:
        explicit = info["options"]["weights"]["feedback"] == "explicit"
        contents = Contents((plays.users, users), (plays.items, items), zeros=explicit)
        _publish_arrays(generation, os.path.join(mirror_of(model), "generations", run), contents, bad_lines(plays))
    crash_point("before-publish")
    full = {
        "format": FORMAT,
        "generation": run,
        "n_users": plays.n_users,
        "n_items": plays.n_items,
        "pairs": plays.pairs,
        "plays": plays.plays,
        **info,
        "published": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds"),
        "versions": {"mr_als": mr_als.__version__, "numpy": np.__version__, "python": sys.version.split()[0]},
    }
    replace_model(model, full)
    crash_point("after-publish")
    prune(model, keep, before)
    return full


def _publish_arrays(generation: str, written: str, contents: Contents, bad: bytes) -> None:
    """Write a generation of arrays on this machine, at `written`, and copy it to where the model is."""
    if not os.path.exists(os.path.join(written, "manifest.json")):
        scratch = f"{written}.new"
        write_arrays(scratch, contents, bad)
        LocalStorage().rename(scratch, written)
    if written != generation:
        push(written, generation)


def write_arrays(directory: str, contents: Contents, bad: bytes) -> None:
    """Write a generation of arrays, with its manifest, into a local directory."""
    storage = LocalStorage()
    storage.remove(directory)
    for side in ("users", "items"):
        storage.make_directory(os.path.join(directory, side))
    _write_side(os.path.join(directory, "items"), *contents.items)
    item_hashes = np.load(os.path.join(directory, "items", "hashes.npy"), mmap_mode="r")
    _write_side(os.path.join(directory, "users"), *contents.users, item_hashes, zeros=contents.zeros)
    if bad:
        storage.create(os.path.join(directory, "bad-lines.tsv"), bad)
    paths = {name: os.path.join(directory, name) for name in _files(directory)}
    files = {name: [os.path.getsize(path), file_checksum(path)] for name, path in paths.items()}
    storage.create(os.path.join(directory, "manifest.json"), json.dumps({"format": FORMAT, "files": files}, indent=1).encode())


def _files(directory: str) -> list[str]:
    return [os.path.join(side, name) for side in ("items", "users") for name in sorted(os.listdir(os.path.join(directory, side)))]


def _write_side(
    directory: str, plays: Data, factors: Data, item_hashes: npt.NDArray[Any] | None = None, *, zeros: bool = False
) -> None:
    """Write ids and factors of one side, and of the users also their plays; rows in hash order."""
    files: dict[str, ArrayFile] = {}

    def out(name: str, dtype: str, width: int = 0) -> ArrayFile:
        if name not in files:
            files[name] = stack.enter_context(ArrayFile(os.path.join(directory, f"{name}.npy"), dtype, width))
        return files[name]

    at = pairs = 0
    with ExitStack() as stack, open(os.path.join(directory, "ids.txt"), "wb") as ids:
        out("ids_start", "<i8").add(np.zeros(1))
        for (_, plays_buffer), (_, factors_buffer) in zip(plays.blocks(), factors.blocks(), strict=True):
            block = PlaysBlock.unpack(plays_buffer, checked=True)
            solved = FactorBlock.unpack(factors_buffer, checked=True)
            if not np.isfinite(solved.factors).all():
                msg = f"{factors.path}: a factor is not finite; nothing is published"
                raise NonFiniteError(msg)
            rows = _rows_of(block, solved)
            out("factors", "<f4", solved.factors.shape[1]).add(solved.factors)
            out("hashes", "<u8").add(solved.hashes)
            at = _write_ids(ids, out("ids_start", "<i8"), block.ids.take, rows, at)
            if item_hashes is not None:
                if "plays_start" not in files:
                    out("plays_start", "<i8").add(np.zeros(1))
                joined = join(block, *match(block.columns, item_hashes), zeros=zeros)
                out("plays_item", "<i8").add(joined.indices)
                out("plays_amount", "<f8").add(joined.strengths)
                # a row without a vector observed nothing, so it ends where the one before it does
                out("plays_start", "<i8").add(pairs + joined.indptr[1:][rows])
                pairs += len(joined.indices)


def _write_ids(file: BinaryIO, starts: ArrayFile, take: Callable[[npt.NDArray[Any]], Ids], rows: npt.NDArray[Any], at: int) -> int:
    """Write the ids of some rows, and where each ends; return where the last one does, the first of them being at `at`."""
    for part in pieces(len(rows), NAMES):
        text, ends = take(rows[part]).lines()
        file.write(text.data)
        starts.add(at + ends)
        at += len(text)
    return at


def _rows_of(block: PlaysBlock, solved: FactorBlock) -> npt.NDArray[Any]:
    """Find the rows of a block that have a vector, all of them but those that observed nothing.

    Raises
    ------
    DamagedDataError
        If a vector is not of any row.
    """
    rows, found = match(solved.hashes, block.hashes)
    if not found.all():
        msg = f"{int((~found).sum())} of {len(found)} vectors of a block are of none of its rows; train again with --restart"
        raise DamagedDataError(msg)
    return rows
