"""Lays columns as sent out as a span table, and says which of its spans cannot be accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message

from spanverdict.otlp.columns import Lists
from spanverdict.otlp.judging import TRACE_ID_SIZE, attributes_of, judge
from spanverdict.otlp.numbering import Numbered, Statuses, bounded
from spanverdict.otlp.shallow_pb2 import Event, Link, Status
from spanverdict.telemetry.leftout import with_any
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spanlists import no_events, no_links
from spanverdict.telemetry.spantable import (
    Bools,
    Events,
    Int8s,
    Int32s,
    Links,
    Ragged,
    SpanTable,
    UInt64s,
)
from spanverdict.telemetry.vocabulary import StatusCode

SPAN_ID_SIZE: Final = 8

_NO_TRACE: Final = bytes(TRACE_ID_SIZE)
_NO_SPAN: Final = bytes(SPAN_ID_SIZE)
_LAST_CODE: Final = max(StatusCode)


@dataclass(frozen=True, slots=True, eq=False)
class Fault:
    """A reason to reject spans, and which."""

    problem: str
    spans: Bools


def lay_out(
    columns: Numbered, pool: Pool, resource: Int32s, scope: Int32s, judge: Callable[[Pool], None] = judge
) -> tuple[SpanTable, list[Fault]]:
    """Return a table of all the spans, good and bad, and what is wrong with the bad ones.

    `resource` and `scope` are numbers in the pool, one a span, already judged; `judge` judges all else that is new.
    """
    n = len(columns.trace)
    status_code, status_message, wrong_status = _statuses(columns.statuses, pool, n)
    events, wrong_event = _events(columns.events, pool, n)
    links, wrong_link = _links(columns.links, pool, n)
    start, end = columns.times
    dropped = np.zeros((3, n), np.uint32) if columns.dropped is None else columns.dropped
    table = SpanTable(
        pool=pool,
        trace=columns.trace,
        span_id=columns.span_ids,
        parent_span_id=columns.parent_span_ids,
        resource=resource,
        scope=scope,
        name=columns.names,
        kind=columns.kinds,
        status_code=status_code,
        status_message=status_message,
        trace_state=_trace_states(columns.trace_states, pool, n),
        flags=columns.flags,
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        dropped_attributes=dropped[0],
        dropped_events=dropped[1],
        dropped_links=dropped[2],
        attributes=columns.attributes,
        events=events,
        links=links,
    )
    judge(pool)
    found = [
        ("span_id must be 8 bytes and not all zero", _zero(columns.span_ids)),
        ("parent_span_id must be empty or 8 bytes", columns.wrong_parents),
        ("the status is not a readable message", wrong_status),
        ("an event is not a readable message", wrong_event),
        ("a link is not a readable message, or its ids have a wrong length", wrong_link),
        *_unreadable(table),
    ]
    return table, [Fault(problem, spans) for problem, spans in found if spans is not None and spans.any()]


def _trace_states(numbers: Int32s | None, pool: Pool, n: int) -> Int32s:
    return np.full(n, pool.strings[b""], np.int32) if numbers is None else numbers


def _zero(ids: UInt64s) -> Bools | None:
    return None if ids.all() else ids == 0


def _statuses(lists: Lists | Statuses | None, pool: Pool, n: int) -> tuple[Int8s, Int32s, Bools | None]:
    """Return codes and messages; few spans differ in them, so each distinct status is read once."""
    codes, texts = np.zeros(n, np.int8), np.full(n, pool.strings[b""], np.int32)
    if lists is None:
        return codes, texts, None
    rows = (lists.offsets[1:] != lists.offsets[:-1]).nonzero()[0]
    if isinstance(lists, Statuses):
        codes[rows], texts[rows] = lists.codes, lists.messages
        return codes, texts, None
    numbers = {item: number for number, item in enumerate(dict.fromkeys(lists.items))}
    which = np.fromiter(map(numbers.__getitem__, lists.items), np.intp, len(lists.items))
    statuses, wrong = _read_each(Status.FromString, list(numbers), Status())
    codes[rows] = np.array([code if 0 <= (code := status.code) <= _LAST_CODE else 0 for status in statuses])[which]
    texts[rows] = pool.strings.number_all([status.message for status in statuses])[which]
    return codes, texts, None if wrong is None else with_any(wrong[which], lists.offsets)


def _events(lists: Lists | Events | None, pool: Pool, n: int) -> tuple[Events, Bools | None]:
    if lists is None:
        return no_events(n), None
    if isinstance(lists, Events):
        return lists, None
    events, wrong = _read_each(Event.FromString, lists.items, Event())
    table = Events(
        lists.offsets,
        bounded(np.array([event.time_unix_nano for event in events], np.uint64)),
        pool.strings.number_all([event.name for event in events]),
        _attributes_of(events, pool),
    )
    return table, None if wrong is None else with_any(wrong, lists.offsets)


def _links(lists: Lists | Links | None, pool: Pool, n: int) -> tuple[Links, Bools | None]:
    if lists is None:
        return no_links(n), None
    if isinstance(lists, Links):
        return lists, None
    links, wrong = _read_each(Link.FromString, lists.items, Link())
    trace_ids = [link.trace_id or _NO_TRACE for link in links]
    span_ids = [link.span_id or _NO_SPAN for link in links]
    if any(map(_wrong_length, trace_ids, span_ids)):
        odd = np.array([*map(_wrong_length, trace_ids, span_ids)], np.bool_)
        wrong = odd if wrong is None else wrong | odd
    table = Links(
        lists.offsets,
        pool.traces.number_all(trace_ids),
        np.array([int.from_bytes(item[:SPAN_ID_SIZE], "big") for item in span_ids], np.uint64),
        pool.strings.number_all([link.trace_state for link in links]),
        np.array([link.flags for link in links], np.uint32),
        _attributes_of(links, pool),
    )
    return table, None if wrong is None else with_any(wrong, lists.offsets)


def _wrong_length(trace_id: bytes, span_id: bytes) -> bool:
    return len(trace_id) != TRACE_ID_SIZE or len(span_id) != SPAN_ID_SIZE


_Message = TypeVar("_Message", bound=Message)


def _read_each(
    read: Callable[[bytes], _Message], items: Sequence[bytes], empty: _Message
) -> tuple[list[_Message], Bools | None]:
    """Parse items one by one; wrong ones come back empty, and marked when there are any."""
    try:
        return [*map(read, items)], None
    except DecodeError:
        messages = [_read(read, item) for item in items]
    wrong = np.array([message is None for message in messages], np.bool_)
    return [message or empty for message in messages], wrong


def _read(read: Callable[[bytes], _Message], item: bytes) -> _Message | None:
    try:
        return read(item)
    except DecodeError:
        return None


def _attributes_of(owners: Sequence[Event | Link], pool: Pool) -> Ragged:
    lists = [*map(attributes_of, owners)]
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(items) for items in lists], out=offsets[1:])
    return Ragged(offsets, pool.attributes.number_all([item for items in lists for item in items]))


def _unreadable(table: SpanTable) -> list[tuple[str, Bools | None]]:
    pool = table.pool
    found: list[tuple[str, Bools | None]] = []
    if pool.traces.unreadable:
        found.append(("trace_id must be 16 bytes and not all zero", _among(table.trace, pool.traces.unreadable)))
    if pool.resources.unreadable:
        found.append(("the resource cannot be read", _among(table.resource, pool.resources.unreadable)))
    if pool.scopes.unreadable:
        found.append(("the instrumentation scope cannot be read", _among(table.scope, pool.scopes.unreadable)))
    if pool.strings.unreadable:
        found.append(("a name, status message or trace state is not UTF-8", _with_bad_text(table)))
    if pool.attributes.unreadable:
        bad = pool.attributes.unreadable
        spans = with_any(_among(table.attributes.items, bad), table.attributes.offsets)
        for part in (table.events, table.links):
            rows = with_any(_among(part.attributes.items, bad), part.attributes.offsets)
            spans |= with_any(rows, part.offsets)
        found.append(("an attribute is malformed, not UTF-8, or nested too deep", spans))
    return found


def _with_bad_text(table: SpanTable) -> Bools:
    bad = table.pool.strings.unreadable
    spans = _among(table.name, bad) | _among(table.status_message, bad) | _among(table.trace_state, bad)
    spans |= with_any(_among(table.events.name, bad), table.events.offsets)
    return spans | with_any(_among(table.links.trace_state, bad), table.links.offsets)


def _among(numbers: Int32s, bad: Iterable[int]) -> Bools:
    return np.isin(numbers, list(bad))
