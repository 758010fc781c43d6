"""A run as measures see it: the members of every request, its stages and their times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import RLock
from typing import Final

import numpy as np

from spanverdict.checks.history import RunHistory
from spanverdict.checks.jsoncolumn import found_in
from spanverdict.checks.missing import Missing
from spanverdict.checks.valueof import ValueOf
from spanverdict.paths.clocks import Clocks
from spanverdict.paths.forest import Forest, Parents, grow
from spanverdict.paths.joins import Join
from spanverdict.paths.sampling import Sampling, sampling_of
from spanverdict.selectors import Field, Selector
from spanverdict.selectors.columns import Spans
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.spantable import MAX_TIME, AttributeColumn, Bools, Int8s, Int64s, Ints, Rows, SpanTable
from spanverdict.telemetry.vocabulary import StatusCode

NEVER_ARRIVED: Final = "never arrived"


@dataclass(frozen=True, slots=True)
class StageSpec:
    """What a flow says of one stage."""

    selector: Selector
    minimum: int
    """Spans that each request needs; 0 for an optional stage."""
    maximum: int | None


@dataclass(frozen=True, slots=True, eq=False)
class StageTimes:
    """One stage over all requests; all arrays are (n_requests,) unless said."""

    count: Int64s
    """Spans of the stage with usable times."""
    start: Int64s
    """First start in ns, `MAX_TIME` where the count is 0."""
    end: Int64s
    """Last end in ns, -1 where the count is 0."""
    last: Rows
    """Member that the stage is judged by: the last to end of those that did not fail, else the last."""
    member: Rows
    """(n_spans,) the members of the stage, by request …"""
    request: Int64s
    """… and the request of each, ascending."""

    @property
    def present(self) -> Bools:
        """Tell which requests have the stage."""
        return self.count > 0


@dataclass(frozen=True, slots=True, eq=False)
class MemberJoins:
    """What joins members of one request besides parenthood, (n_joins,) each."""

    source: Rows
    """The earlier member …"""
    target: Rows
    """… the one that it led to …"""
    why: Int8s
    """… and the `Join`: LINK, MESSAGE or KEY."""

    def taken(self, use: Bools) -> MemberJoins:
        """Return the marked ones."""
        return MemberJoins(self.source[use], self.target[use], self.why[use])

    def causal(self) -> MemberJoins:
        """Return those that say what led to what; of a key only the order in time is known."""
        return self.taken(self.why != Join.KEY)


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """Who is in which request. All arrays are (n_members,) unless said."""

    table: SpanTable
    """A span that several requests share stands in it once for each."""
    request: Int64s
    """The request of each member, -1 for none; so every span of the run is a member at least once."""
    row: Ints
    """The span that each member is."""
    parents: Parents
    """Parents within the request; orphans are what is one in its trace."""
    joins: MemberJoins
    first: Rows
    """(n_requests,) the ingest span of each request."""

    def group(self) -> Int64s:
        """Return what structure may not cross: the request; of spans without one the trace."""
        if (self.request >= 0).all():
            return self.request
        return np.where(self.request >= 0, self.request, len(self.first) + self.table.trace.astype(np.int64))

    def forest(self) -> Forest:
        """Grow the trees of the requests."""
        return grow(self.table, self.group(), (self.joins.source, self.joins.target), self.parents)

    def part(self, requests: Sequence[int]) -> Members:
        """Return the members of some requests, which are numbered anew in the order given."""
        number = np.full(len(self.first) + 1, -1, np.int64)
        number[list(requests)] = np.arange(len(requests))
        rows = np.flatnonzero(number[self.request] >= 0)
        place = np.full(len(self.request) + 1, -1, np.intp)
        place[rows] = np.arange(len(rows))
        parents = self.parents
        joins = MemberJoins(place[self.joins.source], place[self.joins.target], self.joins.why)
        return Members(
            self.table.take(rows),
            number[self.request[rows]],
            self.row[rows],
            Parents(place[parents.parent[rows]], parents.orphan[rows], parents.cyclic[rows]),
            joins.taken((joins.source >= 0) & (joins.target >= 0)),
            place[self.first[list(requests)]],
        )


@dataclass(frozen=True, eq=False)
class RunView:
    """The stitched requests of a run under one flow."""

    members: Members
    stages: Mapping[str, StageSpec]
    """In path order."""
    starts_at: str
    ends_at: str
    expected: int | None = None
    """Requests that should have come."""
    key: ValueOf | None = None
    """What names a request; the trace id of its first span without it."""
    clocks: Clocks | None = None
    """How far the clocks of its hosts may differ; None where all are taken to be one."""
    clock_trusted: bool = False
    """Whether its author says that the clocks need not be doubted."""
    history: RunHistory = field(default_factory=RunHistory)
    """Runs that rules over several runs look back at, this one among them."""
    memo: dict[str, object] = field(default_factory=dict, repr=False)
    """What was worked out of the view as a whole, by what works it out."""
    working: RLock = field(default_factory=RLock, repr=False)
    """Held by whoever works out something for `memo` that takes long; others who want it wait."""
    _stage_times: dict[str, StageTimes] = field(default_factory=dict, repr=False)

    @cached_property
    def spans(self) -> Spans:
        """The members; structure holds within a request, and is worked out when it is first asked for."""
        return Spans(self.members.table, self.members.forest, self.members.group())

    @property
    def request(self) -> Int64s:
        """(n_members,) the request of each member, -1 for none."""
        return self.members.request

    @property
    def row(self) -> Ints:
        """(n_members,) the span that each member is."""
        return self.members.row

    @cached_property
    def shared(self) -> bool:
        """Tell whether any span is of several requests; if none is, the members are the spans, in their order."""
        return not np.array_equal(self.row, np.arange(len(self.row), dtype=np.int32))

    @property
    def first_member(self) -> Rows:
        """(n_requests,) the ingest span of each request."""
        return self.members.first

    @property
    def n_requests(self) -> int:
        """How many requests there are."""
        return len(self.members.first)

    @property
    def never_arrived(self) -> int:
        """How many expected requests did not come."""
        return max(0, (self.expected or 0) - self.n_requests)

    def part(self, requests: Sequence[int]) -> RunView:
        """Return the view of some requests alone."""
        return replace(self, members=self.members.part(requests), expected=None, memo={}, _stage_times={})

    @cached_property
    def sound(self) -> Bools:
        """Tell which members have usable times: ended, not before they started, in range."""
        table = self.members.table
        start, end = table.start_time_unix_nano, table.end_time_unix_nano
        return (end > 0) & (end >= start) & (end < MAX_TIME) & (start > 0)

    @cached_property
    def clock(self) -> Int64s:
        """The clock of each member; only where `clocks` are told apart."""
        assert self.clocks is not None
        return self.clocks.of(self.members.table)

    @cached_property
    def sampling(self) -> Sampling:
        """How many spans each member stands for, where samplers said so."""
        return sampling_of(self.members.table)

    def stage(self, name: str) -> StageTimes:
        """Return the times of a stage; computed once."""
        times = self._stage_times.get(name)
        if times is None:
            chosen = self.stages[name].selector.mask(self.spans) & self.sound & (self.request >= 0)
            times = self._stage_times[name] = self.times_of(np.flatnonzero(chosen))
        return times

    def times_of(self, member: Rows) -> StageTimes:
        """Return the times of a stage that has these members, all of them sound and of requests."""
        member = member[order_of(self.request[member])]
        request, table = self.request[member], self.members.table
        start, end = table.start_time_unix_nano[member], table.end_time_unix_nano[member]
        count = np.bincount(request, minlength=self.n_requests).astype(np.int64)
        first_start = np.full(self.n_requests, MAX_TIME, np.int64)
        last_end = np.full(self.n_requests, -1, np.int64)
        last = np.full(self.n_requests, -1, np.intp)
        if len(member):
            heads = np.flatnonzero(np.diff(request, prepend=-1) > 0)
            first_start[request[heads]] = np.minimum.reduceat(start, heads)
            last_end[request[heads]] = np.maximum.reduceat(end, heads)
            last[request] = member
            several = np.flatnonzero(count[request] > 1)
            good = table.status_code[member[several]] != StatusCode.ERROR
            order = several[order_of(request[several], good, end[several], table.span_id[member[several]])]
            last[request[order]] = member[order]
        return StageTimes(count, first_start, last_end, last, member, request)

    def column(self, wanted: Field | ValueOf) -> AttributeColumn:
        """Return a field of every member, or what stands in the JSON that it holds; unreadable JSON holds nothing."""
        if isinstance(wanted, Field):
            return wanted.column(self.spans)
        column = wanted.field.column(self.spans)
        return column if wanted.path is None else found_in(column, wanted.path).column

    def without_stage(self, name: str) -> Missing:
        """Return the requests that lack a mandatory stage, and those that never arrived."""
        if self.stages[name].minimum == 0:
            return self.not_arrived()
        lacking = np.flatnonzero(~self.stage(name).present)
        return Missing.of_requests(lacking, f"have no stage {name}").also(self.not_arrived())

    def not_arrived(self) -> Missing:
        """Return the expected requests that never arrived."""
        return Missing.of_requests(np.full(self.never_arrived, -1, np.intp), NEVER_ARRIVED)

    def request_name(self, number: int) -> str:
        """Return what names a request to people: the value of its key, else its trace id."""
        name = None if self._key_of_request is None else self._key_of_request[number]
        return str(name) if name is not None else self.trace_of(int(self.first_member[number]))

    def trace_of(self, member: int) -> str:
        """Return the trace id of a member in hex."""
        table = self.members.table
        return table.pool.trace_hex(int(table.trace[member]))

    @cached_property
    def _key_of_request(self) -> AttributeColumn | None:
        """The key of each request."""
        if self.key is None:
            return None
        column = self.column(self.key)
        return AttributeColumn(self.codes_of_requests(column).astype(np.int32), column.values)

    def values_of_requests(self, wanted: Field | ValueOf) -> list[object]:
        """Return the first value of a field in each request, None where no span has it."""
        column = self.column(wanted)
        chosen = self.codes_of_requests(column)
        return [column.values[code] if code >= 0 else None for code in chosen.tolist()]

    def codes_of_requests(self, column: AttributeColumn) -> Int64s:
        """Return for each request the code of its ingest span, else of the first other member that has a value.

        -1 for none.
        """
        codes = np.full(self.n_requests, -1, np.int64)
        here = np.flatnonzero((column.codes >= 0) & (self.request >= 0))[::-1]
        codes[self.request[here]] = column.codes[here]
        own = column.codes[self.first_member]
        return np.where(own >= 0, own, codes)
