"""Chains of pointers: every row points to at most one other, -1 for none; all chains are followed at once.

Nearly all chains are short, so a few steps are taken one by one, by fewer rows each time. What goes on beyond
those is followed in rounds that double the stride: a chain of n rows takes log n rounds over the whole array.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np

from spanverdict.telemetry.spantable import Bools, Int64s, Ints, Rows

_Column = TypeVar("_Column", Int64s, Bools)
_Pointers = TypeVar("_Pointers", Rows, Ints)

_STEPS: Final = 16
_PASSES: Final = 4
_PIECE: Final = 1 << 17
"""So many rows are looked at at a time: what that takes does not grow with the run, and stays in the cache."""


def reached(marked: Bools, following: Ints) -> Bools:
    """Mark, besides what is marked, all that is reached from there; chains may have cycles.

    >>> reached(np.array([True, False, False, False]), np.array([2, 0, 3, -1])).tolist()
    [True, False, True, True]
    """
    marked = marked.copy()
    front = np.flatnonzero(marked)
    for _ in range(_STEPS):
        front = _ahead(front, following)
        front = front[~marked.take(front)]
        if not len(front):
            return marked
        marked[front] = True
    for _ in range(len(following).bit_length()):
        if not (following >= 0).any():
            break
        marked[_ahead(np.flatnonzero(marked), following)] = True
        following = _doubled(following)
    return marked


def folded(values: _Column, above: Rows, combine: np.ufunc) -> _Column:
    """Combine, in place, the value of each row with those of all above it; `combine` may meet a value twice.

    >>> folded(np.array([5, 1, 7]), np.array([-1, 0, 1]), np.maximum).tolist()
    [5, 5, 7]
    """
    for _ in range(_PASSES):
        if not _combined(values, above, combine):
            return values
    while (above >= 0).any():
        _combined(values, above, combine)
        above = _doubled(above)
    return values


def _combined(values: _Column, above: Rows, combine: np.ufunc) -> bool:
    """Combine the value of each row with the one above it; tell whether that changed any.

    A value that was combined already brings along what stands farther above, which comes sooner or later.
    """
    changed = False
    for start in range(0, len(above), _PIECE):
        up = above[start : start + _PIECE]
        rows = np.flatnonzero(up >= 0)
        up = up.take(rows)
        rows += start
        own = values.take(rows)
        better = combine(own, values.take(up))
        if not np.array_equal(better, own):
            values[rows] = better
            changed = True
    return changed


def far(above: Rows, rows: Rows) -> Rows:
    """Return what stands farther above some rows than any chain is long: only rows on cycles do.

    >>> sorted(far(np.array([1, 2, 1, 0]), np.array([0, 3])).tolist())
    [1, 2]
    """
    for _ in range(_STEPS):
        rows = _ahead(rows, above)
        if not len(rows):
            return rows
    for _ in range(len(above).bit_length()):
        if not (above >= 0).any():
            break
        above = _doubled(above)
    return _ahead(rows, above)


def roots(above: Rows) -> Rows:
    """Return the end of the chain of each row; chains have no cycles."""
    return ends(np.where(above >= 0, above, np.arange(len(above))))


def ends(following: Rows) -> Rows:
    """Return, in place, for each row the end of its chain, which is a row that points to itself; no other cycles.

    Mostly a chain lies close together, so that what it takes is at hand.

    >>> ends(np.array([0, 0, 1, 3, 2])).tolist()
    [0, 0, 0, 3, 0]
    """
    done = True
    for start in range(0, len(following), _PIECE):
        here = following[start : start + _PIECE]
        for _ in range(_PASSES):
            farther = following.take(here)
            if np.array_equal(farther, here):
                break
            here[:] = farther
        else:
            done = False
    while not done:
        farther = following.take(following)
        done = np.array_equal(farther, following)
        following[:] = farther
    return following


def roots_of(above: Rows, rows: Rows) -> Rows:
    """Return the ends of the chains of some rows; chains have no cycles.

    >>> roots_of(np.array([-1, 0, 1, -1]), np.array([3, 2, 0])).tolist()
    [3, 0, 0]
    """
    found, going = rows.copy(), np.arange(len(rows))
    for _ in range(_STEPS):
        up = above.take(found.take(going))
        going, up = going[up >= 0], up[up >= 0]
        if not len(going):
            return found
        found[going] = up
    return roots(above).take(rows)


def _ahead(rows: Ints, following: Ints) -> Ints:
    ahead = following.take(rows)
    return ahead[ahead >= 0]


def _doubled(above: _Pointers) -> _Pointers:
    doubled = above.take(above)  # of -1 the last one, which counts for nothing
    np.copyto(doubled, -1, where=above < 0)
    return doubled
