"""Parquet, through pyarrow (the extra `parquet`): batches of rows become plain lines, a column at a time.

A range of a file's bytes stands for the row groups that begin in it, so a large file is read by many tasks. A column is
named by its name, a field of a struct by dots. Rows are numbered as lines are, from 1 in the file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from mr_als.errors import BadInputError, UsageError
from mr_als.logs.logs import Layout
from mr_als.logs.plain import SEPARATOR, Plain, Report

__all__ = ["names", "read", "sample", "translate"]

# rows read at a time, some MB of plain lines
ROWS = 1 << 16
# rows that are looked at before a file is read
SAMPLE = 100


def _pyarrow() -> Any:
    """Import pyarrow only where a Parquet file is read.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError:
        msg = "reading Parquet needs pyarrow, which is not installed: pip install 'pyarrow>=16'"
        raise UsageError(msg) from None
    return pyarrow


def _open(path: str) -> Any:
    """Open a file.

    Raises
    ------
    BadInputError
        If it is no Parquet file, or gone.
    """
    pa = _pyarrow()
    try:
        return pa.parquet.ParquetFile(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        msg = f"{path}: not a readable Parquet file ({error}); fetch or write the file again"
        raise BadInputError(msg) from None


def names(path: str) -> list[str]:
    """List the column names of a file, fields of structs with dots."""
    with _open(path) as file, _reading(path):
        return list(_names(file.schema_arrow))


def _names(fields: Any) -> Iterator[str]:
    for field in fields:
        yield field.name
        if _pyarrow().types.is_struct(field.type):
            inside = [field.type.field(n) for n in range(field.type.num_fields)]
            yield from (f"{field.name}.{name}" for name in _names(inside))


def sample(path: str, names: Sequence[str]) -> list[dict[str, str]]:
    """List the text, numbers and times in the first rows of a file, by name."""
    with _open(path) as file, _reading(path):
        names = [name for name in names if _is_plain(_type_of(file.schema_arrow, name))]
        batch = next(file.iter_batches(SAMPLE, columns=names), None) if names else None
        columns = {name: _text(_column(batch, name), name).to_pylist() for name in names} if batch is not None else {}
    rows = zip(*columns.values(), strict=True)
    return [{name: value.decode("utf-8", "replace") for name, value in zip(columns, row, strict=True) if value} for row in rows]


def read(path: str, offset: int, length: int, layout: Layout) -> Iterator[Any]:
    """Yield the rows of the row groups that begin in a range of a file, in batches."""
    keys = list(layout.keys)
    with _open(path) as file, _reading(path):
        known = set(_names(file.schema_arrow))
        for column, key in zip(layout.columns, layout.keys, strict=True):
            if key not in known:
                msg = f"{path}: no column {key!r} for the {column}; its columns are {', '.join(sorted(known))}"
                raise BadInputError(msg)
        groups = [n for n in range(file.num_row_groups) if offset <= _start(file.metadata.row_group(n)) < offset + length]
        batches = file.iter_batches(ROWS, row_groups=groups, columns=keys) if groups else []
        yield from (batch for batch in batches if batch.num_rows)


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Say of damaged data which file they are in."""
    try:
        yield
    except (OSError, ValueError, _pyarrow().ArrowException) as error:
        msg = f"{path}: its data are damaged ({error}); fetch or write the file again"
        raise BadInputError(msg) from None


def _start(group: Any) -> int:
    """Find where a row group begins in the file."""
    columns = [group.column(n) for n in range(group.num_columns)]
    return int(min(min(c.data_page_offset, c.dictionary_page_offset or c.data_page_offset) for c in columns))


def translate(batch: Any, layout: Layout, report: Report) -> Plain:
    """Make plain lines of a batch of rows.

    Raises
    ------
    BadInputError
        If a column is of a type that is not read, or its values are none of its type.
    """
    try:
        return _translated(batch, layout)
    except _pyarrow().ArrowException as error:
        msg = f"rows of Parquet cannot be read ({error}); fetch or write the file again"
        raise BadInputError(msg) from None


def _translated(batch: Any, layout: Layout) -> Plain:
    pa = _pyarrow()
    columns = list(zip(layout.columns, layout.keys, strict=True))
    texts = [_text(_column(batch, key), column) for column, key in columns]
    absent = [text.is_null() for text, column in zip(texts, layout.columns, strict=True) if column in ("user", "item")]
    done = np.flatnonzero(functools.reduce(pa.compute.or_, absent).to_numpy(zero_copy_only=False)).tolist()
    texts = [_on_one_line(text) for text in texts]
    between, nothing, end = (pa.scalar(text, pa.large_binary()) for text in (SEPARATOR, b"", b"\n"))
    joined = pa.compute.binary_join_element_wise(*texts, between, null_handling="replace", null_replacement=b"")
    ended = pa.compute.binary_join_element_wise(joined, nothing, end)
    data, offsets = ended.buffers()[2], np.frombuffer(ended.buffers()[1], np.int64)
    return Plain(data[int(offsets[0]) : int(offsets[len(ended)])].to_pybytes(), SEPARATOR, done, len(done))


def _column(batch: Any, key: str) -> Any:
    """Select a column, or a field of a struct."""
    if key in batch.schema.names:
        return batch.column(key)
    outer, _, inner = key.partition(".")
    found = batch.column(outer)
    for name in inner.split("."):
        found = _pyarrow().compute.struct_field(found, name)
    return found


def _type_of(schema: Any, key: str) -> Any:
    """Find the type of a column, or of a field of a struct."""
    if key in schema.names:
        return schema.field(key).type
    outer, _, inner = key.partition(".")
    kind = schema.field(outer).type
    for name in inner.split("."):
        kind = kind.field(name).type
    return kind


def _is_plain(kind: Any) -> bool:
    """Say whether values of a type are text, numbers or times."""
    types = _pyarrow().types
    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind)
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    return bool(number or text or types.is_timestamp(kind) or types.is_date(kind))


def _text(values: Any, column: str) -> Any:
    """Write values as text, large_binary.

    Raises
    ------
    BadInputError
        If their type is neither text nor number nor time.
    """
    pa = _pyarrow()
    kind, types = values.type, pa.types
    if not _is_plain(kind):
        msg = f"the Parquet column of the {column} is of type {kind}; expected text, numbers or times"
        raise BadInputError(msg)
    if types.is_dictionary(kind):
        return _text(values.dictionary_decode(), column)
    if types.is_timestamp(kind) or types.is_date(kind):
        moments = values.cast(pa.timestamp(kind.unit if types.is_timestamp(kind) else "s"))  # in UTC
        seconds = pa.compute.floor_temporal(moments, unit="second").cast(pa.timestamp("s"))
        values = pa.compute.strftime(seconds, format="%Y-%m-%dT%H:%M:%SZ")
    elif types.is_floating(kind) and column in ("user", "item"):
        values = _whole(values, column)
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind):
        values = values.cast(pa.large_string())
    return values.cast(pa.large_binary())


def _whole(values: Any, column: str) -> Any:
    """Write ids that are floats as text, whole numbers with all their digits.

    Raises
    ------
    BadInputError
        If a number is so large that its last digits may be lost already.
    """
    pa = _pyarrow()
    pc, exact = pa.compute, {16: 2.0**11, 32: 2.0**24, 64: 2.0**53}[values.type.bit_width]
    values = values.cast(pa.float64())
    whole = pc.and_(pc.is_finite(values), pc.equal(pc.floor(values), values))
    if pc.any(pc.and_(whole, pc.greater_equal(pc.abs(values), exact))).as_py():
        msg = (
            f"the Parquet column of the {column} holds floating-point numbers of {exact:.0f} and more, whose last digits may be "
            "lost; write such ids as text or as whole numbers"
        )
        raise BadInputError(msg)
    digits = pc.if_else(whole, values, 0.0).cast(pa.int64()).cast(pa.large_string())
    text = pc.if_else(pc.is_nan(values), "NaN", values.cast(pa.large_string()))
    return pc.if_else(whole, digits, text)


def _on_one_line(values: Any) -> Any:
    """Put another control character in place of one that would end a line or a field: such a value is a bad one."""
    pc = _pyarrow().compute
    for mark in (b"\n", SEPARATOR):
        if pc.any(pc.match_substring(values, mark)).as_py():
            values = pc.replace_substring(values, mark, b"\v")
    return values
