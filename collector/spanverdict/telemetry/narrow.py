"""Columns of whole numbers in as few bytes as they take, each number readable by itself."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.vectors import constant

Column: TypeAlias = npt.NDArray[Any]
Rows: TypeAlias = npt.NDArray[np.intp]

_SPARSE_BYTES: Final = 12
"""What a number takes that differs from all others: four for its place, eight for itself."""
_UPPER: Final = 32
_SAMPLE: Final = 64


class Form(IntEnum):
    """How the numbers of a column are kept."""

    PLAIN = 0
    """As they are."""
    ONE = 1
    """Above the least of them, in so many bytes; so the next three."""
    TWO = 2
    FOUR = 4
    SIX = 6
    """The lower four bytes of all, then the upper two of all."""
    FEW = 12
    """Like the first, but for a few: their places, then these numbers."""


_STEPS: Final = ((Form.ONE, np.uint8), (Form.TWO, np.uint16), (Form.FOUR, np.uint32))
_STEP_TYPES: Final = dict(_STEPS)


class Narrow(NamedTuple):
    """A narrow column."""

    form: Form
    base: int
    """The least number, or the usual one; of the numbers as int64, which those of uint64 are taken for."""
    n_numbers: int
    data: bytes | memoryview


def is_zero(narrow: Narrow) -> bool:
    """Tell whether all numbers are zero; of columns that are kept as they are it is not known."""
    return narrow.form == Form.FEW and not narrow.base and not len(narrow.data)


def plain(column: Column) -> Narrow:
    """Keep a column as it is: what is small is not worth more."""
    return Narrow(Form.PLAIN, 0, len(column), column.tobytes())


def narrowed(column: Column) -> Narrow:
    """Keep a column in the fewest bytes; it holds integers of any type.

    >>> narrowed(np.array([300, 301, 299], np.int64)).data.hex()
    '010200'
    """
    if not len(column):
        return plain(column)
    few = _few_others(column)
    if few is not None:
        return few
    low = int(column.min())
    span = int(column.max()) - low
    for form, dtype in _STEPS:
        if form < column.itemsize and span <= np.iinfo(dtype).max:
            steps = (column - column.dtype.type(low)).astype(dtype)
            return Narrow(form, int(_wide(column.dtype.type(low))), len(column), steps.tobytes())
    if span >> 48 or column.itemsize < Form.SIX:
        return plain(column)
    wide = _wide(column - column.dtype.type(low)).view(np.uint64)
    upper = (wide >> np.uint64(_UPPER)).astype(np.uint16)
    data = wide.astype(np.uint32).tobytes() + upper.tobytes()
    return Narrow(Form.SIX, int(_wide(column.dtype.type(low))), len(column), data)


def _few_others(column: Column) -> Narrow | None:
    """Keep a column in which few numbers differ from the first; None for any other."""
    sample = column[:: 1 + len(column) // _SAMPLE]
    if np.count_nonzero(sample != column[0]) > len(sample) // 4:
        return None
    others = (column != column[0]).nonzero()[0]
    if len(others) * _SPARSE_BYTES >= len(column):
        return None
    data = others.astype(np.uint32).tobytes() + _wide(column[others]).tobytes()
    return Narrow(Form.FEW, int(_wide(column[0])), len(column), data)


def _wide(column: Any) -> Any:
    """Return a column, or a number of one, as int64."""
    return column.view(np.int64) if column.dtype == np.uint64 else column.astype(np.int64)


def widened(narrow: Narrow, dtype: npt.DTypeLike, rows: Rows | slice = slice(None)) -> Column:
    """Return the numbers of a narrow column, or of some of its rows, as the type that they had."""
    form, base, n, data = narrow
    if form == Form.PLAIN:
        found: Column = np.frombuffer(data, dtype, n)[rows]
        return found
    if form == Form.FEW:
        return _usual(narrow, np.dtype(dtype), rows)
    steps: Column
    if form == Form.SIX:
        steps = np.frombuffer(data, np.uint16, n, 4 * n)[rows].astype(np.int64)
        steps <<= _UPPER
        steps |= np.frombuffer(data, np.uint32, n)[rows]
    else:
        steps = np.frombuffer(data, _STEP_TYPES[form], n)[rows].astype(np.int64)
    steps += base
    return _as(steps, np.dtype(dtype))


def _usual(narrow: Narrow, dtype: np.dtype[Any], rows: Rows | slice) -> Column:
    n_numbers = narrow.n_numbers if isinstance(rows, slice) else len(rows)
    n_others = len(narrow.data) // _SPARSE_BYTES
    if not n_others:
        return constant(_as(np.array(narrow.base), dtype), n_numbers, dtype)
    column = np.empty(n_numbers, np.int64)
    column.fill(narrow.base)
    places = np.frombuffer(narrow.data, np.uint32, n_others)
    others = np.frombuffer(narrow.data[4 * n_others :], np.int64, n_others)
    if isinstance(rows, slice):
        column[places] = others
    else:
        found = np.searchsorted(places, rows).clip(max=n_others - 1)
        column = np.where(places[found] == rows, others[found], column)
    return _as(column, dtype)


def _as(numbers: npt.NDArray[np.int64], dtype: np.dtype[Any]) -> Column:
    return numbers.view(np.uint64) if dtype == np.uint64 else numbers.astype(dtype, copy=False)
