"""What a program has, a piece at a time: tables of any library that speaks Arrow, and tuples, as codes of ids and numbers.

A piece of a table names each of its ids once, so that an id is hashed once a piece and not once a row.

It is long because each kind of source has its own way to name ids.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timezone
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from mr_als.errors import BadInputError, UsageError
from mr_als.logs.logs import parse_layout
from mr_als.logs.meaning.columns import choose_columns, is_named, known_names, listed
from mr_als.logs.parse import NO_ID
from mr_als.logs.times import RECENT, parse_time
from mr_als.maths.array import Array
from mr_als.options import InputOptions
from mr_als.plays.pairs import Coded
from mr_als.records.ids import Ids

__all__ = ["Batch", "batches_of", "check_matrix", "is_matrix", "matrix_batches"]

# rows looked at together
ROWS = 1 << 18
# the columns of a tuple, by its length
TUPLES = {2: ("user", "item"), 3: ("user", "item", "plays"), 4: ("timestamp", "user", "item", "ms_played")}


class Batch(NamedTuple):
    """Some rows.

    first : number of the first of them
    users, items : their ids; the code of an id that is none is -1
    kinds : "int" or "str" of the users and of the items; empty if there is no id in these rows
    plays, seconds, ms_played : float64 (n,), NaN where there is no number; None if there is no such column
    """

    first: int
    users: Coded
    items: Coded
    kinds: tuple[str, str]
    plays: Array | None = None
    seconds: Array | None = None
    ms_played: Array | None = None


def batches_of(plays: Any, options: InputOptions, *, ratings: bool) -> Iterator[Batch]:
    """Read what a program has: a scipy.sparse matrix, a table with an Arrow C stream, or tuples.

    Parameters
    ----------
    ratings : whether a table may have ratings in place of plays

    Raises
    ------
    UsageError
        If it is nothing of that.
    """
    if is_matrix(plays):
        check_matrix(plays, options)
        return matrix_batches(plays)
    if isinstance(plays, np.ndarray):
        msg = (
            f"plays are an array of shape {plays.shape}; if it is users x items, give scipy.sparse.csr_array(plays), "
            "and if its rows are pairs, plays.tolist()"
        )
        raise UsageError(msg)
    if hasattr(plays, "__arrow_c_stream__"):
        return arrow_batches(plays, options, ratings=ratings)
    if isinstance(plays, Mapping):
        msg = (
            f"plays are a {type(plays).__name__}, whose keys alone would count; of pairs and their plays, give "
            "[(user, item, n) for (user, item), n in plays.items()], and of columns, a table"
        )
        raise UsageError(msg)
    if isinstance(plays, Iterable) and not isinstance(plays, str | bytes):
        return tuple_batches(plays, options)
    msg = (
        f"plays are a {type(plays).__name__}; expected a scipy.sparse matrix, a table with an Arrow C stream "
        "(pandas, polars, pyarrow, DuckDB), tuples (user, item, plays), or paths of logs"
    )
    raise UsageError(msg)


def is_matrix(plays: Any) -> bool:
    """Say whether something is a sparse matrix, without loading SciPy if nobody has."""
    return hasattr(plays, "tocsr") and hasattr(plays, "shape")


def check_matrix(matrix: Any, options: InputOptions) -> None:
    """Check that a sparse matrix is one of plays.

    Raises
    ------
    UsageError
        If it is not.
    """
    if len(matrix.shape) != 2:
        msg = f"plays are a sparse array of shape {matrix.shape}; expected users x items, a row of each user"
        raise UsageError(msg)
    if matrix.dtype.kind == "c":
        msg = "plays are a matrix of complex numbers; expected real ones, such as plays.real"
        raise UsageError(msg)
    if options.columns:
        msg = f"columns is {options.columns!r}, and a matrix has none to choose from: it is users x items; leave that out"
        raise UsageError(msg)


def matrix_batches(matrix: Any) -> Iterator[Batch]:
    """Read a matrix that holds what has to be looked at: an entry twice, or one that is no number of plays."""
    # SciPy makes no COO of float16, and `astype` of a COO sums what it has twice
    coo = (matrix.astype(np.float64) if matrix.dtype == np.float16 else matrix).tocoo()
    users, items = (Ids.of_numbers(np.arange(n)) for n in coo.shape)
    row, column = (numbers.astype(np.int64) for numbers in (coo.row, coo.col))
    yield Batch(0, Coded(users, row), Coded(items, column), ("int", "int"), coo.data.astype(np.float64))


def arrow_batches(table: Any, options: InputOptions, *, ratings: bool) -> Iterator[Batch]:
    """Read a table through its Arrow C stream: one of pandas, polars, pyarrow, DuckDB ...; more than a piece is never in memory.

    Raises
    ------
    UsageError
        If pyarrow is missing, or a column is.
    BadInputError
        If a column is of a type that it can not be of.
    """
    try:
        import pyarrow as pa
    except ImportError:
        msg = "reading a table needs pyarrow: pip install 'pyarrow>=16'; a scipy.sparse matrix and tuples do not"
        raise UsageError(msg) from None
    try:
        stream = pa.RecordBatchReader.from_stream(table)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        msg = f"plays: the table cannot be read ({' '.join(map(str, error.args))}); make each column of one type"
        raise BadInputError(msg) from None
    columns = _columns(stream.schema.names, options, ratings=ratings)
    first = 0
    for whole in stream:
        for start in range(0, whole.num_rows, ROWS):
            piece = whole.slice(start, ROWS)
            found = {name: piece.column(stream.schema.get_field_index(key)) for name, key in columns.items()}
            (users, one), (items, other) = (_ids(found[name], name) for name in ("user", "item"))
            numbers = [_numbers(found[name], name) if name in found else None for name in ("plays", "ms_played")]
            seconds = _seconds(found["timestamp"], options) if "timestamp" in found else None
            yield Batch(first, users, items, (one, other), numbers[0], seconds, numbers[1])
            first += piece.num_rows


def _columns(names: list[str], options: InputOptions, *, ratings: bool) -> dict[str, str]:
    """Find the name of each column in a table."""
    known = known_names(names).of
    if not options.columns and not ("user" in known and "item" in known):
        msg = (
            f"plays: none of the columns is known as that of the users, or none as that of the items; say which they are, as in "
            f"columns={{'user': 'NAME', 'item': 'NAME'}}; they are named {listed(names)}"
        )
        raise BadInputError(msg)
    return dict(zip(*choose_columns(options.columns, names, "plays", ratings=ratings), strict=True))


def _ids(array: Any, name: str) -> tuple[Coded, str]:
    """Read a column of ids, and of which kind they are."""
    import pyarrow as pa

    array = _decoded(array)
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    values, kind = encoded.dictionary, array.type
    if pa.types.is_null(kind):
        return Coded(Ids.of([]), codes), ""
    if pa.types.is_integer(kind):
        return Coded(Ids.of_numbers(values.to_numpy()), codes), "int"
    if pa.types.is_floating(kind):  # whole numbers among which some are missing
        floats = values.to_numpy(zero_copy_only=False)
        good = np.isfinite(floats)
        # from there on the next whole number is the same float, so two ids may be one already
        if (np.abs(floats[good]) >= 2.0 ** (np.finfo(floats.dtype).nmant + 1)).any():
            such = f"{np.abs(floats[good]).max():.0f}"
            msg = (
                f"plays: column {name} is of type {kind}, which cannot tell ids such as {such} apart; make them integers or strings"
            )
            raise BadInputError(msg)
        if (floats[good] != np.floor(floats[good])).any():
            msg = f"plays: column {name} has ids such as {floats[good][floats[good] != np.floor(floats[good])][0]!r}; {EXPECTED}"
            raise BadInputError(msg)
        return _without(Ids.of_numbers(np.where(good, floats, 0).astype(np.int64)), codes, ~good), "int"
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or "string_view" in str(kind)):
        msg = f"plays: column {name} is of type {kind}; {EXPECTED}"
        raise BadInputError(msg)
    values = values.cast(pa.large_string())
    _, offsets, data = values.buffers()
    edges = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    text = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
    return _checked(text, edges, codes), "str"


EXPECTED = "ids are integers or strings"


def _decoded(array: Any) -> Any:
    """Write out a column of categories."""
    import pyarrow as pa

    if not pa.types.is_dictionary(array.type):
        return array
    # those of polars are views, which pyarrow cannot take from
    values = array.dictionary.cast(pa.large_string()) if "string_view" in str(array.type.value_type) else array.dictionary
    return values.take(array.indices)


def _checked(text: Array, edges: Array, codes: Array) -> Coded:
    """Make ids of a text cut at `edges`; as in a log, none are empty ones, NULL and the like, and those with control characters."""
    control = np.concatenate([[0], np.cumsum((text < 32) | (text == 127))])
    wrong = (control[edges[1:]] > control[edges[:-1]]) | (edges[1:] == edges[:-1])
    ids = Ids.cut(text, edges[:-1], edges[1:])
    short = np.flatnonzero(ids.lengths <= max(map(len, NO_ID)))
    wrong[short] |= np.array([name in NO_ID for name in ids.take(short).to_list()], bool)
    return _without(ids, codes, wrong)


def _without(ids: Ids, codes: Array, wrong: Array) -> Coded:
    """Take the code of ids that are `wrong` (n_ids,) away."""
    return Coded(ids, np.where(wrong[codes], -1, codes) if wrong.any() else codes)


def _numbers(array: Any, name: str) -> Array:
    """Read a column of numbers."""
    import pyarrow as pa

    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type)):
        msg = f"plays: column {name} is of type {array.type}; expected numbers"
        raise BadInputError(msg)
    found: Array = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return found


def _seconds(array: Any, options: InputOptions) -> Array:
    """Read a column of times, as seconds since 1970 UTC."""
    import pyarrow as pa

    array = _decoded(array)
    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(array.type):
        # nanoseconds are cut to microseconds; of other units nothing is lost
        whole = array.cast(pa.timestamp("us", array.type.tz), safe=array.type.unit != "ns").cast(pa.int64()).cast(pa.float64())
        return np.asarray(whole.to_numpy(zero_copy_only=False) / 1e6)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        array = array.cast(pa.string())
    encoded = array.dictionary_encode()
    times = np.array([*(_time(text, options) for text in encoded.dictionary.to_pylist()), math.nan])
    found: Array = times[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    return found


def _time(value: Any, options: InputOptions) -> float:
    """Read a time as a log's would be read; NaN if it is none."""
    automatic = options.time_unit == "auto"
    try:
        if hasattr(value, "timestamp"):
            # without a zone it is UTC here as in a log or a table, and not the zone of the machine
            seconds = (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
        else:
            seconds = parse_time(str(value), "" if automatic else options.time_unit)
    except ValueError:
        return math.nan
    return seconds if not automatic or RECENT[0] <= seconds < RECENT[1] else math.nan


def tuple_batches(rows: Iterable[Sequence[Any]], options: InputOptions) -> Iterator[Batch]:
    """Read tuples (user, item), (user, item, plays) or (timestamp, user, item, ms_played), or of the columns that are given.

    Raises
    ------
    UsageError
        If columns are given by names, which tuples do not have.
    BadInputError
        If a row is none of these.
    """
    if is_named(options.columns):
        msg = f"columns is {options.columns!r}, and tuples name nothing; say what is at each place, as in columns='item,user,plays'"
        raise UsageError(msg)
    given = parse_layout("counts", options.columns).columns
    shapes = {len(given): given} if options.columns else TUPLES
    rows, first = iter(rows), 0
    while piece := list(islice(rows, ROWS)):
        columns = shapes[_width(piece, first, shapes)]
        found = dict(zip(columns, zip(*piece, strict=True), strict=True))
        (users, one), (items, other) = (_coded(found[name], name, first) for name in ("user", "item"))
        numbers = [np.array([_number(v) for v in found[name]]) if name in found else None for name in ("plays", "ms_played")]
        seconds = np.array([_time(value, options) for value in found.get("timestamp", ())])
        yield Batch(first, users, items, (one, other), numbers[0], seconds if "timestamp" in found else None, numbers[1])
        first += len(piece)


def _width(piece: list[Sequence[Any]], first: int, shapes: Mapping[int, tuple[str, ...]]) -> int:
    """Return the length of the tuples, which all have the same, one of those of `shapes`."""
    width = len(piece[0]) if isinstance(piece[0], Sequence) else 0
    for n, row in enumerate(piece):
        if not isinstance(row, Sequence) or isinstance(row, str) or len(row) != width or width not in shapes:
            expected = " or ".join(f"({', '.join(names)})" for names in shapes.values())
            msg = f"plays: row {first + n} is {str(row)[:60]!r}; expected tuples {expected}, all of one length"
            raise BadInputError(msg)
    return width


def _coded(names: Sequence[Any], column: str, first: int) -> tuple[Coded, str]:
    """Read ids, all integers or all strings."""
    seen: dict[Any, int] = {}
    codes = np.array([-1 if name is None else seen.setdefault(name, len(seen)) for name in names], np.int64)
    whole = [isinstance(name, int | np.integer) and not isinstance(name, bool) for name in seen]
    if all(whole):
        return Coded(Ids.of([b"%d" % name for name in seen]), codes), "int" if seen else ""
    for name in seen:
        if not isinstance(name, str):
            msg = f"plays: row {first + names.index(name)}: {column} is {name!r}; {EXPECTED}, in a column all of one kind"
            raise BadInputError(msg)
    texts = [_utf8(name) for name in seen]
    edges = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64)
    return _checked(np.frombuffer(b"".join(texts), np.uint8), edges, codes), "str"


def _utf8(name: str) -> bytes:
    """Encode an id; one that is no Unicode, as it has half of a surrogate pair, becomes an empty one, which is none."""
    try:
        return name.encode()
    except UnicodeEncodeError:
        return b""


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
