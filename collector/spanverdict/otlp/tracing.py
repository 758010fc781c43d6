"""Trace ids that come again among those of a group, told by a compiled loop.

A trace has several spans, among which those of others may stand. Only one id of each is then looked for among all that
were ever seen, which takes a Python object.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from spanverdict.telemetry.blocks import Int32s, Rows
from spanverdict.telemetry.compiling import routine

_SLOT_BITS: Final = 12
N_SLOTS: Final = 1 << _SLOT_BITS
_SHIFT: Final = np.uint64(64 - _SLOT_BITS)


class Ids(NamedTuple):
    """Trace ids."""

    words: Rows
    """(2, n): both halves as they lie in memory."""
    factors: Rows
    """Two odd numbers that nobody outside knows."""


class Told(NamedTuple):
    """What is found out."""

    which: Int32s
    """(n,): of each id where it stands among …"""
    firsts: Rows
    """(n, 2): … those that did not come before; those that met in a slot come more than once."""
    slots: Int32s
    """Scratch, zero before: the next number of the id that came last."""


@routine((Ids, "u8,2 u8"), (Told, "i4 u8,2 i4"))
def tell_apart(ids: Ids, told: Told) -> int:
    """Find out which ids are equal; returns how many have to be looked up."""
    words, factors = ids
    n_firsts = 0
    for row in range(words.shape[1]):
        one, other = words[0, row], words[1, row]
        slot = int((one * factors[0] ^ other * factors[1]) >> _SHIFT)
        place = int(told.slots[slot]) - 1
        if place < 0 or told.firsts[place, 0] != one or told.firsts[place, 1] != other:
            place = n_firsts
            told.firsts[place, 0], told.firsts[place, 1] = one, other
            told.slots[slot] = n_firsts = n_firsts + 1
        told.which[row] = place
    return n_firsts


ROUTINES: Final = (tell_apart,)
