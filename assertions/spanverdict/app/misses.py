"""Why spans were not selected: the conditions that a span met all but one of, and what it has instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from spanverdict.app.values import DURATION_FIELDS, value_text
from spanverdict.diagnostics.durations import format_duration
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.quantities import counted
from spanverdict.selectors import Field, Selector, SelectorError, parse, tree
from spanverdict.selectors.columns import Spans
from spanverdict.selectors.words import ID_DIGITS
from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import Rows

ABSENT: Final = "absent"
MOST_MISSES: Final = 6
_MOST_VALUES: Final = 3
_WORDS: Final = frozenset({"span:kind", "span:status"})
_MOST_CODES: Final = 10_000
"""Distinct values of a field beyond which they are not counted one by one."""


@dataclass(frozen=True, slots=True, eq=False)
class Miss:
    """The spans that meet every condition but one."""

    condition: str
    spans: Rows
    """Each once, ascending."""
    field: str
    """The field that the condition is about; empty when it is about several."""
    instead: tuple[tuple[str, int], ...]
    """Its commonest values among these spans, and how many have each."""


def misses(selector: Selector, spans: Spans, row: Rows | None = None) -> tuple[Miss, ...]:
    """Return the near misses of a selector, in the order of its conditions; conditions that miss nothing are left out.

    `row` says which span each member is, where spans are members more than once.
    """
    found = []
    for near in selector.near_misses(spans):
        if near.all_but:
            members = np.flatnonzero(near.mask)
            if row is not None:
                members = members[np.unique(row[members], return_index=True)[1]]
            field = _field_of(near.condition)
            values = () if field is None else tuple(_values(field, spans, members))
            found.append(Miss(near.condition, np.sort(members), str(field or ""), values))
    return tuple(found)


def said(miss: Miss) -> str:
    """Say it for people: ``12 spans match all but `span:kind = server`: span:kind is internal in 12``."""
    verb = "matches" if len(miss.spans) == 1 else "match"
    line = f"{counted(len(miss.spans), 'spans')} {verb} all but `{shown(miss.condition, 300)}`"
    values = ", ".join(f"{value} in {count:,}" for value, count in miss.instead)
    return f"{line}: {shown(miss.field)} is {values}" if values else line


def _field_of(condition: str) -> Field | None:
    """Return the one field that a condition compares with something."""
    try:
        root = parse(f"{{ {condition} }}").root
    except SelectorError:
        return None  # a place in the trace, not a comparison
    fields = {node for node in _nodes(root) if isinstance(node, tree.Attribute | tree.Intrinsic)}
    return Field(fields.pop()) if len(fields) == 1 else None


def _nodes(node: tree.Node) -> Iterator[tree.Node]:
    yield node
    for part in tree.children(node):
        yield from _nodes(part)


def _values(field: Field, spans: Spans, members: Rows) -> Iterator[tuple[str, int]]:
    if str(field) in DURATION_FIELDS:
        yield from _range(field, spans, members)
        return
    if str(field) in ID_DIGITS:
        return
    column = field.column(spans)
    codes, counts = np.unique(column.codes[members], return_counts=True)
    if len(codes) > _MOST_CODES:
        return
    found: Counter[str] = Counter()
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        found[_written(column.values[code], str(field)) if code >= 0 else ABSENT] += count
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    yield from ranked[:_MOST_VALUES]
    if len(ranked) > _MOST_VALUES:
        yield "something else", sum(count for _, count in ranked[_MOST_VALUES:])


def _range(field: Field, spans: Spans, members: Rows) -> Iterator[tuple[str, int]]:
    """Yield the least and the greatest of durations, as hardly two of them are equal."""
    numbers = field.numbers(spans)
    known = numbers.ints[members][numbers.is_int[members]]
    if len(known):
        ends = dict.fromkeys(format_duration(int(end)) for end in (known.min(), known.max()))
        yield " to ".join(ends), len(known)
    if len(known) < len(members):
        yield ABSENT, len(members) - len(known)


def _written(value: Value, field: str) -> str:
    """Write a value as it would stand in a selector, so texts in quotes; kinds and statuses are words."""
    text = value_text(value, field)
    return f'"{text}"' if isinstance(value, str) and field not in _WORDS else text
