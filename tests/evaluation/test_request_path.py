"""One request in full: order, joins with their reasons, waits, attempts, defects and the critical path."""

from __future__ import annotations

from typing import Any

import pytest

from spantables import table_of
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.outcomes import StageShare
from spanverdict.evaluation.requestpath import PathSpan, RequestPath, StitchedRun
from spanverdict.paths.joins import Join
from spanverdict.rulefiles.loader import load

FLOW = """
version: 1
flow: scoring
stages:
  - stage: ingest
    select: {service: gateway, kind: server}
  - stage: score
    select: {name: score}
    count: ">= 1"
  - stage: notify
    select: {service: ledger, name: process}
request:
  key: span.order.id
  correlate: [span.order.id]
rules:
  - id: whole
    latency: request
    expect: {p95: "< 1s"}
"""
GATEWAY, LEDGER = {"service.name": "gateway"}, {"service.name": "ledger"}
AT = 1_000_000


def order(*more: dict[str, Any], link: bool = True, **ingest: Any) -> list[dict[str, Any]]:
    """An order of 200 ns: scored at the second attempt, then queued for 40 and entered into the ledger."""
    spans = [
        {"id": 1, "name": "POST /", "kind": "server", "start": 0, "end": 110, "attributes": {"order.id": "o-1"}},
        {"id": 2, "parent": 1, "name": "score", "start": 10, "end": 30, "status": "error"},
        {"id": 3, "parent": 1, "name": "score", "start": 40, "end": 100},
        {"id": 4, "parent": 1, "name": "send", "kind": "producer", "start": 100, "end": 105},
    ]
    spans[0] |= ingest
    process = {
        "trace": "ledger",
        "id": 5,
        "name": "process",
        "kind": "consumer",
        "resource": LEDGER,
        "start": 145,
        "end": 200,
        "links": [{"trace": "gateway", "id": 4}] if link else [],
    }
    rows = [*({"trace": "gateway", "resource": GATEWAY, **span} for span in spans), process, *more]
    return [{**row, "start": AT + row["start"], "end": AT + row["end"] if row["end"] else 0} for row in rows]


def stitched(rows: list[dict[str, Any]]) -> StitchedRun:
    problems = Problems()
    flow = load(FLOW, "flow.yaml", problems)
    assert flow is not None, problems.sorted()
    return StitchedRun.of(flow, table_of(rows))


def path(rows: list[dict[str, Any]], number: int = 0) -> RequestPath:
    return stitched(rows).path(number)


def of(found: RequestPath, span_id: int) -> PathSpan:
    return next(span for span in found.spans if span.span_id == f"{span_id:016x}")


def test_spans_stand_below_what_led_to_them_by_start() -> None:
    found = path(order())
    assert [(s.name, s.depth, s.start, s.duration) for s in found.spans] == [
        ("POST /", 0, 0, 110),
        ("score", 1, 10, 20),
        ("score", 1, 40, 60),
        ("send", 1, 100, 5),
        ("process", 2, 145, 55),
    ]
    assert [s.stage for s in found.spans] == ["ingest", "score", "score", "", "notify"]


def test_the_request_is_named_and_timed_and_its_time_is_told_by_stage() -> None:
    found = path(order())
    assert (found.name, found.flow, found.duration, found.missing) == ("o-1", "scoring", 200, ())
    assert found.start_unix_nano == AT
    assert found.shares[0] == StageShare("score", 80, 0.4)
    assert sum(share.duration_ns for share in found.shares) == 200


def test_the_critical_path_is_that_of_the_request() -> None:
    found = path(order())
    assert [(int(i, 16) if i else 0, start, end) for i, start, end in found.sections] == [
        (1, 0, 10),
        (2, 10, 30),
        (1, 30, 40),
        (3, 40, 100),
        (4, 100, 105),
        (0, 105, 145),
        (5, 145, 200),
    ]
    assert [s.own_time_on_path for s in found.spans] == [20, 20, 60, 5, 55]
    assert all(s.on_path for s in found.spans)


def test_a_wait_is_told_at_the_span_that_it_ended_with() -> None:
    found = path(order())
    assert [(s.wait, s.wait_on_path) for s in found.spans] == [(0, 0)] * 4 + [(40, 40)]


def test_a_wait_that_nothing_waited_for_is_not_on_the_path() -> None:
    """A second consumer, which the last stage did not wait for."""
    audit = {"trace": "audit", "id": 9, "name": "audit", "kind": "consumer", "start": 120, "end": 130}
    found = path(order({**audit, "links": [{"trace": "gateway", "id": 4}]}))
    assert (of(found, 9).wait, of(found, 9).wait_on_path, of(found, 9).on_path) == (15, 0, False)


def test_every_span_says_why_it_is_there() -> None:
    caller = {"trace": "gateway", "id": 8, "name": "GET", "kind": "client", "start": -10, "end": 300}
    found = path(order(caller, parent=8))
    assert {s.name: (s.join, s.reason) for s in found.spans if s.name != "score"} == {
        "GET": (Join.ANCESTOR, "above the beginning"),
        "POST /": (Join.START, "the request begins here"),
        "send": (Join.PARENT, "parent"),
        "process": (Join.LINK, f"link to {found.trace_id[:8]}…/0000000000000004"),
    }


def test_a_message_or_a_key_is_named_with_its_value() -> None:
    rows = order(link=False)
    rows[3]["attributes"] = rows[4]["attributes"] = {"messaging.message.id": "m-7"}
    assert of(path(rows), 5).reason == "message m-7"
    rows = order(link=False)
    rows[4]["attributes"] = {"order.id": "o-1"}
    assert (of(path(rows), 5).join, of(path(rows), 5).reason) == (Join.KEY, "key span.order.id = o-1")


def test_attempts_of_a_stage_are_numbered_by_start() -> None:
    found = path(order())
    assert [(s.attempt, s.attempts) for s in found.spans if s.stage == "score"] == [(1, 2), (2, 2)]
    assert (of(found, 5).attempt, of(found, 5).attempts) == (1, 1)
    assert (of(found, 4).attempt, of(found, 4).attempts) == (0, 0)


def test_a_span_within_another_of_its_stage_is_no_attempt_of_its_own() -> None:
    inner = {"trace": "gateway", "id": 7, "parent": 3, "name": "score", "start": 50, "end": 60, "resource": GATEWAY}
    found = path(order(inner))
    assert [(s.span_id[-1], s.attempt) for s in found.spans if s.stage == "score"] == [("2", 1), ("3", 2), ("7", 0)]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            {"parent": 99, "kind": "producer", "start": 60, "end": 70},
            "parent 0000000000000063 never came, probably of gateway",
        ),
        ({"parent": 1, "start": 60, "end": 0}, "has no end"),
        ({"parent": 1, "start": 60, "end": 50}, "ends before it starts"),
        ({"parent": 1, "start": -AT, "end": 50}, "has a time that no clock shows"),
        ({"parent": 1, "start": 60, "end": 70, "dropped_attributes": 3}, "lost 3 attributes"),
        (
            {"parent": 1, "start": 60, "end": 70, "links": [{"trace": "x", "id": 1}]},
            "1 link to what never came",
        ),
    ],
)
def test_what_is_broken_about_a_span_is_said(broken: dict[str, Any], said: str) -> None:
    found = path(order({"trace": "gateway", "id": 9, "name": "send", "resource": GATEWAY, **broken}))
    assert of(found, 9).defects == (said,)
    assert all(not span.defects for span in found.spans if span.span_id != of(found, 9).span_id)


def test_a_span_without_usable_times_keeps_its_place() -> None:
    found = path(order({"trace": "gateway", "id": 9, "parent": 3, "name": "x", "start": 60, "end": 0}))
    assert (of(found, 9).depth, of(found, 9).duration, of(found, 9).on_path) == (2, None, False)


def test_a_request_whose_beginning_has_no_end_has_no_path_and_all_its_spans() -> None:
    found = path(order(end=0))
    assert (found.duration, found.sections, found.shares) == (None, (), ())
    assert len(found.spans) == 5
    assert found.missing == ("ingest",)


def test_missing_stages_are_named() -> None:
    assert path(order()[:4]).missing == ("notify",)


def test_a_batch_consumer_says_in_how_many_requests_it_is() -> None:
    other = [{**row, "trace": "other"} for row in order(attributes={"order.id": "o-2"})[:4]]
    rows = [*order(), *other]
    rows[4]["links"].append({"trace": "other", "id": 4})
    run = stitched(rows)
    found = [run.path(number) for number in range(2)]
    assert sorted(one.name for one in found) == ["o-1", "o-2"]
    assert [of(one, 5).requests for one in found] == [2, 2]
    assert [of(one, 1).requests for one in found] == [1, 1]


def test_requests_are_found_by_key_by_trace_and_by_how_a_trace_begins() -> None:
    run = stitched(order())
    trace, ledger = run.path(0).trace_id, of(run.path(0), 5).trace_id
    assert run.named("o-1") == run.named(trace) == run.named(ledger) == run.named(trace[:8].upper()) == [0]
    assert run.named(trace[:5]) == run.named("o-9") == run.named("") == []


def test_deep_requests_are_told_without_recursion() -> None:
    chain = [
        {"trace": "gateway", "id": 100 + n, "parent": 99 + n if n else 3, "name": "x", "start": 50, "end": 90}
        for n in range(5000)
    ]
    assert max(span.depth for span in path(order(*chain)).spans) == 5001
