"""Interning: equal bytes are stored once and known by a small integer.

A span carries few distinct names, resources and attributes, so a table keeps `int32` ids and the
pool keeps what they stand for. Values are decoded once per distinct value, and only when asked.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import count, islice
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Value: TypeAlias = "str | bool | int | float | bytes | tuple[Value, ...] | Mapping[str, Value] | None"
"""An attribute value: a scalar, an array (tuple) or a key-value list (mapping)."""

AttributeDecoder: TypeAlias = Callable[[bytes], tuple[str, Value]]
"""Reads one serialised OTLP `KeyValue`."""

Int32s: TypeAlias = npt.NDArray[np.int32]

LIST_END: Final = os.urandom(8) + b"\xff"
"""Ends a list among items that are numbered together; random, so that no sender can mean it."""

_ROOM: Final = 1024
_MAX_VARINT_BITS: Final = 63


class Interner:
    """Maps distinct bytes to 0, 1, 2, … in order of first sight; `interner[b]` never fails.

    Items are only ever added, so readers need no lock. Whoever adds holds a lock of their own. With
    `recent`, about so many of the latest items are remembered: one that comes again later gets
    another number. That bounds the memory and keeps the lookups of items that never come again cheap.
    """

    __slots__ = ("_forgotten", "_numbers", "items_by_id", "judged", "recent", "unreadable")

    def __init__(self, recent: int = 0) -> None:
        self.recent = recent
        self._forgotten = 0
        self._numbers = _numbering(0)
        self.items_by_id: list[bytes] = []
        self.judged = 0
        """Items before this number have been looked at by a decoder …"""
        self.unreadable: set[int] = set()
        """… and these of them cannot be read: no table that it returned uses one."""

    def __len__(self) -> int:
        return len(self.items_by_id)

    def __getitem__(self, item: bytes) -> int:
        number = self._numbers[item]
        if number == len(self.items_by_id):
            self.items_by_id.append(item)
        return number

    def find(self, item: bytes) -> int:
        """Return the number of an item, -1 when it was never seen; adds nothing."""
        return self._numbers.get(item, -1)

    def number_all(self, items: Sequence[bytes]) -> Int32s:
        """Return the numbers of many items, (n,) int32; `LIST_END` becomes -1."""
        try:
            return np.fromiter(map(self._numbers.__getitem__, items), np.int32, len(items))
        finally:
            self._settle()

    def _settle(self) -> None:
        """List what was numbered last: a dict keeps its keys in the order they came."""
        n_new = len(self._numbers) - 1 - (len(self.items_by_id) - self._forgotten)
        if n_new:
            new = list(islice(reversed(self._numbers), n_new))
            new.reverse()
            self.items_by_id += new
        if self.recent and len(self._numbers) > self.recent:
            self._forgotten = len(self.items_by_id)
            self._numbers = _numbering(self._forgotten)


def _numbering(start: int) -> defaultdict[bytes, int]:
    """Return a dict in which looking an unknown item up numbers it, without a step of Python code."""
    numbers: defaultdict[bytes, int] = defaultdict(count(start).__next__)
    numbers[LIST_END] = -1
    return numbers


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
        self._keys = KeyIndex(self)

    def string(self, number: int) -> str:
        """Return an interned string; bytes that are not UTF-8 come back with replacement marks."""
        return self.strings.items_by_id[number].decode("utf-8", "replace")

    def attribute(self, number: int) -> tuple[str, Value]:
        """Return an interned attribute's key and value."""
        return self.decode_attribute(self.attributes.items_by_id[number])

    def first_equals(self, numbers: Int32s) -> Int32s:
        """Renumber attributes so that equal ones have equal numbers, that of the least among `numbers`."""
        if not self.attributes.recent:
            return numbers
        items, first = self.attributes.items_by_id, dict[bytes, int]()
        used, positions = np.unique(numbers, return_inverse=True)
        return np.array([first.setdefault(items[number], number) for number in used.tolist()], np.int32)[positions]

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
        items = self._pool.attributes.items_by_id
        if self._known == len(items):
            return
        with self._lock:
            new = items[self._known :]
            known = self._known + len(new)
            if known > len(self._array):
                self._array = np.concatenate([self._array[: self._known], np.zeros(2 * known, np.int32)])
            self._array[self._known : known] = self._names.number_all(_keys_of(new))
            self._known = known

    def names(self) -> tuple[str, ...]:
        """Return every key seen, in order of first sight; the position is the key's id."""
        return tuple(name.decode("utf-8", "replace") for name in self._names.items_by_id)

    def id_of(self, key: str) -> int:
        """Return the id of `key`, or -1 when no attribute carries it."""
        return self._names.find(key.encode("utf-8", "surrogatepass"))

    def of_attributes(self) -> Int32s:
        """Return the key id of each interned attribute, (n_attributes,) int32."""
        return self._array[: self._known]


def _keys_of(key_values: list[bytes]) -> list[bytes]:
    """Read the keys of serialised `KeyValue`s without parsing the rest; b"" where there is none.

    Field 1, length-delimited and short, comes first as every known writer puts it; anything else
    is read field by field.
    """
    try:
        return [
            item[2 : 2 + item[1]] if item[1] < 0x80 and item[0] == 0x0A else _scan_key(item)  # noqa: PLR2004 - wire format
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
        if tag == 0x0A:  # noqa: PLR2004 - field 1, length-delimited
            key = key_value[at : at + size]
        at += size
    return key


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80 or shift == _MAX_VARINT_BITS:  # noqa: PLR2004 - the last byte of a varint
            break
        shift += 7
    return number, at
