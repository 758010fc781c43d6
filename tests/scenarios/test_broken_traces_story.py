"""Traces of every broken shape, from a file through `check`: never a crash, and never green on missing data."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from scenarios.stories import Told, tell

pytestmark = pytest.mark.story

MS = 1_000_000
START = 1_760_000_000_000 * MS
REQUESTS = 6
RULES = """\
version: 1
flow: broken
stages:
  - stage: ingest
    select: {service: gateway, kind: server}
  - stage: score
    select: {service: scorer}
rules:
  - id: fast
    latency: request
    expect: {max: "< 1s"}
  - id: score-time
    latency: {stage: score}
    expect: {p50: "< 1s"}
  - id: whole
    coverage: {stages: all, no_orphans: true}
    expect: {ratio: "== 100%"}
  - id: range
    output: {stage: score, value: span.score}
    expect: {every: "0..1"}
  - id: order
    order: all
    expect: {ratio: "== 100%"}
"""
EDGES = (0, 1, 2**63 - 1, 2**63, 2**64 - 1)


def sound() -> list[tuple[str, Span]]:
    """Requests that pass: three spans each, with the service of each span."""
    made = []
    for number in range(1, REQUESTS + 1):
        ids = [(number * 10 + at).to_bytes(8) for at in range(3)]
        for at, (service, name, kind) in enumerate(
            (("gateway", "in", 2), ("scorer", "predict", 1), ("store", "get", 3))
        ):
            begin = START + number * MS + at * MS
            span = Span(
                trace_id=number.to_bytes(16),
                span_id=ids[at],
                parent_span_id=ids[at - 1] if at else b"",
                name=name,
                kind=kind,
                start_time_unix_nano=begin,
                end_time_unix_nano=begin + (50 - 10 * at) * MS,
            )
            if at == 1:
                span.attributes.append(KeyValue(key="score", value=AnyValue(double_value=0.5)))
            made.append((service, span))
    return made


def written(folder: Path, spans: list[tuple[str, Span]]) -> Path:
    message = TracesData()
    for service, span in spans:
        part = ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])
        part.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value=service)))
        message.resource_spans.append(part)
    path = folder / "traces.pb"
    path.write_bytes(message.SerializeToString())
    return path


def checked(folder: Path, spans: list[tuple[str, Span]]) -> tuple[Told, dict[str, Any]]:
    rules = folder / "broken.yaml"
    rules.write_text(RULES, encoding="utf-8")
    told = tell("check", rules, "--input", written(folder, spans), "-o", "json")
    assert told.returncode in (0, 1, 4), told.stderr
    document: dict[str, Any] = json.loads(told.stdout)
    names = [defect["name"] for defect in document["defects"]]
    assert len(names) == len(set(names)), "a defect is named twice"
    assert "errored" not in {rule["outcome"] for rule in document["rules"]}, document["rules"]
    return told, document


def test_sound_traces_pass(tmp_path: Path) -> None:
    told, document = checked(tmp_path, sound())
    assert (told.returncode, document["defects"]) == (0, [])


def harmed(rng: random.Random) -> list[tuple[str, Span]]:
    """Break a few spans, each in one of the ways there are."""
    spans = sound()
    for _ in range(rng.randrange(1, 8)):
        service, span = rng.choice(spans)
        other = rng.choice(spans)[1]
        match rng.randrange(12):
            case 0:
                span.parent_span_id = span.span_id
            case 1:
                span.parent_span_id, other.parent_span_id = other.span_id, span.span_id
            case 2:
                spans.append((service, Span(trace_id=span.trace_id, span_id=other.span_id, name="twin")))
            case 3:
                span.trace_id = rng.choice((bytes(16), b"", other.trace_id))
            case 4:
                span.span_id = rng.choice((bytes(8), b"", other.span_id))
            case 5:
                span.parent_span_id = rng.choice((b"", bytes(8), b"\xff" * 8, b"odd"))
            case 6:
                span.start_time_unix_nano = rng.choice(EDGES)
            case 7:
                span.end_time_unix_nano = rng.choice((*EDGES, span.start_time_unix_nano - 1))
            case 8:
                span.links.add(trace_id=span.trace_id, span_id=span.span_id)
            case 9:
                span.links.add(trace_id=rng.choice((b"\x77" * 16, b"", bytes(16))), span_id=b"\x09" * 8)
            case 10:
                other.links.add(trace_id=span.trace_id, span_id=span.span_id)
                span.links.add(trace_id=other.trace_id, span_id=other.span_id)
            case _:
                spans.append((service, span))
    rng.shuffle(spans)
    return spans


@pytest.mark.parametrize("seed", range(50))
def test_whatever_shape_traces_have_there_is_a_verdict(tmp_path: Path, seed: int) -> None:
    checked(tmp_path, harmed(random.Random(seed)))


@pytest.mark.parametrize("seed", range(10))
def test_a_run_that_lacks_what_a_rule_needs_is_never_green(tmp_path: Path, seed: int) -> None:
    """A stage, its value, its times or its parent is lost."""
    rng = random.Random(seed)
    spans = sound()
    service, span = rng.choice([pair for pair in spans if pair[1].name == "predict"])
    match seed % 5:
        case 0:
            spans.remove((service, span))
        case 1:
            del span.attributes[:]
        case 2:
            span.end_time_unix_nano = 0
        case 3:
            span.parent_span_id = b"\xee" * 8
        case _:
            span.start_time_unix_nano = 2**64 - 1
    told, document = checked(tmp_path, spans)
    assert told.returncode != 0, document
    assert document["outcome"] != "passed"


def test_nothing_at_all_is_never_green(tmp_path: Path) -> None:
    spans = [("gateway", Span(trace_id=b"", span_id=b"", name="in", kind=2))]
    rules = tmp_path / "broken.yaml"
    rules.write_text(RULES, encoding="utf-8")
    assert tell("check", rules, "--input", written(tmp_path, spans)).returncode not in (0, 1)
