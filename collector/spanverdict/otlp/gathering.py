"""The fields that a scan has found, gathered into columns of numbers."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from spanverdict.otlp.columns import Lists
from spanverdict.otlp.numbering import Numbered, bounded, known_kinds
from spanverdict.otlp.scanning import Field, Fields, Found, varints
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import Int32s, Ragged, UInt32s, UInt64s

_ONE_BYTE: Final = 0x80
"""Numbers below take one byte."""
_UINT32: Final = 0xFFFF_FFFF
_DROPPED: Final = (Field.DROPPED_ATTRIBUTES, Field.DROPPED_EVENTS, Field.DROPPED_LINKS)

_Column = TypeVar("_Column", Int32s, UInt32s, UInt64s)


def number_fields(fields: Fields, pool: Pool) -> Numbered:
    """Gather columns, and number what is new in them."""
    attributes = fields.of(Field.ATTRIBUTES)
    numbers = pool.attributes.number_within(fields.block, attributes.starts, attributes.sizes)
    states = fields.of(Field.TRACE_STATE)
    return Numbered(
        trace=_traces(fields, pool),
        span_ids=_ids(fields, Field.SPAN_ID),
        parent_span_ids=_ids(fields, Field.PARENT),
        wrong_parents=None,
        names=_texts(fields, fields.of(Field.NAME), pool),
        trace_states=_texts(fields, states, pool) if len(states) else None,
        statuses=_lists(fields, Field.STATUS),
        kinds=known_kinds(_numbers(fields, Field.KIND)),
        times=bounded(_times(fields)),
        flags=_scattered(fields.of(Field.FLAGS), _read(fields, Field.FLAGS, "<u4").astype(np.uint32)),
        dropped=_dropped(fields),
        attributes=Ragged(attributes.offsets(), attributes.in_order(numbers)),
        events=_lists(fields, Field.EVENTS),
        links=_lists(fields, Field.LINKS),
    )


def _read(fields: Fields, field: Field, dtype: str) -> npt.NDArray[Any]:
    """Return what stands at the beginning of each field's contents, read as a type."""
    return fields.block.every(dtype)[fields.of(field).starts]


def _scattered(found: Found, values: _Column, default: int = 0) -> _Column:
    """Put values into the rows of their spans."""
    if found.owners is None:
        return values
    column = np.full(found.n_spans, default, values.dtype)
    column[found.owners] = values
    return column


def _traces(fields: Fields, pool: Pool) -> Int32s:
    """Number trace ids; of those that follow each other and are equal only the first is looked up."""
    ids = _read(fields, Field.TRACE_ID, "V16")
    halves = ids.view(np.uint64).reshape(-1, 2)
    differs = halves[1:] != halves[:-1]
    is_first = np.ones(len(ids), np.bool_)
    np.logical_or(differs[:, 0], differs[:, 1], out=is_first[1:])
    numbers = pool.traces.number_all(ids[is_first].tolist()).take(is_first.cumsum() - 1)
    found = fields.of(Field.TRACE_ID)
    return numbers if found.owners is None else _scattered(found, numbers, pool.traces[b""])


def _ids(fields: Fields, field: Field) -> UInt64s:
    found = fields.of(field)
    ids = _read(fields, field, ">u8").astype(np.uint64)
    if np.count_nonzero(found.sizes) < len(found):
        ids *= found.sizes != 0  # an empty id is none
    return _scattered(found, ids)


def _times(fields: Fields) -> UInt64s:
    times = np.empty((2, fields.n_spans), np.uint64)
    for row, field in enumerate((Field.START, Field.END)):
        times[row] = _scattered(fields.of(field), _read(fields, field, "<u8"))
    return times


def _numbers(fields: Fields, field: Field) -> UInt64s:
    found = fields.of(field)
    values = fields.block.array.take(found.starts).astype(np.uint64)
    if np.count_nonzero(values >= _ONE_BYTE):
        long = (values >= _ONE_BYTE).nonzero()[0]
        values[long] = (varints(fields.block, found.starts[long])[1] & _UINT32).astype(np.uint64)
    return _scattered(found, values)


def _dropped(fields: Fields) -> UInt32s | None:
    if not any(len(fields.of(field)) for field in _DROPPED):
        return None
    return np.array([_numbers(fields, field) for field in _DROPPED]).astype(np.uint32)


def _texts(fields: Fields, found: Found, pool: Pool) -> Int32s:
    numbers = pool.strings.number_within(fields.block, found.starts, found.sizes)
    return numbers if found.owners is None else _scattered(found, numbers, pool.strings[b""])


def _lists(fields: Fields, field: Field) -> Lists | None:
    found = fields.of(field)
    if not len(found):
        return None
    return Lists(found.offsets(), fields.block.cut(found.in_order(found.starts), found.in_order(found.sizes)))
