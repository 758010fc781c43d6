"""Lists of different length, one a row, laid end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from spanverdict.telemetry.vectors import Int32s, Int64s, Rows, constant

_SELDOM: Final = 2
"""Where lists have fewer items than rows by this, most are taken to be empty."""


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Lists of different length, one a row: row `i` is `items[offsets[i]:offsets[i + 1]]`."""

    offsets: Int64s
    """(n_rows + 1,), starts at 0, never falls."""
    items: Int32s
    """(offsets[-1],)"""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, number: int) -> Int32s:
        """Return the items of one row."""
        return self.items[self.offsets[number] : self.offsets[number + 1]]

    def owners(self) -> Rows:
        """Return the row that each item belongs to, (n_items,)."""
        return owners(self.offsets)

    def common_size(self) -> int:
        """Return how many items every row has, 0 where some have more than others."""
        offsets, size = self.offsets, int(self.offsets[1]) if len(self) else 0
        even = offsets[-1] == size * len(self) and (offsets[1:] - offsets[:-1] == size).all()
        return size if even else 0

    def take(self, rows: Rows) -> Ragged:
        """Return the given rows in the given order."""
        offsets, places = gather(self.offsets, rows)
        return Ragged(offsets, self.items[places])

    @staticmethod
    def empty(n_rows: int = 0) -> Ragged:
        """Return `n_rows` rows without items."""
        return Ragged(np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int32))


def owners(offsets: Int64s) -> Rows:
    """Return the row of each item of lists laid end to end.

    >>> owners(np.array([0, 2, 2, 3])).tolist()
    [0, 0, 2]
    """
    rows = np.flatnonzero(offsets[1:] > offsets[:-1]) if offsets[-1] else np.zeros(0, np.intp)
    return rows if len(rows) == offsets[-1] else np.repeat(rows, offsets.take(rows + 1) - offsets.take(rows))


def gather(offsets: Int64s, rows: Rows) -> tuple[Int64s, Rows]:
    """Return the offsets of `rows` laid end to end, and where each of their items stands now.

    >>> [found.tolist() for found in gather(np.array([0, 2, 2, 3]), np.array([2, 1, 0]))]
    [[0, 1, 1, 3], [2, 0, 1]]
    """
    if not offsets[-1]:
        return constant(0, len(rows) + 1, np.int64), np.zeros(0, np.intp)
    taken = np.zeros(len(rows) + 1, np.int64)
    if offsets[-1] * _SELDOM > len(offsets):
        first = offsets.take(rows)
        sizes = offsets.take(rows + 1) - first
        np.cumsum(sizes, out=taken[1:])
    else:  # where few rows have items, the sizes of the others are not looked up
        some = np.flatnonzero((offsets[1:] > offsets[:-1]).take(rows))
        first = offsets.take(rows.take(some))
        sizes = offsets.take(rows.take(some) + 1) - first
        taken[some + 1] = sizes
        np.cumsum(taken, out=taken)
    return taken, runs(first, sizes)


def runs(first: Int64s, sizes: Int64s) -> Rows:
    """Return first[0], first[0] + 1, … of as many numbers as sizes[0], then those from first[1] on, and so on.

    Adds up steps: one within a run, and the way to the next run between two.
    """
    some = np.flatnonzero(sizes)
    if len(some) < len(sizes):
        first, sizes = first[some], sizes[some]
    steps = np.ones(int(sizes.sum()), np.intp)
    if len(steps):
        steps[0] = first[0]
        steps[np.cumsum(sizes[:-1])] = np.diff(first) - sizes[:-1] + 1
    return np.cumsum(steps, out=steps)


def ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    """Lay lists of numbers end to end."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return Ragged(offsets, np.fromiter((item for row in rows for item in row), np.int32))
