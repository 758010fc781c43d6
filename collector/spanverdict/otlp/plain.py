"""Tells at a glance which attributes are sound: those that look as nearly all do."""

from __future__ import annotations

from typing import Final

import numpy as np

from spanverdict.telemetry.blocks import Bools, Bytes, Int64s, Places, Rows, equal_rows, kept, sizes_of

_KEY: Final = 0x0A
_VALUE: Final = 0x12
_TEXT: Final = 0x0A
_BOOL: Final = 0x10
_INT: Final = 0x18
_DOUBLE: Final = 0x21
_DOUBLE_SIZE: Final = 9
_BOOL_SIZE: Final = 2
_WORD: Final = 8
_HIGH_BIT: Final = 0x80
_HIGH_BITS: Final = np.uint64(0x8080808080808080)
_NONE: Final = np.zeros(1, np.uint64)


def are_plain(rows: Rows) -> Bools:
    """Tell which rows hold a `KeyValue` of an ASCII key and an ASCII text, a flag, a whole or a real number.

    Those are readable for sure; of the others nothing is known.
    """
    data = np.concatenate([rows.view(np.uint8).ravel(), np.zeros(2 * _WORD, np.uint8)])
    first = np.arange(0, rows.nbytes, 8 * rows.shape[1])
    sizes = sizes_of(rows)
    key_end = np.minimum(data.take(first + 1).astype(np.int64) + 2, sizes)
    value = first + key_end
    value_size = sizes - key_end - 2
    framed = (data.take(first) == _KEY) & (data.take(value) == _VALUE) & (data.take(value + 1) == value_size)
    kind, second = data.take(value + 2), data.take(value + 3)
    is_text = (kind == _TEXT) & (second == value_size - 2)
    is_number = (kind == _INT) & _are_varints(data, value + 3, value_size - 1)
    is_number |= (kind == _DOUBLE) & (value_size == _DOUBLE_SIZE)
    is_number |= (kind == _BOOL) & (second < _HIGH_BIT) & (value_size == _BOOL_SIZE)
    texts = kept(rows, np.where(is_text, sizes, key_end))
    plain: Bools = framed & (is_text | is_number) & equal_rows(texts & _HIGH_BITS, _NONE)
    return plain


def _are_varints(data: Bytes, places: Places, sizes: Int64s) -> Bools:
    """Tell where exactly so many bytes are one varint; of more than eight bytes nothing is known."""
    words: Rows = np.ndarray((len(data) - _WORD + 1,), np.dtype("<u8"), data, strides=(1,))[places]
    sizes = np.where((sizes > 0) & (sizes <= _WORD), sizes, 0)
    are: Bools = words & _LOOKED_AT.take(sizes) == _CONTINUED.take(sizes)
    return are


_LOOKED_AT: Final = np.array([0, *(sum(0x80 << 8 * at for at in range(size)) for size in range(1, 9))], np.uint64)
_CONTINUED: Final = np.array([1, *(sum(0x80 << 8 * at for at in range(size - 1)) for size in range(1, 9))], np.uint64)
"""By size: the high bits, and those that are set; for size 0 what can never be."""
