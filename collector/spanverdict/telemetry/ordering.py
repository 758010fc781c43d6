"""Sorting by several columns of whole numbers, several times as fast as `np.lexsort`.

That sorts once a column, which takes 0.1 us a row and column. Here as much as fits of the columns, from the first on,
is packed into one number of 64 bits, with the row itself; plain sorting then does, which takes a tenth of that,
however many rows there are. Only rows that are equal in all that was packed are sorted by the rest, likewise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.vectors import is_constant

Column: TypeAlias = npt.NDArray[np.integer[Any]]
Places: TypeAlias = npt.NDArray[np.intp]
Key: TypeAlias = npt.NDArray[np.uint64]

_BITS: Final = 64


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
    own = (count - 1).bit_length()
    key, n_packed, lower = _packed(columns, among, _BITS - own)
    if n_packed == len(columns) and (key[1:] >= key[:-1]).all():
        return np.arange(count)
    key <<= own
    key |= np.arange(count, dtype=np.uint64)
    key.sort()
    tied = None if n_packed == len(columns) else _tied(key, own)
    key &= (1 << own) - 1
    order = key.view(np.intp)
    if tied is not None and tied.any():
        _break_ties(order, tied, columns[n_packed:], lower, among)
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
    return column if among is None else column.take(among)


_Lower: TypeAlias = tuple[int, int]
"""The least number of a column, and of how many of its lower bits, counted from that, nothing is said yet."""


def _packed(columns: Sequence[Column], among: Places | None, room: int) -> tuple[Key, int, _Lower]:
    """Return one number a row in so many bits, how many columns are in it, and what is left of the next one."""
    key = np.zeros(len(columns[0]) if among is None else len(among), np.uint64)
    for place, whole in enumerate(columns):
        column = _taken(whole, among)
        low, bits = _extent(column)
        more = min(bits, room)
        if more:
            steps = _from(column, low)
            steps >>= bits - more
            if place:
                key <<= more
                steps |= key
            key = steps
        if more < bits:
            return key, place, (low, bits - more)
        room -= more
    return key, len(columns), (0, 0)


def _extent(column: Column) -> tuple[int, int]:
    """Return the least number, and how many bits the way to the greatest one takes."""
    low = int(column[0]) if is_constant(column) else int(column.min())
    return low, 0 if is_constant(column) else (int(column.max()) - low).bit_length()


def _from(column: Column, low: int) -> Key:
    """Return how far each number is from the least."""
    steps: Key = column.astype(np.uint64)
    if low:
        steps -= np.uint64(low % (1 << _BITS))
    return steps


def _tied(key: Key, own: int) -> npt.NDArray[np.int8]:
    """Tell which sorted keys are equal to others but for the rows in them: 1 the first of some, 2 all further ones."""
    same = (key[1:] ^ key[:-1]) < np.uint64(1 << own)
    tied = np.zeros(len(key), np.int8)
    tied[:-1] = same
    tied[1:][same] = 2
    return tied


def _break_ties(
    order: Places, tied: npt.NDArray[np.int8], rest: Sequence[Column], lower: _Lower, among: Places | None
) -> None:
    """Put rows with equal keys, which follow each other in `order`, in order of what was not packed.

    That is the lower part of the first column, and the others.
    """
    places = np.flatnonzero(tied)
    group = np.cumsum(tied.take(places) == 1)
    rows = order.take(places)
    looked_at = rows if among is None else among.take(rows)
    low, bits = lower
    first = _from(rest[0].take(looked_at), low) & np.uint64((1 << bits) - 1)
    order[places] = rows.take(_order([group, first, *(column.take(looked_at) for column in rest[1:])], None))
