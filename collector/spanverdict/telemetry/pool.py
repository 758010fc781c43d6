"""Interning: equal bytes are stored once and known by a small integer.

A span carries few distinct names, resources and attributes, so a table keeps `int32` ids and the
pool keeps what they stand for. Values are decoded once per distinct value, and only when asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Value: TypeAlias = "str | bool | int | float | bytes | None | tuple[Value, ...] | Mapping[str, Value]"
"""An attribute value: a scalar, an array (tuple) or a key-value list (mapping)."""

AttributeDecoder: TypeAlias = Callable[[bytes], tuple[str, Value]]
"""Reads one serialised OTLP `KeyValue`."""

Int32s: TypeAlias = npt.NDArray[np.int32]


class Interner(dict[bytes, int]):
    """Maps distinct bytes to 0, 1, 2, … in order of first sight; `interner[b]` never fails.

    Not safe for concurrent misses: whoever fills a pool holds a lock of their own.
    """

    __slots__ = ("items_by_id",)

    def __init__(self) -> None:
        super().__init__()
        self.items_by_id: list[bytes] = []

    def __missing__(self, item: bytes) -> int:
        number = self[item] = len(self.items_by_id)
        self.items_by_id.append(item)
        return number


class Pool:
    """Everything that the tables of one stretch of time have in common.

    `traces` holds 16-byte trace ids; `strings` UTF-8 names, status messages and trace states;
    `attributes` serialised `KeyValue`s; `resources` and `scopes` serialised messages, whose own
    attribute ids the decoder records in `resource_attributes` and `scope_attributes` (same order).
    """

    def __init__(self, decode_attribute: AttributeDecoder) -> None:
        self.traces = Interner()
        self.strings = Interner()
        self.attributes = Interner()
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

    def trace_hex(self, number: int) -> str:
        """Return an interned trace id as 32 lower-case hex digits."""
        return self.traces.items_by_id[number].hex()

    @property
    def keys(self) -> KeyIndex:
        """The keys of all attributes interned so far."""
        self._keys.refresh()
        return self._keys


class KeyIndex:
    """Which interned attributes carry which key."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._names: dict[bytes, int] = {}
        self._of_attribute: list[int] = []
        self._array: Int32s = np.zeros(0, np.int32)

    def refresh(self) -> None:
        """Take in attributes interned since the last call; a constant cost per new one."""
        items = self._pool.attributes.items_by_id
        names, known = self._names, len(self._of_attribute)
        if known == len(items):
            return
        for item in items[known : len(items)]:
            key = _key_of(item)
            self._of_attribute.append(names.setdefault(key, len(names)))
        self._array = np.array(self._of_attribute, np.int32)

    def names(self) -> tuple[str, ...]:
        """Return every key seen, in order of first sight; the position is the key's id."""
        return tuple(name.decode("utf-8", "replace") for name in self._names)

    def id_of(self, key: str) -> int:
        """Return the id of `key`, or -1 when no attribute carries it."""
        return self._names.get(key.encode(), -1)

    def of_attributes(self) -> Int32s:
        """Return the key id of each interned attribute, (n_attributes,) int32."""
        return self._array


def _key_of(key_value: bytes) -> bytes:
    """Read the key of a serialised `KeyValue` without parsing the rest; b"" when there is none.

    Field 1, length-delimited, comes first as every known writer puts it; any other order is read
    field by field.
    """
    if key_value[:1] == b"\x0a" and len(key_value) > 1 and key_value[1] < 0x80:
        return key_value[2 : 2 + key_value[1]]
    return _scan_key(key_value)


def _scan_key(key_value: bytes) -> bytes:
    key, at = b"", 0
    while at < len(key_value):
        tag, at = _varint(key_value, at)
        size = {0: 0, 1: 8, 5: 4}.get(tag & 7, -1)
        if tag & 7 == 0:
            _, at = _varint(key_value, at)
        elif size < 0:
            size, at = _varint(key_value, at)
        if tag == 0x0A:
            key = key_value[at : at + size]
        at += size
    return key


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return number, at
