"""The compiled part of decoding: finds spans in requests, and the fields of spans, in one pass over the bytes.

It reads what writers of OTLP write. Whatever is unusual - an unknown field, one sent twice that may come once, an id of
a wrong length, a length beyond what it is in - is left to protobuf, which knows what to make of it. Every index is
held against the end of what it is in before a byte is read: nobody else checks. Places take four bytes, so no more than
two gigabytes are read at a time.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import Bytes, Int32s, Int64s, Rows
from spanverdict.telemetry.compiling import Everywhere, part, routine
from spanverdict.telemetry.spantable import MAX_TIME
from spanverdict.telemetry.vocabulary import SpanKind

UNUSUAL: Final = -1
N_LISTS: Final = 4
ATTRIBUTES, EVENTS, LINKS, STATUSES = range(N_LISTS)
TRACE, SPAN, PARENT, START, END = 0, 2, 3, 4, 5
"""Rows of `words`; a trace id takes two."""
NAME, STATE = 0, 2
"""Rows of `texts`: where each begins, and its size."""

_LAST_SHIFT: Final = 28
"""Of a number of five bytes."""
_CONTINUED: Final = 128
_LOW: Final = 127
_UINT32: Final = 0xFFFF_FFFF
_LAST_KIND: Final = int(max(SpanKind))
_MAX_TIME: Final = np.uint64(MAX_TIME)
_FIRST: Final = 0x0A
_SECOND: Final = 0x12
_SCHEMA: Final = 0x1A
_IDS: Final = 1 << 1 | 1 << 2
_UNKNOWN, _ID, _NUMBER, _TIME, _FOUR, _TEXT, _LIST, _SINGLE = range(8)
"""How fields are read."""


def _readers() -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    how, where = np.zeros(256, np.int8), np.zeros(256, np.int8)
    known = (
        (0x0A, _ID, TRACE), (0x12, _ID, SPAN), (0x1A, _TEXT, STATE), (0x22, _ID, PARENT), (0x2A, _TEXT, NAME),
        (0x30, _NUMBER, 0), (0x39, _TIME, START), (0x41, _TIME, END), (0x4A, _LIST, ATTRIBUTES),
        (0x50, _NUMBER, 1), (0x5A, _LIST, EVENTS), (0x60, _NUMBER, 2), (0x6A, _LIST, LINKS),
        (0x70, _NUMBER, 3), (0x7A, _SINGLE, STATUSES), (0x85, _FOUR, 0),
    )  # fmt: skip
    for tag, reader, place in known:
        how[tag], where[tag] = reader, place
    return how, where


_HOW, _WHERE = _readers()
"""By the first byte of a field: how it is read, and into which row; numbers are the kind, and how many were dropped."""


class Sent(NamedTuple):
    """Requests, one behind the other."""

    data: Bytes
    requests: Int64s
    """(n, 2): where each begins and ends."""


class Envelopes(NamedTuple):
    """What spans stand in."""

    spans: Int32s
    """(at most so many, 2): where each begins and ends."""
    runs: Int64s
    """(at most so many, 5): place and size of resource and scope of spans that share both; how many spans."""
    filled: Int64s
    """How many of each there are."""
    counts: Int64s
    """Spans a request."""


class Source(NamedTuple):
    """Spans that were found."""

    data: Bytes
    words: Everywhere
    """The data read as eight, and as four bytes at every place."""
    fours: Everywhere
    spans: Int32s


class Columns(NamedTuple):
    """What the fields of spans are written to; all of it is zero before."""

    words: Rows
    """(6, n): trace ids as they lie in memory, other ids, times."""
    kinds: npt.NDArray[np.int8]
    dropped: npt.NDArray[np.uint32]
    """(3, n): attributes, events, links."""
    flags: npt.NDArray[np.uint32]
    texts: Int32s
    """(4, n)"""
    places: Int32s
    """(`N_LISTS`, 2, at most so many): where each item begins, and its size; this need not be zero."""
    offsets: Int64s
    """(`N_LISTS`, n + 1): where the items of each span begin."""
    filled: Int64s
    """How many items are in each list."""


@part
def varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
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


@part
def contents(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Return the size of contents whose length stands here, and where they begin; `UNUSUAL` if they do not fit."""
    size, begin = varint(data, at, end)
    if size > end - begin:
        return UNUSUAL, begin
    return size, begin


@routine((Sent, "u1 i8,2"), (Envelopes, "i4,2 i8,2 i8 i8"))
def find_spans(sent: Sent, found: Envelopes) -> int:
    """Find the spans of requests, and how many each has.

    0 when something is unusual, or there is too little room.
    """
    data, requests = sent
    for request in range(len(requests)):
        at, end, before = requests[request, 0], requests[request, 1], found.filled[0]
        while at < end:
            if data[at] != _FIRST:
                return 0
            size, at = contents(data, at + 1, end)
            if size < 0 or not _open_resource(data, at, at + size, found):
                return 0
            at += size
        found.counts[request] = found.filled[0] - before
    return 1


@part
def _open_resource(data: Bytes, at: int, end: int, found: Envelopes) -> bool:
    _, runs, filled, _ = found
    first, start, known = filled[1], 0, -1
    while at < end:
        tag = data[at]
        size, at = contents(data, at + 1, end)
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


@part
def _open_scope(data: Bytes, at: int, end: int, found: Envelopes) -> bool:
    spans, runs, filled, _ = found
    n_spans, start, known = filled[0], 0, -1
    while at < end:
        tag = data[at]
        size, at = contents(data, at + 1, end)
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


@part
def turned(word: np.uint64) -> np.uint64:
    """Return eight bytes in the opposite order."""
    one, two, four = np.uint64(8), np.uint64(16), np.uint64(32)
    word = (word & _ODD_BYTES) << one | (word >> one) & _ODD_BYTES
    word = (word & _ODD_PAIRS) << two | (word >> two) & _ODD_PAIRS
    return word << four | word >> four


_ODD_BYTES: Final = np.uint64(0x00FF00FF00FF00FF)
_ODD_PAIRS: Final = np.uint64(0x0000FFFF0000FFFF)


@part
def _take_number(columns: Columns, place: int, row: int, number: int) -> None:
    if place == 0:
        kind = number & _UINT32
        columns.kinds[row] = kind if kind <= _LAST_KIND else 0
    else:
        columns.dropped[place - 1, row] = number & _UINT32


@part
def _take_id(words: Everywhere, columns: Columns, place: int, row: int, at: int) -> None:
    if place == TRACE:
        columns.words[TRACE, row], columns.words[TRACE + 1, row] = words[at], words[at + 8]
    else:
        columns.words[place, row] = turned(words[at])


@part
def _take_item(columns: Columns, place: int, at: int, size: int) -> bool:
    n = columns.filled[place]
    if n == columns.places.shape[2]:
        return False
    columns.places[place, 0, n], columns.places[place, 1, n] = at, size
    columns.filled[place] = n + 1
    return True


@routine((Source, "u1 *u8 *u4 i4,2"), (Columns, "u8,2 i1 u4,2 u4 i4,2 i4,3 i8,2 i8"))
def read_spans(source: Source, columns: Columns) -> int:
    """Read the fields of spans into columns; 0 when something is unusual."""
    data, words, fours, spans = source
    for row in range(len(spans)):
        at, end, seen = spans[row, 0], spans[row, 1], 0
        while at < end:
            tag = int(data[at])
            how, place = _HOW[tag], _WHERE[tag]
            at += 1
            bit = 1 << (tag >> 3)
            if seen & bit and how != _LIST:
                return 0
            seen |= bit
            if how == _TIME:
                size = 8
                if end - at < size:
                    return 0
                columns.words[place, row] = min(words[at], _MAX_TIME)
            elif how == _FOUR:
                size = 5
                if end - at < size or data[at] != 1:  # the second byte of its tag
                    return 0
                columns.flags[row] = fours[at + 1]
            elif how == _NUMBER:
                number, at = varint(data, at, end)
                size = 0
                if number < 0:
                    return 0
                _take_number(columns, place, row, number)
            else:
                size, at = contents(data, at, end)
                if size < 0 or how == _UNKNOWN:
                    return 0
                if how >= _LIST:
                    if not _take_item(columns, place, at, size):
                        return 0
                elif how == _TEXT:
                    columns.texts[place, row], columns.texts[place + 1, row] = at, size
                elif size == (16 if place == TRACE else 8):
                    _take_id(words, columns, place, row, at)
                elif size or place != PARENT:
                    return 0
            at += size
        if seen & _IDS != _IDS:
            return 0
        for place in range(N_LISTS):
            columns.offsets[place, row + 1] = columns.filled[place]
    return 1


ROUTINES: Final = (find_spans, read_spans)
