"""Which run does a span belong to, and why.

A run id is a property of a path, not of each span: one tagged span adopts its whole trace, what is
downstream of it (traces that link to it, take its messages, share its keys) and what it stems from.
Work downstream of several runs, such as a consumer of batches, belongs to each of them, which is
reported as a conflict; in it, a span with a link of its own belongs only where that link leads. A
trace that carries tags is never adopted by another run, and nothing is adopted backwards through
work that is only downstream: other producers of a batch stay out of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

import numpy as np

from spanverdict.paths.narrowing import RowRuns, narrow
from spanverdict.paths.runspread import Held, TracesHere, draw, spread
from spanverdict.paths.sharedvalues import message_columns, texts_of
from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES, is_run_id
from spanverdict.telemetry.ordering import order_of
from spanverdict.telemetry.spantable import AttributeColumn, Int8s, Int32s, Int64s, Ints, Rows, SpanTable
from spanverdict.telemetry.vectors import constant


class Reason(IntEnum):
    """Why a span is in a run, strongest first."""

    SPAN = 1
    RESOURCE = 2
    SCOPE = 3
    TRACE = 4
    LINK = 5
    MESSAGE = 6
    KEY = 7
    REGISTERED = 8
    WINDOW = 9
    INPUT = 10


REASON_TEXT: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.SPAN: "span attribute",
        Reason.RESOURCE: "resource attribute",
        Reason.SCOPE: "scope attribute",
        Reason.TRACE: "same trace as a tagged span",
        Reason.LINK: "span link",
        Reason.MESSAGE: "same message",
        Reason.KEY: "shared correlation key",
        Reason.REGISTERED: "trace registered for the run",
        Reason.WINDOW: "arrived in the run's time window",
        Reason.INPUT: "in an input of this run alone",
    }
)

MAX_INVALID: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Association:
    """Runs and the spans they hold."""

    runs: tuple[str, ...]
    """Sorted."""
    row: Rows
    """Rows of the table, one entry for every (span, run), by run, then ascending …"""
    run: Ints
    """… positions in `runs` …"""
    reason: Ints
    """… and `Reason`s."""
    untagged: Rows
    """Rows that belong to no run …"""
    untagged_spans: int
    """… and how many spans they are, resends counted once."""
    conflicts: int
    """Traces that belong to more than one run."""
    invalid: tuple[str, ...]
    """Values of run-id attributes that cannot name a run, sorted, at most `MAX_INVALID`."""
    tags: tuple[str, ...]
    """Those attributes, strongest first."""

    def rows_of(self, run: str) -> Rows:
        """Return the rows of one run, ascending; empty for a run that is not here."""
        return self.row[self._entries(run)]

    def reasons_of(self, run: str) -> Ints:
        """Return the `Reason`s of the rows of one run."""
        return self.reason[self._entries(run)]

    def _entries(self, run: str) -> slice:
        if run not in self.runs:
            return slice(0)
        if len(self.runs) == 1:
            return slice(len(self.run))
        first, last = np.searchsorted(self.run, (self.runs.index(run), self.runs.index(run) + 1))
        return slice(int(first), int(last))


def associate(
    table: SpanTable,
    *,
    keys: Sequence[AttributeColumn] = (),
    registered: Mapping[bytes, Iterable[str]] | None = None,
    window: str | None = None,
    tags: Sequence[str] = RUN_ID_ATTRIBUTES,
) -> Association:
    """Find the runs of all spans of `table`. The order and the repetition of rows make no difference.

    `keys` are the columns of the flows' `correlate` attributes, `registered` names runs for 16-byte
    trace ids, which counts as a tag on the trace; `window` is a run that takes everything that
    belongs to no other; `tags` are the attributes that name runs, strongest first.
    """
    columns = _tags(table, tags)
    runs = _run_names(columns, registered, window)
    tagged = _tagged(columns, runs)
    traces = TracesHere.of(table)
    held = Held.of(traces.count, len(runs), tagged.traces(traces.of_row), Reason.TRACE)
    if registered:
        held = held.with_more(*_registered(table, traces, registered, runs), Reason.REGISTERED, past=True)
    if held.free().any():
        held = _adopted(table, traces, held, keys)
    if window is not None:
        free = np.flatnonzero(held.free())
        held = held.with_more(free, np.full(len(free), runs.index(window)), Reason.WINDOW, past=True)
    found = RowRuns(*held.of_rows(traces.of_row), len(table))
    conflicts = held.conflicts()
    if conflicts:
        shared = [texts_of(column) for column in keys]
        found = narrow(table, found, tagged.run, message_columns(table), shared)
    reason = _own_tags_first(found, tagged, alone=not conflicts)
    order = order_of(found.run, found.row) if len(runs) > 1 else slice(None)
    untagged = np.flatnonzero(held.free()[traces.of_row])
    return Association(
        runs,
        found.row[order],
        found.run[order],
        reason[order],
        untagged,
        _distinct_spans(table, untagged),
        conflicts,
        _invalid(columns),
        tuple(tags),
    )


def _adopted(table: SpanTable, traces: TracesHere, held: Held, keys: Sequence[AttributeColumn]) -> Held:
    """Let runs adopt traces without a tag, over links, messages and keys."""
    graph = draw(table, traces, message_columns(table), [texts_of(column) for column in keys])
    for kind in (Reason.LINK, Reason.MESSAGE, Reason.KEY):
        held = spread(graph, held, kind)
    return held


def _distinct_spans(table: SpanTable, rows: Rows) -> int:
    if not len(rows):
        return 0
    order = order_of(table.trace[rows], table.span_id[rows])
    trace, span_id = table.trace[rows][order], table.span_id[rows][order]
    return 1 + int(((np.diff(trace) != 0) | (np.diff(span_id) != 0)).sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Tagged:
    """What spans carry of run ids of their own, (n_rows,) each."""

    run: Int32s
    """The run, -1 for none …"""
    reason: Int8s
    """… and where it stands."""

    def traces(self, of_row: Rows) -> tuple[Rows, Int64s]:
        """Return the (trace, run) pairs that they name, each at least once; `of_row` are the traces of the rows."""
        here, width = self.run >= 0, int(self.run.max(initial=0)) + 1
        if width == 1:
            trace = ascending(of_row[here])
            return trace, constant(0, len(trace), np.int64)
        return np.divmod(ascending((of_row * width + self.run)[here]), width)


@dataclass(frozen=True, slots=True)
class _Tag:
    column: AttributeColumn
    reason: Reason


def _tags(table: SpanTable, keys: Sequence[str]) -> tuple[_Tag, ...]:
    readers = (
        (Reason.SPAN, table.attribute),
        (Reason.RESOURCE, table.resource_attribute),
        (Reason.SCOPE, table.scope_attribute),
    )
    return tuple(_Tag(read(key), reason) for reason, read in readers for key in keys)


def _run_names(
    tags: tuple[_Tag, ...], registered: Mapping[bytes, Iterable[str]] | None, window: str | None
) -> tuple[str, ...]:
    names = {str(value) for tag in tags for value in tag.column.values if is_run_id(value)}
    names.update(run for some in (registered or {}).values() for run in some)
    if window is not None:
        names.add(window)
    return tuple(sorted(names))


def _invalid(tags: tuple[_Tag, ...]) -> tuple[str, ...]:
    wrong = {repr(value) for tag in tags for value in tag.column.values if not is_run_id(value)}
    return tuple(sorted(wrong)[:MAX_INVALID])


def _tagged(tags: tuple[_Tag, ...], runs: tuple[str, ...]) -> _Tagged:
    """Return the spans that carry a tag of their own; the strongest counts, and what names no run is no tag."""
    numbers = {name: number for number, name in enumerate(runs)}
    n_rows = len(tags[0].column.codes)
    run = np.full(n_rows, -1, np.int32)
    why = np.zeros(n_rows, np.int8)
    for tag in reversed(tags):
        known = [numbers.get(v, -1) if isinstance(v, str) else -1 for v in tag.column.values]
        if max(known, default=-1) < 0:
            continue
        named = np.array([*known, -1], np.int32)[tag.column.codes]
        here = named >= 0
        np.copyto(run, named, where=here)
        why[here] = tag.reason
    return _Tagged(run, why)


def _registered(
    table: SpanTable, traces: TracesHere, registered: Mapping[bytes, Iterable[str]], runs: tuple[str, ...]
) -> tuple[Int64s, Int64s]:
    """Return the (trace, run) pairs that were registered, as far as the traces are here."""
    pairs = [
        (int(traces.place[number]), runs.index(run))
        for trace, names in registered.items()
        if (number := table.pool.traces.find(trace)) >= 0 and traces.place[number] >= 0
        for run in names
    ]
    columns = np.array(pairs, np.int64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def _own_tags_first(found: RowRuns, tagged: _Tagged, *, alone: bool) -> Ints:
    """Return the reasons, that of a span's own tag where it has one; `alone` where no row is of several runs."""
    run, reason = tagged.run, tagged.reason
    if not (alone and len(found.row) == len(run)):
        run, reason = run[found.row], reason[found.row]
    return np.where(run == found.run, reason, found.why)
