"""Sorting by several columns of whole numbers, several times as fast as `np.lexsort`.

That sorts once for each column, which takes 0.1 us a row and column. Here as many columns as fit are packed into one
number of 64 bits, together with the row itself if there is room; then plain sorting does, which takes a tenth of that.
Only rows that are equal in all that was packed are sorted by the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Column: TypeAlias = npt.NDArray[np.integer[Any]]
Places: TypeAlias = npt.NDArray[np.intp]

_BITS: Final = 63


def order_of(*columns: Column) -> Places:
    """Return the rows in ascending order of the first column, then the second, and so on; equal rows as they come.

    There is at least one column, all have one length, and their numbers are signed or unsigned integers.

    >>> order_of(np.array([2, 1, 2]), np.array([5, 9, 4])).tolist()
    [1, 2, 0]
    """
    return _order(columns, None)


def sorted_by(rows: Places, *columns: Column) -> Places:
    """Return some rows in ascending order of these columns, equal rows as they come.

    It is what `rows[order_of(*(column[rows] for column in columns))]` is, and takes the memory of one column at a time.

    >>> sorted_by(np.array([3, 0, 2]), np.array([7, 0, 5, 6])).tolist()
    [2, 3, 0]
    """
    return rows[_order(columns, rows)]


def _order(columns: Sequence[Column], among: Places | None) -> Places:
    """Return the order of rows, or of those `among` them."""
    count = len(columns[0]) if among is None else len(among)
    if count <= 1:
        return np.arange(count)
    key, bits, n_packed = _packed(columns, among)
    own = count.bit_length()
    if n_packed == len(columns) and bits + own <= _BITS:
        key <<= own
        key += np.arange(count)
        key.sort()
        key &= (1 << own) - 1
        return key.astype(np.intp, copy=False)
    order = np.argsort(key)
    _break_ties(order, key, columns[n_packed:], among)
    return order


def in_order(columns: Iterable[Column]) -> bool:
    """Tell whether the rows ascend by these columns, as `order_of` would put them.

    >>> in_order([np.array([1, 1, 2]), np.array([4, 5, 0])]), in_order([np.array([1, 1]), np.array([5, 4])])
    (True, False)
    """
    undecided: npt.NDArray[np.bool_] | bool = True
    for column in columns:
        if (undecided & (column[1:] < column[:-1])).any():
            return False
        undecided &= column[1:] == column[:-1]
    return True


def _taken(column: Column, among: Places | None) -> Column:
    return column if among is None else column[among]


def _packed(columns: Sequence[Column], among: Places | None) -> tuple[Column, int, int]:
    """Return one number a row, how many bits it takes, and how many columns are in it."""
    key, bits = np.zeros(len(columns[0]) if among is None else len(among), np.int64), 0
    for place, whole in enumerate(columns):
        column = _taken(whole, among)
        low = int(column.min())
        more = (int(column.max()) - low).bit_length()
        if bits + more > _BITS:
            return (key, bits, place) if place else (column, _BITS + 1, 1)
        key <<= more
        key += _from(column, low)
        bits += more
    return key, bits, len(columns)


def _from(column: Column, low: int) -> Column:
    """Return how far each number is from the least."""
    unsigned = column.dtype.kind == "u" and column.dtype.itemsize == np.dtype(np.uint64).itemsize
    if not unsigned:
        return column - np.int64(low)
    steps: Column = (column - column.dtype.type(low)).view(np.int64)
    return steps


def _break_ties(order: Places, key: Column, rest: Sequence[Column], among: Places | None) -> None:
    """Put rows with equal keys, which follow each other in `order`, in order of the other columns and of the rows."""
    sorted_key = key[order]
    same = sorted_key[1:] == sorted_key[:-1]
    if not same.any():
        return
    tied = np.zeros(len(order), np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    rows = np.sort(order[tied])
    places = rows if among is None else among[rows]
    order[tied] = rows[np.lexsort((*(column[places] for column in reversed(rest)), key[rows]))]
