"""The edges that the OpenTelemetry Demo's own trace tests leave out: checkout → accounting, checkout → fraud-detection.

Both lead over Kafka into traces of their own, so whoever walks from parents to children sees neither.
The traces here have the demo's shape and are made by the real SDK; ten lines of rules assert both.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, SpanKind, set_span_in_context

from spanverdict.otlp.jsonexport import protobuf_to_json

PROGRAM = (sys.executable, "-c", "from spanverdict.cli import main; main()")
RULES = """\
version: 1
flow: checkout
stages:
  - {stage: order, select: {service: checkout, name: oteldemo.CheckoutService/PlaceOrder}}
  - {stage: accounting, select: {service: accounting, kind: consumer}}
  - {stage: fraud-detection, select: {service: fraud-detection, kind: consumer}}
rules:
  - id: both-edges
    coverage: {stages: all}
    expect: {ratio: "== 100%"}
"""
BEGIN = 1_772_442_000_000_000_000
MS = 1_000_000
KAFKA = {"messaging.system": "kafka", "messaging.destination.name": "orders"}

pytestmark = pytest.mark.story


class CountedIds(IdGenerator):
    """Ids that are the same every time."""

    def __init__(self) -> None:
        self.random = Random(1)

    def generate_trace_id(self) -> int:
        return self.random.getrandbits(128)

    def generate_span_id(self) -> int:
        return self.random.getrandbits(64)


@dataclass
class Demo:
    """Places orders as the demo's services would; `lost` orders never reach fraud-detection."""

    links: bool = True
    lost: frozenset[int] = frozenset()
    spans: list[ReadableSpan] = field(default_factory=list)
    ids: CountedIds = field(default_factory=CountedIds)
    providers: dict[str, TracerProvider] = field(default_factory=dict)

    def span(
        self, service: str, name: str, kind: SpanKind, times: tuple[float, float], parent: Span | None, *links: Span
    ) -> Span:
        """Make a span from `times`, in ms since the demo began."""
        if service not in self.providers:
            self.providers[service] = TracerProvider(
                resource=Resource({"service.name": service}), id_generator=self.ids, shutdown_on_exit=False
            )
        start, end = (BEGIN + round(time * MS) for time in times)
        span = (
            self.providers[service]
            .get_tracer("demo")
            .start_span(
                name,
                context=set_span_in_context(parent) if parent else None,
                kind=kind,
                links=[Link(sender.get_span_context()) for sender in links if self.links],
                start_time=start,
                attributes=KAFKA if kind in (SpanKind.PRODUCER, SpanKind.CONSUMER) else {},
            )
        )
        assert isinstance(span, Span)
        span.end(end)
        self.spans.append(span)
        return span

    def place(self, number: int) -> None:
        at = 100.0 * number
        user = self.span("load-generator", "user_checkout_single", SpanKind.INTERNAL, (at, at + 60), None)
        front = self.span("frontend", "POST /api/checkout", SpanKind.SERVER, (at + 2, at + 58), user)
        call = self.span("frontend", "oteldemo.CheckoutService/PlaceOrder", SpanKind.CLIENT, (at + 4, at + 56), front)
        order = self.span("checkout", "oteldemo.CheckoutService/PlaceOrder", SpanKind.SERVER, (at + 5, at + 55), call)
        for service, name, begin in (("payment", "Charge", 10), ("shipping", "ShipOrder", 25)):
            sent = self.span("checkout", f"oteldemo/{name}", SpanKind.CLIENT, (at + begin, at + begin + 12), order)
            self.span(service, f"oteldemo/{name}", SpanKind.SERVER, (at + begin + 1, at + begin + 11), sent)
        publish = self.span("checkout", "orders publish", SpanKind.PRODUCER, (at + 45, at + 50), order)
        taken = self.span("accounting", "orders process", SpanKind.CONSUMER, (at + 70, at + 80), None, publish)
        self.span("accounting", "INSERT order", SpanKind.CLIENT, (at + 72, at + 79), taken)
        if number not in self.lost:
            self.span("fraud-detection", "orders process", SpanKind.CONSUMER, (at + 90, at + 95), None, publish)

    def write(self, folder: Path, orders: Iterable[int] = range(5)) -> None:
        for number in orders:
            self.place(number)
        (folder / "checkout.yaml").write_text(RULES, encoding="utf-8")
        line = protobuf_to_json(encode_spans(self.spans).SerializeToString())
        (folder / "demo.jsonl").write_text(f"{line}\n", encoding="utf-8")


def ask(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [*PROGRAM, *arguments, "--input", "demo.jsonl"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr
    return done.returncode, done.stdout


def test_ten_lines_of_rules_assert_both_edges(tmp_path: Path) -> None:
    assert len(RULES.splitlines()) == 10
    Demo().write(tmp_path)
    code, said = ask(tmp_path, "check", "checkout.yaml")
    assert code == 0, said
    assert "PASSED  both-edges  ratio = 100 %" in said
    assert "(5 requests, 60 spans)" in said


def test_the_readme_shows_these_rules_and_what_is_said_of_a_lost_order(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    Demo(lost=frozenset({3})).write(tmp_path)
    checked, path = ask(tmp_path, "check", "checkout.yaml"), ask(tmp_path, "path", "--rules", "checkout.yaml")
    assert f"```yaml\n{RULES}```\n" in readme
    assert (
        f"```\n$ spanverdict check checkout.yaml --input demo.jsonl\n{checked[1]}\n"
        f"$ spanverdict path --rules checkout.yaml --input demo.jsonl\n{path[1]}```\n"
    ) in readme


def test_an_order_that_fraud_detection_never_saw_is_named(tmp_path: Path) -> None:
    Demo(lost=frozenset({3})).write(tmp_path)
    code, said = ask(tmp_path, "check", "checkout.yaml")
    assert code == 1
    assert "ratio = 80 %, expected == 100%" in said
    assert re.search(r"worst: \w{8}… missing: fraud-detection\n +checkout.yaml", said)


def test_without_links_neither_edge_is_there(tmp_path: Path) -> None:
    """Proves that it is the links that carry both, as nothing else in these traces does."""
    Demo(links=False).write(tmp_path)
    code, said = ask(tmp_path, "check", "checkout.yaml")
    assert code == 1
    assert "ratio = 0 %" in said


def test_the_path_of_all_orders_has_both_ways(tmp_path: Path) -> None:
    Demo(lost=frozenset({3})).write(tmp_path)
    code, said = ask(tmp_path, "path", "--rules", "checkout.yaml")
    assert code == 0
    assert said.split("\n\n")[2] == (
        """\
WAY                      BY     REQUESTS  SHARE  SPANS   P50   P95   MAX
order > accounting       queue         5  100 %      5  20ms  20ms  20ms
order > fraud-detection  queue         4   80 %      4  40ms  40ms  40ms
"""
    )


def test_one_order_is_shown_through_all_its_traces(tmp_path: Path) -> None:
    demo = Demo()
    demo.write(tmp_path, [0])
    order = f"{demo.spans[0].context.trace_id:032x}"
    publish = next(span.context.span_id for span in demo.spans if span.name == "orders publish")
    link = f"link to {order[:8]}…/{publish:016x}"
    code, said = ask(tmp_path, "show", order, "--rules", "checkout.yaml")
    assert code == 0
    assert said == (
        f"""\
request {order}   flow checkout
lasted 90ms: order 45ms (50 %), queue 40ms (44 %), fraud-detection 5ms (6 %)
12 spans, 3 traces, 7 services

       START  DURATION   ON PATH  SPAN
        -5ms      60ms            user_checkout_single                       load-generator  above the beginning
        -3ms      56ms              POST /api/checkout                       frontend  server  above the beginning
        -1ms      52ms                oteldemo.CheckoutService/PlaceOrder    frontend  client  above the beginning
*          0      50ms      16ms        oteldemo.CheckoutService/PlaceOrder  checkout  server  [order]  the request begins here
*       +5ms      12ms       2ms          oteldemo/Charge                    checkout  client
*       +6ms      10ms      10ms            oteldemo/Charge                  payment  server
*      +20ms      12ms       2ms          oteldemo/ShipOrder                 checkout  client
*      +21ms      10ms      10ms            oteldemo/ShipOrder               shipping  server
*      +40ms       5ms       5ms          orders publish                     checkout  producer
       +45ms      20ms                      (queue)
       +65ms      10ms                      orders process                   accounting  consumer  [accounting]  {link}
       +67ms       7ms                        INSERT order                   accounting  client
*      +45ms      40ms      40ms            (queue)
*      +85ms       5ms       5ms            orders process                   fraud-detection  consumer  [fraud-detection]  {link}
"""
    )
