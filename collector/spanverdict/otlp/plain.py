"""Tells at a glance which attributes are sound: those that look as nearly all do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import Bools, Bytes, Int64s, Places, Rows, equal_rows, kept, sizes_of

_KEY: Final = 0x0A
_VALUE: Final = 0x12
_TEXT: Final = 0x0A << 16
_FLAG: Final = 0x10 << 16
_WHOLE: Final = 0x18 << 16
_REAL: Final = 0x21 << 16
"""Tags: that of the kind of value stands two bytes after that of the value."""
_FLAG_SIZE: Final = 2
_REAL_SIZE: Final = 9
_FIRST_THREE: Final = 0xFFFFFF
_BUT_LAST_SEVEN_BITS: Final = 0x80FFFFFF
_WORD: Final = 8
_HIGH_BITS: Final = np.uint64(0x8080808080808080)
_NONE: Final = np.zeros(1, np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a glance at rows of attributes shows."""

    plain: Bools
    """Which hold a `KeyValue` of an ASCII key and an ASCII text, a flag, a whole or a real number. Those are readable
    for sure; of the others nothing is known."""
    texts: Rows
    """The rows, less what is surely a number or a flag and not text …"""
    ends: Int64s
    """… and their sizes."""

    def searchable(self) -> Bytes:
        """Return all texts, less those that are as the one before; zeros are between them."""
        differs = np.ones(len(self.texts), np.bool_)
        np.logical_not(equal_rows(self.texts[1:], self.texts[:-1]), out=differs[1:])
        which = differs.nonzero()[0]
        n_words = int(self.ends.take(which).max()) // _WORD + 1
        return self.texts.take(which, axis=0)[:, :n_words].ravel().view(np.uint8)


def look_at(rows: Rows) -> Look:
    """Glance at rows of attributes."""
    octets = rows.view(np.uint8)
    sizes = sizes_of(rows)
    key_end = np.minimum(octets[:, 1] + np.int64(2), sizes)
    value = np.arange(0, rows.nbytes, octets.shape[1]) + key_end
    size = sizes - key_end - 2
    framed = _VALUE | size << 8
    head = _at(value, octets, "<u4").astype(np.int64)
    is_text = head == framed | _TEXT | size - 2 << 24
    rest = (~is_text).nonzero()[0]
    is_number = np.zeros(len(rows), np.bool_)
    if len(rest):
        is_number[rest] = _are_numbers(octets, head.take(rest), framed.take(rest), value.take(rest), size.take(rest))
    ends = np.where(is_number, key_end, sizes)
    texts = kept(rows, ends)
    plain: Bools = (octets[:, 0] == _KEY) & (is_text | is_number)
    if np.bitwise_or.reduce(texts, axis=None) & _HIGH_BITS:
        plain &= equal_rows(texts & _HIGH_BITS, _NONE)
    return Look(plain, texts, ends)


def _are_numbers(octets: Bytes, head: Int64s, framed: Int64s, value: Places, size: Int64s) -> Bools:
    kind = head & _FIRST_THREE
    are: Bools = (kind == framed | _WHOLE) & _are_varints(octets, value + 3, size - 1)
    are |= (kind == framed | _REAL) & (size == _REAL_SIZE)
    are |= (head & _BUT_LAST_SEVEN_BITS == framed | _FLAG) & (size == _FLAG_SIZE)
    return are


def _at(places: Places, octets: Bytes, dtype: str) -> npt.NDArray[Any]:
    """Return what stands at places in all bytes of rows, one a row; what would reach beyond them is read as ones."""
    kind = np.dtype(dtype)
    last = octets.size - kind.itemsize
    every: npt.NDArray[Any] = np.ndarray((last + 1,), kind, octets, strides=(1,))
    beyond = places[-1] > last
    found = every[np.minimum(places, last) if beyond else places]
    if beyond:
        found[-1] = np.iinfo(kind).max
    return found


def _are_varints(octets: Bytes, places: Places, sizes: Int64s) -> Bools:
    """Tell where exactly so many bytes are one varint; of more than eight bytes nothing is known."""
    words: Rows = _at(places, octets, "<u8")
    sizes = np.where((sizes > 0) & (sizes <= _WORD), sizes, 0)
    are: Bools = words & _LOOKED_AT.take(sizes) == _CONTINUED.take(sizes)
    return are


_LOOKED_AT: Final = np.array([0, *(sum(0x80 << 8 * at for at in range(size)) for size in range(1, 9))], np.uint64)
_CONTINUED: Final = np.array([1, *(sum(0x80 << 8 * at for at in range(size - 1)) for size in range(1, 9))], np.uint64)
"""By size: the high bits, and those that are set; for size 0 what can never be."""
