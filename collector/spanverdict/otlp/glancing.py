"""A glance at new attributes by a compiled loop: what is surely sound, and what has to be searched for secrets.

Does what `shapes.py` and `plain.py` do, row by row. What is not sound at a glance is left to protobuf.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spanverdict.otlp.judging import judge_each, judge_items, judge_strings, judge_trace_ids
from spanverdict.otlp.shapes import (
    FLAG,
    FLAG_SIZE,
    KEY,
    LEAST_VALUE,
    MAX_VARINT,
    REAL,
    REAL_SIZE,
    TEXT,
    VALUE,
    WHOLE,
    WORD,
)
from spanverdict.telemetry.blocks import Bytes, Int32s, Int64s, Places, Rows, items_of
from spanverdict.telemetry.compiling import part, routine
from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.pool import Pool, Show

_LONG: Final = 128
_HIGH_BITS: Final = np.uint64(0x8080808080808080)
_BUT_LAST: Final = np.uint64(0x00FFFFFFFFFFFFFF)


class New(NamedTuple):
    """Attributes as rows, and the numbers of their keys."""

    rows: Rows
    octets: npt.NDArray[np.uint8]
    """(n, width): the same."""
    keys: Int32s


class Seen(NamedTuple):
    """What a glance tells."""

    shown: npt.NDArray[np.int8]
    """For each key whether its name was shown, with a number."""
    doubtful: Int64s
    """Which rows are not sound at a glance."""
    texts: Rows
    """What has to be searched, zeros between."""
    filled: Int64s
    """How many there are of the last two."""


@part
def _is_varint(octets: npt.NDArray[np.uint8], row: int, at: int, end: int) -> bool:
    if not 0 < end - at <= MAX_VARINT:
        return False
    for place in range(at, end - 1):
        if octets[row, place] < _LONG:
            return False
    return bool(octets[row, end - 1] < _LONG)


@part
def _is_number(octets: npt.NDArray[np.uint8], row: int, at: int, end: int) -> bool:
    """Tell whether a value is a flag, a whole or a real number."""
    kind, size = octets[row, at], end - at
    if kind == REAL:
        return size == REAL_SIZE
    if kind == FLAG:
        return size == FLAG_SIZE and bool(octets[row, at + 1] < _LONG)
    return kind == WHOLE and _is_varint(octets, row, at + 1, end)


@part
def _is_ascii(octets: npt.NDArray[np.uint8], row: int, at: int, end: int) -> bool:
    high = 0
    for place in range(at, end):
        high |= octets[row, place]
    return high < _LONG


@part
def _has_high_bits(rows: Rows, row: int) -> bool:
    last = rows.shape[1] - 1
    found = rows[row, last] & _BUT_LAST
    for place in range(last):
        found |= rows[row, place]
    return bool(found & _HIGH_BITS)


@part
def _show(rows: Rows, row: int, size: int, seen: Seen) -> None:
    last = rows.shape[1] - 1
    n_words, filled = size // WORD + 1, seen.filled[1]
    for place in range(n_words):
        seen.texts[filled + place] = rows[row, place]
    if n_words > last:
        seen.texts[filled + last] &= _BUT_LAST
    seen.filled[1] = filled + n_words


@routine((New, "u8,2 u1,2 i4"), (Seen, "i1 i8 u8 i8"))
def glance(new: New, seen: Seen) -> int:
    """Glance at rows; returns how many are doubtful."""
    rows, octets, keys = new
    last = octets.shape[1] - 1
    for row in range(len(keys)):
        size = int(octets[row, last]) - 1
        length = int(octets[row, 1])
        end = length + 2
        framed = octets[row, 0] == KEY and length < _LONG and end + LEAST_VALUE <= size
        is_text = is_number = False
        if framed and octets[row, end] == VALUE and octets[row, end + 1] == size - end - 2:
            if octets[row, end + 2] == TEXT:
                is_text = octets[row, end + 3] == size - end - 4 and not _has_high_bits(rows, row)
            else:
                is_number = _is_number(octets, row, end + 2, size) and _is_ascii(octets, row, 2, end)
        if not is_number or not seen.shown[keys[row]]:
            _show(rows, row, size, seen)
            if is_number:
                seen.shown[keys[row]] = 1
        if not (is_text or is_number):
            seen.doubtful[seen.filled[0]] = row
            seen.filled[0] += 1
    return int(seen.filled[0])


def judge(pool: Pool) -> None:
    """Judge all that is new to a pool, and number the keys of new attributes."""
    judge_trace_ids(pool.traces)
    _judge_attributes(pool)
    judge_strings(pool.strings, pool.show)


def _judge_attributes(pool: Pool) -> None:
    attributes, index = pool.attributes, pool.keys_found()
    keys: Int32s = index.of_attributes()[attributes.judged :].astype(np.int32)
    first = attributes.judged
    for start, items in attributes.parts(first):
        end = start + len(items)
        if isinstance(items, np.ndarray):
            _judge_rows(
                attributes, start, New(items, items.view(np.uint8), keys[start - first : end - first]), pool.show
            )
        else:
            judge_items(attributes, np.arange(start, end), items, pool.show)
        attributes.judged = end


def _judge_rows(attributes: Interner, start: int, new: New, show: Show | None) -> None:
    rows = new.rows
    shown = np.zeros(int(new.keys.max()) + 1, np.int8)
    seen = Seen(shown, np.empty(len(rows), np.int64), np.empty(rows.size, np.uint64), np.zeros(2, np.int64))
    n_doubtful = glance(new, seen)
    if show is not None:
        texts: Bytes = seen.texts[: seen.filled[1]].view(np.uint8)
        show(texts)
    doubtful: Places = seen.doubtful[:n_doubtful]
    if n_doubtful:
        judge_each(attributes, doubtful + start, items_of(rows.take(doubtful, axis=0)), show)


ROUTINES: Final = (glance,)
