"""What the tables of one stretch of time have in common.

A span carries few distinct names, resources and attributes, so a table keeps `int32` ids and the
pool keeps what they stand for. Values are decoded once per distinct value, and only when asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import Block, Bools, Rows, items_of, sizes_of
from spanverdict.telemetry.interning import Interner

Value: TypeAlias = "str | bool | int | float | bytes | tuple[Value, ...] | Mapping[str, Value] | None"
"""An attribute value: a scalar, an array (tuple) or a key-value list (mapping)."""

AttributeDecoder: TypeAlias = Callable[[bytes], tuple[str, Value]]
"""Reads one serialised OTLP `KeyValue`."""

Int32s: TypeAlias = npt.NDArray[np.int32]
KeyNumbers: TypeAlias = npt.NDArray[np.uint16] | Int32s

_MAX_VARINT_BITS: Final = 63
_ROOM: Final = 1024
_OBJECT_BYTES: Final = 120
"""What an item takes besides its bytes: an object, and a place in a list and in a dictionary."""
_KEY: Final = 0x0A
_CONTINUED: Final = 0x80
_FEW_KEYS: Final = 2**16
_USUAL_KEYS: Final = 12
"""New attributes are mostly of a few keys, which are looked for one after the other before others are numbered."""


class Pool:
    """Everything that the tables of one stretch of time have in common.

    `traces` holds 16-byte trace ids; `strings` UTF-8 names, status messages and trace states;
    `attributes` serialised `KeyValue`s; `resources` and `scopes` serialised messages, whose own
    attribute ids the decoder records in `resource_attributes` and `scope_attributes` (same order).
    With `recent_attributes` equal attributes far apart may have several numbers (see `Interner`).
    """

    def __init__(self, decode_attribute: AttributeDecoder, recent_attributes: int = 0) -> None:
        self.traces = Interner()
        self.strings = Interner()
        self.attributes = Interner(recent_attributes)
        self.resources = Interner()
        self.scopes = Interner()
        self.resource_attributes: list[tuple[int, ...]] = []
        self.scope_attributes: list[tuple[int, ...]] = []
        self.scope_names: list[tuple[int, int]] = []
        """For each scope, the string ids of its name and version."""
        self.decode_attribute = decode_attribute
        self.nbytes = 0
        """How much memory all that takes, about, as of the last `weigh`."""
        self._weighed = [0] * 5
        self._keys = KeyIndex(self)

    def weigh(self) -> int:
        """Add up what is new since the last time, and return `nbytes`; for the thread that interns."""
        interners = (self.traces, self.strings, self.attributes, self.resources, self.scopes)
        for place, interner in enumerate(interners):
            for _, part in interner.parts(self._weighed[place]):
                self.nbytes += part.nbytes if isinstance(part, np.ndarray) else _weight(part)
            self._weighed[place] = len(interner)
        return self.nbytes

    def string(self, number: int) -> str:
        """Return an interned string; bytes that are not UTF-8 come back with replacement marks."""
        return self.strings.items_by_id[number].decode("utf-8", "replace")

    def attribute(self, number: int) -> tuple[str, Value]:
        """Return an interned attribute's key and value."""
        return self.decode_attribute(self.attributes.items_by_id[number])

    def values(self, numbers: Int32s) -> tuple[Value, ...]:
        """Return the values of interned attributes, whose numbers must not fall."""
        decode = self.decode_attribute
        return tuple([decode(item)[1] for item in self.attributes.taken(numbers)])

    def first_equals(self, numbers: Int32s) -> Int32s:
        """Renumber attributes so that equal ones have equal numbers, that of the least among `numbers`."""
        if not self.attributes.recent:
            return numbers
        used, positions = np.unique(numbers, return_inverse=True)
        items, first = self.attributes.taken(used), dict[bytes, int]()
        return np.array([*map(first.setdefault, items, used.tolist())], np.int32)[positions]

    def trace_hex(self, number: int) -> str:
        """Return an interned trace id as 32 lower-case hex digits."""
        return self.traces.items_by_id[number].hex()

    def adopt_resource(self, other: Pool, number: int) -> int:
        """Take over a resource of another pool and return its number here."""
        attributes = self._adopt_attributes(other, other.resource_attributes[number])
        here = self.resources[other.resources.items_by_id[number]]
        if here == len(self.resource_attributes):
            self.resource_attributes.append(attributes)
        return here

    def adopt_scope(self, other: Pool, number: int) -> int:
        """Take over an instrumentation scope of another pool and return its number here."""
        attributes = self._adopt_attributes(other, other.scope_attributes[number])
        name, version = (self.strings[other.strings.items_by_id[string]] for string in other.scope_names[number])
        here = self.scopes[other.scopes.items_by_id[number]]
        if here == len(self.scope_names):
            self.scope_attributes[here:] = [attributes]
            self.scope_names.append((name, version))
        return here

    def _adopt_attributes(self, other: Pool, numbers: tuple[int, ...]) -> tuple[int, ...]:
        return tuple([self.attributes[other.attributes.items_by_id[number]] for number in numbers])

    @property
    def keys(self) -> KeyIndex:
        """The keys of all attributes interned so far."""
        self._keys.refresh()
        return self._keys


class KeyIndex:
    """Which interned attributes carry which key. Safe to read from several threads."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._names = Interner()
        self._lock = threading.Lock()
        self._array: KeyNumbers = np.zeros(_ROOM, np.uint16)
        self._known = 0

    def refresh(self) -> None:
        """Take in attributes interned since the last call; a constant cost per new one."""
        attributes = self._pool.attributes
        if self._known == len(attributes):
            return
        with self._lock:
            for start, part in attributes.parts(self._known):
                known = start + len(part)
                numbers = _key_numbers(part, self._names)
                few = len(self._names) <= _FEW_KEYS
                if known > len(self._array) or few != (self._array.dtype == np.uint16):
                    self._array = _longer(self._array[:start], 2 * known, few=few)
                self._array[start:known] = numbers
                self._known = known

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


def _longer(numbers: KeyNumbers, more: int, *, few: bool) -> KeyNumbers:
    zeros: KeyNumbers = np.zeros(len(numbers) + more, np.uint16) if few else np.zeros(len(numbers) + more, np.int32)
    zeros[: len(numbers)] = numbers
    return zeros


def _weight(items: Sequence[bytes]) -> int:
    return sum(map(len, items)) + _OBJECT_BYTES * len(items)


def _key_numbers(key_values: Sequence[bytes] | Rows, names: Interner) -> Int32s:
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
    if item[0] != _KEY or size >= min(_CONTINUED, len(item)) or not item[size - 1]:
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
    usual = (block.array.take(starts) == _KEY) & (lengths < _CONTINUED) & (lengths + 2 <= sizes)
    if usual.all():
        return names.number_within(block, starts + 2, lengths)
    return names.number_all(_keys_of(items_of(key_values)))


def _keys_of(key_values: Sequence[bytes]) -> list[bytes]:
    """Read the keys of serialised `KeyValue`s without parsing the rest; b"" where there is none.

    Field 1, length-delimited and short, comes first as every known writer puts it; anything else
    is read field by field.
    """
    try:
        return [
            item[2 : 2 + item[1]] if item[1] < _CONTINUED and item[0] == _KEY else _scan_key(item)
            for item in key_values
        ]
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
        if tag == _KEY:
            key = key_value[at : at + size]
        at += size
    return key


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < _CONTINUED or shift == _MAX_VARINT_BITS:
            break
        shift += 7
    return number, at
