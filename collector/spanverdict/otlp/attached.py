"""The compiled part of reading what hangs on spans: events, links and statuses.

Like `walking.py` it leaves to protobuf whatever is unusual: here also ids that are missing, and a count of attributes
that were left out.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spanverdict.otlp.walking import contents, turned, varint
from spanverdict.telemetry.blocks import Bytes, Int32s, Int64s, Rows
from spanverdict.telemetry.compiling import Everywhere, routine
from spanverdict.telemetry.vocabulary import StatusCode

KINDS: Final = 3
EVENT, LINK, STATUS = range(KINDS)
TIME, TRACE, SPAN = 0, 0, 2
"""Rows of `words`; a trace id takes two."""

_UNKNOWN, _TEXT, _ATTRIBUTE, _TIME, _TRACE, _SPAN, _FLAGS, _CODE, _LEFT_OUT = range(9)
"""How fields are read."""
_KNOWN: Final = {
    EVENT: ((0x09, _TIME), (0x12, _TEXT), (0x1A, _ATTRIBUTE), (0x20, _LEFT_OUT)),
    LINK: ((0x0A, _TRACE), (0x12, _SPAN), (0x1A, _TEXT), (0x22, _ATTRIBUTE), (0x28, _LEFT_OUT), (0x35, _FLAGS)),
    STATUS: ((0x12, _TEXT), (0x18, _CODE)),
}
_MAX_TIME: Final = np.uint64((1 << 63) - 1)
_LAST_CODE: Final = int(max(StatusCode))
_TRACE_SIZE: Final = 16
_WORD: Final = 8
_FOUR: Final = 4


def _readers() -> npt.NDArray[np.int8]:
    how = np.zeros((KINDS, 256), np.int8)
    for kind, known in _KNOWN.items():
        for tag, reader in known:
            how[kind, tag] = reader
    return how


_HOW = _readers()
"""By kind and first byte of a field: how it is read."""
_WANTED = np.array([0, 1 << _TRACE | 1 << _SPAN, 0])
"""By kind: what must be there."""


class Hanging(NamedTuple):
    """Items of one kind, and where they stand."""

    data: Bytes
    words: Everywhere
    """The data read as eight, and as four bytes at every place."""
    fours: Everywhere
    items: Int32s
    """(2, n): where each begins, and its size."""
    kind: Int64s
    """One number."""


class Read(NamedTuple):
    """What their fields are written to; all of it is zero before but for the attributes."""

    words: Rows
    """(3, n): times, or ids."""
    numbers: Int64s
    """Codes, or flags."""
    texts: Int32s
    """(2, n): where each begins, and its size."""
    offsets: Int64s
    """(n + 1): where the attributes of each end …"""
    attributes: Int32s
    """… among all that were found: (2, at most so many) where each begins, and its size."""
    filled: Int64s
    """How many attributes there are, those that were found before included."""


@routine((Hanging, "u1 *u8 *u4 i4,2 i8"), (Read, "u8,2 i8 i4,2 i8 i4,2 i8"))
def read_attached(hanging: Hanging, read: Read) -> int:
    """Read the fields of items; 0 when something is unusual."""
    data, words, fours, items, kinds = hanging
    kind = kinds[0]
    first = read.filled[0]
    for row in range(items.shape[1]):
        at, seen = items[0, row], 0
        end = at + items[1, row]
        while at < end:
            how = _HOW[kind, data[at]]
            bit = 1 << how
            if how == _UNKNOWN or (seen & bit and how != _ATTRIBUTE):
                return 0
            seen |= bit
            at += 1
            if how in (_TIME, _FLAGS):
                size = _WORD if how == _TIME else _FOUR
                if end - at < size:
                    return 0
                if how == _TIME:
                    read.words[TIME, row] = min(words[at], _MAX_TIME)
                else:
                    read.numbers[row] = fours[at]
            elif how in (_CODE, _LEFT_OUT):
                number, at = varint(data, at, end)
                size = 0
                if number < 0 or (number and how == _LEFT_OUT):
                    return 0
                read.numbers[row] += number if number <= _LAST_CODE else 0
            else:
                size, at = contents(data, at, end)
                if size < 0:
                    return 0
                if how == _TEXT:
                    read.texts[0, row], read.texts[1, row] = at, size
                elif how == _ATTRIBUTE:
                    n = read.filled[0]
                    if n == read.attributes.shape[1]:
                        return 0
                    read.attributes[0, n], read.attributes[1, n] = at, size
                    read.filled[0] = n + 1
                elif how == _TRACE and size == _TRACE_SIZE:
                    read.words[TRACE, row], read.words[TRACE + 1, row] = words[at], words[at + _WORD]
                elif how == _SPAN and size == _WORD:
                    read.words[SPAN, row] = turned(words[at])
                else:
                    return 0
            at += size
        if seen & _WANTED[kind] != _WANTED[kind]:
            return 0
        read.offsets[row + 1] = read.filled[0] - first
    return 1


ROUTINES: Final = (read_attached,)
