"""Parquet, through pyarrow (the extra `parquet`): batches of rows become plain lines, a column at a time.

A range of a file's bytes stands for the row groups that begin in it, so a large file is read by many tasks. A column is
named by its name, a field of a struct by dots. Rows are numbered as lines are, from 1 in the file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from mr_als.errors import BadInputError, UsageError
from mr_als.logs.logs import Layout
from mr_als.logs.plain import SEPARATOR, Plain, Report

__all__ = ["names", "read", "translate"]

# rows read at a time, some MB of plain lines
ROWS = 1 << 16


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
        msg = "reading Parquet needs pyarrow, which is not installed: pip install 'mr_als[parquet]'"
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
    except (OSError, pa.ArrowException) as error:
        msg = f"{path}: not a readable Parquet file ({error}); fetch or write the file again"
        raise BadInputError(msg) from None


def names(path: str) -> list[str]:
    """List the column names of a file, fields of structs with dots."""
    with _open(path) as file:
        return list(_names(file.schema_arrow))


def _names(fields: Any) -> Iterator[str]:
    for field in fields:
        yield field.name
        if _pyarrow().types.is_struct(field.type):
            inside = [field.type.field(n) for n in range(field.type.num_fields)]
            yield from (f"{field.name}.{name}" for name in _names(inside))


def read(path: str, offset: int, length: int, layout: Layout) -> Iterator[Any]:
    """Yield the rows of the row groups that begin in a range of a file, in batches."""
    keys = [key for key in layout.keys if key[0] != "="]
    with _open(path) as file:
        known = set(_names(file.schema_arrow))
        for column, key in zip(layout.columns, layout.keys, strict=True):
            if key[0] != "=" and key not in known:
                msg = f"{path}: no column {key!r} for the {column}; its columns are {', '.join(sorted(known))}"
                raise BadInputError(msg)
        groups = [n for n in range(file.num_row_groups) if offset <= _start(file.metadata.row_group(n)) < offset + length]
        try:
            batches = file.iter_batches(ROWS, row_groups=groups, columns=keys) if groups else []
            yield from (batch for batch in batches if batch.num_rows)
        except (OSError, _pyarrow().ArrowException) as error:
            msg = f"{path}: its data are damaged ({error}); fetch or write the file again"
            raise BadInputError(msg) from None


def _start(group: Any) -> int:
    """Find where a row group begins in the file."""
    columns = [group.column(n) for n in range(group.num_columns)]
    return int(min(min(c.data_page_offset, c.dictionary_page_offset or c.data_page_offset) for c in columns))


def translate(batch: Any, layout: Layout, report: Report) -> Plain:
    """Make plain lines of a batch of rows."""
    pa = _pyarrow()
    columns = list(zip(layout.columns, layout.keys, strict=True))
    texts = [_constant(key[1:], batch) if key[0] == "=" else _text(_column(batch, key), column) for column, key in columns]
    absent = [text.is_null() for text, column in zip(texts, layout.columns, strict=True) if column in ("user", "item")]
    done = np.flatnonzero(functools.reduce(pa.compute.or_, absent).to_numpy(zero_copy_only=False)).tolist()
    texts = [_on_one_line(text) for text in texts]
    between, nothing, end = (pa.scalar(text, pa.large_binary()) for text in (SEPARATOR, b"", b"\n"))
    joined = pa.compute.binary_join_element_wise(*texts, between, null_handling="replace", null_replacement=b"")
    ended = pa.compute.binary_join_element_wise(joined, nothing, end)
    data, offsets = ended.buffers()[2], np.frombuffer(ended.buffers()[1], np.int64)
    return Plain(data[int(offsets[0]) : int(offsets[len(ended)])].to_pybytes(), SEPARATOR, done, len(done))


def _constant(text: str, batch: Any) -> Any:
    pa = _pyarrow()
    return pa.repeat(pa.scalar(text.encode(), pa.large_binary()), batch.num_rows)


def _column(batch: Any, key: str) -> Any:
    """Select a column, or a field of a struct."""
    if key in batch.schema.names:
        return batch.column(key)
    outer, _, inner = key.partition(".")
    found = batch.column(outer)
    for name in inner.split("."):
        found = _pyarrow().compute.struct_field(found, name)
    return found


def _text(values: Any, column: str) -> Any:
    """Write values as text, large_binary.

    Raises
    ------
    BadInputError
        If their type is neither text nor number nor time.
    """
    pa = _pyarrow()
    kind, types = values.type, pa.types
    if types.is_dictionary(kind):
        return _text(values.dictionary_decode(), column)
    if types.is_timestamp(kind) or types.is_date(kind):
        moments = values.cast(pa.timestamp(kind.unit if types.is_timestamp(kind) else "s"))  # in UTC
        seconds = pa.compute.floor_temporal(moments, unit="second").cast(pa.timestamp("s"))
        values = pa.compute.strftime(seconds, format="%Y-%m-%dT%H:%M:%SZ")
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind):
        values = values.cast(pa.large_string())
    elif not (types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)):
        msg = f"the Parquet column of the {column} is of type {kind}; expected text, numbers or times"
        raise BadInputError(msg)
    return values.cast(pa.large_binary())


def _on_one_line(values: Any) -> Any:
    """Put another control character in place of one that would end a line or a field: such a value is a bad one."""
    pc = _pyarrow().compute
    for mark in (b"\n", SEPARATOR):
        if pc.any(pc.match_substring(values, mark)).as_py():
            values = pc.replace_substring(values, mark, b"\v")
    return values
