"""The keys of new attributes, found by a compiled loop: a key is looked up among those that came lately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from spanverdict.telemetry.blocks import KEPT, Int32s, Int64s, Rows
from spanverdict.telemetry.compiling import routine
from spanverdict.telemetry.recall import FACTORS

_SLOT_BITS: Final = 9
_WORD: Final = 8
_SHIFT: Final = np.uint64(64 - _SLOT_BITS)
_TOP_BYTE: Final = np.uint64(56)
_SECOND_BYTE: Final = np.uint64(8)
_BYTE: Final = np.uint64(255)
_KEY: Final = np.uint64(0x0A)
_LONG: Final = np.uint64(128)
"""From here on a length takes more than one byte."""


class Fresh(NamedTuple):
    """Attributes as rows."""

    rows: Rows
    kept: Rows
    """For each size what keeps that many bytes of a row."""
    factors: Rows


class Heads(NamedTuple):
    """How attributes of some keys begin, each in its slot, and the numbers of these keys."""

    heads: Rows
    numbers: Int32s


class Keys(NamedTuple):
    """What is found out."""

    numbers: Int32s
    """Of each row the number of its key; of a key that is not known -1 less its place in …"""
    unknown: Int64s
    """… rows with such keys …"""
    filled: Int64s
    """… which are so many."""


@dataclass(frozen=True, slots=True, eq=False)
class KeyMemory:
    """The keys that came lately in rows of one width."""

    heads: Heads
    width: int

    @staticmethod
    def of_width(width: int) -> KeyMemory:
        """Return a memory of no key: no row begins with zeros."""
        n_slots = 1 << _SLOT_BITS
        return KeyMemory(Heads(np.zeros((n_slots, width // _WORD), np.uint64), np.zeros(n_slots, np.int32)), width)

    def look_up(self, rows: Rows) -> Keys:
        """Look the keys of rows up; what is not known has to be said by `learn` before the next time."""
        found = Keys(np.empty(len(rows), np.int32), np.empty(len(rows), np.int64), np.zeros(1, np.int64))
        number_keys(Fresh(rows, KEPT[self.width], FACTORS[: self.width // _WORD].copy()), self.heads, found)
        return found

    def learn(self, keys: Keys, numbers: Int32s) -> Int32s:
        """Take in the numbers of the keys that were not known, and return those of all rows."""
        for places in (self.heads.numbers, keys.numbers):
            open_ = (places < 0).nonzero()[0]
            places[open_] = numbers.take(-1 - places.take(open_))
        return keys.numbers


@routine((Fresh, "u8,2 u8,2 u8"), (Heads, "u8,2 i4"), (Keys, "i4 i8 i8"))
def number_keys(fresh: Fresh, heads: Heads, keys: Keys) -> int:
    """Look up the keys of rows, and keep how those begin that were not known."""
    rows, kept, factors = fresh
    last = rows.shape[1] - 1
    n_unknown = 0
    for row in range(len(rows)):
        word = rows[row, 0]
        length = (word >> _SECOND_BYTE) & _BYTE
        end = int(length) + 2
        size = int(rows[row, last] >> _TOP_BYTE) - 1
        number = -1 - n_unknown
        if (word & _BYTE) == _KEY and length < _LONG and end <= size:
            n_words = (end + _WORD - 1) // _WORD
            hashed = np.uint64(0)
            for place in range(n_words):
                hashed += (rows[row, place] & kept[end, place]) * factors[place]
            slot = int(hashed >> _SHIFT)
            differs = np.uint64(0)
            for place in range(last + 1):
                differs |= heads.heads[slot, place] ^ (rows[row, place] & kept[end, place])
            if differs == 0:
                number = heads.numbers[slot]
            else:
                for place in range(last + 1):
                    heads.heads[slot, place] = rows[row, place] & kept[end, place]
                heads.numbers[slot] = number
        if number == -1 - n_unknown:
            keys.unknown[n_unknown] = row
            n_unknown += 1
        keys.numbers[row] = number
    keys.filled[0] = n_unknown
    return n_unknown


ROUTINES: Final = (number_keys,)
