"""A model that answers: the files of a published one (`mr_als.models.model`), and what can be asked of it from Python.

It is long because it is the public class, with a docstring for everything it can be asked; what does the work stands elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from mr_als.api.ids import Side, is_one
from mr_als.api.lists import Catalogue, LeftOut, and_denied, best_lists, csr_rows, how_many, nothing
from mr_als.api.neighbours import neighbours
from mr_als.api.new_users import plays_of
from mr_als.errors import ModelError, UsageError
from mr_als.maths.array import Array
from mr_als.maths.explain import parts_of_score
from mr_als.maths.ranking.scoring import best_items, exact_scores, norms
from mr_als.models import model as published
from mr_als.progress import duration
from mr_als.records.ids import ragged

if TYPE_CHECKING:
    from implicit.cpu.als import AlternatingLeastSquares

    from mr_als.api.report import Report

__all__ = ["Id", "Model", "load"]

Id = int | str
# fewer users than this are scored on the items as they lie
FEW = 8
# more items than these are taken out of the catalogue when they are denied, and not left out for each user
MANY = 1000


class Model(published.Model):
    """A trained model, opened for reading: `fit` and `load` return one.

    Ids are of the kind they came as: `int` for the rows and columns of a matrix and for integer columns, else `str`; NumPy's
    scalars are as good. An unknown id is a `KeyError` that names what may have been meant. A model may be read by several threads
    at once, and is pickled by its path.

    Attributes
    ----------
    user_factors, item_factors : float32 (n_users, rank), (n_items, rank)
        Memory-mapped; row i belongs to user_ids[i], item_ids[i].
    user_ids, item_ids : sequences of int or str
    user_items : scipy.sparse.csr_array (n_users, n_items) of the plays
    info : dict
        The parsed model.json, with the `history` of the training.

    Examples
    --------
    >>> import mr_als
    >>> plays = [("ann", "jazz", 9), ("ann", "soul", 3), ("bob", "jazz", 5), ("bob", "soul", 1), ("cid", "jazz", 2)]
    >>> model = mr_als.fit(plays, rank=2, regularization=0.01)
    >>> model.recommend("cid", n=1)[0][0], model.plays("ann"), model.rank
    ('soul', [('jazz', 9.0), ('soul', 3.0)], 2)
    >>> ids, scores = model.recommend(["cid", "bob"], n=1)
    >>> ids.tolist()
    [['soul'], [None]]
    """

    def __init__(self, path: str, info: dict[str, Any]) -> None:
        # its files are opened again when it is unpickled or saved, wherever the program has gone to meanwhile
        super().__init__(os.path.abspath(path), info)
        self.users, self.items = Side(self, "users"), Side(self, "items")
        self.user_ids, self.item_ids = self.users.ids, self.items.ids

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (type(self), self.path, self.source, self.info)

    def __copy__(self) -> Model:
        return self  # it is only read; and the directory of a temporary one goes with this very object

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        return self

    def __repr__(self) -> str:
        last = self.info["history"][-1]
        error = "RMSE" if self.weights.explicit else "wRMSE"
        return (
            f"Model({len(self.user_ids)} users x {len(self.item_ids)} items, rank {self.rank}, {error} {last['wrmse']:.4f}, "
            f"{self._age()}, {self.source!r})"
        )

    def _repr_html_(self) -> str:
        last, weights = self.info["history"][-1], self.weights
        rows = {
            "users": len(self.user_ids), "items": len(self.item_ids), "pairs": self.info["pairs"], "rank": self.rank,
            "RMSE" if weights.explicit else "weighted RMSE": f"{last['wrmse']:.5f}", "trained": self._age(), "path": self.source,
        }  # fmt: skip
        cells = "".join(f"<tr><th style='text-align:left'>{k}</th><td>{escape(str(v))}</td></tr>" for k, v in rows.items())
        return f"<table>{cells}</table>"

    def _age(self) -> str:
        when = datetime.fromisoformat(self.info["published"]) if "published" in self.info else None
        return f"{duration((datetime.now(timezone.utc) - when).total_seconds())} old" if when else "of unknown age"

    def user_index(self, user: Id) -> int:
        """Look up a user's row; KeyError if the user is unknown."""
        return self.users.row(user)

    def item_index(self, item: Id) -> int:
        """Look up an item's row; KeyError if the item is unknown."""
        return self.items.row(item)

    def plays(self, user: Id) -> list[tuple[Any, float]]:
        """List what a user played, most played first: [(item, plays)]."""
        items, amounts = self.played(self.user_index(user))
        order = np.lexsort((items, -amounts))
        return [(self.item_ids[int(items[i])], float(amounts[i])) for i in order]

    @cached_property
    def _item_lengths(self) -> Array:
        return norms(self.item_factors)

    @cached_property
    def _catalogue(self) -> Catalogue:
        return Catalogue.of(self.item_factors, self._item_lengths)

    def recommend(
        self, users: Id | Iterable[Id] | None = None, n: int = 10, *, plays: Any = None, include_played: bool = False,
        allow: Id | Iterable[Id] | None = None, deny: Id | Iterable[Id] | None = None, as_rows: bool = False,
    ) -> Any:  # fmt: skip
        """Recommend the best n items to a user, to several, or to all; what they played is left out.

        Parameters
        ----------
        users : an id, or several; by default all users of the model, in the order of `user_ids`
        n : int, 0 or more; for several users it counts as the number of items to choose from if that is less
        plays : what somebody played who need not be in the model
            In place of `users`, a dictionary {item: plays}; for several users a list of such or a sparse matrix, whose columns are
            items as those that `fit` takes: numbers where ids are integers, else rows of the model. Several plays of an item
            are added up, as in `fit`, and of several ratings the mean counts.
        include_played : whether what was played may be recommended
        allow, deny : items to choose from, and items not to recommend, an id or several; unknown ones change nothing
        as_rows : whether several users get rows of `item_ids` instead of ids

        Returns
        -------
        list of (item, score), best first, for one user; for several, two arrays
        ids : int64 or object (n_users, n); -1 or None where there are no more
        scores : float32 (n_users, n); -inf where there are no more

        Raises
        ------
        KeyError
            If a user is unknown, or all items of `plays` are.
        BadInputError
            If plays are negative, infinite or no number.
        """
        hint = "what users of the model played is known, and that of others is given as plays="
        n = how_many(n, f"items to recommend, an integer of at least 0; {hint}")
        if plays is not None and users is not None:
            msg = "recommend: give either users of the model, or the plays of others"
            raise UsageError(msg)
        one = isinstance(plays, Mapping) if users is None else is_one(users)
        if plays is not None:
            new = plays_of(plays, self.items, ratings=self.weights.explicit)
            factors, played = self._solve(*new), csr_rows(*new[:2])
        else:
            factors, played = self._stored(None if users is None else self.users.known_rows(users))
        rows, scores = self._lists(factors, nothing if include_played else played, n, allow, deny)
        if one:
            return [(self.item_ids[int(row)], float(score)) for row, score in zip(rows[0], scores[0], strict=True) if row >= 0]
        return (rows if as_rows else self.items.named(rows)), scores

    def _stored(self, which: Array | None) -> tuple[Array, LeftOut]:
        """Return the vectors of the users in some rows, None: of all, and what they played."""

        def played(part: slice) -> tuple[Array, Array]:
            some = np.arange(part.start, part.stop) if which is None else which[part]
            low, high = np.asarray(self.plays_start[some]), np.asarray(self.plays_start[some + 1])
            return np.concatenate([[0], np.cumsum(high - low)]), np.asarray(self.plays_item[ragged(low, high)])

        return self.user_factors if which is None else self.user_factors[which], played

    def _lists(self, factors: Array, left_out: LeftOut, n: int, allow: Any, deny: Any) -> tuple[Array, Array]:
        """Find the best items, without those that are denied or not allowed."""
        denied = np.zeros(0, np.int64) if deny is None else self.items.some(deny)
        kept = None if allow is None else np.setdiff1d(self.items.some(allow), denied)
        if kept is None and len(denied) > MANY:
            kept = np.setdiff1d(np.arange(len(self.item_hashes)), denied)
        n, raw = min(n, len(self.item_hashes) if kept is None else len(kept)), self.item_ids.raw
        if not n or not len(factors):
            return np.zeros((len(factors), n), np.int64), np.zeros((len(factors), n), np.float32)
        if kept is not None:
            return best_lists(factors, left_out, Catalogue.of(self.item_factors, self._item_lengths, kept), n, raw)
        left_out = and_denied(left_out, denied)
        if len(factors) >= FEW:
            return best_lists(factors, left_out, self._catalogue, n, raw)
        indptr, indices = left_out(slice(0, len(factors)))
        return best_items(np.asarray(factors), self.item_factors, n, raw, float(self._item_lengths.max()), indptr, indices)

    def fold_in(self, plays: Any) -> Array:
        """Solve for the vectors of users who need not be in the model, from what they played: their last half of training.

        Parameters
        ----------
        plays : as of `recommend`

        Returns
        -------
        float32 (rank,) for a dictionary, else (n_users, rank)
        """
        factors = self._solve(*plays_of(plays, self.items, ratings=self.weights.explicit))
        return factors[0] if isinstance(plays, Mapping) else factors

    def _solve(self, indptr: Array, items: Array, plays: Array) -> Array:
        """Solve for the vectors of users, float32 (n_users, rank), from the items (rows) they played."""
        from mr_als.recommending.fold_in import FoldIn  # and with it all that reads logs

        return FoldIn(self).solve(indptr, items, plays)

    def score(self, users: Id | Iterable[Id], items: Id | Iterable[Id]) -> Any:
        """Compute the scores x.y of pairs of users and items.

        Parameters
        ----------
        users, items : an id, or several; one of either with each of the other, or as many of both, pair by pair

        Returns
        -------
        float, or float32 (n,)
        """
        both = [(side.known_rows(names), is_one(names)) for side, names in ((self.users, users), (self.items, items))]
        (user, one), (item, other) = both
        if len(user) != len(item) and 1 not in (len(user), len(item)):
            msg = f"score: {len(user)} users and {len(item)} items; expected as many of both, or one of either"
            raise UsageError(msg)
        scores = exact_scores(np.asarray(self.user_factors[user]), np.asarray(self.item_factors[item]))
        return float(scores[0]) if one and other else scores

    def similar_items(
        self, items: Id | Iterable[Id], n: int = 10, *, allow: Id | Iterable[Id] | None = None,
        deny: Id | Iterable[Id] | None = None,
    ) -> Any:  # fmt: skip
        """Find the n items with the highest cosine to one, or to each of several; not itself, and no zero vectors.

        Parameters
        ----------
        n : int, 0 or more; for several items it counts as the number of all items if that is less
        allow, deny : items to choose from, and items to leave out, an id or several; unknown ones change nothing

        Returns
        -------
        as of `recommend`, cosines in place of scores
        """
        return neighbours(self.items, self.item_factors, items, n, allow, deny)

    def similar_users(
        self, users: Id | Iterable[Id], n: int = 10, *, allow: Id | Iterable[Id] | None = None,
        deny: Id | Iterable[Id] | None = None,
    ) -> Any:  # fmt: skip
        """Find the n users with the highest cosine, likewise."""
        return neighbours(self.users, self.user_factors, users, n, allow, deny)

    def explain(self, user: Id, item: Id) -> dict[str, Any]:
        """Say which plays earned an item its score; see `mr_als.maths.explain`.

        Parameters
        ----------
        item : any, whether the user played it or not

        Returns
        -------
        dict with `score` (of the stored factors), `total` (sum of the parts) and `parts`: [(item, plays, part)], largest first
        """
        row, target = self.user_index(user), self.item_index(item)
        items, amounts = self.played(row)
        y = np.asarray(self.item_factors[target])
        parts = parts_of_score(self.equations(row), np.asarray(self.item_factors[items]), np.asarray(amounts), self.weights, y)
        order = np.argsort(-parts, kind="stable")
        named = [(self.item_ids[int(items[i])], float(amounts[i]), float(parts[i])) for i in order]
        score = float(np.dot(self.user_factors[row].astype(np.float64), y.astype(np.float64)))
        return {"user": user, "item": item, "score": score, "total": float(parts.sum()), "parts": named}

    def evaluate(self, test: Any, *, k: int | Sequence[int] = (10, 20), **keywords: Any) -> Report:
        """Measure how well this model ranks held-out plays; see `mr_als.evaluate`."""
        from mr_als.api.functions import evaluate

        report: Report = evaluate(self, test, k=k, **keywords)
        return report

    def save(self, path: str | os.PathLike[str]) -> Model:
        """Publish this model at `path`, here or elsewhere, and open it there; a model that is there is replaced in one step."""
        from mr_als.api.saving import save

        return type(self).open(save(self, os.fspath(path)))

    def export(self, path: str | os.PathLike[str], format: str = "npz") -> None:
        """Write ids and factors for other programs: "npz", "parquet", "tsv" or "voyager"; see `mr-als export --help`.

        Raises
        ------
        UsageError
            If there is no such format, or `path` exists.
        """
        from mr_als.models.export import FORMATS, export

        if format not in FORMATS:
            msg = f"format is {format!r}; expected one of {', '.join(FORMATS)}"
            raise UsageError(msg)
        export(self, format, os.fspath(path))

    def to_implicit(self) -> AlternatingLeastSquares:
        """Build the same model of the library implicit: its row i is that of `user_ids[i]`, `item_ids[i]`; needs implicit.

        With `rows = scipy.sparse.csr_matrix(model.user_items)`, its `recommend(row, rows[row])` gives the items, as rows, and the
        scores of ours.
        """
        try:
            from implicit.cpu.als import AlternatingLeastSquares
        except ImportError:
            msg = "to_implicit needs implicit: pip install 'implicit>=0.7'"
            raise UsageError(msg) from None
        regularization = float(self.weights.row_regularization(np.zeros(1, np.int64), len(self.item_hashes))[0])
        other = AlternatingLeastSquares(factors=self.rank, regularization=regularization, alpha=1.0)
        other.user_factors, other.item_factors = np.array(self.user_factors), np.array(self.item_factors)
        return other


def load(path: str | os.PathLike[str]) -> Model:
    """Open the published model in a directory, or at a URI, of which a copy is kept on this machine.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If there is no published model, or its files are damaged.

    Examples
    --------
    >>> import mr_als, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     _ = mr_als.fit([("ann", "jazz", 9), ("bob", "soul", 1)], rank=1, path=directory)
    ...     sorted(mr_als.load(directory).user_ids)
    ['ann', 'bob']
    """
    return Model.open(os.fspath(path))


def _reopened(kind: type[Model], path: str, source: str, info: dict[str, Any]) -> Model:
    """Open the very generation that was pickled."""
    try:
        model = kind(path, info)
    except OSError as error:
        msg = f"{path}: the generation {info['generation']} that was pickled no longer exists ({error}); load the model again"
        raise ModelError(msg) from None
    model.source = source
    return model
