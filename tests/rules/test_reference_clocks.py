"""What the reference says of clocks, shown on runs of two hosts that call each other."""

from __future__ import annotations

from typing import Any

import pytest

from ruleruns import EPOCH, MS, Row, flow_of, judged
from rules.reference import blocks
from spanverdict.evaluation.outcomes import RuleResult
from spanverdict.reporting.wording import judgement

HEAD = """
version: 1
flow: claims
stages:
  - {stage: first, select: {service: first}}
  - {stage: last, select: {service: last}}
"""
GATEWAY, LEDGER = {"host.name": "gateway-1"}, {"host.name": "ledger-2"}


def span(trace: str, number: int, service: str, host: Row, times: tuple[float, float], **more: Any) -> Row:
    start, end = (EPOCH + round(time * MS) + 7 for time in times)
    resource = {"service.name": service, **host}
    return {"trace": trace, "id": number, "resource": resource, "start": start, "end": end, **more}


def request(
    number: int, took: float = 48.2, *, calls: bool = True, hosts: tuple[Row, Row] = (GATEWAY, LEDGER)
) -> list[Row]:
    """Write a request from the gateway to the ledger, and a call between them that leaves -17.2 to 17 ms open."""
    trace, (gateway, ledger) = str(number), hosts
    rows = [
        span(trace, 1, "first", gateway, (0, 30)),
        span(trace, 2, "last", ledger, (took - 8, took), parent=1, kind="consumer"),
        span(trace, 3, "caller", gateway, (0, 50), parent=1, kind="client"),
        span(trace, 4, "called", ledger, (17.2, 33), parent=3, kind="server"),
    ]
    return rows if calls else rows[:2]


def result(rule: str, rows: list[Row], clock: str = "") -> RuleResult:
    head = f"{HEAD}clock: {clock}\n" if clock else HEAD
    (found,) = judged(rows, flow_of(f"- {{id: end-to-end, {rule}}}", head)).values()
    return found


P95 = "latency: request, expect: {p95: '< 50ms'}"


def test_the_message_is_the_one_shown() -> None:
    found = result(P95, [row for number in range(200) for row in request(number)])
    (line,) = judgement(found)
    assert f"INCONCLUSIVE  {found.id}  {line}\n" in [block.text for block in blocks("console")]


@pytest.mark.parametrize(("took", "outcome"), [(32.7, "passed"), (48.2, "inconclusive"), (67.3, "failed")])
def test_a_condition_holds_if_it_holds_whatever_the_clocks_show(took: float, outcome: str) -> None:
    assert result(P95, request(1, took)).outcome.value == outcome


@pytest.mark.parametrize(
    ("clock", "calls", "outcome"),
    [
        ("measured", False, "inconclusive"),
        ("{within: 1ms}", False, "passed"),
        ("{within: 2ms}", False, "inconclusive"),
        ("{within: 1ms}", True, "passed"),
        ("trusted", False, "passed"),
        ("trusted", True, "passed"),
    ],
)
def test_the_author_knows_more_than_the_calls(clock: str, calls: bool, outcome: str) -> None:
    assert result(P95, request(1, calls=calls), clock).outcome.value == outcome


@pytest.mark.parametrize(
    ("hosts", "outcome"),
    [
        (({}, {}), "passed"),
        ((GATEWAY, {}), "passed"),
        ((GATEWAY, GATEWAY), "passed"),
        (({"host.name": "localhost"}, LEDGER), "passed"),
        (({"host.name": "0f3c9a2b7d11"}, LEDGER), "passed"),
        ((GATEWAY, LEDGER), "inconclusive"),
        (({"host.id": "1"}, {"host.id": "2"}), "inconclusive"),
        (({"host.ip": ["10.0.0.1"]}, {"host.ip": ["10.0.0.2"]}), "inconclusive"),
        (({"k8s.node.name": "a", **GATEWAY}, {"k8s.node.name": "b", **GATEWAY}), "inconclusive"),
        (({"k8s.node.uid": "a", **GATEWAY}, {"k8s.node.uid": "a", **LEDGER}), "passed"),
    ],
)
def test_only_hosts_that_are_named_are_told_apart(hosts: tuple[Row, Row], outcome: str) -> None:
    assert result(P95, request(1, hosts=hosts)).outcome.value == outcome


def test_processes_without_hosts_are_told_apart_once_calls_show_it() -> None:
    """The ledger is called a minute before the gateway calls."""
    rows = request(1, hosts=({}, {}))
    for row, service in zip(rows, ("first", "last", "first", "last"), strict=True):
        row["resource"] = {"service.name": service}
        behind = 60_000 * MS if service == "last" else 0
        row["start"], row["end"] = row["start"] - behind, row["end"] - behind
    found = result(P95, rows)
    assert found.outcome.value == "inconclusive"
    assert "between 31ms and 65.2ms: the clock of last is 1m ± 17.1ms behind first's; -59.95s as sent" in found.message


@pytest.mark.parametrize(
    "rule",
    [
        "latency: {stage: last, of: each}, expect: {max: '== 8ms'}",
        "latency: {stage: last, of: sum}, expect: {max: '== 8ms'}",
        "latency: {stage: last}, expect: {max: '== 8ms'}",
        "count: '{ trace:duration = 50ms }', expect: {count: '== 4'}",
    ],
)
def test_these_are_never_in_doubt(rule: str) -> None:
    assert result(rule, request(1)).outcome.value == "passed"


def test_a_request_whose_order_is_open_is_missing() -> None:
    found = result("order: all, expect: {every: '== true'}", request(1, 20))
    assert found.outcome.value == "failed"
    found = result("order: all, expect: {every: '== true'}", [*request(1, 20), *request(2, 60)])
    assert found.outcome.value == "inconclusive"
