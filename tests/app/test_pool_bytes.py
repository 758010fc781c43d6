"""A pool is left behind when it has grown large, by whatever it was: names, values, resources or trace ids."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanverdict.app.decoding import Decoder
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.paths.window import Window

KIB = 1024


def payload(number: int, fill: Callable[[ExportTraceServiceRequest, Span, str], None]) -> bytes:
    """One span, always of the same trace, with something long that nobody sent before."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="x")
    span.trace_id, span.span_id = bytes(15) + b"\1", (number + 1).to_bytes(8, "big")
    fill(request, span, f"{number:09}" * (8 * KIB // 9))
    return request.SerializeToString()


def name(_request: ExportTraceServiceRequest, span: Span, text: str) -> None:
    span.name = text


def value(_request: ExportTraceServiceRequest, span: Span, text: str) -> None:
    span.attributes.add(key="k").value.string_value = text


def resource(request: ExportTraceServiceRequest, _span: Span, text: str) -> None:
    request.resource_spans[0].resource.attributes.add(key="k").value.string_value = text


def scope(request: ExportTraceServiceRequest, _span: Span, text: str) -> None:
    request.resource_spans[0].scope_spans[0].scope.name = text


def state(_request: ExportTraceServiceRequest, span: Span, text: str) -> None:
    span.trace_state = text


@pytest.mark.parametrize("fill", [name, value, resource, scope, state], ids=lambda fill: fill.__name__)
def test_long_texts_of_any_kind_begin_a_fresh_pool_in_time(fill) -> None:
    decoder = Decoder(pool_bytes=256 * KIB)
    pools, worst = set(), 0
    for number in range(200):
        pool = decoder.decode(payload(number, fill)).table.pool
        worst = max(worst, pool.weigh())
        pools.add(id(pool))
    assert worst <= 256 * KIB + 40 * KIB
    assert len(pools) > 1


def test_a_window_counts_each_pool_once_until_its_last_spans_are_gone() -> None:
    pool, window = new_pool(), Window()
    first, second = (decode(payload(number, value), pool).table for number in range(2))
    assert pool.weigh() > 16 * KIB
    window.add(1, first, 1.0)
    window.add(2, second, 2.0)
    full = window.nbytes
    assert pool.nbytes < full < 2 * pool.nbytes
    window.forget(9.0)
    assert window.nbytes == 0
