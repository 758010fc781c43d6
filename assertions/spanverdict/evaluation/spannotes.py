"""What is to say of single spans: why they were joined to their request, and what is broken about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from spanverdict.evaluation.preparing import PreparedRun
from spanverdict.paths.forest import SpanIndex
from spanverdict.paths.joins import Join
from spanverdict.paths.orphans import Remote, missing_parents
from spanverdict.paths.sharedvalues import conversation_column, message_columns, texts_of
from spanverdict.selectors import parse_field
from spanverdict.selectors.columns import Spans
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.leftout import left_out
from spanverdict.telemetry.ragged import owners
from spanverdict.telemetry.spantable import MAX_TIME, AttributeColumn, Rows, SpanTable

_REASONS: Final[Mapping[Join, str]] = MappingProxyType(
    {
        Join.START: "the request begins here",
        Join.ANCESTOR: "above the beginning",
        Join.PARENT: "parent",
        Join.LINK: "link",
        Join.MESSAGE: "message",
        Join.KEY: "key",
        Join.TRACE: "orphan in a trace of this request",
    }
)
_PARENT: Final = MappingProxyType(
    {Remote.NO: "was in the same process", Remote.YES: "was in another process", Remote.UNKNOWN: ""}
)


@dataclass(frozen=True, eq=False)
class SpanNotes:
    """Notes on some spans of a run, numbered from 0."""

    messages: tuple[AttributeColumn, ...]
    keys: tuple[tuple[str, AttributeColumn], ...]
    broken: Mapping[int, tuple[str, ...]]

    @staticmethod
    def of(run: PreparedRun, rows: Rows, keys: Sequence[str]) -> SpanNotes:
        """Look at the spans in `rows` of the run; `keys` are the fields that join traces."""
        table = run.spans.table.take(rows)
        spans = Spans.of(table)
        columns = tuple((key, texts_of(parse_field(key).column(spans))) for key in keys)
        broken: dict[int, tuple[str, ...]] = {}
        for member, what in _broken(run, rows, table):
            broken[member] = (*broken.get(member, ()), what)
        return SpanNotes((*message_columns(table), conversation_column(table)), columns, broken)

    def defects(self, member: int) -> tuple[str, ...]:
        """Return what is broken about a span."""
        return self.broken.get(member, ())

    def reason(self, member: int, join: Join) -> str:
        """Say what joined a span to its request."""
        if join is Join.MESSAGE:
            values = [value for column in self.messages if (value := column[member]) is not None]
            return " ".join(["message", *map(str, values[:1])])
        if join is Join.KEY:
            shared = [f"{key} = {column[member]!s}" for key, column in self.keys if column[member] is not None]
            return f"key {', '.join(shared)}" if shared else "key, in its trace"
        return _REASONS[join]


def _broken(run: PreparedRun, rows: Rows, table: SpanTable) -> Iterator[tuple[int, str]]:
    yield from _orphans(run, rows)
    start, end = table.start_time_unix_nano, table.end_time_unix_nano
    wild = (start >= MAX_TIME) | (end >= MAX_TIME) | (start <= 0)
    for marked, what in (
        (run.spans.forest.cyclic[rows], "is its own ancestor"),
        (~wild & (end == 0), "has no end"),
        (~wild & (end != 0) & (end < start), "ends before it starts"),
        (wild, "has a time that no clock shows"),
    ):
        yield from ((member, what) for member in np.flatnonzero(marked).tolist())
    for lost, noun in (
        (table.dropped_attributes, "attribute"),
        (table.dropped_events, "event"),
        (table.dropped_links, "link"),
    ):
        yield from ((member, f"lost {_counted(lost[member], noun)}") for member in np.flatnonzero(lost).tolist())
    elsewhere = left_out(table) & (table.dropped_attributes == 0)
    yield from (
        (member, "lost attributes of its resource, scope, events or links")
        for member in np.flatnonzero(elsewhere).tolist()
    )
    dangling = _dangling(run, table)
    for member in np.flatnonzero(dangling).tolist():
        yield member, f"{_counted(dangling[member], 'link')} to what never came"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _orphans(run: PreparedRun, rows: Rows) -> Iterator[tuple[int, str]]:
    """Say of each orphan which parent never came, and who should have sent it."""
    orphans = np.flatnonzero(run.spans.forest.orphan[rows])
    if not len(orphans):
        return
    whole = run.spans.table
    found = missing_parents(whole, run.spans.forest)
    ids = zip(found.trace.tolist(), found.span_id.tolist(), strict=True)
    place = {pair: number for number, pair in enumerate(ids)}
    for member in orphans.tolist():
        parent = int(whole.parent_span_id[rows[member]])
        at = place[int(whole.trace[rows[member]]), parent]
        sender = int(found.sender[at])
        said = [f"parent {span_id_hex(parent)} never came", _PARENT[Remote(int(found.remote[at]))]]
        said.append(f"probably of {found.services[sender]}" if sender >= 0 else "")
        yield member, ", ".join(filter(None, said))


def _dangling(run: PreparedRun, table: SpanTable) -> Rows:
    """Count the links of each span that lead to spans which are not in the run."""
    whole = run.spans.table
    index = SpanIndex.of(whole, whole.trace.astype(np.int64))
    found = index.find(table.links.trace.astype(np.int64), table.links.span_id)
    carrier = owners(table.links.offsets)
    return np.bincount(carrier[found < 0], minlength=len(table))
