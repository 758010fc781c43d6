"""What a batch says of its traces: which hang together with what, and which runs they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from spanverdict.paths.sharedvalues import DESTINATION, MESSAGE_ID, OFFSET, PARTITION, message_columns, texts_of
from spanverdict.telemetry.distinct import ascending, distinct
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES, is_run_id
from spanverdict.telemetry.spantable import AttributeColumn, Bools, Int32s, Rows, SpanTable

KeyReader: TypeAlias = Callable[[SpanTable], AttributeColumn]
"""Reads a `correlate` attribute of every span of a table."""

Node: TypeAlias = bytes | tuple[str, object]
"""What traces hang together by: the id of a trace, ("run", name), ("message", …) or ("key", …)."""


_MESSAGE_KEYS: Final = (*MESSAGE_ID, *DESTINATION, *PARTITION, *OFFSET)


class Bonds(NamedTuple):
    """Traces of a table that hang together: those that name the same run, or one alone that names none."""

    nodes: list[Node]
    """The traces, the run, and what any of them hangs together with besides."""
    runs: set[str]
    """The run they name."""


def bonds(table: SpanTable, keys: Sequence[KeyReader], tags: Sequence[str] = RUN_ID_ATTRIBUTES) -> list[Bonds]:
    """Return the bonds of all traces of a table: the runs that `tags` name, links, messages, and values of `keys`.

    Two traces that `associate` joins have a node in common, or a chain of such traces between them. A trace that
    names several runs is among those of each.
    """
    ids = table.pool.traces.items_by_id
    traces, of_row = distinct(table.trace)
    found, of_trace = _by_run([ids[number] for number in traces.tolist()], _tags(table, of_row, tags))
    owner = np.repeat(of_row, np.diff(table.links.offsets))
    for place, linked in _pairs(owner, table.links.trace):
        of_trace[place].nodes.append(ids[linked])
    messages = message_columns(table) if _knows(table, _MESSAGE_KEYS) else ()
    for kind, columns in (("message", messages), ("key", [texts_of(read(table)) for read in keys])):
        for number, column in enumerate(columns):
            for place, value in _values(column, of_row):
                of_trace[place].nodes.append((kind, (number, value)))
    return found


def _by_run(traces: Sequence[Node], tags: Iterable[tuple[str, Sequence[int]]]) -> tuple[list[Bonds], list[Bonds]]:
    """Put traces that name the same run together; return all bonds, and some that each trace is among.

    The time goes by runs here, not by traces: nearly always all spans of a table are of one run.
    """
    by_run: dict[str, Bonds] = {}
    nobody = Bonds([], set())
    of_trace = [nobody] * len(traces)
    for name, places in tags:
        group = by_run.setdefault(name, Bonds([("run", name)], {name}))
        group.nodes.extend([traces[place] for place in places])
        for place in places:
            of_trace[place] = group
    alone = [place for place, group in enumerate(of_trace) if group is nobody]
    for place in alone:
        of_trace[place] = Bonds([traces[place]], set())
    return [*by_run.values(), *(of_trace[place] for place in alone)], of_trace


def _knows(table: SpanTable, keys: Iterable[str]) -> bool:
    """Tell whether any attribute so far carried one of the keys; most services never use a queue."""
    known = table.pool.keys
    return any(known.id_of(key) >= 0 for key in keys)


def _tags(table: SpanTable, of_row: Rows, tag_keys: Sequence[str]) -> Iterable[tuple[str, list[int]]]:
    """Yield the runs that tags on spans, resources and scopes name, with their traces; a span's strongest tag counts.

    A run may come several times, with some of its traces again.
    """
    pool, keys = table.pool, table.pool.keys
    ranks = {key: rank for rank, name in enumerate(tag_keys) if (key := keys.id_of(name)) >= 0}
    if not ranks:
        return
    free = np.ones(len(table), np.bool_)
    for rank in sorted(ranks.values()):
        column = table.attribute(tag_keys[rank])
        if column.values:
            named = np.array([*map(is_run_id, column.values), False])[column.codes] & free
            free &= ~named
            yield from ((str(value), [place]) for place, value in _values(column, of_row, named))
    key_of = keys.of_attributes()
    for numbers, owned in ((table.resource, pool.resource_attributes), (table.scope, pool.scope_attributes)):
        for number in _distinct(numbers):
            tags = {rank: a for a in owned[number] if (rank := ranks.get(int(key_of[a]), -1)) >= 0}
            names = [str(name) for _, tag in sorted(tags.items()) if is_run_id(name := pool.attribute(tag)[1])]
            named = (numbers == number) & free
            if names and named.any():
                free &= ~named
                yield names[0], np.flatnonzero(np.bincount(of_row[named])).tolist()


def _distinct(numbers: Int32s) -> list[int]:
    """Return the distinct numbers; most tables hold the spans of one resource."""
    return [int(numbers[0])] if (numbers == numbers[0]).all() else ascending(numbers).tolist()


def _values(column: AttributeColumn, of_row: Rows, among: Bools | None = None) -> list[tuple[int, object]]:
    """Return the distinct (trace, value) pairs of a column."""
    if not column.values:
        return []
    rows = np.flatnonzero(column.codes >= 0 if among is None else among)
    return [(place, column.values[code]) for place, code in _pairs(of_row[rows], column.codes[rows])]


def _pairs(left: Rows, right: Int32s) -> list[tuple[int, int]]:
    """Return the distinct pairs of numbers that are not negative, sorted."""
    if not len(left):
        return []
    width = int(right.max()) + 1
    return [divmod(pair, width) for pair in ascending(left * width + right).tolist()]
