"""The compiled part of decoding: finds spans in requests, and the fields of spans, in one pass over the bytes.

It reads what writers of OTLP write. Whatever is unusual - an unknown field, one sent twice that may come once, an id of
a wrong length, a length beyond what it is in - is left to protobuf, which knows what to make of it. Every index is
held against the end of what it is in before a byte is read: nobody else checks.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import Bytes, Int64s, Rows
from spanverdict.telemetry.compiling import compiled, inlined

UNUSUAL: Final = -1
N_LISTS: Final = 4
ATTRIBUTES, EVENTS, LINKS, STATUSES = range(N_LISTS)
TRACE, SPAN, PARENT, START, END = 0, 2, 3, 4, 5
"""Rows of `words`; a trace id takes two."""
KIND, DROPPED, FLAGS = 0, 1, 4
"""Rows of `small`."""
NAME, STATE = 0, 2
"""Rows of `texts`: where each begins, and its size."""

_LAST_SHIFT: Final = 28
"""Of a number of five bytes."""
_CONTINUED: Final = 128
_LOW: Final = 127
_FIRST: Final = 0x0A
_SECOND: Final = 0x12
_SCHEMA: Final = 0x1A
_IDS: Final = 1 << 1 | 1 << 2
_UNKNOWN, _ID, _NUMBER, _EIGHT, _FOUR, _TEXT, _LIST, _SINGLE = range(8)
"""How fields are read."""


def _readers() -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    how, where = np.zeros(256, np.int8), np.zeros(256, np.int8)
    known = (
        (0x0A, _ID, TRACE), (0x12, _ID, SPAN), (0x1A, _TEXT, STATE), (0x22, _ID, PARENT), (0x2A, _TEXT, NAME),
        (0x30, _NUMBER, KIND), (0x39, _EIGHT, START), (0x41, _EIGHT, END), (0x4A, _LIST, ATTRIBUTES),
        (0x50, _NUMBER, DROPPED), (0x5A, _LIST, EVENTS), (0x60, _NUMBER, DROPPED + 1), (0x6A, _LIST, LINKS),
        (0x70, _NUMBER, DROPPED + 2), (0x7A, _SINGLE, STATUSES), (0x85, _FOUR, FLAGS),
    )  # fmt: skip
    for tag, reader, place in known:
        how[tag], where[tag] = reader, place
    return how, where


_HOW, _WHERE = _readers()
"""By the first byte of a field: how it is read, and into which row."""


class Envelopes(NamedTuple):
    """What spans stand in."""

    spans: Int64s
    """(at most so many, 2): where each begins and ends."""
    runs: Int64s
    """(at most so many, 5): place and size of resource and scope of spans that share both; how many spans."""
    filled: Int64s
    """How many of each there are."""


class Columns(NamedTuple):
    """What the fields of spans are written to."""

    words: Rows
    """(6, n) as they lie in memory."""
    small: Int64s
    """(5, n)"""
    texts: Int64s
    """(4, n)"""
    places: Int64s
    """(`N_LISTS`, 2, at most so many): where each item begins, and its size."""
    offsets: Int64s
    """(`N_LISTS`, n + 1): where the items of each span begin."""


@inlined
def _varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number of at most five bytes, and what follows it; `UNUSUAL` for the former if there is none."""
    if at >= end:
        return UNUSUAL, at
    value = int(data[at])
    at += 1
    if value < _CONTINUED:
        return value, at
    value &= _LOW
    shift = 7
    while at < end and shift <= _LAST_SHIFT:
        byte = int(data[at])
        at += 1
        value |= (byte & _LOW) << shift
        if byte < _CONTINUED:
            return value, at
        shift += 7
    return UNUSUAL, at


@inlined
def _contents(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Return the size of contents whose length stands here, and where they begin; `UNUSUAL` if they do not fit."""
    size, begin = _varint(data, at, end)
    if size > end - begin:
        return UNUSUAL, begin
    return size, begin


@compiled
def find_spans(data: Bytes, requests: Int64s, found: Envelopes, counts: Int64s) -> bool:
    """Find the spans of requests that stand between given places, and how many each has.

    False when something is unusual, or there is too little room.
    """
    for request in range(len(requests)):
        at, end, before = requests[request, 0], requests[request, 1], found.filled[0]
        while at < end:
            if data[at] != _FIRST:
                return False
            size, at = _contents(data, at + 1, end)
            if size < 0 or not _open_resource(data, at, at + size, found):
                return False
            at += size
        counts[request] = found.filled[0] - before
    return True


@compiled
def _open_resource(data: Bytes, at: int, end: int, found: Envelopes) -> bool:
    _, runs, filled = found
    first, start, known = filled[1], 0, -1
    while at < end:
        tag = data[at]
        size, at = _contents(data, at + 1, end)
        if size < 0 or (tag == _FIRST and known >= 0) or filled[1] == len(runs):
            return False
        if tag == _FIRST:
            start, known = at, size
        elif tag == _SECOND:
            if not _open_scope(data, at, at + size, found):
                return False
        elif tag != _SCHEMA:
            return False
        at += size
    for run in range(first, filled[1]):
        runs[run, 0], runs[run, 1] = start, max(known, 0)
    return True


@compiled
def _open_scope(data: Bytes, at: int, end: int, found: Envelopes) -> bool:
    spans, runs, filled = found
    n_spans, start, known = filled[0], 0, -1
    while at < end:
        tag = data[at]
        size, at = _contents(data, at + 1, end)
        if size < 0 or (tag == _FIRST and known >= 0) or n_spans == len(spans):
            return False
        if tag == _SECOND:
            spans[n_spans, 0], spans[n_spans, 1] = at, at + size
            n_spans += 1
        elif tag == _FIRST:
            start, known = at, size
        elif tag != _SCHEMA:
            return False
        at += size
    run = filled[1]
    runs[run, 2], runs[run, 3], runs[run, 4] = start, max(known, 0), n_spans - filled[0]
    filled[0], filled[1] = n_spans, run + 1
    return True


@compiled
def read_spans(data: Bytes, words: Rows, fours: npt.NDArray[np.uint32], spans: Int64s, columns: Columns) -> bool:
    """Read the fields of spans into columns that are all zero; False when something is unusual.

    `words` and `fours` are the data read as eight and as four bytes at every place.
    """
    into, small, texts, places, offsets = columns
    filled, room = np.zeros(N_LISTS, np.int64), places.shape[2]
    for row in range(len(spans)):
        at, end, seen = spans[row, 0], spans[row, 1], 0
        while at < end:
            tag = int(data[at])
            how, place = _HOW[tag], _WHERE[tag]
            at += 1
            bit = 1 << (tag >> 3)
            if seen & bit and how != _LIST:
                return False
            seen |= bit
            if how == _EIGHT:
                size = 8
                if end - at < size:
                    return False
                into[place, row] = words[at]
            elif how == _FOUR:
                size = 5
                if end - at < size or data[at] != 1:  # the second byte of its tag
                    return False
                small[place, row] = fours[at + 1]
            elif how == _NUMBER:
                small[place, row], at = _varint(data, at, end)
                size = 0
                if small[place, row] < 0:
                    return False
            else:
                size, at = _contents(data, at, end)
                if size < 0 or how == _UNKNOWN:
                    return False
                if how >= _LIST:
                    n = filled[place]
                    if n == room:
                        return False
                    places[place, 0, n], places[place, 1, n] = at, size
                    filled[place] = n + 1
                elif how == _TEXT:
                    texts[place, row], texts[place + 1, row] = at, size
                elif size == (16 if place == TRACE else 8):
                    into[place, row] = words[at]
                    if place == TRACE:
                        into[place + 1, row] = words[at + 8]
                elif size or place != PARENT:
                    return False
            at += size
        if seen & _IDS != _IDS:
            return False
        for place in range(N_LISTS):
            offsets[place, row + 1] = filled[place]
    return True
