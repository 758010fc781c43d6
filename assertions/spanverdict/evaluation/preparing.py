"""From loose spans to the view of a flow: settle, find parents and links, select the ingest spans, stitch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np

from spanverdict.checks.runview import MemberJoins, Members, RunView, StageSpec
from spanverdict.paths.clocks import Clocks, clocks_of
from spanverdict.paths.defects import Defect
from spanverdict.paths.duplicates import settle_rows
from spanverdict.paths.forest import Parents, SpanIndex, find_parents, grow
from spanverdict.paths.joins import Join
from spanverdict.paths.keyedges import KeyEdges
from spanverdict.paths.membership import Membership
from spanverdict.paths.orphans import missing_parent_defect
from spanverdict.paths.spandefects import marked_spans, span_defects
from spanverdict.paths.stitching import LinkEdges, Requests, message_edges, resolve_links, stitch
from spanverdict.rulefiles.models import ClockSpec, Flow
from spanverdict.selectors.columns import Spans
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.ragged import gather
from spanverdict.telemetry.spantable import Int64s, Ints, Rows, SpanTable
from spanverdict.telemetry.vectors import constant, widened

_CACHED: Final = 1 << 15
"""So many rows of a few columns stay in the cache."""


@dataclass(frozen=True, eq=False)
class PreparedRun:
    """The spans of a run, once each, with their parents and links: what all flows have in common."""

    spans: Spans
    """In canonical order; structure holds within a trace."""
    parents: Parents
    links: LinkEdges
    messages: tuple[Rows, Rows]
    """(from, to) rows that a message joins."""
    clocks: Clocks
    defects: tuple[Defect, ...]
    membership: Membership | None = None
    """Why they are the run's, where somebody asked."""
    kept: dict[int, tuple[Flow, int | None, RunView, Requests]] = field(default_factory=dict, repr=False)
    """Views that were looked at already, by the identity of their flow."""


def prepare(table: SpanTable, membership: Membership | None = None) -> PreparedRun:
    """Settle the spans of a run, of which `membership` says why they are its own, and say what is broken about them."""
    table, rows, repeats = settle_rows(table)
    membership = None if membership is None else membership.taken(rows)
    group = widened(table.trace)
    index = SpanIndex.of(table, group)
    parents = find_parents(table, group, index, settled=True)
    links = resolve_links(table, index, settled=True)
    spans = Spans(table, partial(grow, table, group, None, parents), group)
    clocks = clocks_of(table, parents)
    defects = (*repeats, *span_defects(table), *_structure_defects(spans, parents, links), *clocks.defects())
    messages = message_edges(table, links)
    named = tuple(sorted(defects, key=lambda defect: defect.name))
    return PreparedRun(spans, parents, links, messages, clocks, named, membership)


def _structure_defects(spans: Spans, parents: Parents, links: LinkEdges) -> Iterator[Defect]:
    if parents.orphan.any():
        yield from missing_parent_defect(spans.table, parents)
    yield from marked_spans(spans.table, "parent_cycle", parents.cyclic, "is its own ancestor")
    if links.dangling:
        yield Defect("dangling_link", links.dangling, "links to spans that never came")
    if links.to_self:
        yield Defect("self_link", links.to_self, "spans link to themselves")


def looked_at(flow: Flow, run: PreparedRun, expected: int | None) -> RunView:
    """Stitch the requests of a flow and keep them with the run, for the one who asks for them next."""
    view, requests = view_of(flow, run, expected)
    run.kept[id(flow)] = (flow, expected, view, requests)
    return view


def view_of(flow: Flow, run: PreparedRun, expected: int | None) -> tuple[RunView, Requests]:
    """Stitch the requests of a flow; what was kept of it is handed out, once."""
    known = run.kept.pop(id(flow), None)
    if known is not None and known[0] is flow and known[1] == expected:
        return known[2], known[3]
    spans = run.spans
    stages = {stage.name: StageSpec(stage.selector, stage.count.minimum, stage.count.maximum) for stage in flow.stages}
    starts = stages[flow.request.starts_at].selector.mask(spans)
    keys = [field.column(spans) for field in flow.request.correlate]
    requests = stitch(spans.table, run.parents, starts, links=run.links, messages=run.messages, keys=keys)
    members = _members(run, requests)
    ends = flow.request.starts_at, flow.request.ends_at
    clocks = _doubted(run.clocks, flow.clock)
    view = RunView(members, stages, *ends, expected, flow.request.key, clocks, clock_trusted=flow.clock.trusted)
    return view, requests


def _doubted(clocks: Clocks, spec: ClockSpec) -> Clocks | None:
    """Return the clocks of a run as far as its flow doubts them; None where nothing is in doubt."""
    return None if spec.trusted or not clocks.several else replace(clocks, within=spec.within_ns)


def _members(run: PreparedRun, requests: Requests) -> Members:
    """Lay out the members: every span once, in canonical order, then shared spans again for each further request."""
    table, further = run.spans.table, slice(requests.further, None)
    request = _first_requests(requests, len(table))
    row: Ints = np.arange(len(table), dtype=np.int32)
    if len(requests.row) > requests.further:
        row = np.concatenate([row, requests.row[further]])
        request = np.concatenate([request, requests.request[further]])
    places = _Places(request, row, len(table))
    return Members(
        table.followed_by(row[len(table) :]) if len(row) > len(table) else table,
        request,
        row,
        _parents(run.parents, places),
        _member_joins(run, requests.keyed, places),
        places.find(requests.start_row, np.arange(len(requests))),
    )


def _first_requests(requests: Requests, n_rows: int) -> Int64s:
    """Return the first request of each row, -1 for none."""
    held = slice(requests.further)
    if len(requests) == 1 and requests.further == n_rows:
        return constant(0, n_rows, np.int64)
    if requests.further == n_rows:
        return requests.request[held]
    request = np.full(n_rows, -1, np.int64)
    request[requests.row[held]] = requests.request[held]
    return request


def _parents(parents: Parents, places: _Places) -> Parents:
    """Return the parents of members within their requests."""
    row, request = places.row, places.request
    if len(row) == places.n_rows and _stay_inside(parents.parent, request):
        return parents
    return Parents(places.find(parents.parent[row], request), parents.orphan[row], parents.cyclic[row])


def _stay_inside(parent: Rows, request: Int64s) -> bool:
    """Tell whether all parents are of the same request as their children."""
    pieces = (slice(start, start + _CACHED) for start in range(0, len(parent), _CACHED))
    return all(bool(((parent[at] < 0) | (request.take(parent[at]) == request[at])).all()) for at in pieces)


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Finds the member that a span is in a request."""

    request: Int64s
    row: Ints
    n_rows: int

    def find(self, row: Rows, request: Int64s) -> Rows:
        """Return the member of each (row, request), -1 where the span is not in the request or the row is -1."""
        found = np.where((row >= 0) & (self.request[row] == request), row, -1)
        other = np.flatnonzero((found < 0) & (row >= 0) & (request >= 0))
        if not len(other) or len(self.row) == self.n_rows:
            return found
        width = int(self.request.max()) + 1
        keys = self.row[self.n_rows :] * width + self.request[self.n_rows :]
        wanted = row[other] * width + request[other]
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found[other] = np.where(keys[place] == wanted, self.n_rows + place, -1)
        return found


def _member_joins(run: PreparedRun, keyed: KeyEdges, places: _Places) -> MemberJoins:
    """Return what joins members of one request."""
    by_link = _between_members((run.links.source, run.links.target), places)
    by_message = _between_members(run.messages, places)
    by_key = places.find(keyed.source, keyed.request), places.find(keyed.target, keyed.request)
    edges = ((by_link, Join.LINK), (by_message, Join.MESSAGE), (by_key, Join.KEY))
    source, target = (np.concatenate([pair[end] for pair, _ in edges]) for end in (0, 1))
    return MemberJoins(
        source, target, np.repeat([why for _, why in edges], [len(pair[0]) for pair, _ in edges]).astype(np.int8)
    )


def _between_members(edges: tuple[Rows, Rows], places: _Places) -> tuple[Rows, Rows]:
    """Return the edges between rows as edges between members of one request."""
    if not len(edges[0]):
        return edges
    order = order_of(edges[1])
    if len(places.row) == places.n_rows:
        target = edges[1][order]
        source = places.find(edges[0][order], places.request[target])
        return source[source >= 0], target[source >= 0]
    offsets = np.searchsorted(edges[1][order], np.arange(places.n_rows + 1)).astype(np.int64)
    carriers = np.flatnonzero((np.diff(offsets)[places.row] > 0) & (places.request >= 0))
    taken, found = gather(offsets, places.row[carriers])
    target = np.repeat(carriers, np.diff(taken))
    source = places.find(edges[0][order][found], places.request[target])
    return source[source >= 0], target[source >= 0]
