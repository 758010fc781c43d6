"""Finds the fields of many serialised spans at once, without a Python object a field.

Each round looks at the next field of every span. The field with the lowest number among them is taken, by all spans
whose next field it is; the others wait. As writers send fields in the order of their numbers, a round is the same
field of nearly all spans, and there are as many rounds as the fullest span has fields.

What is read here is what writers of OTLP write. Spans with anything else - an unknown field, one sent twice that may
come once, an id of a wrong length, a length beyond the span - are left to protobuf, which knows what to make of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import PADDING, Block, Bools, Bytes, Int64s, Places

MAX_FIELDS: Final = 96
"""What a scan follows in a span; each round costs some microseconds, even if for a single span."""


class Field(IntEnum):
    """The fields of a span by their numbers in OTLP."""

    TRACE_ID = 1
    SPAN_ID = 2
    TRACE_STATE = 3
    PARENT = 4
    NAME = 5
    KIND = 6
    START = 7
    END = 8
    ATTRIBUTES = 9
    DROPPED_ATTRIBUTES = 10
    EVENTS = 11
    DROPPED_EVENTS = 12
    LINKS = 13
    DROPPED_LINKS = 14
    STATUS = 15
    FLAGS = 16


REPEATED: Final = frozenset({Field.ATTRIBUTES, Field.EVENTS, Field.LINKS})
_ID_LENGTHS: Final = {Field.TRACE_ID: (16, 16), Field.SPAN_ID: (8, 8), Field.PARENT: (0, 8)}
_VARINTS: Final = frozenset({Field.KIND, Field.DROPPED_ATTRIBUTES, Field.DROPPED_EVENTS, Field.DROPPED_LINKS})
_EIGHT_BYTES: Final = frozenset({Field.START, Field.END})
_SECOND_OF_FLAGS: Final = 1
"""Field 16 has a tag of two bytes."""

_UNKNOWN: Final = 0
_ENDED: Final = 17
"""In place of the field of a span that has no more."""
_CONTINUED: Final = 0x80
_MAX_VARINT: Final = 5


def _wire_type(field: Field) -> int:
    if field in _EIGHT_BYTES:
        return 1
    if field is Field.FLAGS:
        return 5
    return 0 if field in _VARINTS else 2


_TAGS: Final = {field << 3 | _wire_type(field): field for field in Field}
_FIELDS: Final = np.array([_TAGS.get(tag, _UNKNOWN) for tag in range(256)], np.uint8)
"""By the first byte of a field."""
_BETWEEN: Final = b"\0"
"""Stands behind every span, and is no tag."""

_Number = TypeVar("_Number", bound=np.generic)
_Round: TypeAlias = "tuple[Places | None, Places, Int64s]"
"""The spans whose next field it was, None for all; where its contents begin; and their sizes, where they may differ."""

_NONE: Final = np.zeros(0, np.int64)


class Unusual(Exception):  # noqa: N818 - never leaves this room; it says what the spans are
    """Some spans hold what a scan does not read."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Where the contents of a field stand, in the order in which a scan came upon them; see `in_order`."""

    starts: Places
    sizes: Int64s
    """Of contents that may differ in size."""
    owners: Places | None
    """The spans they belong to; None for the first of all spans, then the second of all spans, and so on."""
    n_spans: int

    def __len__(self) -> int:
        return len(self.starts)

    def offsets(self) -> Int64s:
        """Return where those of each span begin when they are in order, (n_spans + 1,)."""
        if self.owners is None:
            return np.arange(0, len(self) + 1, len(self) // self.n_spans)
        offsets = np.zeros(self.n_spans + 1, np.int64)
        np.cumsum(np.bincount(self.owners, minlength=self.n_spans), out=offsets[1:])
        return offsets

    def in_order(self, values: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
        """Put values, one for each of these, in the order of spans, and within a span in the order sent."""
        if self.owners is not None:
            return values.take(self.owners.argsort(kind="stable"))
        return values.reshape(-1, self.n_spans).T.ravel()


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """Where the fields of spans stand in a block."""

    block: Block
    n_spans: int
    _found: Mapping[Field, Found]

    def of(self, field: Field) -> Found:
        """Return where a field stands; of a field that may come once, at most once a span."""
        return self._found.get(field) or Found(_NONE, _NONE, _NONE, self.n_spans)


def scan(spans: Sequence[bytes]) -> Fields:
    """Find the fields of serialised spans, at least one.

    Raises:
        Unusual: they must be read by protobuf.
    """
    block = Block.of(spans, between=_BETWEEN)
    sizes = np.fromiter(map(len, spans), np.int64, len(spans))
    ends = (sizes + 1).cumsum() - 1
    return _walk(block, ends - sizes, ends)


def _walk(block: Block, starts: Places, ends: Places) -> Fields:
    rounds: dict[Field, list[_Round]] = {}
    at, tags = starts.copy(), block.array.take(starts)
    for _ in range(MAX_FIELDS + 1):
        field, rows = _next_field(tags, at, ends)
        if field is None:
            break
        here = at if rows is None else at.take(rows)
        begin, sizes, after = _measure(block, field, here)
        rounds.setdefault(field, []).append((rows, begin, sizes))
        if rows is None:
            at, tags = after, block.array.take(after)
        else:
            at[rows], tags[rows] = after, block.array.take(after)
    if np.count_nonzero(at != ends):
        raise Unusual
    return Fields(block, len(starts), {field: _together(field, taken, len(starts)) for field, taken in rounds.items()})


def _next_field(tags: Bytes, at: Places, ends: Places) -> tuple[Field | None, Places | None]:
    """Return the lowest of the next fields, and the spans whose it is, None for all; no field when all have ended."""
    first = tags.item(0)
    if first in _TAGS and np.count_nonzero(tags == first) == len(tags):
        return _TAGS[first], None
    fields = _FIELDS.take(tags)
    lowest = fields.min()
    if lowest == _UNKNOWN:
        fields[at >= ends] = _ENDED
        lowest = fields.min()
    if lowest == _ENDED:
        return None, None
    if lowest == _UNKNOWN:
        raise Unusual
    rows = (fields == lowest).nonzero()[0]
    return Field(lowest), None if len(rows) == len(fields) else rows


def _measure(block: Block, field: Field, here: Places) -> tuple[Places, Int64s, Places]:
    """Return where the contents of fields begin, their sizes if they may differ, and where the next field begins."""
    if field in _EIGHT_BYTES:
        return here + 1, _NONE, here + 9
    second = block.array[1:].take(here)
    if field is Field.FLAGS:
        _expect(second == _SECOND_OF_FLAGS)
        return here + 2, _NONE, here + 6
    long = (second >= _CONTINUED).nonzero()[0]
    if field in _VARINTS:
        return here + 1, _NONE, _behind_numbers(block, here + 1, long)
    begin, sizes = here + 2, second.astype(np.int64)
    if field in _ID_LENGTHS:
        least, most = _ID_LENGTHS[field]
        _expect((second == least) | (second == most))
    elif len(long):
        begin[long], sizes[long] = _long_contents(block, here.take(long) + 1)
    return begin, sizes, begin + sizes


def _expect(usual: Bools) -> None:
    if np.count_nonzero(usual) < len(usual):
        raise Unusual


def _behind_numbers(block: Block, places: Places, long: Places) -> Places:
    after = places + 1
    if len(long):
        n_bytes, _ = varints(block, places.take(long))
        _expect(n_bytes <= _MAX_VARINT)
        after[long] += n_bytes - 1
    return after


def _long_contents(block: Block, places: Places) -> tuple[Places, Int64s]:
    """Return where contents begin whose length takes several bytes, and their sizes."""
    n_bytes, sizes = varints(block, places)
    _expect((n_bytes <= _MAX_VARINT) & (sizes < len(block.array) - PADDING - places))
    return places + n_bytes, sizes


def _together(field: Field, rounds: Sequence[_Round], n_spans: int) -> Found:
    if len(rounds) == 1:
        rows, begin, sizes = rounds[0]
        return Found(begin, sizes, rows, n_spans)
    owners = None
    if any(rows is not None for rows, _, _ in rounds):
        every = np.arange(n_spans)
        owners = np.concatenate([every if rows is None else rows for rows, _, _ in rounds])
    if field not in REPEATED and (owners is None or np.bincount(owners).max() > 1):
        raise Unusual
    begins, sizes = np.concatenate([begin for _, begin, _ in rounds]), np.concatenate([sizes for _, _, sizes in rounds])
    return Found(begins, sizes, owners, n_spans)


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
