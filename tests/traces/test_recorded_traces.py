"""What real messaging instrumentations emit is stitched into whole requests.

`make_traces.py` and `node/make_traces.js` say how the recordings were made. Each holds three orders from `checkout` to
`accounting`; the flow below is all that a user writes.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from spanverdict.app.offline import read_spans
from spanverdict.checks.pathtimes import path_times
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.flowpath import flow_path
from spanverdict.evaluation.outcomes import Outcome, RunFinished, RunInfo
from spanverdict.evaluation.requestpath import StitchedRun
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow

HERE = Path(__file__).parent
FLOW = """
version: 1
flow: orders
stages:
  - stage: checkout
    select: {service: checkout, kind: server}
  - stage: accounting
    select: {service: accounting, name: record order}
request:
  key: span.order.id
  correlate: [span.order.id]
rules:
  - id: every-order-is-recorded
    coverage: {stages: all}
    expect: {ratio: "== 100%", samples: "== 3"}
"""
CONTEXT_TRAVELS = (
    "aio-pika",
    "boto3sqs",
    "celery",
    "celery-links",
    "confluent-kafka",
    "confluent-kafka-batch",
    "node-amqplib",
    "node-amqplib-links",
    "node-kafkajs",
    "pika",
)
"""Parents and links are enough."""
CONTEXT_IS_LOST = ("aiokafka", "aiokafka-batch", "botocore-sqs", "kafka-python", "node-aws-sqs", "node-kafkajs-batch")
"""User code begins traces of its own; only the order's id says what belongs together."""
POLLS = {
    "aiokafka-batch": {"orders receive": 1},
    "boto3sqs": {"orders receive": 1},
    "botocore-sqs": {"SQS.ReceiveMessage": 1, "SQS.DeleteMessage": 3},
    "confluent-kafka-batch": {"recv": 1},
    "node-kafkajs-batch": {"poll orders-node-eachbatch": 1},
    "node-aws-sqs": {"orders receive": 1, "SQS.DeleteMessage": 3},
}
"""Spans of no single order, by name: polls for any message, and calls that name none."""
ALL = (*CONTEXT_TRAVELS, *CONTEXT_IS_LOST)


def flow(*, keyed: bool = True) -> Flow:
    problems = Problems()
    text = FLOW if keyed else FLOW.replace("  correlate: [span.order.id]\n", "")
    found = load(text, "orders.yaml", problems)
    assert found is not None, problems.sorted()
    return found


def stitched(name: str, *, keyed: bool = True) -> StitchedRun:
    return StitchedRun.of(flow(keyed=keyed), read_spans([str(HERE / f"{name}.json")]))


def names(run: StitchedRun, request: int) -> Counter[str]:
    table = run.view.members.table
    members = np.flatnonzero(run.view.request == request)
    return Counter(table.pool.string(number) for number in table.name[members].tolist())


def test_every_recording_is_looked_at_and_says_how_it_was_made() -> None:
    assert {path.stem for path in HERE.glob("*.json")} == set(ALL)
    for name in ALL:
        for resource in json.loads((HERE / f"{name}.json").read_text())["resourceSpans"]:
            said = {pair["key"]: pair["value"]["stringValue"] for pair in resource["resource"]["attributes"]}
            assert said["recording.made.by"].startswith(
                ("opentelemetry-instrumentation-", "@opentelemetry/instrumentation-")
            )


@pytest.mark.parametrize("name", ALL)
def test_three_orders_are_three_whole_requests(name: str) -> None:
    """Each with one span of either service's own code, what was sent and received between, and nothing of another."""
    run = stitched(name)
    assert sorted(run.view.request_name(number) for number in range(run.view.n_requests)) == ["o-1", "o-2", "o-3"]
    for number in range(3):
        found = names(run, number)
        assert (found["POST /orders"], found["record order"]) == (1, 1)
        assert found == names(run, 0)
    assert names(run, -1) == POLLS.get(name, {})


@pytest.mark.parametrize("name", CONTEXT_TRAVELS)
def test_no_key_is_needed_where_the_context_travels(name: str) -> None:
    run = stitched(name, keyed=False)
    assert run.view.n_requests == 3
    assert all(names(run, number)["record order"] >= 1 for number in range(3))
    assert "record order" not in names(run, -1)


@pytest.mark.parametrize("name", CONTEXT_IS_LOST)
def test_a_key_is_needed_where_the_library_detaches_the_context(name: str) -> None:
    """Were it no longer so, the recording would have to move to the others."""
    assert names(stitched(name, keyed=False), -1)["record order"] == 3


@pytest.mark.parametrize("name", ALL)
def test_the_way_over_the_queue_is_one_that_every_order_took(name: str) -> None:
    (edge,) = flow_path("orders", stitched(name).view).edges
    assert (edge.source, edge.target, edge.queued, edge.requests) == ("checkout", "accounting", True, 3)
    assert edge.time.p50 is not None
    assert edge.time.p50 >= 20_000_000


@pytest.mark.parametrize("name", ALL)
def test_the_time_of_every_order_is_told_with_its_queue(name: str) -> None:
    run = stitched(name)
    times = path_times(run.view)
    first, last = run.view.stage("checkout"), run.view.stage("accounting")
    assert np.array_equal(times.whole(), last.end - first.start)
    assert (times.of("queue") >= 20_000_000).all()
    assert (times.of("accounting") == 6_000_000).all()


@pytest.mark.parametrize("name", ALL)
def test_the_rule_that_every_order_is_recorded_passes(name: str) -> None:
    events = list(evaluate([flow()], read_spans([str(HERE / f"{name}.json")]), RunInfo("recorded")))
    assert isinstance(events[-1], RunFinished)
    assert events[-1].outcome is Outcome.PASSED


def test_an_order_that_was_never_recorded_fails_the_rule(tmp_path: Path) -> None:
    """A file in which the taking service lost an order."""
    document = json.loads((HERE / "celery-links.json").read_text())
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            kept = [span for span in scope["spans"] if not (span["name"] == "record order" and _order(span) == "o-2")]
            scope["spans"] = kept
    target = tmp_path / "lost.json"
    target.write_text(json.dumps(document))
    events = list(evaluate([flow()], read_spans([str(target)]), RunInfo("recorded")))
    assert isinstance(events[-1], RunFinished)
    assert events[-1].outcome is Outcome.FAILED


def _order(span: dict[str, list[dict[str, dict[str, str]]]]) -> str:
    return next(pair["value"]["stringValue"] for pair in span["attributes"] if pair["key"] == "order.id")
