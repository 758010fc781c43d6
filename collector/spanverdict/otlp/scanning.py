"""Finds the fields of many serialised spans at once, without a Python object a field.

Each step looks at the next field of every span: its first two bytes say how long it is and so where
the one after it begins. After as many steps as the longest span has fields, the places of all are
known, and a column is what stands at the places of its field.

What is read here is what writers of OTLP write. Spans with anything else - an unknown field, one
sent twice that may come once, an id of a wrong length, a length beyond the span - are left to
protobuf, which knows what to make of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import Block, Bytes, Int64s, Places

MAX_FIELDS: Final = 96
"""What a scan follows in a span; each step costs all spans a little."""


class Field(IntEnum):
    """The fields of a span, those that come at most once before those that may come often."""

    TRACE_ID = 1
    SPAN_ID = 2
    NAME = 3
    KIND = 4
    START = 5
    END = 6
    FLAGS = 7
    PARENT = 8
    TRACE_STATE = 9
    DROPPED_ATTRIBUTES = 10
    DROPPED_EVENTS = 11
    DROPPED_LINKS = 12
    STATUS = 13
    ATTRIBUTES = 14
    EVENTS = 15
    LINKS = 16


_UNKNOWN: Final = 0
_OUTSIDE: Final = 255
_EVERY: Final = np.arange(len(Field) + 2, dtype=np.uint8)
_FIRST_REPEATED: Final = Field.ATTRIBUTES

_LENGTHS: Final = (
    (0x0A, Field.TRACE_ID, (16,)),
    (0x12, Field.SPAN_ID, (8,)),
    (0x1A, Field.TRACE_STATE, range(256)),
    (0x22, Field.PARENT, (0, 8)),
    (0x2A, Field.NAME, range(256)),
    (0x4A, Field.ATTRIBUTES, range(256)),
    (0x5A, Field.EVENTS, range(256)),
    (0x6A, Field.LINKS, range(256)),
    (0x7A, Field.STATUS, range(256)),
)
"""Fields that begin with their length: tag, field, and what may follow the tag."""
_VARINTS: Final = (
    (0x30, Field.KIND),
    (0x50, Field.DROPPED_ATTRIBUTES),
    (0x60, Field.DROPPED_EVENTS),
    (0x70, Field.DROPPED_LINKS),
)
_EIGHT_BYTES: Final = ((0x39, Field.START), (0x41, Field.END))
_FLAGS: Final = 0x0185
"""Field 16 has a tag of two bytes, of which the first is the lower here."""
_IS_LENGTH: Final = 2
"""The lower three bits of such tags."""

_USUALLY: Final = 8
"""Fields that a span has at least; if it has fewer, some steps are for nothing."""
_LONG: Final = -1
"""In place of a step: the length or number takes more than one byte."""
_CONTINUED: Final = 0x80
_MAX_VARINT: Final = 5


def _tables() -> tuple[Int64s, Bytes]:
    """Return how far the next field is, and which field this is, by the first two bytes of a field."""
    steps, fields = np.ones(1 << 16, np.int64), np.full(1 << 16, _UNKNOWN, np.uint8)
    for tag, field, lengths in _LENGTHS:
        length = np.array(lengths)
        steps[tag | length << 8] = np.where(length < _CONTINUED, length + 2, _LONG)
        fields[tag | length << 8] = field
    second = np.arange(256)
    for tag, field in _VARINTS:
        steps[tag | second << 8] = np.where(second < _CONTINUED, 2, _LONG)
        fields[tag | second << 8] = field
    for tag, field in _EIGHT_BYTES:
        steps[tag | second << 8] = 9
        fields[tag | second << 8] = field
    steps[_FLAGS], fields[_FLAGS] = 6, Field.FLAGS
    return steps, fields


_STEPS, _FIELDS = _tables()


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """Where the fields of spans stand in a block."""

    block: Block
    n_spans: int
    places: Places
    """Of their tags, sorted by field, span and place."""
    owners: Places
    """The spans they belong to."""
    bounds: Sequence[int]
    """Those of field `f` are `places[bounds[f]:bounds[f + 1]]`."""

    def of(self, field: Field) -> Places:
        """Return the places of a field."""
        return self.places[self.bounds[field] : self.bounds[field + 1]]

    def owners_of(self, field: Field) -> Places:
        """Return the spans that a field belongs to."""
        return self.owners[self.bounds[field] : self.bounds[field + 1]]

    def count(self, field: Field) -> int:
        """Return how often a field was sent."""
        return self.bounds[field + 1] - self.bounds[field]

    def read(self, dtype: str, field: Field, after: int) -> npt.NDArray[Any]:
        """Return what stands so many bytes after the beginning of each field, read as a type."""
        return self.block.every(dtype)[self.of(field) + after]

    def contents(self, field: Field) -> tuple[Places, Int64s]:
        """Return where the contents of a field that begins with its length are, and their sizes."""
        starts = self.of(field) + 2
        sizes = self.block.array.take(starts - 1).astype(np.int64)
        if np.count_nonzero(sizes >= _CONTINUED):
            long = (sizes >= _CONTINUED).nonzero()[0]
            n_bytes, sizes[long] = varints(self.block, starts[long] - 1)
            starts[long] += n_bytes - 1
        return starts, sizes


class Unusual(Exception):  # noqa: N818 - never leaves this room; it says what the spans are
    """Some spans hold what a scan does not read."""


def scan(spans: Sequence[bytes]) -> Fields:
    """Find the fields of serialised spans, at least one.

    Raises:
        Unusual: they must be read by protobuf.
    """
    block = Block.of(spans)
    ends = np.fromiter(map(len, spans), np.int64, len(spans)).cumsum()
    places, heads = _walk(block, ends)
    fields = _FIELDS.take(heads)
    fields[places >= ends[:, None]] = _OUTSIDE
    order = fields.ravel().argsort(kind="stable")
    sorted_fields = fields.ravel().take(order)
    bounds = sorted_fields.searchsorted(_EVERY).tolist()
    order = order[: bounds[-1]]
    owners = order // places.shape[1]
    once = bounds[_FIRST_REPEATED]
    twice = (owners[1:once] == owners[: once - 1]) & (sorted_fields[1:once] == sorted_fields[: once - 1])
    if bounds[_UNKNOWN + 1] or np.count_nonzero(twice) or np.count_nonzero(places == ends[:, None]) < len(spans):
        raise Unusual
    return Fields(block, len(spans), places.ravel().take(order), owners, bounds)


def _walk(block: Block, ends: Places) -> tuple[Places, npt.NDArray[np.uint16]]:
    """Return where the fields of each span begin and their first two bytes, (n_spans, n_steps).

    A span that has no more fields goes on through what follows it, which does no harm; a span whose
    fields do not end where it ends has no place there.
    """
    heads_at = block.every("<u2")
    places: list[Places] = [np.concatenate([np.zeros(1, np.int64), ends[:-1]])]
    heads: list[npt.NDArray[np.uint16]] = []
    while len(heads) < _USUALLY or np.count_nonzero(places[-1] < ends):
        if len(heads) == MAX_FIELDS:
            raise Unusual
        heads.append(heads_at[places[-1]])
        steps = _STEPS.take(heads[-1])
        if np.count_nonzero(steps < 0):
            long = (steps < 0).nonzero()[0]
            steps[long] = _long_steps(block, places[-1][long], ends[-1] + 1)
        places.append(places[-1] + steps)
    heads.append(np.zeros(len(ends), np.uint16))
    return np.array(places).T.copy(), np.array(heads).T.copy()


def _long_steps(block: Block, places: Places, beyond: int) -> Int64s:
    """Return the steps over fields whose length or number takes several bytes; at most to `beyond`."""
    n_bytes, values = varints(block, places + 1)
    has_length = block.array.take(places) & 7 == _IS_LENGTH
    after = places + 1 + n_bytes + np.where(has_length, values, 0)
    after[n_bytes > _MAX_VARINT] = beyond
    steps: Int64s = np.minimum(after, beyond) - places
    return steps


def varints(block: Block, places: Places) -> tuple[Int64s, Int64s]:
    """Return how many bytes each number takes, and the number; more than 5 means that it goes on."""
    n_bytes, values = np.ones(len(places), np.int64), np.zeros(len(places), np.int64)
    goes_on = np.ones(len(places), np.bool_)
    for count in range(_MAX_VARINT):
        byte = block.array.take(places + count).astype(np.int64)
        values |= np.where(goes_on, (byte & 0x7F) << 7 * count, 0)
        goes_on &= byte >= _CONTINUED
        n_bytes += goes_on
    return n_bytes, values
