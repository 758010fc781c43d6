"""A run that late spans reopen gets a new verdict that says what changed, from a real receiver to the store."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from spanverdict.app.judgement import Judgement
from spanverdict.app.service import Service, ServiceConfig
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.reporting.jsonreport import schema
from spanverdict.rulefiles.loader import load
from spanverdict.storage.records import RunDeclaration, RunState
from spanverdict.storage.store import Store

RULES = """
version: 1
flow: orders
stages:
  - stage: ingest
    select: {name: ingest}
  - stage: notify
    select: {name: notify}
complete: {idle: 100ms, at_most: 200ms}
rules:
  - {id: whole, coverage: {stages: all}, expect: {ratio: "== 100%"}}
"""
RUN = "late-1"
MS = 1_000_000
START = 1_760_000_000_000_000_000
PATIENCE_S = 30


class Sender:
    """Sends spans to a service and hears its verdicts."""

    def __init__(self, service: Service, url: str) -> None:
        self.service = service
        self.heard: queue.Queue[Judgement] = queue.Queue()
        service.judged = self.heard.put
        self._client = httpx.Client(timeout=PATIENCE_S)
        self._url = url

    def send(self, *spans: Span, run: str | None = RUN) -> None:
        tags = [KeyValue(key="test.suite.run.id", value=AnyValue(string_value=run))] if run else []
        resource = Resource(attributes=tags)
        message = TracesData(resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=spans)])])
        headers = {"Content-Type": "application/x-protobuf"}
        self._client.post(self._url, content=message.SerializeToString(), headers=headers).raise_for_status()

    def verdict(self) -> dict[str, Any]:
        """Wait for the next verdict and return its document as it was stored."""
        revision = self.heard.get(timeout=PATIENCE_S).run.revision
        stored = self.service.store.runs.verdict(RUN)
        assert stored is not None
        assert stored.revision == revision
        document: dict[str, Any] = json.loads(stored.document)
        jsonschema.Draft7Validator(schema()).validate(document)
        return document

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Sender]:
    problems = Problems()
    flow = load(RULES, "orders.yaml", problems)
    assert flow is not None, problems.items
    receiver = ReceiverConfig(grpc_address=None, http_address="127.0.0.1:0")
    with Service(ServiceConfig(store=tmp_path / "store.sqlite", flows=(flow,), receiver=receiver)) as service:
        endpoints = service.start()
        made = Sender(service, f"http://{endpoints.http}/v1/traces")
        yield made
        made.close()


def span(request: int, name: str, parent: int = 0) -> Span:
    number = 10 * request + (1 if name == "ingest" else 2)
    return Span(
        trace_id=request.to_bytes(16),
        span_id=number.to_bytes(8),
        parent_span_id=parent.to_bytes(8) if parent else b"",
        name=name,
        start_time_unix_nano=START + request * MS,
        end_time_unix_nano=START + request * MS + 5 * MS,
    )


def test_late_spans_bring_a_revision_that_says_what_changed(sender: Sender) -> None:
    """The first verdict misses a stage; the late span brings the second, which compares itself with the first."""
    sender.send(span(1, "ingest"), span(1, "notify", 11), span(2, "ingest"))
    first = sender.verdict()
    assert (first["run"]["revision"], first["outcome"]) == (1, "failed")
    assert "changes" not in first
    sender.send(span(2, "notify", 21))
    second = sender.verdict()
    assert (second["run"]["revision"], second["outcome"]) == (2, "passed")
    assert second["changes"] == [
        "the verdict was failed and is passed now",
        "1 more span came: 3 before, 4 now",
        "flow orders: stage notify was missing from 1 request, from none now",
        "rule whole of flow orders was failed and is passed now: ratio = 100 %, before 50 %",
    ]


def test_a_judgement_that_repeats_the_last_brings_no_revision(sender: Sender) -> None:
    """A run that is judged again with the same result keeps its revision, and what that one changed."""
    sender.send(span(1, "ingest"), span(1, "notify", 11))
    assert sender.verdict()["run"]["revision"] == 1
    sender.send(span(2, "ingest"), span(2, "notify", 21))
    second = sender.verdict()
    assert second["run"]["revision"] == 2
    assert second["changes"] == [
        "2 more spans came: 2 before, 4 now",
        "1 more trace came: 1 before, 2 now",
        "flow orders: 1 more request came: 1 before, 2 now",
    ]
    sender.service.declare(RunDeclaration(RUN, traces=((1).to_bytes(16).hex(),)))
    assert sender.verdict() == second


def test_spans_are_counted_by_why_they_are_the_runs_and_those_of_nobody_too(sender: Sender) -> None:
    """More spans of nobody are no reason for another revision."""
    sender.send(span(1, "ingest"), span(1, "notify", 11))
    first = sender.verdict()
    assert first["association"] == {
        "spans_by_reason": {"resource": 2},
        "untagged_spans": 0,
        "conflicting_traces": 0,
    }
    assert sender.service.spans_by_reason == {"resource": 2}


def test_spans_that_nobody_claims_bring_no_revision(sender: Sender) -> None:
    sender.send(span(1, "ingest"), span(1, "notify", 11))
    first = sender.verdict()
    sender.send(span(7, "stray"), run=None)
    sender.service.declare(RunDeclaration(RUN, traces=((1).to_bytes(16).hex(),)))
    assert sender.verdict() == first
    sender.send(span(2, "ingest"), span(2, "notify", 21))
    second = sender.verdict()
    assert second["association"]["untagged_spans"] == 1
    assert second["association"]["spans_by_reason"] == {"resource": 4}


def gave_up(sender: Sender) -> None:
    """Let a run of three expected requests, of which one came, come to its cap."""
    sender.service.declare(RunDeclaration(RUN, expected_requests=3))
    sender.send(span(1, "ingest"), span(1, "notify", 11))
    first = sender.verdict()
    assert (first["run"]["revision"], first["complete"]) == (1, False)
    assert first["flows"][0]["completeness"]["trigger"] == "cap"


def test_a_run_that_was_given_up_is_whole_once_its_end_is_announced(sender: Sender) -> None:
    """What never came is missing then, as it would be had the end been announced before."""
    gave_up(sender)
    sender.service.end(RUN)
    second = sender.verdict()
    assert (second["run"]["revision"], second["complete"], second["outcome"]) == (2, True, "failed")
    assert second["changes"][:1] == ["the run was incomplete and is complete now"]
    record = sender.service.store.runs.get(RUN)
    assert record is not None
    assert record.state is RunState.JUDGED
    sender.service.end(RUN)
    sender.send(span(2, "ingest"), span(2, "notify", 21))
    assert sender.verdict()["run"]["revision"] == 3


def test_a_span_that_announces_the_end_late_does_the_same(sender: Sender) -> None:
    gave_up(sender)
    sender.send(span(2, "ingest"), span(2, "notify", 21))
    assert sender.verdict()["complete"] is False
    closing = span(3, "ingest")
    closing.attributes.add(key="test.suite.run.status", value=AnyValue(string_value="success"))
    sender.send(closing, span(3, "notify", 31))
    third = sender.verdict()
    assert (third["complete"], third["outcome"]) == (True, "passed")


def test_an_end_that_is_announced_while_nobody_serves_is_made_up_for(tmp_path: Path, sender: Sender) -> None:
    gave_up(sender)
    sender.service.stop()
    with Store.open(tmp_path / "store.sqlite") as store:
        assert store.runs.unfinished() == ()
        store.runs.end(RUN, 5)
        assert [run.id for run in store.runs.unfinished()] == [RUN]
    heard: queue.Queue[Judgement] = queue.Queue()
    with Service(sender.service.config) as service:
        service.judged = heard.put
        service.start()
        again = heard.get(timeout=PATIENCE_S)
    assert (again.trigger, again.run.revision) == ("run end", 2)


def test_the_end_of_a_run_that_was_judged_whole_changes_nothing(sender: Sender) -> None:
    sender.send(span(1, "ingest"), span(1, "notify", 11))
    assert sender.verdict()["complete"] is True
    sender.service.end(RUN)
    record = sender.service.store.runs.get(RUN)
    assert record is not None
    assert record.state is RunState.JUDGED
