"""Which spans lack attributes that their senders left out."""

from __future__ import annotations

import numpy as np

from spanverdict.telemetry.attributecolumn import AttributeColumn
from spanverdict.telemetry.spantable import Bools, Int64s, SpanTable
from spanverdict.telemetry.vocabulary import DROPPED


def left_out(table: SpanTable) -> Bools:
    """Tell which spans lack attributes, be it of their own or of their resource, scope, events or links, (n,) bool."""
    found: Bools = table.dropped_attributes > 0
    if table.pool.keys.id_of(DROPPED) < 0:
        return found
    for column in (table.resource_attribute(DROPPED), table.scope_attribute(DROPPED)):
        found = found | present(column)
    found = found | with_any(present(table.event_attribute(DROPPED)), table.events.offsets)
    return found | with_any(present(table.link_attribute(DROPPED)), table.links.offsets)


def present(column: AttributeColumn) -> Bools:
    """Tell which rows have a value."""
    return column.codes >= 0


def with_any(marked: Bools, offsets: Int64s) -> Bools:
    """Tell which lists hold a marked item.

    >>> with_any(np.array([False, True, False]), np.array([0, 2, 2, 3])).tolist()
    [True, False, False]
    """
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(marked)])
    found: Bools = before[offsets[1:]] > before[offsets[:-1]]
    return found
