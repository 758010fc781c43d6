"""What `recall.py` does, compiled: items are looked up where they stand, and rows made of a few at a time.

What was seen lately stands in a ring, in the order in which it came, so that what never comes again costs no more than
to write it down. Where in the ring an item stands is found by its hash. Two items may share a slot: one that has come
again, and what came last. So what never comes again takes the place of nothing but its like. Something may be
forgotten, but nothing is ever mistaken for something else: a row counts as seen only where all bytes are equal.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import KEPT, WIDTHS, Block, Int32s, Int64s, Rows
from spanverdict.telemetry.compiling import Everywhere, part, routine
from spanverdict.telemetry.recall import FACTORS

RING_BITS: Final = {32: 14, 64: 14, 128: 13}
"""By width: so many rows are remembered."""
SLOT_BITS: Final = 13
_PLACE_BITS: Final = 14
_TAG_BITS: Final = 18
_SELDOM: Final = 7
"""Of so many new items and one, one puts what came before it in the place of what has come again: or two that take
turns would never be known."""
_PIECE: Final = 256
"""So many items are looked up together."""
_WORD: Final = 8
_TOP_BYTE: Final = np.uint64(56)
_HALF: Final = np.uint64(32)
_MIXED: Final = np.uint64(29)
_SLOT_SHIFT: Final = np.uint64(64 - SLOT_BITS)
_TAG_SHIFT: Final = np.uint64(64 - SLOT_BITS - _TAG_BITS)
_TAG: Final = (1 << _TAG_BITS) - 1
_PLACE: Final = (1 << _PLACE_BITS) - 1
_NARROW, _MIDDLE, _WIDE = (width // _WORD for width in WIDTHS)
_LINE: Final = 64


class Sizes(NamedTuple):
    """Sizes of items, and which of them have rows of each width."""

    sizes: Int32s
    which: Int32s
    """(4, n): of each width, and of none."""
    filled: Int64s
    """(4,): how many."""


class Wanted(NamedTuple):
    """Items to look up."""

    words: Everywhere
    """The data read as eight bytes at every place."""
    starts: Int32s
    sizes: Int32s
    which: Int32s
    """Those to look up."""
    first: Int64s
    """The number of the first new one; if it is negative, new ones have none."""


class Memory(NamedTuple):
    """What was seen of one width."""

    ring: Rows
    numbers: Int32s
    """Of what stands in the ring."""
    entries: npt.NDArray[np.uint32]
    """(slots, 2): a part of the hash, and a place in the ring."""
    filled: Int64s
    """How many were written to the ring so far."""
    factors: Rows
    kept: Rows
    """For each size what keeps that many bytes of a row."""
    rows: Rows
    """Scratch for the items of a piece, as is …"""
    hashes: Rows
    """… this."""


class Answers(NamedTuple):
    """What is found."""

    numbers: Int32s
    """One for each item, -1 where it has none."""
    new: Rows
    """Those that were not known."""


@routine((Sizes, "i4 i4,2 i8"))
def sort_by_width(found: Sizes) -> int:
    """Find out which items have rows of which width; returns how many have none."""
    sizes, which, filled = found
    narrow = middle = wide = none = 0
    for item in range(len(sizes)):
        size = sizes[item]
        # To write each everywhere and to keep it in one place takes less time than to guess which.
        which[0, narrow] = which[1, middle] = which[2, wide] = which[3, none] = item
        narrow += int(size < _NARROW * _WORD)
        middle += int(size >= _NARROW * _WORD) & int(size < _MIDDLE * _WORD)
        wide += int(size >= _MIDDLE * _WORD) & int(size < _WIDE * _WORD)
        none += int(size >= _WIDE * _WORD)
    filled[0], filled[1], filled[2], filled[3] = narrow, middle, wide, none
    return none


@routine((Wanted, "*u8 i4 i4 i4 i8"), (Memory, "u8,2 i4 u4,2 i8 u8 u8,2 u8,2 u8"), (Answers, "i4 u8,2"))
def number_rows(wanted: Wanted, memory: Memory, answers: Answers) -> int:
    """Look up items among those known, and write their numbers.

    Those that are not known are remembered under numbers from the first new one on, and written as rows; or, if that is
    negative, they have no number. Returns how many are new.
    """
    width = memory.ring.shape[1]
    if width == _NARROW:
        return _number_rows(wanted, memory, answers, _NARROW)
    if width == _MIDDLE:
        return _number_rows(wanted, memory, answers, _MIDDLE)
    return _number_rows(wanted, memory, answers, _WIDE)


@part
def _number_rows(wanted: Wanted, memory: Memory, answers: Answers, n_words: int) -> int:
    """Do so in pieces: each item is somewhere else in memory, and the processor fetches those of a piece side by side.

    It can as long as nothing depends on what it finds. Where the width is a number, loops over words are none.
    """
    which, numbers, first = wanted.which, answers.numbers, wanted.first[0]
    n_new = 0
    for start in range(0, len(which), _PIECE):
        n = min(_PIECE, len(which) - start)
        for item in range(n):
            _take_row(wanted, which[start + item], memory, item, n_words)
        for item in range(n):
            numbers[which[start + item]] = _number(memory, item, n_words)
        if first < 0:
            continue
        for item in range(n):
            place = which[start + item]
            if numbers[place] < 0:
                # It may have come in this piece, too.
                number = _number(memory, item, n_words)
                if number < 0:
                    number = first + n_new
                    _remember(memory, item, number, n_words)
                    for word in range(n_words):
                        answers.new[n_new, word] = memory.rows[item, word]
                    n_new += 1
                numbers[place] = number
    return n_new


@part
def _take_row(wanted: Wanted, place: int, memory: Memory, item: int, n_words: int) -> None:
    """Make a row of an item, and hash it."""
    words, factors, kept, rows = wanted.words, memory.factors, memory.kept, memory.rows
    start, size = np.uint64(wanted.starts[place]), np.uint64(wanted.sizes[place])
    hashed = np.uint64(size) * factors[0]
    for word in range(n_words):
        found = words[start + np.uint64(_WORD * word)] & kept[size, word]
        rows[item, word] = found
        hashed += (found ^ found >> _MIXED) * factors[word]
    rows[item, n_words - 1] |= (size + np.uint64(1)) << _TOP_BYTE
    memory.hashes[item] = (hashed ^ hashed >> _HALF) * factors[1]


@part
def _number(memory: Memory, item: int, n_words: int) -> int:
    """Return the number of a row if it is known, else -1; what has come again keeps its place."""
    entries, rows, hashed = memory.entries, memory.rows, memory.hashes[item]
    slot, tag = int(hashed >> _SLOT_SHIFT), int(hashed >> _TAG_SHIFT) & _TAG
    for way in range(2):
        entry = int(entries[slot, way])
        if entry >> _PLACE_BITS == tag:
            differs, place = np.uint64(0), entry & _PLACE
            for word in range(n_words):
                differs |= memory.ring[place, word] ^ rows[item, word]
            if differs == 0:
                if way:
                    entries[slot, 1], entries[slot, 0] = entries[slot, 0], entry
                return int(memory.numbers[place])
    return -1


@part
def _remember(memory: Memory, item: int, number: int, n_words: int) -> None:
    entries, rows, hashed = memory.entries, memory.rows, memory.hashes[item]
    slot, tag = int(hashed >> _SLOT_SHIFT), int(hashed >> _TAG_SHIFT) & _TAG
    place = memory.filled[0] & (len(memory.ring) - 1)
    memory.filled[0] += 1
    for word in range(n_words):
        memory.ring[place, word] = rows[item, word]
    memory.numbers[place] = number
    if entries[slot, 0] == 0 or place & _SELDOM == 0:
        entries[slot, 0] = entries[slot, 1]
    entries[slot, 1] = tag << _PLACE_BITS | place


@routine((Wanted, "*u8 i4 i4 i4 i8"), (Memory, "u8,2 i4 u4,2 i8 u8 u8,2 u8,2 u8"), (Answers, "i4 u8,2"))
def remember_rows(wanted: Wanted, memory: Memory, answers: Answers) -> int:
    """Remember items under the numbers that they have been given; returns how many."""
    n_words = memory.ring.shape[1]
    for place in wanted.which:
        _take_row(wanted, place, memory, 0, n_words)
        if _number(memory, 0, n_words) < 0:
            _remember(memory, 0, answers.numbers[place], n_words)
    return len(wanted.which)


class Recollection:
    """What was seen lately of items of all widths."""

    def __init__(self) -> None:
        self._memories: dict[int, Memory] = {}

    def number(self, block: Block, starts: Int32s, sizes: Int32s, first: int) -> tuple[Int32s, list[Rows], Int32s]:
        """Look items up, and number new ones from `first` on; if that is negative, not at all.

        Returns the numbers of all, rows of new ones in their order, and which have no number.
        """
        numbers, rows = np.empty(len(starts), np.int32), list[Rows]()
        *by_width, none = _by_width(sizes)
        numbers[none] = -1
        for width, which in zip(WIDTHS, by_width, strict=True):
            if len(which):
                new: Rows = np.empty((len(which) if first >= 0 else 0, width // _WORD), np.uint64)
                wanted = Wanted(block.array, starts, sizes, which, np.array((first,)))
                n_new = number_rows(wanted, self._memory(width), Answers(numbers, new))
                if n_new:
                    rows.append(new[:n_new].copy())
                    first += n_new
        return numbers, rows, none if first >= 0 else (numbers < 0).nonzero()[0].astype(np.int32)

    def learn(self, block: Block, starts: Int32s, sizes: Int32s, numbers: Int32s) -> None:
        """Remember items under the numbers that they have been given."""
        for width, which in zip(WIDTHS, _by_width(sizes), strict=False):
            if len(which):
                wanted = Wanted(block.array, starts, sizes, which, np.zeros(1, np.int64))
                remember_rows(wanted, self._memory(width), Answers(numbers, np.empty((0, width // _WORD), np.uint64)))

    def _memory(self, width: int) -> Memory:
        return self._memories.get(width) or self._memories.setdefault(width, _memory(width))


def _by_width(sizes: Int32s) -> list[Int32s]:
    """Return which items have rows of each width, and which of none."""
    which, filled = np.empty((len(WIDTHS) + 1, len(sizes)), np.int32), np.zeros(len(WIDTHS) + 1, np.int64)
    sort_by_width(Sizes(sizes, which, filled))
    return [mine[:count] for mine, count in zip(which, filled.tolist(), strict=True)]


def _memory(width: int) -> Memory:
    n_rows, n_words = 1 << RING_BITS[width], width // _WORD
    return Memory(
        ring=_aligned(n_rows, n_words),
        numbers=np.zeros(n_rows, np.int32),
        entries=_aligned(1 << SLOT_BITS, 1).view(np.uint32),
        filled=np.zeros(1, np.int64),
        factors=FACTORS[:n_words].copy(),
        kept=KEPT[width],
        rows=_aligned(_PIECE, n_words),
        hashes=np.zeros(_PIECE, np.uint64),
    )


def _aligned(n: int, n_words: int) -> Rows:
    """Return rows of zeros, each of which stands in as few lines of the processor's cache as it can."""
    size = _WORD * n * n_words
    room = np.zeros(size + _LINE, np.uint8)
    start = -room.ctypes.data % _LINE
    return room[start : start + size].view(np.uint64).reshape(n, n_words)


ROUTINES: Final = (sort_by_width, number_rows, remember_rows)
