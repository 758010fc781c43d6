"""What a run shows of itself, so that two runs can be compared: stages, ways, times, outputs, attributes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np

from spanverdict.checks.answers import answers_of
from spanverdict.checks.output import Output
from spanverdict.checks.runview import RunView
from spanverdict.paths.joins import Join
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.distinct import ascending, ascending_rows
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES
from spanverdict.telemetry.pool import Int32s, Pool, Value
from spanverdict.telemetry.spantable import MAX_TIME, Int64s, Rows
from spanverdict.telemetry.vocabulary import StatusCode

MOST_STAGES: Final = 100
"""Kinds of spans that are looked at where no rules name stages; those of most spans."""
MOST_VALUES: Final = 20
"""Values of an attribute that are told apart; one with more of them is an id or a measurement."""
NO_SERVICE: Final = "(no service)"
OF_ONE_PROCESS: Final = frozenset(
    {
        *RUN_ID_ATTRIBUTES,
        "container.id",
        "host.id",
        "host.name",
        "k8s.pod.name",
        "k8s.pod.uid",
        "process.pid",
        "service.instance.id",
        "thread.id",
        "thread.name",
    }
)
"""Attributes that name a run, a process or a machine, and so differ between any two runs."""

Way: TypeAlias = tuple[str, str, str]
"""From a stage to a stage, by `call` or by `link`."""


@dataclass(frozen=True, slots=True, eq=False)
class StageFacts:
    """One stage over all requests."""

    requests: int
    """How many have it."""
    spans: int
    errors: int
    """Spans that failed."""
    durations: Int64s
    """Ascending, ns: from its first start to its last end in each request that has it."""
    attributes: Mapping[str, Mapping[str, int] | None]
    """By `span.KEY` and `resource.KEY`: how many spans have each value, as JSON; None where there are too many."""


@dataclass(frozen=True, slots=True, eq=False)
class RunFacts:
    """What is compared of one run."""

    requests: int
    spans: int
    durations: Int64s
    """Ascending, ns, of the requests that have a beginning and an end."""
    stages: Mapping[str, StageFacts]
    """Those that are there, in the order in which requests reach them."""
    starts: Mapping[str, Int64s]
    """By stage: (requests,) when it first started in each, `MAX_TIME` where it did not."""
    ways: Mapping[Way, int]
    """How many requests took each."""
    outputs: Mapping[str, Mapping[str, Value]]
    """By what is answered: the value of each request, by its name."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Which stage each member of a view is a span of."""

    names: tuple[str, ...]
    of_member: Rows
    """(n_members,) positions in `names`, -1 for none and for what belongs to no request."""


def facts_of(view: RunView, flow: Flow | None) -> RunFacts:
    """Gather what a run shows: by the stages of a flow, without one by services and names of spans."""
    labels = _by_stage(view) if flow is not None else _by_name(view)
    extents = _Extents.of(view, labels)
    names = extents.in_order(labels.names)
    stages = {name: _stage_facts(view, labels, extents, labels.names.index(name)) for name in names}
    return RunFacts(
        view.n_requests,
        len(ascending(view.row)),
        _whole(view, flow, extents, labels),
        stages,
        {name: extents.starts[:, labels.names.index(name)] for name in names},
        _ways(view, labels),
        {} if flow is None else dict(_outputs(view, flow)),
    )


def _by_stage(view: RunView) -> Labels:
    found = np.full(len(view.request), -1, np.intp)
    for number, name in reversed(list(enumerate(view.stages))):
        found[view.stage(name).member] = number
    return Labels(tuple(view.stages), found)


def _by_name(view: RunView) -> Labels:
    """Call every member by its service and name; the rare kinds, where there are many, are left out."""
    table = view.spans.table
    service = table.resource_attribute("service.name")
    services = [str(value) for value in service.values]
    pairs, inverse = np.unique(np.stack([service.codes, table.name]), axis=1, return_inverse=True)
    texts = [
        f"{services[code] if code >= 0 else NO_SERVICE} {table.pool.string(name)}" for code, name in pairs.T.tolist()
    ]
    names, merged = np.unique(np.array(texts, dtype=object), return_inverse=True)
    label = merged[inverse.ravel()]
    sizes = np.bincount(label[view.request >= 0], minlength=len(names))
    kept = np.sort(np.argsort(-sizes, kind="stable")[:MOST_STAGES])
    number = np.full(len(names) + 1, -1, np.intp)
    number[kept] = np.arange(len(kept))
    return Labels(tuple(str(names[place]) for place in kept.tolist()), np.where(view.request >= 0, number[label], -1))


@dataclass(frozen=True, slots=True, eq=False)
class _Extents:
    """First start and last end of each stage in each request; (n_requests, n_names)."""

    starts: Int64s
    """`MAX_TIME` where it is not there."""
    ends: Int64s
    """-1 where it is not there."""

    @staticmethod
    def of(view: RunView, labels: Labels) -> _Extents:
        """Find them, of spans with usable times."""
        shape = (view.n_requests, len(labels.names))
        starts, ends = np.full(shape, MAX_TIME, np.int64), np.full(shape, -1, np.int64)
        table, use = view.spans.table, np.flatnonzero((labels.of_member >= 0) & view.sound)
        at = view.request[use], labels.of_member[use]
        np.minimum.at(starts, at, table.start_time_unix_nano[use])
        np.maximum.at(ends, at, table.end_time_unix_nano[use])
        return _Extents(starts, ends)

    def durations(self, place: int) -> Int64s:
        """Return how long a stage took in each request that has it, ascending."""
        here = self.ends[:, place] >= 0
        return np.sort(self.ends[here, place] - self.starts[here, place])

    def in_order(self, names: Sequence[str]) -> list[str]:
        """Return the stages that are there, by the median of when they start in a request."""
        first = self.starts.min(axis=1, initial=MAX_TIME)
        found = []
        for place, name in enumerate(names):
            here = self.ends[:, place] >= 0
            if here.any():
                found.append((int(np.median(self.starts[here, place] - first[here])), place, name))
        return [name for _, _, name in sorted(found)]


def _stage_facts(view: RunView, labels: Labels, extents: _Extents, place: int) -> StageFacts:
    members = np.flatnonzero(labels.of_member == place)
    requests = len(ascending(view.request[members]))
    _, first = np.unique(view.row[members], return_index=True)
    once = members[first]
    failed = int((view.spans.table.status_code[once] == StatusCode.ERROR).sum())
    return StageFacts(requests, len(once), failed, extents.durations(place), dict(_attributes(view, once)))


def _attributes(view: RunView, members: Rows) -> Iterator[tuple[str, Mapping[str, int] | None]]:
    """Yield what the members carry, by key; each distinct attribute is read once."""
    table = view.spans.table
    of_spans = table.attributes.take(members).items
    yield from _counted("span", of_spans, table.pool)
    resources, counts = np.unique(table.resource[members], return_counts=True)
    owned = [table.pool.resource_attributes[number] for number in resources.tolist()]
    numbers = np.array([item for items in owned for item in items], np.int64)
    often = np.repeat(counts, [len(items) for items in owned])
    yield from _counted("resource", numbers, table.pool, often)


def _counted(
    scope: str, numbers: Int64s | Int32s, pool: Pool, often: Int64s | None = None
) -> Iterator[tuple[str, Mapping[str, int] | None]]:
    """Count the values of each key; `often` says how often each number counts."""
    used, place = np.unique(numbers, return_inverse=True)
    counts = np.bincount(place, often, len(used)).astype(np.int64).tolist()
    found: dict[str, dict[str, int] | None] = {}
    for number, count in zip(used.tolist(), counts, strict=True):
        key, value = pool.attribute(number)
        values = found.setdefault(key, {})
        if key in OF_ONE_PROCESS:
            del found[key]
        elif values is not None:
            text = json.dumps(value, default=str, sort_keys=True)
            values[text] = values.get(text, 0) + count
            found[key] = values if len(values) <= MOST_VALUES else None
    yield from ((f"{scope}.{key}", found[key]) for key in sorted(found))


def _whole(view: RunView, flow: Flow | None, extents: _Extents, labels: Labels) -> Int64s:
    """Return how long requests took, ascending."""
    if flow is None:
        here, starts, ends = view.sound & (view.request >= 0), *_bare(view.n_requests)
        np.minimum.at(starts, view.request[here], view.spans.table.start_time_unix_nano[here])
        np.maximum.at(ends, view.request[here], view.spans.table.end_time_unix_nano[here])
    else:
        starts = extents.starts[:, labels.names.index(flow.request.starts_at)]
        ends = extents.ends[:, labels.names.index(flow.request.ends_at)]
    whole = (starts < MAX_TIME) & (ends >= 0)
    return np.sort(ends[whole] - starts[whole])


def _bare(count: int) -> tuple[Int64s, Int64s]:
    return np.full(count, MAX_TIME, np.int64), np.full(count, -1, np.int64)


def _ways(view: RunView, labels: Labels) -> dict[Way, int]:
    """Count the requests that went from a stage to another, and by what."""
    parent, joins = view.members.parents.parent, view.members.joins
    callee = np.flatnonzero((parent >= 0) & (labels.of_member >= 0))
    found = {"call": _requests_of_ways(view, labels, parent[callee], callee)}
    for why in ascending(joins.why).tolist():
        some = joins.taken(joins.why == why)
        found[Join(why).name.lower()] = _requests_of_ways(view, labels, some.source, some.target)
    return {
        (labels.names[source], labels.names[target], kind): count
        for kind, ways in found.items()
        for (source, target), count in ways.items()
        if source != target
    }


def _labelled(view: RunView, labels: Labels, members: Rows) -> Rows:
    """Return for each member the nearest of a stage, itself or above it; -1 for none."""
    found = members.copy()
    while len(rest := np.flatnonzero((found >= 0) & (labels.of_member[found] < 0))):
        found[rest] = view.members.parents.parent[found[rest]]
    return found


def _requests_of_ways(view: RunView, labels: Labels, source: Rows, target: Rows) -> dict[tuple[int, int], int]:
    source = _labelled(view, labels, source)
    known = (source >= 0) & (labels.of_member[target] >= 0)
    edges = np.stack([labels.of_member[source], labels.of_member[target], view.request[target]])[:, known]
    ways, counts = np.unique(ascending_rows(edges.T).T[:2], axis=1, return_counts=True)
    return {(one, other): count for (one, other), count in zip(ways.T.tolist(), counts.tolist(), strict=True)}


def _outputs(view: RunView, flow: Flow) -> Iterator[tuple[str, Mapping[str, Value]]]:
    """Yield what rules of the flow look at as outputs, once each; a name that two requests have is left out."""
    seen = set()
    for rule in flow.rules:
        for name, value in rule.check.values if isinstance(rule.check, Output) else ():
            what = (rule.check.stage, str(value)) if isinstance(rule.check, Output) else ("", name)
            if what in seen:
                continue
            seen.add(what)
            answers = answers_of(what[0], (value,), view)
            (taken,) = answers.taken
            requests = answers.request[taken.here].tolist()
            codes = taken.column.codes[taken.here].tolist()
            yield f"{what[0]} {what[1]}", _unique_names(view, requests, [taken.column.values[code] for code in codes])


def _unique_names(view: RunView, requests: Sequence[int], values: Sequence[Value]) -> dict[str, Value]:
    named = [view.request_name(number) for number in requests]
    twice = {one for one, other in pairwise(sorted(named)) if one == other}
    return {name: value for name, value in zip(named, values, strict=True) if name not in twice}
