"""The path of all requests together: how often stages and the ways between them were taken, and how long they took."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantables import table_of
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.flowpath import FlowPath, Spread, flow_path
from spanverdict.evaluation.requestpath import StitchedRun
from spanverdict.rulefiles.loader import load

FLOW = """
version: 1
flow: scoring
stages:
  - stage: ingest
    select: {name: ingest}
  - stage: cache
    select: {name: cache}
    count: ">= 0"
  - stage: score
    select: {name: score}
  - stage: notify
    select: {kind: consumer}
rules:
  - id: whole
    latency: request
    expect: {p95: "< 1s"}
"""


def request(trace: str, *, queued: int = 10, cached: bool = False, notified: bool = True) -> list[dict[str, Any]]:
    spans = [
        {"id": 1, "name": "ingest", "start": 0, "end": 100},
        {"id": 2, "parent": 1, "name": "handler", "start": 5, "end": 95},
        {"id": 3, "parent": 2, "name": "score", "start": 20, "end": 80},
        {"id": 4, "parent": 2, "name": "send", "kind": "producer", "start": 85, "end": 90},
        *([{"id": 5, "parent": 2, "name": "cache", "start": 10, "end": 12}] if cached else []),
    ]
    consumer = {"trace": f"{trace}-n", "id": 6, "name": "n", "kind": "consumer", "start": 90 + queued, "end": 130}
    taken = [{**consumer, "links": [{"trace": trace, "id": 4}]}] if notified else []
    rows = [*({"trace": trace, **span} for span in spans), *taken]
    return [{**row, "start": row["start"] + 1000, "end": row["end"] + 1000} for row in rows]


def found(rows: list[dict[str, Any]]) -> FlowPath:
    problems = Problems()
    flow = load(FLOW, "flow.yaml", problems)
    assert flow is not None, problems.sorted()
    return flow_path("scoring", StitchedRun.of(flow, table_of(rows)).view)


def test_stages_are_counted_in_path_order() -> None:
    stages = found([*request("a"), *request("b", cached=True), *request("c", notified=False)]).stages
    assert [(use.stage, use.requests, use.spans) for use in stages] == [
        ("ingest", 3, 3),
        ("cache", 1, 1),
        ("score", 3, 3),
        ("notify", 2, 2),
    ]
    assert stages[2].time == Spread(60, 60, 60)


def test_ways_lead_from_the_nearest_stage_by_call_or_by_queue() -> None:
    """Spans of no stage between two stages are passed over: a handler, and the sending of a message."""
    edges = found([*request("a", queued=10), *request("b", queued=30, cached=True)]).edges
    assert [(e.source, e.target, e.queued, e.requests) for e in edges] == [
        ("ingest", "cache", False, 1),
        ("ingest", "score", False, 2),
        ("ingest", "notify", True, 2),
    ]
    assert edges[1].time == Spread(20, 20, 20)
    assert edges[2].time == Spread(10, 30, 30)


def test_a_retry_counts_its_spans_and_its_request_once() -> None:
    retry = {"trace": "a", "id": 9, "parent": 2, "name": "score", "start": 1081, "end": 1084}
    edge = next(e for e in found([*request("a"), retry]).edges if e.target == "score")
    assert (edge.requests, edge.spans) == (1, 2)


def test_a_span_inside_another_of_its_stage_is_no_way() -> None:
    inner = {"trace": "a", "id": 9, "parent": 3, "name": "score", "start": 1030, "end": 1040}
    assert ("score", "score") not in {(e.source, e.target) for e in found([*request("a"), inner]).edges}


def test_time_is_that_of_whole_requests_and_shares_sum_to_one() -> None:
    path = found([*request("a"), *request("b")])
    assert (path.requests, path.timed, path.time) == (2, 2, Spread(130, 130, 130))
    assert sum(share.share for share in path.shares) == pytest.approx(1)
    assert sum(use.path_share for use in path.stages) < 1


def test_no_requests_have_no_path() -> None:
    for rows in ([], [{"trace": "x", "id": 1, "name": "stray", "start": 10, "end": 20}]):
        path = found(rows)
        assert (path.requests, path.edges, path.shares, path.time) == (0, (), (), Spread(None, None, None))


def test_an_unfinished_parent_is_passed_over() -> None:
    rows = request("a")
    rows[1] = {**rows[1], "end": 0}
    edges = found(rows).edges
    assert [(e.source, e.target, e.queued) for e in edges][:1] == [("ingest", "score", False)]


@settings(deadline=None, max_examples=50)
@given(st.randoms(use_true_random=False))
def test_the_order_of_spans_does_not_matter(random: Any) -> None:
    rows = [*request("a"), *request("b", queued=20, cached=True), *request("c", notified=False)]
    expected = found(rows)
    random.shuffle(rows)
    assert found(rows) == expected
