"""The kinds of spans that a run has: spans of one shape have the same service, name and span kind."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from spanverdict.checks.runview import RunView
from spanverdict.telemetry.spantable import Bools, Int64s, SpanTable
from spanverdict.telemetry.vocabulary import SpanKind

MANY_NAMES: Final = 20
"""More names than these of one service and kind are values, not names, where hardly any comes twice."""

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off"})


@dataclass(frozen=True, slots=True)
class Shape:
    """What spans have in common; None is left open."""

    service: str | None
    name: str | None
    kind: SpanKind

    def selector(self) -> str:
        """Return a selector of these spans as YAML: a mapping, or TraceQL where that would mean another thing."""
        parts = {"service": self.service, "name": self.name}
        if any(text is not None and text.startswith("/") and text.endswith("/") for text in parts.values()):
            return _quoted(self._traceql())
        written = [f"{key}: {yaml_text(text)}" for key, text in parts.items() if text is not None]
        kind = [f"kind: {self.kind.name.lower()}"] if self.kind is not SpanKind.UNSPECIFIED else []
        return "{" + ", ".join([*written, *kind]) + "}"

    def _traceql(self) -> str:
        fields = {"resource.service.name": self.service, "span:name": self.name}
        parts = [f"{field} = {json.dumps(text)}" for field, text in fields.items() if text is not None]
        return "{ " + " && ".join([*parts, f"span:kind = {self.kind.name.lower()}"]) + " }"


def yaml_text(text: str) -> str:
    """Return a text as YAML reads it back, in quotes where it needs them.

    >>> yaml_text("POST /score"), yaml_text("a: b"), yaml_text("on")
    ('POST /score', '"a: b"', '"on"')
    """
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """The shapes of a table."""

    of_row: Int64s
    """(n_spans,) which of `all` a span has."""
    all: tuple[Shape, ...]


def shapes_of(table: SpanTable) -> Shapes:
    """Tell the shapes of a table's spans apart; names that are rather values are left open."""
    service = table.resource_attribute("service.name")
    of_service = service.codes.astype(np.int64) + 1
    name = _without_values(table.name.astype(np.int64), of_service * 8 + table.kind)
    triples = np.stack([of_service, name, table.kind.astype(np.int64)], axis=1)
    distinct, of_row = np.unique(triples, axis=0, return_inverse=True)
    found = tuple(
        Shape(
            str(service.values[code - 1]) if code else None,
            table.pool.string(number) if number >= 0 else None,
            SpanKind(kind) if kind in set(SpanKind) else SpanKind.UNSPECIFIED,
        )
        for code, number, kind in distinct.tolist()
    )
    return _merged(found, of_row.reshape(-1).astype(np.int64))


def _without_values(name: Int64s, owner: Int64s) -> Int64s:
    """Return the names, -1 where those of one owner are many and hardly ever come twice."""
    found = name.copy()
    for each in np.unique(owner).tolist():
        rows = np.flatnonzero(owner == each)
        names = len(np.unique(name[rows]))
        if names > MANY_NAMES and names * 2 > len(rows):
            found[rows] = -1
    return found


def _merged(found: tuple[Shape, ...], of_row: Int64s) -> Shapes:
    """Give equal shapes one number: equal names may have been interned twice."""
    numbers = {shape: number for number, shape in enumerate(dict.fromkeys(found))}
    translated = np.array([numbers[shape] for shape in found], np.int64)
    return Shapes(translated[of_row] if len(found) else of_row, tuple(numbers))


@dataclass(frozen=True, slots=True)
class Seen:
    """How spans of one shape stand in the requests of a run."""

    shape: Shape
    share: float
    """Of the requests that have any, 0..1."""
    requests: int
    most: int
    """In one request."""
    single: bool
    """Exactly one, in each request that has any."""
    start_ns: float
    """Mean start of the first, since the request began."""
    end_ns: float
    """Mean end of the last."""
    busy_ns: float
    """Mean time of all together."""
    enters: bool
    """It is where a service is entered, or a message sent."""
    leaf: bool
    """Nothing of it is traced further down."""
    telling: bool
    """It carries what rules about more than time would look at."""


def seen_in(view: RunView, shapes: Shapes, telling: Bools) -> list[Seen]:
    """Return the shapes that requests have, the first to start first; `telling` says which members tell more."""
    found = [_seen(number, view, shapes, telling) for number in range(len(shapes.all))]
    return sorted((each for each in found if each is not None), key=lambda each: (each.start_ns, str(each.shape)))


def _seen(number: int, view: RunView, shapes: Shapes, telling: Bools) -> Seen | None:
    begin = view.stage(view.starts_at).start
    members = np.flatnonzero((shapes.of_row[view.row] == number) & (view.request >= 0) & view.sound)
    if not len(members):
        return None
    table, request = view.members.table, view.request[members]
    count = np.bincount(request, minlength=view.n_requests)
    start = (table.start_time_unix_nano[members] - begin[request]).astype(np.float64)
    end = (table.end_time_unix_nano[members] - begin[request]).astype(np.float64)
    parent = view.members.parents.parent
    above = parent[members]
    kind = shapes.all[number].kind
    service = table.resource_attribute("service.name").codes
    foreign = (above < 0) | (service[np.maximum(above, 0)] != service[members])
    entering = kind in (SpanKind.SERVER, SpanKind.CONSUMER, SpanKind.PRODUCER)
    return Seen(
        shapes.all[number],
        int((count > 0).sum()) / view.n_requests,
        int((count > 0).sum()),
        int(count.max()),
        bool((count[count > 0] == 1).all()),
        float(start.mean()),
        float(end.mean()),
        float((end - start).mean()),
        entering or (kind is not SpanKind.CLIENT and bool(foreign.mean() > 0.5)),  # noqa: PLR2004 - most of them
        not np.isin(members, parent).any(),
        bool(telling[members].any()),
    )


def without_name(shape: Shape) -> Shape:
    """Return the shape of all names."""
    return replace(shape, name=None)
