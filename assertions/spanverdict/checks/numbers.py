"""Attribute columns read as numbers, exactly: whole numbers never pass through a float."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int64s, Rows

Float64s: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A column read as numbers."""

    values: Int64s | Float64s
    """(n,) int64 where every number is whole, else float64; meaningless where not `valid`."""
    valid: Bools
    """(n,) the value is a finite number."""
    problem: str
    """What else was found: `3 values are not numbers ("high")`; empty when all is well."""


Reading: TypeAlias = Callable[[Value], int | float | None]


def numbers_of(column: AttributeColumn, rows: Rows, read_one: Reading | None = None) -> Numbers:
    """Read the values of some rows as numbers, once for each distinct value; absent ones are invalid."""
    read = [(read_one or number)(value) for value in column.values]
    whole = all(isinstance(found, int) for found in read if found is not None)
    plain = [0 if found is None else found for found in read] + [0]
    table: Int64s | Float64s = np.array(plain, np.int64) if whole else np.array(plain, np.float64)
    good = np.array([found is not None for found in read] + [False], np.bool_)
    codes = column.codes[rows]
    wrong = int(((codes >= 0) & ~good[codes]).sum())
    problem = ""
    if wrong:
        example = min(repr(value) for value, found in zip(column.values, read, strict=True) if found is None)
        problem = f"{wrong} values are not finite numbers, such as {example}"
    return Numbers(table[codes], good[codes] & (codes >= 0), problem)


def number(value: Value) -> int | float | None:
    """Return a finite number within 64 bits as it is, None for everything else; true is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -(2**63) <= value < 2**63 else None


def each_of(read_one: Reading, pick: Callable[[list[int | float]], int | float]) -> Reading:
    """Return a reading that takes arrays too: `pick` of their values, None when one cannot be read."""

    def read(value: Value) -> int | float | None:
        if not isinstance(value, tuple):
            return read_one(value)
        parts = [read_one(item) for item in value]
        known = [part for part in parts if part is not None]
        return pick(known) if known and len(known) == len(parts) else None

    return read
