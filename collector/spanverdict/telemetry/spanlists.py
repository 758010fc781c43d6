"""What a span may have several of: its events and its links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spanverdict.telemetry.ragged import Ragged, gather
from spanverdict.telemetry.vectors import Int32s, Int64s, Rows, UInt32s, UInt64s


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Span events: the events of span `i` are rows `offsets[i]:offsets[i + 1]`."""

    offsets: Int64s
    time_unix_nano: Int64s
    name: Int32s
    """String ids."""
    attributes: Ragged

    def take(self, spans: Rows) -> Events:
        """Return the events of the given spans in the given order."""
        offsets, rows = gather(self.offsets, spans)
        return Events(offsets, self.time_unix_nano[rows], self.name[rows], self.attributes.take(rows))


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Span links: the links of span `i` are rows `offsets[i]:offsets[i + 1]`."""

    offsets: Int64s
    trace: Int32s
    """Trace numbers in the pool, as in `SpanTable.trace`; the linked trace need not be here."""
    span_id: UInt64s
    trace_state: Int32s
    flags: UInt32s
    attributes: Ragged

    def take(self, spans: Rows) -> Links:
        """Return the links of the given spans in the given order."""
        offsets, rows = gather(self.offsets, spans)
        return Links(
            offsets,
            self.trace[rows],
            self.span_id[rows],
            self.trace_state[rows],
            self.flags[rows],
            self.attributes.take(rows),
        )


def no_events(n_spans: int = 0) -> Events:
    """Return spans without events."""
    numbers = np.zeros(0, np.int32)
    return Events(np.zeros(n_spans + 1, np.int64), np.zeros(0, np.int64), numbers, Ragged.empty())


def no_links(n_spans: int = 0) -> Links:
    """Return spans without links."""
    numbers = np.zeros(0, np.int32)
    ids, flags = np.zeros(0, np.uint64), np.zeros(0, np.uint32)
    return Links(np.zeros(n_spans + 1, np.int64), numbers, ids, numbers, flags, Ragged.empty())
