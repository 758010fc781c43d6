"""Clients that do what exporters do, and what must be said of their spans in the end.

They send a batch again until it is acknowledged, and never send it again after that. So what the verdict must hold in the
end is what they have sent, and a span that was acknowledged and then lost, or sent again and counted twice, shows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

SPANS = 40
"""In a batch."""
LARGE = 4
"""One batch of so many is large, and so goes into a segment of the journal."""
RULES = """\
version: 1
flow: survival
stages:
  - {stage: work, select: {service: worker, name: work}}
complete: {idle: 60s, at_most: 90s}
rules:
  - {id: spans, count: '{ span:name = "work" }', expect: {count: ">= 1"}}
  - {id: sum, attribute: {stage: work, value: span.n}, expect: {sum: ">= 0", samples: ">= 1"}}
"""
PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def batch(number: int) -> tuple[bytes, range]:
    """A batch, and the numbers of its spans; each span is a request of its own and carries its number."""
    numbers = range(number * SPANS + 1, (number + 1) * SPANS + 1)
    spans = [
        Span(
            trace_id=n.to_bytes(16, "big"),
            span_id=n.to_bytes(8, "big"),
            name="work",
            start_time_unix_nano=1_760_000_000_000_000_000 + n,
            end_time_unix_nano=1_760_000_000_000_001_000 + n,
            attributes=[KeyValue(key="n", value=AnyValue(int_value=n))],
        )
        for n in numbers
    ]
    if number % LARGE == 0:
        spans[0].attributes.append(KeyValue(key="note", value=AnyValue(string_value="x" * 60_000)))
    part = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
    for key, value in (("service.name", "worker"), ("test.suite.run.id", "survivor")):
        part.resource.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
    return TracesData(resource_spans=[part]).SerializeToString(), numbers


@dataclass(eq=False)
class Load:
    """Clients that send until told to stop, and what was acknowledged to them."""

    grpc_address: str
    http_address: str
    acknowledged: set[int] = field(default_factory=set)
    resent: int = 0
    unanswered: int = 0
    """Spans of batches that were given up."""
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _giving_up: threading.Event = field(default_factory=threading.Event)
    _clients: list[threading.Thread] = field(default_factory=list)
    _came: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def going(self) -> Iterator[None]:
        self._clients += [
            threading.Thread(target=self._send_all, args=(kind,)) for kind in (self._http, self._grpc) * 2
        ]
        for client in self._clients:
            client.start()
        try:
            yield
        except BaseException:
            self.give_up()
            raise
        finally:
            self.stop()

    def stop(self) -> None:
        """Begin no other batch, and wait until those that were begun are acknowledged."""
        self._stopping.set()
        for client in self._clients:
            client.join()

    def give_up(self) -> None:
        """Stop without an acknowledgement for what was begun."""
        self._giving_up.set()
        self.stop()

    def wait_for_more(self, spans: int) -> None:
        """Return once so many more spans are acknowledged."""
        with self._came:
            wanted = len(self.acknowledged) + spans
            assert self._came.wait_for(lambda: len(self.acknowledged) >= wanted, 30), "nothing is acknowledged"

    def _send_all(self, connect: Callable[[], Any]) -> None:
        with connect() as send:
            while not self._stopping.is_set():
                with self._lock:
                    number, self._next = self._next, self._next + 1
                payload, numbers = batch(number)
                while not send(payload):
                    self.resent += 1
                    if self._giving_up.wait(0.02):  # as an exporter does between attempts
                        with self._lock:
                            self.unanswered += len(numbers)
                        return
                with self._came:
                    self.acknowledged.update(numbers)
                    self._came.notify_all()

    @contextmanager
    def _http(self) -> Iterator[Callable[[bytes], bool]]:
        url, headers = f"http://{self.http_address}/v1/traces", {"Content-Type": "application/x-protobuf"}
        with httpx.Client(timeout=10, trust_env=False) as client:

            def send(payload: bytes) -> bool:
                try:
                    return client.post(url, content=payload, headers=headers).status_code == 200
                except httpx.TransportError:
                    return False

            yield send

    @contextmanager
    def _grpc(self) -> Iterator[Callable[[bytes], bool]]:
        options = [("grpc.max_reconnect_backoff_ms", 100), ("grpc.initial_reconnect_backoff_ms", 50)]
        with grpc.insecure_channel(self.grpc_address, options) as channel:
            export = channel.unary_unary(PATH)

            def send(payload: bytes) -> bool:
                try:
                    export(payload, timeout=10)
                except grpc.RpcError:
                    return False
                return True

            yield send


def check(load: Load, found: dict[str, Any]) -> None:
    sent = load.acknowledged
    spans, total = found["verdict"]["rules"]
    assert found["verdict"]["run"]["spans"] == len(sent)
    assert found["verdict"]["run"]["traces"] == len(sent)
    assert spans["conditions"][0]["observed_value"] == len(sent)
    assert total["samples"] == len(sent)
    assert total["conditions"][0]["observed_value"] == sum(sent)
