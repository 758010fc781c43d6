"""A small scoring system as it would be recorded: OTLP/JSON, and the flow that judges it.

Four requests come in at `gateway`, are scored, and end in `ledger`, which consumes from a queue in a
trace of its own and links back. `order-2` is consumed by a span of the wrong kind, `order-3` never is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

START = 1_772_442_000_000_000_000
"""2026-03-02T09:00:00Z in ns."""
MS = 1_000_000
KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}

FLOW = """\
version: 1
flow: scoring
stages:
  - stage: ingest
    select: {service: gateway, kind: server}
  - stage: score
    select: '{ resource.service.name = "scorer" && span:name = "predict" }'
  - stage: notify
    select: '{ resource.service.name = "ledger" && span:name = "notify" && span:kind = consumer }'
request:
  key: span.order.id
rules:
  - id: whole-path
    title: Every order reaches the ledger
    coverage: {stages: all}
    expect: {ratio: ">= 99%"}
  - id: end-to-end
    latency: request
    expect: {p50: "< 1s", samples: ">= 2"}
  - id: score-range
    output: {stage: score, value: span.score}
    expect: {every: "0..1"}
  - id: cache-hits
    where: '{ span:name = "predict" }'
    ratio: {of: '{ span.cache.hit = true }', over: '{ span.cache.hit != nil }'}
    expect: {ratio: ">= 50%"}
"""


def value(plain: Any) -> dict[str, Any]:
    match plain:
        case bool():
            return {"boolValue": plain}
        case int():
            return {"intValue": str(plain)}
        case float():
            return {"doubleValue": plain}
        case str():
            return {"stringValue": plain}
        case _:
            return {"arrayValue": {"values": [value(item) for item in plain]}}


def attributes(plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(item)} for key, item in plain.items()]


def span(
    ids: tuple[int, int],
    name: str,
    kind: str,
    at: float,
    took: float,
    *,
    parent: int = 0,
    links: Sequence[tuple[int, int]] = (),
    error: bool = False,
    **plain: Any,
) -> dict[str, Any]:
    """One span of the trace and number `ids`; times in ms since `START`, dots in attribute names written as `__`."""
    trace, number = ids
    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{number:016x}",
        **({"parentSpanId": f"{parent:016x}"} if parent else {}),
        "name": name,
        "kind": KINDS[kind],
        "startTimeUnixNano": str(START + round(at * MS)),
        "endTimeUnixNano": str(START + round((at + took) * MS)),
        "attributes": attributes({key.replace("__", "."): item for key, item in plain.items()}),
        "links": [{"traceId": f"{trace:032x}", "spanId": f"{number:016x}"} for trace, number in links],
        "status": {"code": 2, "message": "refused"} if error else {},
    }


def resource(service: str, spans: Sequence[Mapping[str, Any]], run: str | None = None) -> dict[str, Any]:
    tag = {"test.suite.run.id": run} if run else {}
    return {
        "resource": {"attributes": attributes({"service.name": service, **tag})},
        "scopeSpans": [{"scope": {"name": "hand"}, "spans": list(spans)}],
    }


def scoring(run: str | None = "demo-1") -> list[dict[str, Any]]:
    """Return the resource spans of the whole recording; only the gateway's carry the run's id."""
    orders = range(1, 5)
    ingest = [span((n, 16 * n), "POST /score", "server", 100 * n, 50 + n, order__id=f"order-{n}") for n in orders]
    predict = [
        span(
            (n, 16 * n + 1),
            "predict",
            "internal",
            100 * n + 10,
            20,
            parent=16 * n,
            score=n / 10,
            cache__hit=n > 1,
            error=n == 4,
        )
        for n in orders
    ]
    notify = [
        span((10 + n, 16 * n + 2), "notify", kind, 100 * n + 70, 5, links=[(n, 16 * n)])
        for n, kind in ((1, "consumer"), (2, "internal"), (4, "consumer"))
    ]
    return [resource("gateway", ingest, run), resource("scorer", predict), resource("ledger", notify)]


def document(resources: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"resourceSpans": list(resources)})


def write_files(folder: Path, lines: Iterator[str] | Sequence[str] = ()) -> tuple[Path, Path]:
    """Write the flow, and the recording (or other documents, one a line); return where they are."""
    flow, traces = folder / "flow.yaml", folder / "traces.jsonl"
    flow.write_text(FLOW, encoding="utf-8")
    traces.write_text("".join(f"{line}\n" for line in (lines or [document(scoring())])), encoding="utf-8")
    return flow, traces
