"""Columns in which numbers of the pool stand for trace ids, texts and attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spanverdict.otlp.columns import Columns, Lists
from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import Bools, Int32s, Ragged, UInt64s


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
    statuses: Lists | None
    """Serialised, at most one a span."""
    kinds: UInt64s
    """As unsigned 32-bit numbers."""
    times: UInt64s
    """(2, n): starts and ends."""
    flags: UInt64s
    dropped: UInt64s | None
    """(3, n): attributes, events, links."""
    attributes: Ragged
    events: Lists | None
    """Serialised."""
    links: Lists | None


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
        kinds=columns.kinds,
        times=columns.times,
        flags=columns.flags,
        dropped=columns.dropped,
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
