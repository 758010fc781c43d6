"""The verdict does not depend on how the spans came: in what order, in which batches, how often."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from otlppayloads import payload_of
from ruleruns import HEAD, Row, call, flow_of, span
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import RunInfo
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.reporting.jsonreport import document, render
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.spantable import SpanTable

RULES = """
- {id: whole, latency: request, expect: {p95: "< 151ms", mean: "<= 150ms", samples: ">= 2"}}
- {id: wait, latency: {from: score.end, to: notify.start}, expect: {max: "< 60ms", stddev: "< 1ms"}}
- {id: own, latency: {stage: ingest, of: self}, per: resource.zone, expect: {max: "< 60ms"}}
- {id: fresh, freshness: {stage: score, age: span.age, unit: s}, per: span.view, expect: {p50: "< 3s"}}
- {id: covered, coverage: {stages: all, no_orphans: true, attributes: [span.score]}, expect: {ratio: ">= 90%"}}
- {id: scored, output: {stage: score, value: span.score}, expect: {every: "0..1", max: "< 1"}}
- {id: ordered, order: all, where: '{ span.score > 0.1 }', expect: {every: "== true"}}
- {id: tries, count: {of: '{ span:name = "score" }', per: request}, expect: {max: "<= 1"}}
- {id: errors, count: '{ span:status = error }', expect: {count: "== 0"}}
- {id: below, count: '{ span:name = "in" } >> { span:status = error }', expect: {count: "== 0"}}
- {id: share, ratio: {of: '{ span.score > 0.5 }', over: '{ span.score != nil }'}, expect: {ratio: ">= 50%"}}
- {id: rate, throughput: '{ span:name = "score" }', expect: {rate: "> 1"}}
- {id: tokens, attribute: {stage: score, value: span.tokens}, expect: {sum: "< 100", mean: "< 3.3", p99: "< 9"}}
- {id: absent, output: {stage: score, value: span.scor}, expect: {every: "0..1"}}
"""
KEYED = HEAD.replace("request: {key: span.request.id}", "request: {key: span.request.id, correlate: [span.order.id]}")
FLOWS = (flow_of(RULES), flow_of(RULES, KEYED.replace("flow: scoring", "flow: keyed")))


@st.composite
def traffic(draw: st.DrawFn) -> list[Row]:
    """Requests of which some lost spans, failed, were tried again, or met in a batch."""
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 4))):
        trace, start = f"t{number}", draw(st.integers(0, 3)) * 500
        attributes = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "score": st.sampled_from([0.25, 0.5, 1, 1.5, "high", True, [0.5, 2.0], float("nan")]),
                    "age": st.sampled_from([1, 2.5, -1, [1, 9], "old"]),
                    "view": st.sampled_from(["card", "merchant"]),
                    "tokens": st.sampled_from([0.1, 0.2, 0.7, 3, 2**60]),
                    "order.id": st.sampled_from([1, "1", 2]),
                },
            )
        )
        own = call(trace, start, score=attributes, resource={"zone": draw(st.sampled_from(["eu", "us"]))})
        own += [
            span(trace, 4, "score", start + 80, start + 90, parent=1, status="error", attributes={"tokens": 0.3}),
            span(trace, 5, "extra", start + 10, start + 20, parent=99),
            span(trace, 6, "send", start + 95, start + 99, parent=1, kind="producer"),
        ]
        rows += [row for row in own if draw(st.integers(0, 5))]
    links = [{"trace": f"t{n}", "id": draw(st.integers(1, 7))} for n in range(5)]
    rows.append(span("batch", 1, "notify", 600, 700, links=links, kind="consumer"))
    rows.append(span("batch", 2, "notify", 610, 640, parent=1, links=links[:1], kind="consumer"))
    rows.append({**rows[0], "status": "error"})
    return rows


def verdict(table: SpanTable) -> str:
    return render(document(list(evaluate(FLOWS, table, RunInfo("run-1", expected_requests=3)))))


def delivered(batches: list[list[Row]]) -> SpanTable:
    """Decode batches one after the other into one pool."""
    pool = new_pool()
    return concat([SpanTable.empty(pool), *(decode(payload_of(batch), pool).table for batch in batches)])


def cut(rows: list[Row], places: list[int]) -> list[list[Row]]:
    ends = sorted({0, len(rows), *(place % (len(rows) + 1) for place in places)})
    return [rows[first:last] for first, last in itertools.pairwise(ends)]


@settings(deadline=None, max_examples=60)
@given(traffic(), st.data())
def test_the_same_spans_give_the_same_verdict_to_the_byte(rows: list[Row], data: st.DataObject) -> None:
    """In any order, cut into any batches, with some sent again."""
    again = data.draw(st.lists(st.sampled_from(rows), max_size=5))
    shuffled = data.draw(st.permutations([*rows, *again]))
    places = data.draw(st.lists(st.integers(0, 100), max_size=4))
    assert verdict(delivered(cut(list(shuffled), places))) == verdict(delivered([rows]))


@settings(deadline=None, max_examples=20)
@given(traffic(), traffic())
def test_what_else_the_pool_has_seen_makes_no_difference(rows: list[Row], others: list[Row]) -> None:
    """Other runs go through the same pool, before and after."""
    pool = new_pool()
    renamed = [{**row, "trace": f"other-{row['trace']}", "attributes": {"scorr": 1}} for row in others]
    decode(payload_of(renamed), pool)
    table = decode(payload_of(rows), pool).table
    decode(payload_of(renamed), pool)
    assert verdict(table) == verdict(delivered([rows]))


@settings(deadline=None, max_examples=20)
@given(traffic(), st.integers(-(10**9), 10**9))
def test_the_date_makes_no_difference_to_outcomes(rows: list[Row], shift: int) -> None:
    moved: list[dict[str, Any]] = [{**row, "start": row["start"] + shift, "end": row["end"] + shift} for row in rows]
    before, after = (document(list(evaluate(FLOWS, delivered([some]), RunInfo("r")))) for some in (rows, moved))
    assert [(rule["id"], rule["outcome"], rule["observed"]) for rule in before["rules"]] == [
        (rule["id"], rule["outcome"], rule["observed"]) for rule in after["rules"]
    ]
