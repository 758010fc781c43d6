"""The load of the benchmarks: what is written over in place is what protobuf reads, and nothing else."""

from __future__ import annotations

import doctest
from collections import Counter
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bench import goals, ledger, load
from bench.load import STEP_NS, Load, Traffic, scramble, unscramble
from bench.mix import RUN, UNIQUE_DOUBLE, UNIQUE_INT, UNIQUE_TEXT

NEW = {UNIQUE_TEXT, UNIQUE_DOUBLE, UNIQUE_INT}


def request(payload: bytes) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(payload)


def spans(payload: bytes) -> list[Span]:
    (resource,) = request(payload).resource_spans
    return list(resource.scope_spans[0].spans)


def values(span: Span) -> dict[str, object]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in span.attributes}


@pytest.mark.parametrize("module", [goals, ledger, load])
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).attempted > 0
    assert doctest.testmod(module).failed == 0


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_ids_can_be_undone(numbers: list[int]) -> None:
    given_numbers = np.array(numbers, np.uint64)
    assert unscramble(scramble(given_numbers)).tolist() == numbers


@pytest.mark.parametrize("attributes", [10, 16])
@pytest.mark.parametrize("size", [1, 10, 57])
def test_a_request_differs_from_its_template_in_ids_times_and_new_values_alone(size: int, attributes: int) -> None:
    made = Load.build(size, attributes, seed=3, run_id="bench-00000")
    before, after = request(made.template), request(made.payload(5, b"bench-00042"))
    assert [v.value.string_value for v in after.resource_spans[0].resource.attributes if v.key == RUN] == [
        "bench-00042"
    ]
    for old, new in zip(spans(made.template), after.resource_spans[0].scope_spans[0].spans, strict=True):
        assert old.start_time_unix_nano + 5 * STEP_NS == new.start_time_unix_nano
        assert old.end_time_unix_nano + 5 * STEP_NS == new.end_time_unix_nano
        was, now = values(old), values(new)
        assert {key for key in was if was[key] != now[key]} == NEW & set(was)
        assert 0.5 <= float(str(now[UNIQUE_DOUBLE])) < 1
        for span in (old, new):
            span.ClearField("attributes")
            for part in (span, *span.links):
                part.trace_id = part.span_id = b""
            span.parent_span_id = b"x" if span.parent_span_id else b""
            span.start_time_unix_nano = span.end_time_unix_nano = 0
            for event in span.events:
                event.time_unix_nano = 0
        assert old == new
    for whole in (before, after):
        del whole.resource_spans[0].scope_spans[:]
        del whole.resource_spans[0].resource.attributes[-1]
    assert before == after


def test_traces_parents_and_links_keep_their_shape() -> None:
    made = Load.build(300, 4, seed=2)

    def shape(payload: bytes) -> tuple[object, ...]:
        found = spans(payload)
        place = {span.span_id: at for at, span in enumerate(found)}
        traces = {span.trace_id: at for at, span in reversed(list(enumerate(found)))}
        return (
            [traces[span.trace_id] for span in found],
            [place[span.parent_span_id] if span.parent_span_id else None for span in found],
            [[(traces[link.trace_id], place[link.span_id]) for link in span.links] for span in found],
        )

    assert shape(made.payload(9)) == shape(made.template)
    assert any(span.links for span in spans(made.template))


def test_no_id_and_no_new_value_comes_twice() -> None:
    traffic = Traffic.build(40, 10, templates=3)
    found = [span for number in range(12) for span in spans(traffic.payload(number))]
    assert len({span.span_id for span in found}) == len(found)
    assert len({span.trace_id for span in found}) == 12 * 4
    for key, most in ((UNIQUE_TEXT, 480), (UNIQUE_DOUBLE, 480), (UNIQUE_INT, 12 * 14)):
        seen = Counter(values(span).get(key) for span in found)
        del seen[None]
        assert len(seen) == most
    assert all(any(part) for span in found for part in (span.trace_id, span.span_id))


def test_the_ids_of_a_request_are_told_without_reading_it() -> None:
    made = Load.build(25, 10, seed=4)
    told = [int(number).to_bytes(8) for number in made.span_ids(7)]
    assert told == [span.span_id for span in spans(made.payload(7))]


def broken(payload: bytes) -> bytes:
    return payload[:-1] + bytes([payload[-1] ^ 1])


def other_first_id(payload: bytes) -> bytes:
    first = spans(payload)[0].span_id
    return payload.replace(first, bytes(reversed(first)))


@pytest.mark.parametrize("size", [3, 40])
def test_a_request_is_known_by_all_its_bytes(size: int) -> None:
    traffic = Traffic.build(size, 10, spans_per_run=100, templates=3)
    for number in range(0, 2000, 191):
        payload = traffic.payload(number)
        assert traffic.number_of(payload) == number
        changes: tuple[Callable[[bytes], bytes], ...] = (broken, other_first_id, lambda text: text + b"\0")
        assert [traffic.number_of(change(payload)) for change in changes] == [None] * 3


def test_every_so_many_spans_a_run_begins() -> None:
    traffic = Traffic.build(10, 4, spans_per_run=25)
    assert [traffic.run_of(number) for number in range(6)] == [0, 0, 0, 1, 1, 2]
    last = request(traffic.payload(5)).resource_spans[0].resource.attributes[-1]
    assert (last.key, last.value.string_value) == (RUN, "bench-00002")


@pytest.mark.parametrize(("attributes", "least", "most"), [(10, 290, 340), (16, 780, 840)])
def test_spans_are_as_large_as_it_says(attributes: int, least: int, most: int) -> None:
    size = len(Load.build(200, attributes, seed=1, run_id="bench-00000").template) / 200
    assert least < size < most
