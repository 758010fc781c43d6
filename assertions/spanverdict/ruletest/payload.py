"""From written spans to OTLP/JSON, the spans of each repetition with ids, times and values of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from spanverdict.ruletest.attributevalues import OtlpValue, filled, read_value, varies
from spanverdict.ruletest.notation import STATUSES, Attribute, WrittenSpan
from spanverdict.ruletest.spanline import KINDS, Token

CLOCK_UNIX_NANO: Final = 1_772_442_000_000_000_000
"""2026-03-02T09:00:00Z, when the first request of every test begins."""

_FIRST_KIND: Final = 1
"""OTLP's number of `internal`; 0 is for kinds that nobody said."""


@dataclass(frozen=True, slots=True)
class SpanBlock:
    """Written spans and how often they are repeated, a request beginning `every_ns` after the one before."""

    spans: tuple[WrittenSpan, ...]
    repeat: int = 1
    every_ns: int = 1_000_000_000


def otlp_json(blocks: Sequence[SpanBlock]) -> str:
    """Return all requests of all blocks, one after another, as one OTLP/JSON document.

    Requests are numbered from 1 through all blocks. Ids follow from that number and the place of the
    span, so they are the same every time.
    """
    groups: dict[str, dict[str, Any]] = {}
    for block, number, start in _requests(blocks):
        request = _Request(number, CLOCK_UNIX_NANO + start)
        for place, span in enumerate(block.spans):
            if not span.lost:
                request.add(block.spans, place, groups)
    return json.dumps({"resourceSpans": list(groups.values())}, ensure_ascii=True, separators=(",", ":"))


def _requests(blocks: Sequence[SpanBlock]) -> Iterator[tuple[SpanBlock, int, int]]:
    """Yield (block, number of the request, ns after the clock's start)."""
    number, start = 0, 0
    for block in blocks:
        for _ in range(block.repeat):
            number += 1
            yield block, number, start
            start += block.every_ns


@dataclass(frozen=True, slots=True)
class _Request:
    """One repetition."""

    number: int
    start_unix_nano: int

    def add(self, spans: Sequence[WrittenSpan], place: int, groups: dict[str, dict[str, Any]]) -> None:
        """Add a span to the group of its resource."""
        span = spans[place]
        resource = [
            {"key": "service.name", "value": {"stringValue": span.service}},
            *self._attributes(span.resource, span),
        ]
        group = groups.setdefault(
            json.dumps(resource), {"resource": {"attributes": resource}, "scopeSpans": [{"spans": []}]}
        )
        group["scopeSpans"][0]["spans"].append(self._span(spans, place))

    def _span(self, spans: Sequence[WrittenSpan], place: int) -> dict[str, Any]:
        span = spans[place]
        parent = {} if span.parent is None else {"parentSpanId": self._span_id(span.parent)}
        status = {"code": STATUSES.index(span.status), "message": span.status_message}
        return {
            "traceId": self._trace_id(span.trace),
            "spanId": self._span_id(place),
            **parent,
            "traceState": span.trace_state,
            "name": span.name,
            "kind": KINDS.index(span.kind) + _FIRST_KIND,
            "startTimeUnixNano": self._time(span.start_ns),
            "endTimeUnixNano": self._time(span.end_ns),
            "attributes": self._attributes(span.attributes, span),
            "events": [
                {
                    "name": event.name,
                    "timeUnixNano": self._time(event.time_ns),
                    "attributes": self._attributes(event.attributes, span),
                }
                for event in span.events
            ],
            "links": [{"traceId": self._trace_id(spans[to].trace), "spanId": self._span_id(to)} for to in span.links],
            "status": {key: value for key, value in status.items() if value},
        }

    def _time(self, ns: int) -> str:
        return str(self.start_unix_nano + ns)

    def _trace_id(self, trace: int) -> str:
        begin = f"{self.number:08x}{trace + 1:08x}"
        return begin + sha256(begin.encode()).hexdigest()[:16]

    def _span_id(self, place: int) -> str:
        return f"{self.number:08x}{place + 1:08x}"

    def _attributes(self, attributes: Sequence[Attribute], span: WrittenSpan) -> list[dict[str, Any]]:
        start = self.start_unix_nano + span.start_ns
        return [{"key": each.key, "value": self._value(each.value, start)} for each in attributes]

    def _value(self, value: Token, start: int) -> OtlpValue:
        if not varies(value.text):
            return _read(value)
        return read_value(Token(filled(value.text, self.number, start), value.offset))


@lru_cache(maxsize=1024)
def _read(value: Token) -> OtlpValue:
    return read_value(value)
