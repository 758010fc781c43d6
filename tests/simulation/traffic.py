"""What a simulation sends: runs with whole and broken requests, made from a seed, and the flows that judge them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from spantables import encode_value, span_number, trace_bytes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow

Row = dict[str, Any]
MS = 1_000_000
START = 1_760_000_000_000 * MS
TAG = "test.suite.run.id"
RULES = """\
version: 1
flow: {name}
stages:
  - stage: ingest
    select: {{service: gateway, kind: server}}
  - stage: score
    select: {{service: scorer}}
request: {{correlate: [span.order.id]}}
complete: {complete}
rules:
  - id: whole
    coverage: {{stages: all}}
    expect: {{ratio: ">= 99%"}}
"""
MORE_RULES = """\
  - id: quick
    latency: request
    expect: {{p95: "< 300ms"}}
  - id: some
    attribute: {{stage: score, value: span.n}}
    expect: {{mean: ">= 4"}}
"""
EARLIER = """\
version: 1
flow: {name}
run_id: [shard]
stages:
  - stage: score
    select: {{service: scorer}}
complete: {complete}
rules:
  - id: all-there
    coverage: {{stages: all}}
    expect: {{ratio: ">= 99%"}}
"""
"""Rules of before a reload: they find other spans for a run, by other keys and other names of runs."""
SECRET = "Bearer 5d41402abc4b2a76b9719d911017c592"
WAYS_TO_END = (
    "{idle: 6s, at_most: 30s}",
    "{idle: 2s, at_most: 90s}",
    "{structure: 1s}",
    "{requests: 2}",
    "{flush: 3s}",
)


def _flow(name: str, complete: str, rules: str = RULES) -> Flow:
    problems = Problems()
    loaded = load(rules.format(name=name, complete=complete), f"{name}.yaml", problems)
    assert loaded is not None, problems.sorted()
    return loaded


FLOWS = tuple(
    _flow(f"flow-{number}", complete, RULES + MORE_RULES * (number % 2)) for number, complete in enumerate(WAYS_TO_END)
)
EARLIER_FLOWS = (
    *FLOWS,
    *(_flow(f"earlier-{number}", complete, EARLIER) for number, complete in enumerate(WAYS_TO_END)),
)


@dataclass(frozen=True)
class Plan:
    """What is said of a run; `ends` says whether anybody ends it."""

    run: str
    expected: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    flows: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    declared: bool = False
    ends: bool = False


@dataclass(frozen=True)
class Traffic:
    """All that is ever sent."""

    flows: tuple[Flow, ...]
    earlier: tuple[Flow, ...]
    """What a server is started with that is told other rules later."""
    plans: tuple[Plan, ...]
    spans: tuple[Row, ...]
    """In order of their starts."""


def traffic(seed: int) -> Traffic:
    """Make a few runs with a few requests each."""
    rng = random.Random(seed)
    flows = tuple(rng.sample(FLOWS, rng.choice((1, 1, 1, 2))))
    plans, spans = [], list(_strays(rng))
    for name in "ab"[: rng.choice((1, 1, 2))]:
        rows, traces = _requests(rng, f"run-{name}")
        spans += rows
        plans.append(_plan(rng, f"run-{name}", flows, traces))
    plans = [_claiming(rng, plan, spans) for plan in plans]
    earlier = tuple(rng.sample(EARLIER_FLOWS, rng.choice((0, 1, 1, 2))))
    for row in spans:
        _burden(rng, row)
    return Traffic(flows, earlier, tuple(plans), tuple(sorted(spans, key=lambda row: row["start"])))


def _claiming(rng: random.Random, plan: Plan, spans: Sequence[Row]) -> Plan:
    """Let a run claim a trace that another may claim, too."""
    if not plan.declared or rng.random() < 0.8:
        return plan
    claimed = trace_bytes(rng.choice(spans)["trace"]).hex()
    return replace(plan, traces=(*plan.traces, claimed))


def _burden(rng: random.Random, row: Row) -> None:
    """Give a span what is to be masked, more than is kept, or let it have lost attributes at its sender's limits."""
    if rng.random() < 0.1:
        row["attributes"] = {"note": "long" * rng.choice((9, 19)), **row["attributes"]}
    if rng.random() < 0.05:
        row["attributes"] |= {f"more.{number}": number for number in range(3)}
    if rng.random() < 0.1:
        row["attributes"]["http.request.header.authorization"] = SECRET
    if rng.random() < 0.05:
        row["dropped"] = 3


def payload(rows: Sequence[Row]) -> bytes:
    """Write spans as one OTLP request."""
    message = TracesData()
    for row in rows:
        part = ResourceSpans(scope_spans=[ScopeSpans(spans=[_span(row)])])
        part.resource.attributes.extend(_pairs(row["resource"]))
        message.resource_spans.append(part)
    return message.SerializeToString()


def _plan(rng: random.Random, run: str, flows: tuple[Flow, ...], traces: tuple[str, ...]) -> Plan:
    declared = bool(traces) or rng.random() < 0.6
    return Plan(
        run,
        expected=rng.choice((None, None, 1, 2, 3)) if declared else None,
        labels={"branch": rng.choice(("main", "next"))} if declared and rng.random() < 0.5 else {},
        flows=(rng.choice(flows).name,) if declared and rng.random() < 0.3 else (),
        traces=traces,
        declared=declared,
        ends=rng.random() < 0.5,
    )


def _requests(rng: random.Random, run: str) -> tuple[list[Row], tuple[str, ...]]:
    rows: list[Row] = []
    traces: list[str] = []
    for number in range(rng.choice((1, 1, 2, 3))):
        shape = rng.choice(SHAPES)
        made = list(shape(rng, run, f"{run}/{number}"))
        rows += made
        if shape is _registered:
            traces.append(trace_bytes(made[0]["trace"]).hex())
    return rows, tuple(traces)


def _row(rng: random.Random, trace: str, number: int, *, service: str, **more: Any) -> Row:
    start = START + rng.randrange(2_000) * MS
    row: Row = {"trace": trace, "id": _id(trace, number), "start": start, "resource": {"service.name": service}}
    row |= {"end": start + rng.randrange(1, 400) * MS, "attributes": {}, "name": service} | more
    return row


def _id(trace: str, number: int) -> int:
    return int.from_bytes(trace_bytes(trace)[:6]) * 256 + number


def _ingest(rng: random.Random, trace: str, number: int = 1, run: str | None = None, **more: Any) -> Row:
    row = _row(rng, trace, number, service="gateway", kind="server", **more)
    row["attributes"] = {**row["attributes"], **({TAG: run} if run else {})}
    return row


def _score(rng: random.Random, trace: str, number: int = 2, parent: int = 1, **more: Any) -> Row:
    row = _row(rng, trace, number, service="scorer", parent=_id(trace, parent) if parent else 0, **more)
    row["attributes"] = {"n": rng.randrange(9), "shard": rng.choice("xy"), **row["attributes"]}
    return row


def _tagged_root(rng: random.Random, run: str, trace: str) -> Iterator[Row]:
    """Only the first span says whose it is."""
    yield _ingest(rng, trace, run=run)
    yield _score(rng, trace)
    if rng.random() < 0.5:
        yield _row(rng, trace, 3, service="scorer-cache", parent=_id(trace, 2))


def _tagged_everywhere(rng: random.Random, run: str, trace: str) -> Iterator[Row]:
    for row in (_ingest(rng, trace), _score(rng, trace)):
        row["resource"][TAG] = run
        yield row


def _linked(rng: random.Random, run: str, trace: str) -> Iterator[Row]:
    """A consumer in a trace of its own links to the request."""
    yield _ingest(rng, trace, run=run)
    links = [{"trace": trace, "id": _id(trace, 1)}]
    if rng.random() < 0.3:
        links.append({"trace": f"{trace}/never", "id": 7})
    yield _score(rng, f"{trace}/queue", 1, 0, kind="consumer", links=links)


def _correlated(rng: random.Random, run: str, trace: str) -> Iterator[Row]:
    """Two traces share nothing but a value."""
    order = {"order.id": trace}
    yield _ingest(rng, trace, run=run, attributes=order)
    yield _score(rng, f"{trace}/other", 1, 0, attributes=order)


def _registered(rng: random.Random, _run: str, trace: str) -> Iterator[Row]:
    """No span says whose it is; the run was declared with its trace."""
    yield _ingest(rng, trace)
    yield _score(rng, trace)


def _broken(rng: random.Random, run: str, trace: str) -> Iterator[Row]:
    """Lost, unfinished, its own parent, or two spans of one name."""
    yield _ingest(rng, trace, run=run)
    what = rng.randrange(5)
    if what == 1:
        yield _score(rng, trace, parent=9)
    if what == 2:
        yield _score(rng, trace) | {"end": 0}
    if what == 3:
        yield _score(rng, trace, parent=2)
    if what == 4:
        yield _score(rng, trace)
        yield _score(rng, trace)


def _torn(rng: random.Random, run: str, trace: str) -> Iterator[Row]:
    """One trace that two runs claim."""
    yield _ingest(rng, trace, run=run)
    yield _score(rng, trace, attributes={TAG: "run-b"})
    yield _row(rng, trace, 3, service="scorer-cache", parent=_id(trace, 2))


SHAPES = (_tagged_root, _tagged_root, _tagged_everywhere, _linked, _correlated, _registered, _broken, _torn)


def _strays(rng: random.Random) -> Iterator[Row]:
    for number in range(rng.choice((0, 0, 1, 3))):
        yield _ingest(rng, f"stray-{number}")


def _span(row: Row) -> Span:
    return Span(
        trace_id=trace_bytes(row["trace"]),
        span_id=span_number(row["id"]).to_bytes(8),
        parent_span_id=row["parent"].to_bytes(8) if row.get("parent") else b"",
        name=row["name"],
        kind=Span.SpanKind.Value(f"SPAN_KIND_{row.get('kind', 'internal').upper()}"),
        start_time_unix_nano=row["start"],
        end_time_unix_nano=row["end"],
        attributes=_pairs(row["attributes"]),
        dropped_attributes_count=row.get("dropped", 0),
        links=[
            Span.Link(trace_id=trace_bytes(link["trace"]), span_id=link["id"].to_bytes(8))
            for link in row.get("links", ())
        ],
    )


def _pairs(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=encode_value(value)) for key, value in values.items()]
