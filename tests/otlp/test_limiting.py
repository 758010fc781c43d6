"""What is over the limits of attributes is cut, named and counted; all else stays as it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.limiting import MAX_NAMES, AttributeLimits, Cuts, Known, cut, exceeds
from spanverdict.telemetry.vocabulary import CUT

SMALL = AttributeLimits(count=3, value_bytes=200)
TEXT_ENDS = ("", "x", "é", "€", "😀")


def texts() -> st.SearchStrategy[str]:
    sizes = st.one_of(st.integers(0, 20), st.integers(150, 210))
    return st.builds(lambda n, end, m: "a" * n + end * m, sizes, st.sampled_from(TEXT_ENDS), st.integers(0, 20))


def values() -> st.SearchStrategy[AnyValue]:
    return st.one_of(
        st.builds(lambda v: AnyValue(string_value=v), texts()),
        st.builds(lambda v: AnyValue(int_value=v), st.integers(-9, 9)),
        st.builds(lambda n: AnyValue(bytes_value=bytes(n)), st.sampled_from([0, 100, 190, 300])),
        st.builds(
            lambda n: AnyValue(array_value=ArrayValue(values=[AnyValue(double_value=0.5)] * n)),
            st.sampled_from([0, 5, 15, 40]),
        ),
        st.builds(
            lambda v: AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=AnyValue(string_value=v))])),
            texts(),
        ),
    )


KEYS = st.one_of(st.sampled_from(["a", "b", "c", "prompt"]), st.just("k" * 300))
ATTRIBUTES = st.lists(st.builds(lambda k, v: KeyValue(key=k, value=v), KEYS, values()), max_size=5)
SPANS = st.builds(
    lambda attributes, inside, links: Span(
        trace_id=b"t" * 16,
        span_id=b"spanspan",
        name="s",
        attributes=attributes,
        events=[Span.Event(name="e", attributes=inside)],
        links=[Span.Link(trace_id=b"l" * 16, span_id=b"linklink", attributes=links)],
    ),
    ATTRIBUTES,
    ATTRIBUTES,
    ATTRIBUTES,
)
REQUESTS = st.builds(
    lambda spans, of_resource, of_scope: TracesData(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=of_resource),
                scope_spans=[ScopeSpans(scope=InstrumentationScope(attributes=of_scope), spans=spans)],
            )
        ]
    ),
    st.lists(SPANS, min_size=1, max_size=3),
    ATTRIBUTES,
    ATTRIBUTES,
)


def owners(request: TracesData) -> Iterator[tuple[Any, str, Any]]:
    """Yield all that has attributes, its scope in TraceQL, and what says what was cut of it."""
    for part in request.resource_spans:
        yield part.resource, "resource", part.resource
        for scope_spans in part.scope_spans:
            yield scope_spans.scope, "instrumentation", scope_spans.scope
            for span in scope_spans.spans:
                yield span, "span", span
                yield from ((event, "event", span) for event in span.events)
                yield from ((link, "link", span) for link in span.links)


def named(owner: Any) -> set[str]:
    return {item.string_value for a in owner.attributes if a.key == CUT for item in a.value.array_value.values}


def size_of(value: AnyValue) -> int:
    return len(value.string_value.encode()) if value.HasField("string_value") else value.ByteSize()


@settings(deadline=None)
@given(REQUESTS)
def test_what_stays_is_within_the_limits_and_what_does_not_is_named(sent: TracesData) -> None:
    payload, cuts = cut(sent.SerializeToString(), SMALL)
    kept = TracesData.FromString(payload)
    lost = 0
    for (before, scope, _), (after, _, said) in zip(owners(sent), owners(kept), strict=True):
        left = [attribute for attribute in after.attributes if attribute.key != CUT]
        assert len(left) <= SMALL.count
        assert all(size_of(attribute.value) <= SMALL.value_bytes for attribute in left)
        changed = [a for a in before.attributes if a not in left]
        assert {f"{scope}.{a.key[:256]}" for a in changed} <= named(said)
        lost += len(changed)
        for attribute in left:
            assert attribute in before.attributes or f"{scope}.{attribute.key}" in named(said)
    assert bool(cuts) == bool(lost)
    assert cuts or payload == sent.SerializeToString()


@settings(deadline=None)
@given(REQUESTS, st.sampled_from([1, 300]))
def test_a_decoded_request_tells_whether_it_has_to_be_cut(sent: TracesData, copies: int) -> None:
    """However it was decoded: three hundred spans are scanned, one goes to protobuf."""
    for part in sent.resource_spans:
        for scope_spans in part.scope_spans:
            spans = list(scope_spans.spans) * copies
            del scope_spans.spans[:]
            scope_spans.spans.extend(spans)
    payload, pool = sent.SerializeToString(), new_pool(1000)
    known = Known.of(pool)
    table = decode(payload, pool).table
    assert exceeds(table, len(payload), known, SMALL) == bool(cut(payload, SMALL)[1])


@settings(deadline=None)
@given(REQUESTS)
def test_cutting_again_changes_nothing(sent: TracesData) -> None:
    once, _ = cut(sent.SerializeToString(), SMALL)
    again, cuts = cut(once, SMALL)
    assert again is once
    assert not cuts


def request(attributes: list[KeyValue]) -> bytes:
    span = Span(trace_id=b"t" * 16, span_id=b"spanspan", name="s", attributes=attributes)
    return TracesData(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])]).SerializeToString()


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def test_by_default_what_an_sdk_sends_and_an_embedding_of_three_thousand_numbers_stay_whole() -> None:
    vector = ArrayValue(values=[AnyValue(double_value=0.1)] * 3072)
    attributes = [text(f"key.{number}", "v") for number in range(127)]
    whole = request([*attributes, KeyValue(key="embedding", value=AnyValue(array_value=vector))])
    assert cut(whole, AttributeLimits()) == (whole, Cuts())
    assert cut(request([text("prompt", "x" * 65_536)]), AttributeLimits())[1] == Cuts()


@pytest.mark.parametrize("end", TEXT_ENDS[1:])
def test_a_text_is_cut_between_two_characters(end: str) -> None:
    payload, cuts = cut(request([text("prompt", end * 100_000)]), AttributeLimits())
    (attribute, mark) = TracesData.FromString(payload).resource_spans[0].scope_spans[0].spans[0].attributes
    assert set(attribute.value.string_value) == {end}
    assert 65_536 - 4 < len(attribute.value.string_value.encode()) <= 65_536
    assert mark.value.array_value.values[0].string_value == "span.prompt"
    assert cuts == Cuts(values=1)


def test_of_very_many_attributes_it_is_said_that_it_may_be_any() -> None:
    payload, cuts = cut(request([text(f"key.{number}", "v") for number in range(10_000)]), AttributeLimits())
    attributes = TracesData.FromString(payload).resource_spans[0].scope_spans[0].spans[0].attributes
    assert [a.key for a in attributes] == [*(f"key.{number}" for number in range(128)), CUT]
    assert [value.string_value for value in attributes[-1].value.array_value.values] == ["*"]
    assert cuts == Cuts(left_out=10_000 - 128)
    assert MAX_NAMES < 10_000 - 128


def mark(*names: str) -> KeyValue:
    return KeyValue(
        key=CUT, value=AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=name) for name in names]))
    )


def names_of(payload: bytes) -> list[list[str]]:
    (span,) = TracesData.FromString(payload).resource_spans[0].scope_spans[0].spans
    return [[v.string_value for v in a.value.array_value.values] for a in span.attributes if a.key == CUT]


def test_what_was_cut_before_is_named_beside_what_is_cut_now() -> None:
    payload = request([mark("span.earlier"), text("prompt", "x" * 300)])
    assert names_of(cut(payload, SMALL)[0]) == [["span.earlier", "span.prompt"]]


@pytest.mark.parametrize("forged", [[mark("a")] * 1000, [text(CUT, "x" * 1_000_000)], [text(CUT, "x")] * 5])
def test_nothing_gets_past_the_limits_under_the_name_of_the_mark(forged: list[KeyValue]) -> None:
    payload, cuts = cut(request([*forged, text("kept", "v")]), SMALL)
    assert cuts
    assert len(payload) < 200
    assert not cut(payload, SMALL)[1]


def framed(tag: bytes, content: bytes) -> bytes:
    """Write a field of less than 16 KiB."""
    return tag + bytes([len(content) & 0x7F | 0x80, len(content) >> 7]) + content


def test_tags_that_are_longer_than_they_need_be_get_nothing_past_the_limits() -> None:
    attribute = text("k", "v").SerializeToString()
    field = b"\xca\x80\x80\x00" + bytes([len(attribute)]) + attribute
    span = Span(trace_id=b"t" * 16, span_id=b"spanspan", name="s").SerializeToString() + field * 200
    payload = framed(b"\x0a", framed(b"\x12", framed(b"\x12", span)))
    assert len(TracesData.FromString(payload).resource_spans[0].scope_spans[0].spans[0].attributes) == 200
    assert cut(payload, AttributeLimits())[1] == Cuts(left_out=72)


@pytest.mark.parametrize("payload", [b"", b"\x0a\xff", b"no protobuf at all"])
def test_what_cannot_be_read_is_left_to_whoever_refuses_it(payload: bytes) -> None:
    assert cut(payload, SMALL) == (payload, Cuts())


def test_a_long_value_that_is_no_text_at_all_costs_its_span_as_ever() -> None:
    payload = request([text("prompt", "x" * 300)]).replace(b"x" * 300, b"\xff" * 300)
    assert cut(payload, SMALL) == (payload, Cuts())
    decoded = decode(payload, new_pool())
    assert (len(decoded.table), decoded.rejected) == (0, 1)
