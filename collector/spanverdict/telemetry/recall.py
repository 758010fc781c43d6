"""Numbers of items seen before, looked up many at a time, without a Python object an item.

An item's row is hashed to a slot, which remembers one item. So something may be forgotten, but
nothing is ever mistaken for something else: a row counts as seen only where all bytes are equal.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import KEPT, WIDTHS, Bools, Int32s, Int64s, Places, Rows, equal_rows
from spanverdict.telemetry.compiling import Everywhere

SLOT_BITS: Final = {32: 15, 64: 14, 128: 13}
"""By width: 32,768 slots where rows are short, so that each memory takes about a megabyte."""
FACTORS: Final = np.frombuffer(os.urandom(max(WIDTHS)), np.uint64) | np.uint64(1)
"""Of this process, so that nobody outside can make many items meet in one slot."""


_PIECE: Final = 256
"""So many items are looked up together by compiled code."""


class Wanted(NamedTuple):
    """Items to look up by compiled code, those of certain sizes."""

    words: Everywhere
    """The data read as eight bytes at every place."""
    starts: Places
    sizes: Int64s
    bounds: Int64s
    """The least size, the one that is too large, and the number of the first new item."""


class Table(NamedTuple):
    """A `Recall` as compiled code takes it."""

    known: Rows
    numbers: Int32s
    factors: Rows
    shift: Rows
    kept: Rows
    """For each size what keeps that many bytes of a row."""


class Answers(NamedTuple):
    """What compiled code writes."""

    numbers: Int32s
    """One for each item, -1 where it has none."""
    new: Rows
    """Those that were not known."""
    rows: Rows
    slots: Int64s
    """(2, so many as there are rows): scratch."""


@dataclass(frozen=True, slots=True, eq=False)
class Recall:
    """What stands in which slot, for rows of one width."""

    rows: Rows
    numbers: Int32s
    holders: Int32s
    """Scratch, one a slot."""
    factors: Rows
    shift: Rows

    @staticmethod
    def of_width(width: int) -> Recall:
        """Return a memory of nothing, which takes up memory only as it is filled."""
        n_slots = 1 << SLOT_BITS[width]
        return Recall(
            np.zeros((n_slots, width // 8), np.uint64),
            np.zeros(n_slots, np.int32),
            np.zeros(n_slots, np.int32),
            FACTORS[: width // 8],
            np.array([64 - SLOT_BITS[width]], np.uint64),
        )

    @property
    def table(self) -> Table:
        """What compiled code reads and writes."""
        return Table(self.rows, self.numbers, self.factors, self.shift, KEPT[8 * self.rows.shape[1]])

    def answers(self, numbers: Int32s, n_new: int) -> Answers:
        """Return what the compiled code writes, with room for so many new items."""
        width = self.rows.shape[1]
        scratch = np.empty((_PIECE, width), np.uint64), np.empty((2, _PIECE), np.int64)
        return Answers(numbers, np.empty((n_new, width), np.uint64), *scratch)

    def slots(self, rows: Rows) -> Places:
        """Return where each row would stand."""
        hashes: npt.NDArray[np.uint64] = np.vecdot(rows, self.factors)
        slots: Places = (hashes >> self.shift[0]).view(np.int64)
        return slots

    def look_up(self, rows: Rows, slots: Places) -> Int32s:
        """Return the numbers remembered for rows, -1 for those that are not."""
        same = equal_rows(self.rows.take(slots, axis=0), rows)
        return self.numbers.take(slots) | (same.view(np.int8) - np.int8(1))  # faster than `where`: -1 has all bits

    def remember(self, rows: Rows, slots: Places, numbers: Int32s) -> None:
        """Remember rows in place of what stood in their slots, which must all be different."""
        # In this order an interruption can make a slot forget, but not lie.
        self.numbers[slots] = -1
        _whole(self.rows)[slots] = _whole(rows)
        self.numbers[slots] = numbers

    def gather(self, rows: Rows, slots: Places) -> tuple[Places, Bools]:
        """Return for each row one that is equal to it, mostly the same for all equal ones; and which hold their slot.

        Of the rows that meet in a slot one holds it; those that differ from it stand for themselves.
        """
        own = np.arange(len(rows))
        self.holders[slots] = own.astype(np.int32)
        holder = self.holders.take(slots)
        holds: Bools = holder == own
        others = (~holds).nonzero()[0]
        same = equal_rows(rows.take(holder.take(others), axis=0), rows.take(others, axis=0))
        own[others[same]] = holder[others[same]]
        return own, holds


def _whole(rows: Rows) -> npt.NDArray[np.void]:
    """Return each row as one value, as numpy moves those faster."""
    return rows.view(f"V{8 * rows.shape[1]}")[:, 0]
