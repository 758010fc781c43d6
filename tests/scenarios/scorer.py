"""A scoring system of one process, instrumented with the real SDK: the command that stories run.

    python scorer.py --requests 3 --slow 2 --lost 1

Ids and times are always the same, so that reports are. The exporter is configured by OTEL_* alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, set_span_in_context

MS = 1_000_000
START = 1_760_000_000_000 * MS


class Counting(IdGenerator):
    """Ids in order, those of each service apart."""

    def __init__(self, first: int) -> None:
        self._last = first

    def generate_span_id(self) -> int:
        self._last += 1
        return self._last

    def generate_trace_id(self) -> int:
        self._last += 1
        return (0xFACE << 112) + self._last


def environment_exporter() -> SpanExporter:
    """The exporter that a service has which reads nothing but the standard variables."""
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc") == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc

        return Grpc()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http

    return Http()


@contextmanager
def services(
    exporter: Callable[[], SpanExporter] = environment_exporter, first: int = 0, **resource: str
) -> Iterator[tuple[TracerProvider, TracerProvider]]:
    """A gateway and a scorer; both have exported everything when the block ends."""
    providers = []
    for number, name in enumerate(("gateway", "scorer")):
        made = Resource.create({"service.name": name, **resource})
        ids = Counting(first + (number << 32))
        providers.append(TracerProvider(resource=made, id_generator=ids, shutdown_on_exit=False))
        providers[-1].add_span_processor(BatchSpanProcessor(exporter()))
    try:
        yield providers[0], providers[1]
    finally:
        for provider in providers:
            provider.shutdown()


def score(
    requests: int, *, slow: int = 0, lost: int = 0, outside: int = 0, made: tuple[TracerProvider, TracerProvider]
) -> None:
    """Score requests: the first `slow` take long, the last `lost` never reach the scorer, `outside` score too high."""
    gateway, scorer = (provider.get_tracer("scoring") for provider in made)
    for number in range(1, requests + 1):
        start = START + number * 10 * MS
        took = (400 if number <= slow else 80 + number) * MS
        key = {"request.id": f"payment-{number:02}"}
        ingest = gateway.start_span("POST /score", kind=SpanKind.SERVER, attributes=key, start_time=start)
        if number <= requests - lost:
            value = {"score": 1.7 if number <= outside else 0.5}
            predict = scorer.start_span(
                "predict", set_span_in_context(ingest), attributes=value, start_time=start + 5 * MS
            )
            predict.end(start + took - 5 * MS)
        ingest.end(start + took)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    for name in ("requests", "slow", "lost", "outside", "exit"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--environment", help="write what was given to us here")
    given = parser.parse_args(arguments)
    if given.environment:
        with open(given.environment, "w", encoding="utf-8") as file:  # noqa: PTH123 - as small as it gets
            json.dump(dict(os.environ), file)
    if given.requests:
        with services() as made:
            score(given.requests, slow=given.slow, lost=given.lost, outside=given.outside, made=made)
    return int(given.exit)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
