"""Attributes that differ only in their values are sound if one of them is: a shape says what may differ.

Writers put one kind of attribute at one place of every span, so what is new comes in runs of few shapes. To hold a row
against a shape takes a fraction of what a look at it takes (`plain.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from spanverdict.telemetry.blocks import Bools, Bytes, Rows, equal_rows

KEY: Final = 0x0A
VALUE: Final = 0x12
TEXT: Final = 0x0A
FLAG: Final = 0x10
WHOLE: Final = 0x18
REAL: Final = 0x21
LEAST_VALUE: Final = 4
"""Bytes of the shortest value that is looked at, with its tag."""
MAX_VARINT: Final = 8
FLAG_SIZE: Final = 2
REAL_SIZE: Final = 9
_HIGH_BIT: Final = 0x80
_SAME: Final = 0xFF
WORD: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What rows have in common that hold one key, with sound values of one kind and size."""

    mask: Rows
    """Which bits of a row."""
    bits: Rows
    """What they are."""
    size: int
    """Of the items."""
    is_text: bool

    def fit(self, rows: Rows) -> Bools:
        """Tell which rows have it."""
        return equal_rows(rows & self.mask, self.bits)

    def texts(self, rows: Rows) -> Bytes:
        """Return what is in rows that have it, zeros between them."""
        texts = rows[:, : self.size // WORD + 1].copy().view(np.uint8)
        if texts.shape[1] == WORD * rows.shape[1]:
            texts[:, -1] = 0
        return texts.ravel()


def shape_of(row: Rows) -> Shape | None:
    """Return the shape of a single row; None if it takes a closer look.

    Those that have one hold a `KeyValue` of an ASCII key and an ASCII text, a flag, a whole or a real number.
    """
    data = row.tobytes()
    width, size = len(data), data[-1] - 1
    end = data[1] + 2
    if data[0] != KEY or end + LEAST_VALUE > size or not data[2:end].isascii():
        return None
    if data[end] != VALUE or data[end + 1] != size - end - 2:
        return None
    found = _value_of(data[end + 2 : size])
    if found is None:
        return None
    n_same, differs = found
    n_same += end + 2
    mask = bytes([_SAME] * n_same + [_SAME ^ differs] * (size - n_same) + [_SAME] * (width - size))
    bits = np.frombuffer(mask, np.uint64)[None, :]
    return Shape(bits, row & bits, size, data[end + 2] == TEXT)


def _value_of(value: bytes) -> tuple[int, int] | None:
    """Return how many bytes of a value are the same in all that have its shape, and which bits of the others differ."""
    kind, rest = value[0], value[1:]
    if kind == TEXT and rest[0] == len(rest) - 1 and rest.isascii():
        return 2, _HIGH_BIT - 1
    if kind == FLAG and len(value) == FLAG_SIZE and rest.isascii():
        return 1, _HIGH_BIT - 1
    if kind == REAL and len(value) == REAL_SIZE:
        return 1, _SAME
    goes_on = [byte >= _HIGH_BIT for byte in rest]
    if kind == WHOLE and len(rest) <= MAX_VARINT and goes_on == [True] * (len(rest) - 1) + [False]:
        return 1, _HIGH_BIT - 1
    return None
