"""Columns in which numbers of the pool stand for trace ids, texts and attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from spanverdict.otlp.columns import Columns, Lists
from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import (
    MAX_TIME,
    Bools,
    Events,
    Int8s,
    Int32s,
    Int64s,
    Links,
    Ragged,
    UInt32s,
    UInt64s,
)
from spanverdict.telemetry.vocabulary import SpanKind

_MAX_TIME: Final = np.uint64(MAX_TIME)
_LAST_KIND: Final = np.uint64(max(SpanKind))


@dataclass(frozen=True, slots=True, eq=False)
class Statuses:
    """The statuses of the spans that have one, at most one a span."""

    offsets: Int64s
    codes: Int64s
    messages: Int32s


@dataclass(frozen=True, slots=True, eq=False)
class Numbered:
    """Spans as sent, one entry a span in each column, texts and attributes numbered, nothing judged yet."""

    trace: Int32s
    """Numbers in the pool, as are names, trace states and attributes."""
    span_ids: UInt64s
    """0 also where the bytes were not eight."""
    parent_span_ids: UInt64s
    wrong_parents: Bools | None
    """Where a parent id is neither empty nor eight bytes; None when nowhere."""
    names: Int32s
    trace_states: Int32s | None
    """None when no span has one; so below."""
    statuses: Lists | Statuses | None
    """Serialised, at most one a span, or read already; so are events and links."""
    kinds: Int8s
    times: Int64s
    """(2, n): starts and ends."""
    flags: UInt32s
    dropped: UInt32s | None
    """(3, n): attributes, events, links."""
    attributes: Ragged
    events: Lists | Events | None
    links: Lists | Links | None


def bounded(times: UInt64s) -> Int64s:
    """Return times as tables hold them."""
    return np.minimum(times, _MAX_TIME).view(np.int64)


def known_kinds(kinds: UInt64s) -> Int8s:
    """Return kinds as tables hold them; those that later versions of OTLP may add count as unspecified."""
    return (kinds * (kinds <= _LAST_KIND)).astype(np.int8)


def number_columns(columns: Columns, pool: Pool) -> Numbered:
    """Number what protobuf has read."""
    states = columns.trace_states
    return Numbered(
        trace=pool.traces.number_all(columns.trace_ids),
        span_ids=columns.span_ids,
        parent_span_ids=columns.parent_span_ids,
        wrong_parents=columns.wrong_parents,
        names=pool.strings.number_all(columns.names),
        trace_states=None if states is None else pool.strings.number_all(states),
        statuses=columns.statuses,
        kinds=known_kinds(columns.kinds),
        times=bounded(columns.times),
        flags=columns.flags.astype(np.uint32),
        dropped=None if columns.dropped is None else columns.dropped.astype(np.uint32),
        attributes=_ragged(columns.attributes, pool.attributes, len(columns.trace_ids)),
        events=columns.events,
        links=columns.links,
    )


def _ragged(marked: Sequence[bytes], interner: Interner, n: int) -> Ragged:
    """Number the items of each span; `marked` has `LIST_END` after those of each."""
    numbers = interner.number_all(marked)
    is_item = numbers >= 0
    offsets = np.zeros(n + 1, np.int64)
    np.subtract((~is_item).nonzero()[0], np.arange(n), out=offsets[1:])
    return Ragged(offsets, numbers[is_item])
