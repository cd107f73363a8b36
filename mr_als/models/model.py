"""A published model, opened for reading: factors, ids and plays, memory-mapped. `mr_als.api.model` is one that answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from mr_als.errors import ModelError
from mr_als.maths.array import Array
from mr_als.maths.solving.normal_equations import Equations, eigenbasis, gram_matrix, relative_residual, row_equations
from mr_als.maths.weighing.weights import Weights
from mr_als.models.info import read_info, read_manifest
from mr_als.records.ids import hash_id
from mr_als.storage.places import scheme_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array


Opened = TypeVar("Opened", bound="Model")


class Names:
    """The ids of one side, in row order: a sequence of str that reads only what is asked for."""

    def __init__(self, directory: str) -> None:
        self.starts = np.load(os.path.join(directory, "ids_start.npy"), mmap_mode="r")
        self.path = path = os.path.join(directory, "ids.txt")
        self.text = np.memmap(path, np.uint8, "r") if os.path.getsize(path) else np.zeros(0, np.uint8)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def raw(self, row: int) -> bytes:
        """Return the id of a row as bytes."""
        return bytes(self.text[self.starts[row] : self.starts[row + 1] - 1])

    def __repr__(self) -> str:
        return f"<{len(self)} ids: {', '.join(map(repr, self[:3]))}{', ...' if len(self) > 3 else ''}>"

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        try:
            return self.raw(row % len(self)).decode()
        except UnicodeDecodeError as error:
            msg = f"{self.path}: the id of row {row % len(self)} is not UTF-8 ({error.reason}): damaged, train again"
            raise ModelError(msg) from None

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))


class Model:
    """A published model; see `open`.

    Attributes
    ----------
    user_factors, item_factors : float32 (n_users, rank), (n_items, rank); row i belongs to user_ids[i], item_ids[i]
    user_ids, item_ids : sequences of str
    info : dict, the parsed model.json
    """

    def __init__(self, path: str, info: dict[str, Any]) -> None:
        self.path, self.source, self.info = path, path, info
        self.generation = os.path.join(path, "generations", info["generation"])
        users, items = (os.path.join(self.generation, side) for side in ("users", "items"))
        self.user_factors, self.item_factors = self._array("users", "factors"), self._array("items", "factors")
        self.user_hashes, self.item_hashes = self._array("users", "hashes"), self._array("items", "hashes")
        self.user_ids, self.item_ids = Names(users), Names(items)
        self.plays_start = self._array("users", "plays_start")
        self.plays_item, self.plays_amount = self._array("users", "plays_item"), self._array("users", "plays_amount")

    def _array(self, side: str, name: str) -> Array:
        path = os.path.join(self.generation, side, f"{name}.npy")
        empty = os.path.getsize(path) <= 128
        array: Array = np.load(path) if empty else np.load(path, mmap_mode="r")
        return array

    @classmethod
    def open(cls: type[Opened], path: str) -> Opened:
        """Open the model in the directory `path`; of one on a cluster a copy on this machine, made when there is none.

        Raises
        ------
        ModelError
            If there is none, or a file is missing or has another size than its manifest says.
        """
        if scheme_of(path) != "file":
            from mr_als.models.cached import copy_of

            model = cls.open(copy_of(path))
            model.source = path
            return model
        info = read_info(path)
        generation = os.path.join(path, "generations", info["generation"])
        files = read_manifest(generation).get("files")
        if files is None:
            msg = f"{generation}: its manifest names no arrays, but what lies on a cluster; open the model there"
            raise ModelError(msg)
        for name, (size, _) in files.items():
            file_path = os.path.join(generation, name)
            actual = os.path.getsize(file_path) if os.path.exists(file_path) else -1
            if actual != size:
                msg = f"{file_path}: {actual} bytes where the manifest says {size}: damaged, train again"
                raise ModelError(msg)
        try:
            return cls(path, info)
        # such as an array of objects, which would have to be unpickled; and all that NumPy raises for a header it does not know
        except (ValueError, SyntaxError, TypeError, OverflowError, EOFError, TokenError) as error:
            msg = f"{generation}: holds something else than arrays of numbers ({error}); train again"
            raise ModelError(msg) from None

    def is_current(self) -> bool:
        """Say whether this is still the model that is published where it was opened; a service loads again when it is not.

        Reads `model.json` alone, wherever the model lies.
        """
        from mr_als.models.kept import current

        return bool(current(self.source).get("generation") == self.info["generation"])

    @property
    def rank(self) -> int:
        """Length of the factor vectors."""
        return int(self.item_factors.shape[1])

    @property
    def weights(self) -> Weights:
        """The weights the model was trained with."""
        return Weights(**self.info["options"]["weights"])

    @cached_property
    def item_gram(self) -> Array:
        """Gram matrix of the item factors, float64 (rank, rank)."""
        return gram_matrix(self.item_factors)

    @cached_property
    def item_eigenbasis(self) -> tuple[Array, Array]:
        """Spectrum and basis of that Gram matrix; see `mr_als.maths.solving.normal_equations.eigenbasis`."""
        return eigenbasis(self.item_gram)

    def user_index(self, user: str) -> int:
        """Look up a user's row; KeyError if the user is unknown."""
        return self._index(user, self.user_hashes, self.user_ids)

    def item_index(self, item: str) -> int:
        """Look up an item's row; KeyError if the item is unknown."""
        return self._index(item, self.item_hashes, self.item_ids)

    def _index(self, name: str, hashes: Array, ids: Names) -> int:
        key = np.uint64(hash_id(name.encode("utf-8", "surrogatepass"), self.info["options"]["inputs"]["salt"]))
        row = int(np.searchsorted(hashes, key))
        if row < len(hashes) and hashes[row] == key and ids[row] == name:
            return row
        raise KeyError(name)

    def played(self, row: int) -> tuple[Array, Array]:
        """Return the items (rows) and plays of a user row."""
        lo, hi = self.plays_start[row], self.plays_start[row + 1]
        return self.plays_item[lo:hi], self.plays_amount[lo:hi]

    @cached_property
    def user_items(self) -> csr_array:
        """All plays as a sparse matrix (n_users, n_items), float64, for other libraries; its arrays are the memory-mapped ones."""
        from scipy.sparse import csr_array  # takes longer to load than most commands to run

        shape = (len(self.user_hashes), len(self.item_hashes))
        return csr_array((self.plays_amount, self.plays_item, self.plays_start), shape)

    def equations(self, row: int) -> Equations:
        """Build the normal equations that a user row solves."""
        items, amounts = self.played(row)
        observed = np.asarray(self.item_factors[items])
        return row_equations(self.item_gram, observed, np.asarray(amounts), self.weights, len(self.item_hashes))

    def residual(self, row: int) -> float:
        """Compute the relative residual of a user row's normal equations; see `relative_residual`."""
        spectrum, basis = self.item_eigenbasis
        shared = self.weights.unobserved * spectrum
        return relative_residual(self.equations(row), np.asarray(self.user_factors[row]), shared, basis)
