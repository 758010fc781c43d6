"""Chains of pointers: every row points to at most one other, -1 for none; all chains are followed at once.

Each round doubles the stride, so a chain of n rows takes log n rounds over the whole array.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from spanverdict.telemetry.spantable import Bools, Int64s, Rows

_Column = TypeVar("_Column", Int64s, Bools)


def reached(marked: Bools, following: Rows) -> Bools:
    """Mark, besides what is marked, all that is reached from there.

    >>> reached(np.array([True, False, False, False]), np.array([2, 0, 3, -1])).tolist()
    [True, False, True, True]
    """
    marked = marked.copy()
    while (following >= 0).any():
        ahead = following[marked]
        marked[ahead[ahead >= 0]] = True
        following = _doubled(following)
    return marked


def folded(values: _Column, above: Rows, combine: np.ufunc) -> _Column:
    """Combine the value of each row with those of all above it; `combine` may meet a value twice.

    >>> folded(np.array([5, 1, 7]), np.array([-1, 0, 1]), np.maximum).tolist()
    [5, 5, 7]
    """
    while (has := above >= 0).any():
        values = np.where(has, combine(values, values[above]), values)
        above = _doubled(above)
    return values


def far(above: Rows) -> Rows:
    """Return what stands farther above each row than any chain is long: only rows on cycles do."""
    for _ in range(len(above).bit_length()):
        if not (above >= 0).any():
            break
        above = _doubled(above)
    return above


def roots(above: Rows) -> Rows:
    """Return the end of the chain of each row; chains have no cycles."""
    root = np.where(above >= 0, above, np.arange(len(above)))
    while not np.array_equal(farther := root[root], root):
        root = farther
    return root


def _doubled(above: Rows) -> Rows:
    return np.where(above >= 0, above[above], -1)
