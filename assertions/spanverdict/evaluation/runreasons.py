"""Why each span belongs to its run, as people are told: which tag, which link, which message or key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spanverdict.evaluation.preparing import PreparedRun
from spanverdict.paths.association import REASON_TEXT, Reason
from spanverdict.paths.sharedvalues import message_columns, texts_of
from spanverdict.selectors import parse_field
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.identifiers import is_run_id, span_id_hex
from spanverdict.telemetry.spantable import AttributeColumn, Rows, SpanTable

_OWN = (Reason.SPAN, Reason.RESOURCE, Reason.SCOPE)


@dataclass(frozen=True, eq=False)
class RunReasons:
    """Says why spans of a run are in it. What joins a trace is told by the first span of it that is joined so."""

    run: PreparedRun
    keys: tuple[str, ...]
    """Fields that join traces."""

    def of_rows(self, rows: Rows) -> list[str]:
        """Return why the spans in some rows are in the run; empty texts where nobody asked or there is no other run."""
        if self.run.membership is None:
            return [""] * len(rows)
        reasons = self.run.membership.reason[rows].tolist()
        traces = self.run.spans.table.trace[rows].tolist()
        said: dict[tuple[int, int], str] = {}
        found = []
        for row, trace, reason in zip(rows.tolist(), traces, map(Reason, reasons), strict=True):
            asked = (row if reason in _OWN else trace, reason)
            if asked not in said:
                said[asked] = self._said(reason, row, trace, rows)
            found.append(said[asked])
        return found

    def _said(self, reason: Reason, row: int, trace: int, among: Rows) -> str:
        if reason is Reason.INPUT:
            return ""
        details: Iterator[str] = iter(())
        if reason in _OWN:
            details = self._tags(reason, row)
        elif reason is Reason.LINK:
            details = self._links(trace, among)
        elif reason is Reason.MESSAGE:
            details = self._shared(trace, [("", column) for column in message_columns(self.run.spans.table)])
        elif reason is Reason.KEY:
            details = self._shared(trace, self._key_columns())
        return f"{REASON_TEXT[reason]} {next(details, '')}".rstrip()

    def _tags(self, reason: Reason, row: int) -> Iterator[str]:
        table = self.run.spans.table
        readers = {Reason.RESOURCE: table.resource_attribute, Reason.SCOPE: table.scope_attribute}
        read = readers.get(reason, table.attribute)
        tags = self.run.membership.tags if self.run.membership is not None else ()
        return (key for key in tags if is_run_id(read(key)[row]))

    def _links(self, trace: int, among: Rows) -> Iterator[str]:
        """Yield the links between a trace and others of the run: its own first, and first those to rows asked about."""
        table, links = self.run.spans.table, self.run.links
        source, target = table.trace[links.source], table.trace[links.target]
        for end, other, word in ((target, links.source, "to"), (source, links.target, "from")):
            places = other[np.flatnonzero((end == trace) & (source != target))]
            for place in [*places[np.isin(places, among)][:1].tolist(), *places[:1].tolist()]:
                yield f"{word} {_place(table, place)}"

    def _shared(self, trace: int, columns: Sequence[tuple[str, AttributeColumn]]) -> Iterator[str]:
        """Yield values that a trace shares with others of the run."""
        own = self.run.spans.table.trace == trace
        for name, column in columns:
            inside = ascending(column.codes[own & (column.codes >= 0)])
            outside = ascending(column.codes[~own & (column.codes >= 0)])
            for code in inside[np.isin(inside, outside)][:1].tolist():
                value = column.values[code]
                yield f"{name}{'/'.join(map(str, value)) if isinstance(value, tuple) else value}"

    def _key_columns(self) -> list[tuple[str, AttributeColumn]]:
        return [(f"{key} = ", texts_of(parse_field(key).column(self.run.spans))) for key in self.keys]


def _place(table: SpanTable, row: int) -> str:
    return f"{table.pool.trace_hex(int(table.trace[row]))[:8]}…/{span_id_hex(int(table.span_id[row]))}"
