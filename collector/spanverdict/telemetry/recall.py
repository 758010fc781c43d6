"""Numbers of items seen before, looked up many at a time, without a Python object an item.

An item's row is hashed to a slot, which remembers one item. So something may be forgotten, but
nothing is ever mistaken for something else: a row counts as seen only where all bytes are equal.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import WIDTHS, Bools, Int32s, Places, Rows, equal_rows

SLOT_BITS: Final = {32: 15, 64: 14, 128: 13}
"""By width: 32,768 slots where rows are short, so that each memory takes about a megabyte."""
FACTORS: Final = np.frombuffer(os.urandom(max(WIDTHS)), np.uint64) | np.uint64(1)
"""Of this process, so that nobody outside can make many items meet in one slot."""


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
