"""Factors that a person writes: lines `id <TAB> number <TAB> number ...`, the same count of numbers on each."""

from __future__ import annotations

import numpy as np

from mr_als.errors import BadInputError
from mr_als.maths.array import Array
from mr_als.records.blocks import pack
from mr_als.records.ids import Ids, hash_ids

# a float32; NaN is not below it either
_LARGEST = float(np.finfo(np.float32).max)


def read_factor_lines(path: str) -> tuple[list[bytes], Array]:
    """Read the ids and their factors, float32 (n, rank).

    Raises
    ------
    BadInputError
        If there is no such file, a line is not what is expected, or an id comes twice.
    """
    names: dict[bytes, list[float]] = {}
    rank = 0
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except OSError as error:
        msg = f"{path}: {error.strerror}; expected a file of lines `id TAB number TAB number ...`"
        raise BadInputError(msg) from None
    for n, line in enumerate(lines, 1):
        name, *fields = line.split(b"\t")
        rank = rank or len(fields)
        try:
            numbers = [float(field) for field in fields]
        except ValueError:
            numbers = []
        if not name or not numbers or len(numbers) != rank or not all(abs(v) < _LARGEST for v in numbers):
            msg = f"{path}:{n}: expected an id and {rank or 'its'} finite numbers, separated by tabs, got {line[:60]!r}"
            raise BadInputError(msg)
        if name in names:
            msg = f"{path}:{n}: a second line for {name.decode(errors='replace')!r}"
            raise BadInputError(msg)
        names[name] = numbers
    if not names:
        msg = f"{path}: empty; expected lines `id TAB number TAB number ...`"
        raise BadInputError(msg)
    return list(names), np.array(list(names.values()), np.float32)


def pack_factor_lines(path: str, rank: int, salt: int) -> bytes:
    """Encode the file as a packed buffer of ascending hashes and their factors, in which a job looks rows up.

    Raises
    ------
    BadInputError
        If the factors have another rank, or the file cannot be read.
    """
    names, factors = read_factor_lines(path)
    if factors.shape[1] != rank:
        msg = f"{path}: has {factors.shape[1]} numbers per line, but --rank is {rank}; use --rank {factors.shape[1]}"
        raise BadInputError(msg)
    hashes = hash_ids(Ids.of(names), salt)
    order = np.argsort(hashes)
    return pack([hashes[order], factors[order].ravel()])
