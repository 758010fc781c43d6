"""What a batch says of its traces: which hang together with what, and which runs they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from spanverdict.paths.naming import named_runs
from spanverdict.paths.sharedvalues import DESTINATION, MESSAGE_ID, OFFSET, PARTITION, message_columns, texts_of
from spanverdict.telemetry.distinct import ascending, distinct
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES
from spanverdict.telemetry.spantable import AttributeColumn, Int32s, Rows, SpanTable
from spanverdict.telemetry.vectors import constant, is_constant

KeyReader: TypeAlias = Callable[[SpanTable], AttributeColumn]
"""Reads a `correlate` attribute of every span of a table."""

Node: TypeAlias = bytes | tuple[str, object]
"""What traces hang together by: the id of a trace, ("run", name), ("message", …) or ("key", …)."""


_Shared: TypeAlias = tuple[str, int, AttributeColumn]
"""What traces are joined by, `message` or `key`; the number of the column among these, and the column."""

_MESSAGE_KEYS: Final = (*MESSAGE_ID, *DESTINATION, *PARTITION, *OFFSET)


class Bonds(NamedTuple):
    """Traces of a table that hang together: those that name the same run, or one alone that names none."""

    nodes: list[Node]
    """The traces, the run, and what any of them hangs together with besides; some of it several times."""
    runs: set[str]
    """The run they name."""


class Bound(NamedTuple):
    """What hangs together in a table."""

    groups: list[Bonds]
    of_row: Rows
    """The group of each span's trace; one of them where it is in several."""


def bonds(table: SpanTable, keys: Sequence[KeyReader], tags: Sequence[str] = RUN_ID_ATTRIBUTES) -> Bound:
    """Return the bonds of all traces of a table: the runs that `tags` name, links, messages, and values of `keys`.

    Two traces that `associate` joins have a node in common, or a chain of such traces between them. A trace that
    names several runs is among those of each.
    """
    runs, names = named_runs(table, tags)
    shared = list(_shared(table, keys))
    if len(runs) and runs[0] >= 0 and is_constant(runs):  # nearly always
        return _of_one_run(table, names[runs[0]], shared)
    ids = table.pool.traces.items_by_id
    traces, of_row = distinct(table.trace)
    groups, of_trace = _by_run([ids[number] for number in traces.tolist()], _pairs(of_row, runs), names)
    owner = np.repeat(of_row, np.diff(table.links.offsets))
    for place, linked in _pairs(owner, table.links.trace):
        groups[of_trace[place]].nodes.append(ids[linked])
    for kind, number, column in shared:
        for place, code in _pairs(of_row, column.codes):
            groups[of_trace[place]].nodes.append((kind, (number, column.values[code])))
    return Bound(groups, np.array(of_trace, np.intp).take(of_row))


def _of_one_run(table: SpanTable, name: str, shared: Iterable[_Shared]) -> Bound:
    """Return the bonds of a table whose spans all name the same run."""
    ids, nodes = table.pool.traces.items_by_id, list[Node]([("run", name)])
    traces = np.concatenate([table.trace, table.links.trace]) if len(table.links.trace) else table.trace
    nodes += map(ids.__getitem__, ascending(traces).tolist())
    for kind, number, column in shared:
        nodes += [(kind, (number, column.values[code])) for code in ascending(column.codes).tolist() if code >= 0]
    return Bound([Bonds(nodes, {name})], constant(0, len(table), np.intp))


def _by_run(
    traces: Sequence[Node], named: Iterable[tuple[int, int]], names: Sequence[str]
) -> tuple[list[Bonds], list[int]]:
    """Put traces that name the same run together; return all bonds, and for each trace some that it is among."""
    groups: list[Bonds] = []
    by_run: dict[int, int] = {}
    of_trace = [-1] * len(traces)
    for place, run in named:
        group = by_run.get(run, -1)
        if group < 0:
            group = by_run[run] = len(groups)
            groups.append(Bonds([("run", names[run])], {names[run]}))
        groups[group].nodes.append(traces[place])
        of_trace[place] = group
    for place, group in enumerate(of_trace):
        if group < 0:
            of_trace[place] = len(groups)
            groups.append(Bonds([traces[place]], set()))
    return groups, of_trace


def _shared(table: SpanTable, keys: Sequence[KeyReader]) -> Iterator[_Shared]:
    """Yield what traces may share besides runs and links, where spans carry any of it."""
    messages = message_columns(table) if _knows(table, _MESSAGE_KEYS) else ()
    for kind, columns in (("message", messages), ("key", [texts_of(read(table)) for read in keys])):
        for number, column in enumerate(columns):
            if column.values:
                yield kind, number, column


def _knows(table: SpanTable, keys: Iterable[str]) -> bool:
    """Tell whether any attribute so far carried one of the keys; most services never use a queue."""
    known = table.pool.keys
    return any(known.id_of(key) >= 0 for key in keys)


def _pairs(left: Rows, right: Int32s) -> list[tuple[int, int]]:
    """Return the distinct pairs of numbers, but those in which the right one is negative; sorted."""
    there = right >= 0
    if not there.all():
        left, right = left[there], right[there]
    if not len(left):
        return []
    width = int(right.max()) + 1
    return [divmod(pair, width) for pair in ascending(left * width + right).tolist()]
