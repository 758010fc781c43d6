"""The fields that a scan has found, gathered into columns of numbers."""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np

from spanverdict.otlp.columns import Lists
from spanverdict.otlp.numbering import Numbered
from spanverdict.otlp.scanning import Field, Fields, varints
from spanverdict.telemetry.blocks import Int64s
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import Int32s, Ragged, UInt64s

_ONE_BYTE: Final = 0x80
"""Numbers below take one byte."""
_UINT32: Final = 0xFFFF_FFFF
_DROPPED: Final = (Field.DROPPED_ATTRIBUTES, Field.DROPPED_EVENTS, Field.DROPPED_LINKS)

_Column = TypeVar("_Column", Int32s, UInt64s)


def number_fields(fields: Fields, pool: Pool) -> Numbered:
    """Gather columns, and number what is new in them."""
    return Numbered(
        trace=_traces(fields, pool),
        span_ids=_ids(fields, Field.SPAN_ID),
        parent_span_ids=_ids(fields, Field.PARENT),
        wrong_parents=None,
        names=_texts(fields, Field.NAME, pool),
        trace_states=_texts(fields, Field.TRACE_STATE, pool) if fields.count(Field.TRACE_STATE) else None,
        statuses=_lists(fields, Field.STATUS),
        kinds=_numbers(fields, Field.KIND),
        times=_times(fields),
        flags=_scattered(fields, Field.FLAGS, fields.read("<u4", Field.FLAGS, 2).astype(np.uint64)),
        dropped=_dropped(fields),
        attributes=Ragged(
            _offsets(fields, Field.ATTRIBUTES),
            pool.attributes.number_within(fields.block, *fields.contents(Field.ATTRIBUTES)),
        ),
        events=_lists(fields, Field.EVENTS),
        links=_lists(fields, Field.LINKS),
    )


def _scattered(fields: Fields, field: Field, values: _Column, default: int = 0) -> _Column:
    """Put values into the rows of their spans."""
    if len(values) == fields.n_spans:
        return values
    column = np.full(fields.n_spans, default, values.dtype)
    column[fields.owners_of(field)] = values
    return column


def _traces(fields: Fields, pool: Pool) -> Int32s:
    """Number trace ids; of those that follow each other and are equal only the first is looked up."""
    ids = fields.read("V16", Field.TRACE_ID, 2)
    halves = ids.view(np.uint64).reshape(-1, 2)
    differs = halves[1:] != halves[:-1]
    is_first = np.ones(len(ids), np.bool_)
    np.logical_or(differs[:, 0], differs[:, 1], out=is_first[1:])
    numbers = pool.traces.number_all(ids[is_first].tolist()).take(is_first.cumsum() - 1)
    if len(ids) == fields.n_spans:
        return numbers
    return _scattered(fields, Field.TRACE_ID, numbers, pool.traces[b""])


def _ids(fields: Fields, field: Field) -> UInt64s:
    ids = fields.read(">u8", field, 2).astype(np.uint64)
    ids *= fields.block.array.take(fields.of(field) + 1) != 0  # an empty id is none
    return _scattered(fields, field, ids)


def _times(fields: Fields) -> UInt64s:
    times = np.empty((2, fields.n_spans), np.uint64)
    for row, field in enumerate((Field.START, Field.END)):
        times[row] = _scattered(fields, field, fields.read("<u8", field, 1))
    return times


def _numbers(fields: Fields, field: Field) -> UInt64s:
    places = fields.of(field) + 1
    values = fields.block.array.take(places).astype(np.uint64)
    if np.count_nonzero(values >= _ONE_BYTE):
        long = (values >= _ONE_BYTE).nonzero()[0]
        values[long] = (varints(fields.block, places[long])[1] & _UINT32).astype(np.uint64)
    return _scattered(fields, field, values)


def _dropped(fields: Fields) -> UInt64s | None:
    if not any(fields.count(field) for field in _DROPPED):
        return None
    return np.array([_numbers(fields, field) for field in _DROPPED])


def _texts(fields: Fields, field: Field, pool: Pool) -> Int32s:
    numbers = pool.strings.number_within(fields.block, *fields.contents(field))
    if len(numbers) == fields.n_spans:
        return numbers
    return _scattered(fields, field, numbers, pool.strings[b""])


def _offsets(fields: Fields, field: Field) -> Int64s:
    offsets = np.zeros(fields.n_spans + 1, np.int64)
    np.cumsum(np.bincount(fields.owners_of(field), minlength=fields.n_spans), out=offsets[1:])
    return offsets


def _lists(fields: Fields, field: Field) -> Lists | None:
    if not fields.count(field):
        return None
    return Lists(_offsets(fields, field), fields.block.cut(*fields.contents(field)))
