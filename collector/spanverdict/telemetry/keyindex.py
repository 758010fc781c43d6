"""Which attributes carry which key."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.alikes import KEY, LONG, Alikes
from spanverdict.telemetry.blocks import Block, Bools, Rows, items_of, sizes_of
from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.keying import KeyMemory
from spanverdict.telemetry.vectors import Int32s

KeyNumbers: TypeAlias = "npt.NDArray[np.uint16] | Int32s"

KEY_BYTES: Final = 2
"""What the key of an attribute takes, mostly."""
_SPARE: Final = 8
"""One part in so many is added when there is too little room."""
_MAX_VARINT_BITS: Final = 63
_FEW_KEYS: Final = 2**16
_USUAL_KEYS: Final = 12
"""New attributes are mostly of a few keys, which are looked for one after the other before others are numbered."""


class KeyIndex:
    """Which interned attributes carry which key. Safe to read from several threads."""

    def __init__(self, attributes: Interner) -> None:
        self._attributes = attributes
        self._names = Interner()
        self._lock = threading.Lock()
        self._array: KeyNumbers = np.zeros(0, np.uint16)
        self._known = 0
        self._memories: dict[int, KeyMemory] = {}

    def refresh(self, *, compiled: bool = False) -> None:
        """Take in attributes interned since the last call; a constant cost per new one.

        With `compiled` routines look at those that are kept as rows.
        """
        attributes = self._attributes
        if self._known == len(attributes):
            return
        with self._lock:
            for _, part in attributes.parts(self._known):
                if compiled and isinstance(part, np.ndarray):
                    self._add(self._looked_up(part))
                else:
                    self._add(_key_numbers(part, self._names))

    def _looked_up(self, rows: Rows) -> Int32s:
        width = 8 * rows.shape[1]
        memory = self._memories.get(width) or self._memories.setdefault(width, KeyMemory.of_width(width))
        found = memory.look_up(rows)
        if not found.filled[0]:
            return found.numbers
        unknown = rows.take(found.unknown[: found.filled[0]], axis=0)
        return memory.learn(found, self._names.number_all(_keys_of(items_of(unknown))))

    def since(self, n_attributes: int, n_keys: int) -> tuple[KeyNumbers, list[bytes]]:
        """Return the key ids of attributes from a number on, and the names of keys from an id on."""
        return self.of_attributes()[n_attributes:], self._names.items_by_id[n_keys:]

    def _add(self, numbers: KeyNumbers) -> None:
        """Take in the key ids of the attributes that come next."""
        start, end = self._known, self._known + len(numbers)
        few = len(self._names) <= _FEW_KEYS
        if end > len(self._array) or few != (self._array.dtype == np.uint16):
            self._array = _longer(self._array[:start], len(numbers) + end // _SPARE, few=few)
        self._array[start:end] = numbers
        self._known = end

    def __len__(self) -> int:
        """Return how many keys were seen."""
        return len(self._names)

    def names(self) -> tuple[str, ...]:
        """Return every key seen; the position is the key's id."""
        return tuple(name.decode("utf-8", "replace") for name in self._names.items_by_id)

    def id_of(self, key: str) -> int:
        """Return the id of `key`, or -1 when no attribute carries it."""
        return self._names.find(key.encode("utf-8", "surrogatepass"))

    def of_attributes(self) -> KeyNumbers:
        """Return the key id of each interned attribute, (n_attributes,), in two bytes while that is enough."""
        return self._array[: self._known]


class ToldKeys(KeyIndex):
    """Which key attributes carry, as somebody else has found out who told us the attributes."""

    def learn(self, numbers: KeyNumbers, names: Sequence[bytes]) -> None:
        """Take in the key ids of the next attributes, and the names of the keys seen first among them."""
        with self._lock:
            self._names.number_all(names)
            self._add(numbers)

    def refresh(self, *, compiled: bool = False) -> None:
        """Do nothing: what can be asked for was told."""


def _longer(numbers: KeyNumbers, more: int, *, few: bool) -> KeyNumbers:
    zeros: KeyNumbers = np.zeros(len(numbers) + more, np.uint16) if few else np.zeros(len(numbers) + more, np.int32)
    zeros[: len(numbers)] = numbers
    return zeros


def _key_numbers(key_values: Sequence[bytes] | Rows, names: Interner) -> Int32s:
    if isinstance(key_values, Alikes):
        samples, which = key_values.samples()
        return names.number_all(_keys_of(samples)).take(which)
    if not isinstance(key_values, np.ndarray):
        return names.number_all(_keys_of(key_values))
    numbers = np.full(len(key_values), -1, np.int32)
    for _ in range(_USUAL_KEYS):
        first = int(numbers.argmin())  # of those without a number, while there are any
        if numbers[first] >= 0:
            return numbers
        (number,) = names.number_all(_keys_of(items_of(key_values[first : first + 1])))
        np.copyto(numbers, number, where=_begin_alike(key_values, first))
    left = np.flatnonzero(numbers < 0)
    numbers[left] = _unusual_key_numbers(key_values[left], names)
    return numbers


def _begin_alike(rows: Rows, one: int) -> Bools:
    """Tell which rows begin with the key of a certain one; only itself where that is not to be seen at once."""
    row = rows[one]
    item = row.tobytes()
    size = item[1] + 2
    # A row whose key is cut short has zeros in its place: they are no end of a key, nor is the last byte, its size.
    if item[0] != KEY or size >= min(LONG, len(item)) or not item[size - 1]:
        only: Bools = np.arange(len(rows)) == one
        return only
    whole, more = divmod(size, 8)
    alike: list[Bools] = [rows[:, word] == row[word] for word in range(whole)]
    if more:
        mask = np.uint64((1 << 8 * more) - 1)
        alike.append(rows[:, whole] & mask == row[whole] & mask)
    found: Bools = np.logical_and.reduce(alike)
    return found


def _unusual_key_numbers(key_values: Rows, names: Interner) -> Int32s:
    block = Block.of([key_values.tobytes()])
    width = 8 * key_values.shape[1]
    starts, sizes = np.arange(0, len(key_values) * width, width), sizes_of(key_values)
    lengths = block.array.take(starts + 1).astype(np.int64)
    usual = (block.array.take(starts) == KEY) & (lengths < LONG) & (lengths + 2 <= sizes)
    if usual.all():
        return names.number_within(block, starts + 2, lengths)
    return names.number_all(_keys_of(items_of(key_values)))


def _keys_of(key_values: Sequence[bytes]) -> list[bytes]:
    """Read the keys of serialised `KeyValue`s without parsing the rest; b"" where there is none.

    Field 1, length-delimited and short, comes first as every known writer puts it; anything else
    is read field by field.
    """
    try:
        return [item[2 : 2 + item[1]] if item[1] < LONG and item[0] == KEY else _scan_key(item) for item in key_values]
    except IndexError:  # an item of no bytes, or of one
        return [_keys_of([item])[0] if len(item) > 1 else _scan_key(item) for item in key_values]


def _scan_key(key_value: bytes) -> bytes:
    key, at = b"", 0
    while at < len(key_value):
        tag, at = _varint(key_value, at)
        size = {0: 0, 1: 8, 5: 4}.get(tag & 7, -1)
        if tag & 7 == 0:
            _, at = _varint(key_value, at)
        elif size < 0:
            size, at = _varint(key_value, at)
        if tag == KEY:
            key = key_value[at : at + size]
        at += size
    return key


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < LONG or shift == _MAX_VARINT_BITS:
            break
        shift += 7
    return number, at
