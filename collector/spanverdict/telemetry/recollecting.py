"""What `recall.py` does, compiled: a pass over the bytes of items that makes rows of a few at a time."""

from __future__ import annotations

from typing import Final

import numpy as np

from spanverdict.telemetry.blocks import Rows
from spanverdict.telemetry.compiling import Everywhere, part, routine
from spanverdict.telemetry.recall import Answers, Table, Wanted

_WORD: Final = 8
_TOP_BYTE: Final = np.uint64(56)


@routine((Wanted, "*u8 i8 i8 i8"), (Table, "u8,2 i4 u8 u8 u8,2"), (Answers, "i4 u8,2 u8,2 i8,2"))
def number_rows(wanted: Wanted, table: Table, answers: Answers) -> int:
    """Look up items among those known, and write their numbers.

    Those that are not known are remembered under numbers from the first new one on, and written as rows; or, if that is
    negative, they have no number. Returns how many are new. Some are looked up together: each is somewhere else in
    memory, and the processor fetches them side by side as long as nothing depends on what it finds.
    """
    words, starts, sizes, _ = wanted
    least, below, first = wanted.bounds[0], wanted.bounds[1], wanted.bounds[2]
    numbers, new, rows, _ = answers
    slots, places = answers.slots[0], answers.slots[1]
    at = n_new = 0
    while at < len(starts):
        n = 0
        while at < len(starts) and n < len(rows):
            if least <= sizes[at] < below:
                slots[n] = _take_row(words, starts[at], sizes[at], table, rows[n])
                places[n] = at
                n += 1
            at += 1
        for item in range(n):
            numbers[places[item]] = _number(table, slots[item], rows[item])
        for item in range(n):
            place = places[item]
            if numbers[place] < 0 <= first:
                # It may have come in this piece, too.
                numbers[place] = _number(table, slots[item], rows[item])
                if numbers[place] < 0:
                    numbers[place] = first + n_new
                    _remember(table, slots[item], rows[item], numbers[place])
                    for word in range(rows.shape[1]):
                        new[n_new, word] = rows[item, word]
                    n_new += 1
    return n_new


@part
def _take_row(words: Everywhere, start: int, size: int, table: Table, row: Rows) -> int:
    """Make a row of an item and return its slot."""
    _, _, factors, shifts, kept = table
    last = len(row) - 1
    hashed = np.uint64(0)
    for place in range(last):
        row[place] = word = words[start + _WORD * place] & kept[size, place]
        hashed += word * factors[place]
    row[last] = word = words[start + _WORD * last] & kept[size, last] | np.uint64(size + 1) << _TOP_BYTE
    return int((hashed + word * factors[last]) >> shifts[0])


@part
def _number(table: Table, slot: int, row: Rows) -> int:
    """Return the number of what is known in a slot, -1 if it is not this row."""
    differs = np.uint64(0)
    for place in range(len(row)):
        differs |= table.known[slot, place] ^ row[place]
    return int(table.numbers[slot]) if differs == 0 else -1


@part
def _remember(table: Table, slot: int, row: Rows, number: int) -> None:
    for place in range(len(row)):
        table.known[slot, place] = row[place]
    table.numbers[slot] = number


ROUTINES: Final = (number_rows,)
