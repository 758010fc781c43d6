"""From loose spans to the view of a flow: settle, grow, select the ingest spans, stitch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spanverdict.checks.runview import RunView, StageSpec
from spanverdict.paths.defects import Defect
from spanverdict.paths.duplicates import settle
from spanverdict.paths.forest import Forest, grow
from spanverdict.paths.stitching import LinkEdges, Requests, resolve_links, stitch
from spanverdict.rulefiles.models import Flow
from spanverdict.selectors.columns import Spans
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.spantable import MAX_TIME, Bools, Int64s, Rows, SpanTable


@dataclass(frozen=True, eq=False)
class PreparedRun:
    """The spans of a run, once each, with their forest: what all flows have in common."""

    spans: Spans
    links: LinkEdges
    defects: tuple[Defect, ...]


def prepare(table: SpanTable) -> PreparedRun:
    """Settle the spans of a run and say what is broken about them."""
    table, repeats = settle(table)
    forest = grow(table)
    links = resolve_links(table)
    defects = (*repeats, *_defects(table, forest, links))
    return PreparedRun(Spans(table, forest), links, tuple(sorted(defects, key=lambda defect: defect.name)))


def view_of(flow: Flow, run: PreparedRun, expected: int | None) -> tuple[RunView, Requests]:
    """Stitch the requests of a flow."""
    spans = run.spans
    stages = {stage.name: StageSpec(stage.selector, stage.count.minimum, stage.count.maximum) for stage in flow.stages}
    starts = stages[flow.request.starts_at].selector.mask(spans)
    keys = [field.column(spans) for field in flow.request.correlate]
    requests = stitch(spans.table, spans.forest, starts, links=run.links, keys=keys)
    row, request, group = _members(spans.table, requests)
    members = spans.table.take(row)
    forest = grow(members, group, _member_links(run.links, request, row, len(spans.table)))
    first = np.flatnonzero(np.isin(row, requests.start_row) & (request >= 0) & (requests.start_row[request] == row))
    view = RunView(
        Spans(members, forest),
        request,
        row,
        len(requests),
        stages,
        flow.request.starts_at,
        flow.request.ends_at,
        expected,
        flow.request.key,
        first,
    )
    return view, requests


def _members(table: SpanTable, requests: Requests) -> tuple[Rows, Int64s, Int64s]:
    """Return row, request and group of every member: spans of requests, then the others by trace."""
    stray = np.ones(len(table), np.bool_)
    stray[requests.row] = False
    others = np.flatnonzero(stray)
    row = np.concatenate([requests.row, others])
    request = np.concatenate([requests.request, np.full(len(others), -1, np.int64)])
    group = np.concatenate([requests.request, len(requests) + table.trace[others].astype(np.int64)])
    return row, request, group


def _member_links(links: LinkEdges, request: Int64s, row: Rows, n_rows: int) -> tuple[Rows, Rows]:
    """Return the link edges between members of one request."""
    target = np.flatnonzero(np.isin(row, links.target) & (request >= 0))
    order = np.argsort(links.target, kind="stable")
    ends = links.target[order]
    first = np.searchsorted(ends, row[target], side="left")
    last = np.searchsorted(ends, row[target], side="right")
    sizes = last - first
    places = np.arange(int(sizes.sum())) + np.repeat(first - np.cumsum(sizes) + sizes, sizes)
    target = np.repeat(target, sizes)
    key = request * n_rows + row
    count = int((request >= 0).sum())
    wanted = request[target] * n_rows + links.source[order][places]
    place = np.minimum(np.searchsorted(key[:count], wanted), max(count - 1, 0))
    here = key[place] == wanted if count else np.zeros(0, np.bool_)
    return place[here], target[here]


def _defects(table: SpanTable, forest: Forest, links: LinkEdges) -> Iterator[Defect]:
    """Yield what is wrong with the spans, each kind once, with its first example in canonical order."""
    start, end = table.start_time_unix_nano, table.end_time_unix_nano
    over = (start >= MAX_TIME) | (end >= MAX_TIME) | (start <= 0)
    unfinished = ~over & (end == 0)
    for name, marked, what in (
        ("missing_parent", forest.orphan, "its parent never came"),
        ("parent_cycle", forest.cyclic, "is its own ancestor"),
        ("unfinished_span", unfinished, "has no end"),
        ("negative_duration", ~over & ~unfinished & (end < start), "ends before it starts"),
        ("time_out_of_range", over, "has a time that no clock shows"),
        ("dropped_attributes", table.dropped_attributes > 0, "lost attributes before it was sent"),
        ("dropped_events", table.dropped_events > 0, "lost events before it was sent"),
        ("dropped_links", table.dropped_links > 0, "lost links before it was sent"),
    ):
        if marked.any():
            yield Defect(name, int(marked.sum()), f"{_describe(table, marked)} {what}")
    if links.dangling:
        yield Defect("dangling_link", links.dangling, "links to spans that never came")
    if links.to_self:
        yield Defect("self_link", links.to_self, "spans link to themselves")


def _describe(table: SpanTable, marked: Bools) -> str:
    row = int(np.flatnonzero(marked)[0])
    name = table.pool.string(int(table.name[row]))
    service = table.resource_attribute("service.name")[row]
    of = f" of {service}" if isinstance(service, str) else ""
    trace, span = table.pool.trace_hex(int(table.trace[row])), span_id_hex(int(table.span_id[row]))
    return f"{name!r}{of} ({trace}/{span})"
