"""What the tables of one stretch of time have in common.

A span carries few distinct names, resources and attributes, so a table keeps `int32` ids and the
pool keeps what they stand for. Values are decoded once per distinct value, and only when asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import Bytes, Places
from spanverdict.telemetry.distinct import distinct
from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.items import Items, weight
from spanverdict.telemetry.keyindex import KEY_BYTES, KeyIndex
from spanverdict.telemetry.manyvalues import MANY, first_equals, many_values

Value: TypeAlias = "str | bool | int | float | bytes | tuple[Value, ...] | Mapping[str, Value] | None"
"""An attribute value: a scalar, an array (tuple) or a key-value list (mapping)."""

AttributeDecoder: TypeAlias = Callable[[bytes], tuple[str, Value]]
"""Reads one serialised OTLP `KeyValue`."""

Show: TypeAlias = Callable[[bytes | Bytes], None]
"""Takes texts, one after the other, between them what is no text."""

Int32s: TypeAlias = npt.NDArray[np.int32]


class Pool:
    """Everything that the tables of one stretch of time have in common.

    `traces` holds 16-byte trace ids; `strings` UTF-8 names, status messages and trace states;
    `attributes` serialised `KeyValue`s; `resources` and `scopes` serialised messages, whose own
    attribute ids the decoder records in `resource_attributes` and `scope_attributes` (same order).
    With `recent_attributes` equal attributes far apart may have several numbers (see `Interner`).
    `show` is given all new texts, in names, keys or values, before a table that uses them is returned.
    """

    def __init__(
        self, decode_attribute: AttributeDecoder, recent_attributes: int = 0, show: Show | None = None
    ) -> None:
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
        self.show = show
        self.nbytes = 0
        """How much memory all that takes, about, as of the last `weigh`."""
        self._weighed = [0] * 5
        self._weights = [0] * 5
        self._keys = KeyIndex(self.attributes)

    def weigh(self) -> int:
        """Make compact and add up what is new since the last time, return `nbytes`; for the thread that interns."""
        interners = (self.traces, self.strings, self.attributes, self.resources, self.scopes)
        for place, items in enumerate(interner.items_by_id for interner in interners):
            if isinstance(items, Items):
                items.settle()
                self._weights[place] = items.nbytes + len(items) * KEY_BYTES
            else:
                self._weights[place] += weight(items[self._weighed[place] :])
                self._weighed[place] = len(items)
        self.nbytes = sum(self._weights)
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

    def read(self, numbers: Int32s) -> tuple[Sequence[Value], Places | None]:
        """Return the distinct values of interned attributes of one key, whose numbers ascend, and where each one's is.

        Without places every number has a value of its own.
        """
        if len(numbers) < MANY:
            items, place_of = self.attributes.taken(numbers), dict[bytes, int]()
            places = [place_of.setdefault(item, len(place_of)) for item in items]
            decode, alike = self.decode_attribute, len(place_of) < len(items)
            return tuple([decode(item)[1] for item in place_of]), np.array(places, np.intp) if alike else None
        block, starts, sizes = self.attributes.block(numbers)
        same = None
        if self.attributes.recent:
            first = first_equals(block, starts, sizes)
            new = first == np.arange(len(first))
            if not new.all():
                kept, same = np.flatnonzero(new), (np.cumsum(new) - 1).take(first)
                numbers, starts, sizes = numbers.take(kept), starts.take(kept), sizes.take(kept)
        return many_values(block, starts, sizes) or self.values(numbers), same

    def first_equals(self, numbers: Int32s) -> Int32s:
        """Renumber attributes so that equal ones have equal numbers, that of the least among `numbers`."""
        if not self.attributes.recent:
            return numbers
        if not len(numbers):
            return numbers
        used, positions = distinct(numbers)
        if len(used) >= MANY:
            return used.take(first_equals(*self.attributes.block(used))).take(positions)
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

    def keys_found(self) -> KeyIndex:
        """Return the same, new ones found by routines."""
        self._keys.refresh(compiled=True)
        return self._keys
