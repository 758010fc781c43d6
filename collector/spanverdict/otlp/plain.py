"""Tells at a glance which attributes are sound: those that look as nearly all do."""

from __future__ import annotations

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


def are_plain(rows: Rows) -> Bools:
    """Tell which rows hold a `KeyValue` of an ASCII key and an ASCII text, a flag, a whole or a real number.

    Those are readable for sure; of the others nothing is known.
    """
    octets = rows.view(np.uint8)
    data = np.concatenate([octets.ravel(), np.zeros(2 * _WORD, np.uint8)])
    sizes = sizes_of(rows)
    key_end = np.minimum(octets[:, 1].astype(np.int64) + 2, sizes)
    value = np.arange(0, rows.nbytes, octets.shape[1]) + key_end
    size = sizes - key_end - 2
    head = _at(value, data, "<u4").astype(np.int64)
    framed = _VALUE | size << 8
    is_text = head == framed | _TEXT | size - 2 << 24
    is_number = (head & _FIRST_THREE == framed | _WHOLE) & _are_varints(data, value + 3, size - 1)
    is_number |= (head & _FIRST_THREE == framed | _REAL) & (size == _REAL_SIZE)
    is_number |= (head & _BUT_LAST_SEVEN_BITS == framed | _FLAG) & (size == _FLAG_SIZE)
    texts = kept(rows, np.where(is_text, sizes, key_end))
    plain: Bools = (octets[:, 0] == _KEY) & (is_text | is_number) & equal_rows(texts & _HIGH_BITS, _NONE)
    return plain


def _at(places: Places, data: Bytes, dtype: str) -> npt.NDArray[Any]:
    kind = np.dtype(dtype)
    every: npt.NDArray[Any] = np.ndarray((len(data) - kind.itemsize + 1,), kind, data, strides=(1,))
    return every[places]


def _are_varints(data: Bytes, places: Places, sizes: Int64s) -> Bools:
    """Tell where exactly so many bytes are one varint; of more than eight bytes nothing is known."""
    words: Rows = _at(places, data, "<u8")
    sizes = np.where((sizes > 0) & (sizes <= _WORD), sizes, 0)
    are: Bools = words & _LOOKED_AT.take(sizes) == _CONTINUED.take(sizes)
    return are


_LOOKED_AT: Final = np.array([0, *(sum(0x80 << 8 * at for at in range(size)) for size in range(1, 9))], np.uint64)
_CONTINUED: Final = np.array([1, *(sum(0x80 << 8 * at for at in range(size - 1)) for size in range(1, 9))], np.uint64)
"""By size: the high bits, and those that are set; for size 0 what can never be."""
