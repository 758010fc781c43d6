"""Traces that are no trees and spans that cannot be: each is judged, fast, and each defect is named once."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from spantables import table_of, trace_bytes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import Outcome, RuleEvaluated, RuleResult, RunFinished, RunInfo, RunStarted
from spanverdict.otlp.decode import Decoded, decode, new_pool
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.spantable import SpanTable

RULES = """
version: 1
flow: broken
stages:
  - stage: ingest
    select: {name: ingest}
  - stage: work
    select: {name: work}
    count: ">= 0"
rules:
  - id: end-to-end
    latency: {from: ingest.start, to: ingest.end}
    expect: {p95: "< 1m"}
  - id: self-time
    latency: {stage: ingest, of: self}
    expect: {max: "< 1ns"}
  - id: busy
    latency: {stage: work, of: busy}
    expect: {p50: ">= 0s"}
  - id: whole
    coverage: {stages: all, no_orphans: true}
    expect: {ratio: ">= 1%"}
  - id: order
    order: all
    expect: {ratio: ">= 1%"}
  - id: below
    count: {of: '{ name = "ingest" } >> { name = "work" }', per: request}
    expect: {max: ">= 0"}
  - id: siblings
    count: '{ name = "work" } ~ { name = "work" }'
    expect: {count: ">= 0"}
"""
START = 1_760_000_000_000_000_000
SPANS = 100_000
MOST_S = 2.0


@pytest.fixture(scope="module")
def flow() -> Flow:
    problems = Problems()
    loaded = load(RULES, "broken.yaml", problems)
    assert loaded is not None, problems.items
    return loaded


def judged(flow: Flow, table: SpanTable) -> tuple[dict[str, int], list[RuleResult], RunStarted]:
    """Judge a run; return its defects by name, the results, and what is said of the run."""
    events = list(evaluate([flow], table, RunInfo("broken")))
    finished = next(event for event in events if isinstance(event, RunFinished))
    names = [defect.name for defect in finished.defects]
    assert len(names) == len(set(names)), "a defect is reported once"
    assert all(defect.detail for defect in finished.defects)
    results = [event.result for event in events if isinstance(event, RuleEvaluated)]
    assert [result.message for result in results if result.outcome is Outcome.ERRORED] == []
    begun = next(event for event in events if isinstance(event, RunStarted))
    return {defect.name: defect.count for defect in finished.defects}, results, begun


def large(parent: np.ndarray[Any, Any]) -> SpanTable:
    """A table with one span a parent, ids counting from 1; the first is the ingest span, the others its work."""
    count = len(parent)
    pair = table_of(
        [{"trace": "t", "id": 1, "name": name, "start": START, "end": START + 1} for name in ("ingest", "work")]
    )
    table = pair.take((np.arange(count) > 0).astype(np.intp))
    start = START + np.arange(count)
    return replace(
        table,
        span_id=np.arange(1, count + 1, dtype=np.uint64),
        parent_span_id=parent.astype(np.uint64),
        start_time_unix_nano=start,
        end_time_unix_nano=start + 1_000_000,
    )


def numbered(count: int = SPANS) -> np.ndarray[Any, Any]:
    return np.arange(1, count + 1)


def chains(depth: int) -> np.ndarray[Any, Any]:
    """One root with chains below it."""
    parent = numbered() - 1
    parent[1::depth] = 1
    return parent


def fan(width: int) -> np.ndarray[Any, Any]:
    """A root with `width` children; the last of these has the rest."""
    return np.where(numbered() <= width + 1, 1, width + 1) * (numbered() > 1)


def loops(size: int) -> np.ndarray[Any, Any]:
    """A root, and beside it cycles of `size` spans."""
    number = numbered() - 2
    around = number - number % size + (number + 1) % size
    around = np.minimum(around, SPANS - 2)
    return np.where(numbered() == 1, 0, around + 2)


SHAPES: dict[str, tuple[np.ndarray[Any, Any], dict[str, int]]] = {
    "10,000 deep": (chains(10_000), {}),
    "100,000 deep": (numbered() - 1, {}),
    "50,000 wide": (fan(50_000), {}),
    "roots only": (np.zeros(SPANS, np.int64), {}),
    "1,000 roots": (np.where(numbered() % 100 == 1, 0, numbered() - 1), {}),
    "orphans only": (np.where(numbered() == 1, 0, numbered() + SPANS), {"missing_parent": SPANS - 1}),
    "orphans of one parent": (np.where(numbered() == 1, 0, SPANS + 7), {"missing_parent": SPANS - 1}),
    "self-parents": (np.where(numbered() == 1, 0, numbered()), {"parent_cycle": SPANS - 1}),
    "one cycle": (np.roll(numbered(), 1), {"parent_cycle": SPANS}),
    "cycles of three": (loops(3), {"parent_cycle": SPANS - 1}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_large_trace_of_any_shape_is_judged_fast(flow: Flow, shape: str) -> None:
    """100,000 spans in one trace: every rule is judged within two seconds, only the shape's own defect is found."""
    parent, defects = SHAPES[shape]
    table = large(parent)
    random = np.random.default_rng(1)
    table = table.take(random.permutation(len(table)))
    begun = time.process_time()
    found, results, started = judged(flow, table)
    assert time.process_time() - begun < MOST_S
    assert found == defects
    assert started.spans == SPANS
    assert {result.id: result.samples for result in results}["end-to-end"] == 1


def test_a_large_trace_that_comes_twice_counts_once(flow: Flow) -> None:
    """Resent as a whole, of which a verdict says nothing: it is the same as without."""
    table = large(chains(10_000))
    begun = time.process_time()
    found, _, started = judged(flow, table.take(np.tile(np.arange(SPANS), 2)))
    assert time.process_time() - begun < MOST_S
    assert found == {}
    assert started.spans == SPANS


def test_many_conflicting_versions_of_one_span_are_settled_fast(flow: Flow) -> None:
    """50,000 spans with one id and different content: one is kept."""
    table = large(chains(10_000))
    table.span_id[50_000:] = 50_001
    begun = time.process_time()
    found, _, started = judged(flow, table)
    assert time.process_time() - begun < MOST_S
    assert found == {"conflicting_span": 1}
    assert started.spans == 50_001


def row(number: int, parent: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "trace": "t",
        "id": number,
        "parent": parent,
        "name": "work",
        "start": START + number,
        "duration": 50,
    } | more


ROOT = row(1, 0, name="ingest")
BROKEN: dict[str, tuple[list[dict[str, Any]], dict[str, int]]] = {
    "whole": ([row(2), row(3, 2)], {}),
    "several roots": ([row(2, 0), row(3, 0)], {}),
    "an orphan": ([row(2, 99), row(3, 2)], {"missing_parent": 1}),
    "the same id in another trace": ([row(2), row(2, 0, trace="u"), row(3, 2, trace="u")], {}),
    "a parent in another trace": ([row(2), row(3, 2, trace="u")], {"missing_parent": 1}),
    "its own parent": ([row(2, 2)], {"parent_cycle": 1}),
    "two parents of each other": ([row(2, 3), row(3, 2), row(4, 2)], {"parent_cycle": 2}),
    "resent": ([row(2), row(2), row(2)], {}),
    "conflicting": ([row(2), row(2, status="error")], {"conflicting_span": 1}),
    "shared by client and server": (
        [row(2, kind="client"), row(2, kind="server", start=START + 5), row(3, 2)],
        {"shared_span_id": 1},
    ),
    "no end": ([row(2, end=0)], {"unfinished_span": 1}),
    "an end before the start": ([row(2, end=START - 5)], {"negative_duration": 1}),
    "the year 1970": ([row(2, start=0, end=0)], {"time_out_of_range": 1}),
    "a link to itself": ([row(2, links=[{"trace": "t", "id": 2}])], {"self_link": 1}),
    "a link to nothing": ([row(2, links=[{"trace": "x", "id": 9}])], {"dangling_link": 1}),
    "a circle of links": (
        [row(2, 0, trace="u", links=[{"trace": "t", "id": 1}]), row(3, links=[{"trace": "u", "id": 2}])],
        {},
    ),
    "lost on the way": (
        [row(2, dropped_links=3), row(3, dropped_attributes=1), row(4, dropped_events=1), row(5, dropped_links=1)],
        {"dropped_attributes": 1, "dropped_events": 1, "dropped_links": 2},
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_defect_is_named_once_and_nothing_else(flow: Flow, case: str) -> None:
    """One kind of broken data beside a sound request: the name, the count, and the request is judged all the same."""
    rows, defects = BROKEN[case]
    found, results, _ = judged(flow, table_of([ROOT, *rows]))
    assert found == defects
    assert {result.id: result.samples for result in results}["end-to-end"] == 1


def test_all_defects_at_once_are_each_named(flow: Flow) -> None:
    """Whatever else is wrong, no defect hides another."""
    rows: list[dict[str, Any]] = []
    for at, (some, _) in enumerate(BROKEN.values()):
        rows += [_elsewhere(each, at) for each in [ROOT, *some]]
    expected: dict[str, int] = {}
    for _, defects in BROKEN.values():
        for name, count in defects.items():
            expected[name] = expected.get(name, 0) + count
    found, _, started = judged(flow, table_of(rows))
    assert found == expected
    assert list(found) == sorted(found)
    resent = 2
    assert started.spans == len(rows) - resent - expected["conflicting_span"]


def _elsewhere(one: dict[str, Any], at: int) -> dict[str, Any]:
    links = [{**link, "trace": f"{link['trace']}{at}"} for link in one.get("links", ())]
    return one | {"trace": f"{one['trace']}{at}", "links": links}


def message(*spans: Span) -> bytes:
    resource = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value="shop"))])
    return TracesData(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=spans)])]
    ).SerializeToString()


def sent(number: int, start: int = START, end: int = START + 50, **more: Any) -> Span:
    ids = {
        "trace_id": trace_bytes("t"),
        "span_id": number.to_bytes(8),
        "parent_span_id": b"" if number == 1 else (1).to_bytes(8),
    }
    name = "ingest" if number == 1 else "work"
    return Span(name=name, start_time_unix_nano=start, end_time_unix_nano=end, **(ids | more))


def received(*spans: Span) -> Decoded:
    return decode(message(*spans), new_pool())


@pytest.mark.parametrize(
    "zero", [{"trace_id": bytes(16)}, {"span_id": bytes(8)}, {"trace_id": b""}, {"span_id": b""}], ids=str
)
def test_zero_ids_never_become_spans(flow: Flow, zero: dict[str, bytes]) -> None:
    """A span without an id is refused one by one as it comes; the others are judged."""
    decoded = received(sent(1), sent(2, **zero), sent(3))
    assert decoded.rejected == 1
    found, _, started = judged(flow, decoded.table)
    assert (found, started.spans) == ({}, 2)


@pytest.mark.parametrize(
    ("times", "defect"),
    [
        ((0, 0), "time_out_of_range"),
        ((0, START), "time_out_of_range"),
        ((START, 2**64 - 1), "time_out_of_range"),
        ((2**64 - 1, 2**64 - 1), "time_out_of_range"),
        ((2**63, 2**63 + 5), "time_out_of_range"),
        ((2**64 - 1, 0), "time_out_of_range"),
        ((START, 0), "unfinished_span"),
        ((START, START - 1), "negative_duration"),
    ],
)
def test_times_at_the_edges_are_named_and_never_used(flow: Flow, times: tuple[int, int], defect: str) -> None:
    """On the ingest span or below it: no sum overflows, and no duration is made of them."""
    found, _, _ = judged(flow, received(sent(1), sent(2, *times)).table)
    assert found == {defect: 1}
    found, results, _ = judged(flow, received(sent(1, *times), sent(2)).table)
    assert found == {defect: 1}
    latency = next(result for result in results if result.id == "end-to-end")
    assert (latency.samples, latency.outcome) == (0, Outcome.FAILED)


def test_the_earliest_and_the_latest_time_there_is(flow: Flow) -> None:
    """From 1 ns to 2^63 - 2 ns is one duration, exact."""
    _, results, _ = judged(flow, received(sent(1, 1, 2**63 - 2)).table)
    latency = next(result for result in results if result.id == "end-to-end")
    assert latency.conditions[0].observed_value == 2**63 - 3


def test_a_broken_run_gives_one_verdict_in_any_order(flow: Flow) -> None:
    """Everything that is wrong at once, shuffled: the same defects, the same words."""
    rows = [_elsewhere(each, at) for at, (some, _) in enumerate(BROKEN.values()) for each in [ROOT, *some]]
    table = table_of(rows)
    expected = list(evaluate([flow], table, RunInfo("broken")))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(table))
        assert list(evaluate([flow], table.take(order), RunInfo("broken"))) == expected
