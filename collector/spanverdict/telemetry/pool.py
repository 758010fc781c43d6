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

from spanverdict.telemetry.blocks import Block, Rows, items_of, sizes_of
from spanverdict.telemetry.interning import Interner

Value: TypeAlias = "str | bool | int | float | bytes | tuple[Value, ...] | Mapping[str, Value] | None"
"""An attribute value: a scalar, an array (tuple) or a key-value list (mapping)."""

AttributeDecoder: TypeAlias = Callable[[bytes], tuple[str, Value]]
"""Reads one serialised OTLP `KeyValue`."""

Int32s: TypeAlias = npt.NDArray[np.int32]

_MAX_VARINT_BITS: Final = 63
_ROOM: Final = 1024
_OBJECT_BYTES: Final = 120
"""What an item takes besides its bytes: an object, and a place in a list and in a dictionary."""
_KEY: Final = 0x0A
_CONTINUED: Final = 0x80


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
        self._array: Int32s = np.zeros(_ROOM, np.int32)
        self._known = 0

    def refresh(self) -> None:
        """Take in attributes interned since the last call; a constant cost per new one."""
        attributes = self._pool.attributes
        if self._known == len(attributes):
            return
        with self._lock:
            for start, part in attributes.parts(self._known):
                known = start + len(part)
                if known > len(self._array):
                    self._array = np.concatenate([self._array[:start], np.zeros(2 * known, np.int32)])
                self._array[start:known] = _key_numbers(part, self._names)
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

    def of_attributes(self) -> Int32s:
        """Return the key id of each interned attribute, (n_attributes,) int32."""
        return self._array[: self._known]


def _weight(items: Sequence[bytes]) -> int:
    return sum(map(len, items)) + _OBJECT_BYTES * len(items)


def _key_numbers(key_values: Sequence[bytes] | Rows, names: Interner) -> Int32s:
    if not isinstance(key_values, np.ndarray):
        return names.number_all(_keys_of(key_values))
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
    except IndexError:
        return [_scan_key(item) for item in key_values]


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
