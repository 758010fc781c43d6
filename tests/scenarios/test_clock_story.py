"""Two hosts whose clocks differ by far: what `check` says of a latency across them, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from scenarios.stories import Told, tell
from spanverdict.otlp.jsonexport import protobuf_to_json

MS = 1_000_000
BEGIN = 1_760_000_000_000 * MS + 321
HOSTS = {"gateway": "gateway-1", "ledger": "ledger-2"}
RULES = """\
version: 1
flow: payments
CLOCK
stages:
  - stage: pay
    select: {service: gateway, kind: server}
  - stage: book
    select: {service: ledger, kind: consumer}
rules:
  - id: booked-soon
    latency: request
    expect: {p95: "< LIMIT"}
"""

pytestmark = pytest.mark.story


def span(number: int, parent: int, kind: int, times: tuple[float, float], request: int) -> Span:
    start, end = (BEGIN + round((100 * request + time) * MS) for time in times)
    return Span(
        trace_id=(request + 1).to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=f"work {number}",
        kind=kind,  # type: ignore[arg-type] # a number of the enumeration
        start_time_unix_nano=start,
        end_time_unix_nano=end,
    )


def traces(ahead: float, *, calls: bool = True) -> str:
    """Write ten payments of 60 ms, in each a call of the ledger that takes 3 ms to it and 4 back, as OTLP/JSON.

    The ledger's clock is `ahead` ms ahead of the gateway's.
    """
    spans: dict[str, list[Span]] = {"gateway": [], "ledger": []}
    for request in range(10):
        spans["gateway"].append(span(1, 0, Span.SPAN_KIND_SERVER, (0, 30), request))
        book = span(2, 1, Span.SPAN_KIND_CONSUMER, (50 + ahead, 60 + ahead), request)
        spans["ledger"].append(book)
        if calls:
            spans["gateway"].append(span(3, 1, Span.SPAN_KIND_CLIENT, (5, 25), request))
            spans["ledger"].append(span(4, 3, Span.SPAN_KIND_SERVER, (8 + ahead, 21 + ahead), request))
    parts = [
        ResourceSpans(resource=_resource(service), scope_spans=[ScopeSpans(spans=of)]) for service, of in spans.items()
    ]
    return protobuf_to_json(TracesData(resource_spans=parts).SerializeToString())


def _resource(service: str) -> Resource:
    said = {"service.name": service, "host.name": HOSTS[service]}
    return Resource(attributes=[KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in said.items()])


def check(folder: Path, limit: str, clock: str, *options: str, ahead: float = 12_000, calls: bool = True) -> Told:
    rules, given = folder / "payments.yaml", folder / "payments.jsonl"
    rules.write_text(RULES.replace("CLOCK", clock).replace("LIMIT", limit), encoding="utf-8")
    given.write_text(f"{traces(ahead, calls=calls)}\n", encoding="utf-8")
    return tell("check", rules, "--input", given, *options)


@pytest.mark.parametrize("ahead", [0, 12_000, -12_000])
@pytest.mark.parametrize(
    ("limit", "code", "word"), [("65ms", 0, "PASSED"), ("60ms", 4, "INCONCLUSIVE"), ("56ms", 1, "FAILED")]
)
def test_the_verdict_is_the_same_however_far_the_clocks_differ(
    tmp_path: Path, ahead: float, limit: str, code: int, word: str
) -> None:
    told = check(tmp_path, limit, "", ahead=ahead)
    assert told.returncode == code, told.stdout + told.stderr
    assert f"{word}  booked-soon" in told.stdout


def test_the_message_says_what_the_clocks_leave_open(tmp_path: Path) -> None:
    told = check(tmp_path, "60ms", "")
    assert (
        "p95 = 64ms, expected < 60ms   (n = 10 requests, between 57ms and 64ms: "
        "the clock of ledger-2 is 12s ± 3.5ms ahead of gateway-1's; 12.06s as sent)"
    ) in told.stdout


def test_trusted_clocks_are_believed(tmp_path: Path) -> None:
    assert check(tmp_path, "60ms", "clock: trusted").returncode == 1
    assert check(tmp_path, "61ms", "clock: trusted", ahead=0).returncode == 0


def test_hosts_that_only_a_queue_joins_are_in_doubt_until_the_flow_says_more(tmp_path: Path) -> None:
    told = check(tmp_path, "1h", "", ahead=0, calls=False)
    assert told.returncode == 4
    assert "the clocks of gateway-1 and ledger-2 were never compared" in told.stdout
    assert check(tmp_path, "70ms", "clock: {within: 5ms}", ahead=0, calls=False).returncode == 0
    assert check(tmp_path, "70ms", "clock: trusted", ahead=0, calls=False).returncode == 0


def test_machines_read_the_interval_and_the_clocks(tmp_path: Path) -> None:
    told = check(tmp_path, "60ms", "", "-o", "json")
    report = json.loads(told.stdout)
    assert report["clocks"] == [
        {
            "first": "gateway-1",
            "second": "ledger-2",
            "ahead_low_ns": 11_996 * MS,
            "ahead_high_ns": 12_003 * MS,
            "calls": 10,
            "basis": "calls",
        }
    ]
    (condition,) = report["rules"][0]["conditions"]
    assert (condition["observed_low"], condition["observed_high"]) == (57 * MS, 64 * MS)


def test_show_and_path_tell_of_the_clocks(tmp_path: Path) -> None:
    check(tmp_path, "60ms", "")
    given = ("--rules", tmp_path / "payments.yaml", "--input", tmp_path / "payments.jsonl")
    ahead = "the clock of ledger-2 is 12s ± 3.5ms ahead of gateway-1's"
    shown = tell("show", f"{1:032x}", *given).stdout
    assert f"{ahead}; times are as they were sent" in shown
    path = tell("path", *given).stdout
    assert f"{ahead}; times that cannot be as sent are the nearest that can" in path
    assert "lasted p50 64ms" in path
