"""The distinct numbers of a column, and where each stands among them."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Int32s: TypeAlias = npt.NDArray[np.int32]
Places: TypeAlias = npt.NDArray[np.intp]
_Scalar = TypeVar("_Scalar", bound=np.generic)

_SPARSE = 16
"""Where the numbers span more than so many times their count, sorting them is faster."""
_MANY = 1024
"""Fewer numbers are sorted at once."""
_FEW = 16
"""So few distinct ones are compared with all numbers, one after the other."""
_SAMPLE = 64


def distinct(numbers: Int32s) -> tuple[Int32s, Places]:
    """Return the distinct numbers, ascending, and the place of each one among them; at least one is needed.

    What `np.unique` does, in a few passes where the numbers lie close together: those that a pool gives to the
    traces of a batch do.

    >>> distinct(np.array([7, 5, 7], np.int32))
    (array([5, 7], dtype=int32), array([1, 0, 1]))
    """
    low, high = int(numbers.min()), int(numbers.max())
    if low == high:
        return numbers[:1], np.zeros(len(numbers), np.intp)
    if high - low > len(numbers) >= _MANY:
        few = _few(numbers)
        if few is not None:
            return few
    if high - low > _SPARSE * len(numbers):
        return np.unique(numbers, return_inverse=True)
    steps = numbers - np.int32(low)
    seen = np.zeros(high - low + 1, np.int32)
    seen[steps] = 1
    places = np.cumsum(seen, dtype=np.int32)
    places -= 1
    found: Int32s = (np.flatnonzero(seen) + low).astype(np.int32)
    return found, places.take(steps).astype(np.intp)


def _few(numbers: Int32s) -> tuple[Int32s, Places] | None:
    """Return what `distinct` does, where a sample holds nearly all distinct numbers; None elsewhere.

    Values of an attribute have such numbers: a handful, some of which were given long before the others.
    """
    found = ascending(numbers[:: len(numbers) // _SAMPLE])
    for _ in range(2):
        if len(found) > _FEW:
            return None
        places = np.zeros(len(numbers), np.uint8)
        for number in found[1:]:
            places += numbers >= number
        missed = np.flatnonzero(found.take(places) != numbers)
        if not len(missed):
            return found, places.astype(np.intp)
        if len(missed) > len(numbers) // _SAMPLE:
            return None
        found = ascending(np.concatenate([found, numbers.take(missed)]))
    return None


def ascending(values: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
    """Return the distinct values of a column, ascending.

    What `np.unique` does; but that loads numpy's masked arrays to see whether it was given one, 2.6 MB for good.

    >>> ascending(np.array([7, 5, 7]))
    array([5, 7])
    """
    if len(values) >= _MANY and np.issubdtype(values.dtype, np.integer):
        low, high = values.min(), values.max()
        if int(high) - int(low) <= _SPARSE * len(values):
            seen = np.zeros(int(high) - int(low) + 1, np.bool_)
            seen[values - low] = True
            used: npt.NDArray[_Scalar] = np.flatnonzero(seen).astype(values.dtype) + low
            return used
    found = np.sort(values)
    first = np.ones(len(found), np.bool_)
    np.not_equal(found[1:], found[:-1], out=first[1:])
    return found[first]


def each_once(numbers: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Return the distinct ones of numbers from 0 to below `size`, ascending; in one pass where there are many.

    >>> each_once(np.array([7, 5, 7]), 8)
    array([5, 7])
    """
    if size > _SPARSE * len(numbers):
        return ascending(numbers)
    seen = np.zeros(size, np.bool_)
    seen[numbers] = True
    return np.flatnonzero(seen)


def ascending_rows(rows: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
    """Return the distinct rows of a matrix, ascending."""
    found: npt.NDArray[_Scalar] = np.unique(rows, axis=0, return_index=True)[0]
    return found
