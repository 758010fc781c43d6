"""One stitched request in full: every span with what led to it, the waits, and the critical path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import numpy as np

from spanverdict.checks.clockdoubt import clock_notes
from spanverdict.checks.pathtimes import CriticalPaths, critical_paths_of
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.outcomes import StageShare
from spanverdict.evaluation.preparing import PreparedRun, prepare, view_of
from spanverdict.evaluation.runreasons import RunReasons
from spanverdict.evaluation.spannotes import SpanNotes
from spanverdict.evaluation.timespent import shares_of
from spanverdict.paths.critical_path import SectionKind, parents_and_causes
from spanverdict.paths.joins import Join
from spanverdict.paths.membership import Membership
from spanverdict.paths.stitching import Requests
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.identifiers import span_id_hex
from spanverdict.telemetry.spantable import Rows, SpanTable

SHORTEST_PREFIX: Final = 6
"""Digits of a trace id that are enough to look for it."""


@dataclass(frozen=True, slots=True)
class PathSpan:
    """One span of a request. Times are int ns; `start` counts from the start of the request."""

    depth: int
    """How many spans led to it, one after the other."""
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    service: str
    kind: int
    status: int
    stage: str
    """Empty for none."""
    attempt: int
    """Which of the stage's spans in this request it is, from 1; 0 for none of a stage."""
    attempts: int
    start: int
    duration: int | None
    """None where it has no usable times."""
    wait: int
    """From the end of what led to it until its start; 0 where that was still going on."""
    wait_on_path: int
    """How much of the wait the request could not do without."""
    own_time_on_path: int
    on_path: bool
    join: Join
    reason: str
    """How it was joined, for people: `link to 4bf92f35…/00f067aa0ba902b7`."""
    requests: int
    """How many requests it is a span of."""
    defects: tuple[str, ...]
    in_run_by: str
    """Why it belongs to the run, for people; empty where nobody asked or there is no other run."""


@dataclass(frozen=True, slots=True)
class RequestPath:
    """A request from its callers to the last span that it led to."""

    name: str
    trace_id: str
    """Of its first span."""
    flow: str
    start_unix_nano: int
    duration: int | None
    """None for a request without beginning or end."""
    shares: tuple[StageShare, ...]
    """What the duration was spent on, longest first."""
    missing: tuple[str, ...]
    """Mandatory stages that it lacks."""
    spans: tuple[PathSpan, ...]
    """Each after what led to it, otherwise by start."""
    sections: tuple[tuple[str, int, int], ...]
    """The critical path: (span id, empty for a wait; start; end), from the start of the request."""
    clocks: tuple[str, ...] = ()
    """How far the clocks of its hosts differ, in sentences. All times are as they were sent."""


@dataclass(frozen=True, eq=False)
class StitchedRun:
    """A run as a flow sees it."""

    flow: Flow
    run: PreparedRun
    view: RunView
    requests: Requests

    @staticmethod
    def of(
        flow: Flow, table: SpanTable, expected: int | None = None, membership: Membership | None = None
    ) -> StitchedRun:
        """Stitch the spans of a run, which may come in any order and with resends."""
        run = prepare(table, membership)
        view, requests = view_of(flow, run, expected)
        return StitchedRun(flow, run, view, requests)

    def named(self, text: str) -> list[int]:
        """Return the requests that a text names: by key, else by a trace id of theirs or how it begins."""
        numbers = range(self.view.n_requests)
        found = [number for number in numbers if self.view.request_name(number) == text]
        return found or self._holding(text.lower())

    def _holding(self, text: str) -> list[int]:
        table = self.view.spans.table
        if len(text) < SHORTEST_PREFIX:
            return []
        traces = ascending(table.trace)
        meant = [number for number in traces.tolist() if table.pool.trace_hex(number).startswith(text)]
        here = np.isin(table.trace, meant) & (self.view.request >= 0)
        return [int(number) for number in ascending(self.view.request[here])]

    def outermost(self, numbers: Sequence[int]) -> list[int]:
        """Return of some requests those that are not wholly part of others, the largest first."""
        spans = {number: set(self.view.row[self.view.request == number].tolist()) for number in numbers}
        found: list[int] = []
        seen: set[int] = set()
        for number in sorted(numbers, key=lambda number: (-len(spans[number]), number)):
            if not spans[number] <= seen:
                found.append(number)
                seen |= spans[number]
        return found

    def path(self, number: int) -> RequestPath:
        """Return one request in full."""
        return _Assembly.of(self, number).path()


@dataclass(frozen=True, eq=False)
class _Assembly:
    """One request, its members numbered as in the view of it alone."""

    stitched: StitchedRun
    number: int
    view: RunView
    paths: CriticalPaths
    led_by: Rows
    joined: Mapping[tuple[int, int], Join]
    """What joins (from, to) members besides parenthood."""
    order: tuple[tuple[int, int], ...]
    """(member, depth) in the order of display."""
    stages: tuple[str, ...]
    """Of each member, empty for none; also of those without usable times."""
    notes: SpanNotes

    @staticmethod
    def of(stitched: StitchedRun, number: int) -> _Assembly:
        view = stitched.view.part([number])
        paths = critical_paths_of(view)
        everyone = replace(paths.members, usable=np.ones(len(paths.members), np.bool_))
        _, cause = parents_and_causes(everyone, view.first_member)
        spans = view.spans
        stages = np.full(len(spans), "", object)
        for name, stage in view.stages.items() if stitched.flow.name else ():
            stages[stage.selector.mask(spans)] = name
        order = tuple(_in_order(cause, spans.table))
        notes = SpanNotes.of(stitched.run, view.row, [str(field) for field in stitched.flow.request.correlate])
        return _Assembly(stitched, number, view, paths, cause, _joined(view), order, tuple(stages.tolist()), notes)

    def path(self) -> RequestPath:
        view, first = self.view, int(self.view.first_member[0])
        extent = self.paths.extents
        whole = int(extent.first[0]) >= 0
        missing = [n for n, spec in view.stages.items() if spec.minimum and not view.stage(n).present[0]]
        return RequestPath(
            self.stitched.view.request_name(self.number),
            view.trace_of(first),
            self.stitched.flow.name,
            self._origin(),
            int(extent.end[0] - extent.start[0]) if whole else None,
            shares_of(self.paths.times()),
            tuple(missing),
            tuple(self._spans()),
            tuple(self._sections()),
            clock_notes(view),
        )

    def _origin(self) -> int:
        """Return the instant that offsets count from: the start of the request, as well as it is known."""
        extent = self.paths.extents
        if int(extent.first[0]) >= 0:
            return int(extent.start[0])
        return int(self.view.spans.table.start_time_unix_nano[self.view.first_member[0]])

    def _sections(self) -> Iterator[tuple[str, int, int]]:
        sections, origin = self.paths.sections, self._origin()
        span_id = self.view.spans.table.span_id
        for member, start, end in zip(
            sections.member.tolist(), sections.start.tolist(), sections.end.tolist(), strict=True
        ):
            yield span_id_hex(int(span_id[member])) if member >= 0 else "", start - origin, end - origin

    def _spans(self) -> Iterator[PathSpan]:
        table, view = self.view.spans.table, self.view
        service, sound = table.resource_attribute("service.name"), view.sound
        own, waited = self._time_on_path()
        wait, attempts, joins = self._waits(), self._attempts(), self._joins()
        origin, duration = self._origin(), table.duration()
        in_run_by = RunReasons(self.stitched.run, self._keys()).of_rows(view.row)
        times_a_member = np.bincount(self.stitched.view.row[self.stitched.view.request >= 0])
        for member, depth in self.order:
            parent = int(table.parent_span_id[member])
            attempt, of = attempts.get(member, (0, 0))
            yield PathSpan(
                depth=depth,
                trace_id=view.trace_of(member),
                span_id=span_id_hex(int(table.span_id[member])),
                parent_span_id=span_id_hex(parent) if parent else "",
                name=table.pool.string(int(table.name[member])),
                service=_text(service[member]),
                kind=int(table.kind[member]),
                status=int(table.status_code[member]),
                stage=self.stages[member],
                attempt=attempt,
                attempts=of,
                start=int(table.start_time_unix_nano[member]) - origin,
                duration=int(duration[member]) if sound[member] else None,
                wait=wait.get(member, 0),
                wait_on_path=waited.get(member, 0),
                own_time_on_path=own.get(member, 0),
                on_path=member in own,
                join=joins[member],
                reason=self._reason(member, joins[member]),
                requests=int(times_a_member[view.row[member]]),
                defects=self.notes.defects(member),
                in_run_by=in_run_by[member],
            )

    def _keys(self) -> tuple[str, ...]:
        return tuple(str(field) for field in self.stitched.flow.request.correlate)

    def _time_on_path(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return the own time of each member on the critical path, and the waits there by who they ended with."""
        sections = self.paths.sections
        times: tuple[dict[int, int], dict[int, int]] = {}, {}
        columns = (sections.kind, sections.until, sections.duration())
        for kind, member, lasted in zip(*(column.tolist() for column in columns), strict=True):
            of = times[kind == SectionKind.QUEUE]
            of[member] = of.get(member, 0) + lasted
        return times

    def _waits(self) -> dict[int, int]:
        """Return how long each member came after the end of what led to it."""
        table, sound = self.view.spans.table, self.view.sound
        taken = np.flatnonzero(self.led_by >= 0)
        taken = taken[sound[taken] & sound[self.led_by[taken]]]
        wait = table.start_time_unix_nano[taken] - table.end_time_unix_nano[self.led_by[taken]]
        return {member: lasted for member, lasted in zip(taken.tolist(), wait.tolist(), strict=True) if lasted > 0}

    def _attempts(self) -> dict[int, tuple[int, int]]:
        """Number the spans of each stage by start; a span within another of its stage is part of that."""
        start = self.view.spans.table.start_time_unix_nano
        parent = self.paths.members.parent.tolist()
        above: list[str] = [""] * len(parent)
        for member, _ in self.order:
            if (upper := parent[member]) >= 0:
                above[member] = self.stages[upper] or above[upper]
        own = [m for m, _ in self.order if self.stages[m] and above[m] != self.stages[m]]
        own.sort(key=lambda member: (self.stages[member], int(start[member])))
        found: dict[int, tuple[int, int]] = {}
        for _, group in groupby(own, key=lambda member: self.stages[member]):
            members = list(group)
            found.update({member: (place, len(members)) for place, member in enumerate(members, 1)})
        return found

    def _joins(self) -> list[Join]:
        """Return what joined each member; several things may have, then it is the strongest."""
        requests = self.stitched.requests
        here = np.flatnonzero(requests.request == self.number)
        by_row = dict(zip(requests.row[here].tolist(), requests.join[here].tolist(), strict=True))
        return [Join(by_row[row]) for row in self.view.row.tolist()]

    def _reason(self, member: int, join: Join) -> str:
        members, cause = self.paths.members, int(self.led_by[member])
        why = self.joined.get((cause, member)) if cause != int(members.parent[member]) else None
        if why is Join.LINK:
            return f"link to {self._place(cause)}"
        return self.notes.reason(member, why or join)

    def _place(self, member: int) -> str:
        span_id = span_id_hex(int(self.view.spans.table.span_id[member]))
        return f"{self.view.trace_of(member)[:8]}…/{span_id}"


def _joined(view: RunView) -> dict[tuple[int, int], Join]:
    """Return what joins (from, to) members, of several joins the strongest."""
    joins = view.members.joins
    order = np.argsort(-joins.why, kind="stable")
    pairs = zip(joins.source[order].tolist(), joins.target[order].tolist(), strict=True)
    return dict(zip(pairs, map(Join, joins.why[order].tolist()), strict=True))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _in_order(cause: Rows, table: SpanTable) -> Iterator[tuple[int, int]]:
    """Yield (member, depth) of every member after what led to it, those that one span led to by start."""
    order = np.lexsort((table.span_id, table.start_time_unix_nano))[::-1]
    below: dict[int, list[int]] = {}
    for member, above in zip(order.tolist(), cause[order].tolist(), strict=True):
        below.setdefault(above, []).append(member)
    waiting = [(member, 0) for member in below.get(-1, ())]
    while waiting:
        member, depth = waiting.pop()
        yield member, depth
        waiting += [(lower, depth + 1) for lower in below.get(member, ())]
