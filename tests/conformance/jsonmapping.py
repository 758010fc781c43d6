"""Items 25 to 31: how OTLP/JSON is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conformance.item import JSON, Item, Level, require, require_code, require_success
from conformance.lab import Case
from receiver.sinks import MemorySink, trace_request
from receiver.wires import Answer, otlp_json


def _text(change: Callable[[dict[str, Any]], object] = lambda _: None) -> bytes:
    """A request of one span in OTLP/JSON, after a change to the span."""
    document = json.loads(otlp_json(trace_request()))
    change(document["resourceSpans"][0]["scopeSpans"][0]["spans"][0])
    return json.dumps(document).encode()


def _sent(case: Case, **fields: Any) -> Answer:
    return case.connect().send(_text(lambda span: span.update(fields)))


def _is_rejected(answer: Answer) -> bool:
    return answer.code == 400 or answer.rejected == 1


def ids_in_hex(case: Case) -> None:
    """Ids are hex in either case, in spans and in links."""
    for trace_id in ("a" * 32, "A" * 32, "aB" * 16):
        span_id = trace_id[:16]
        link = {"traceId": trace_id, "spanId": span_id}
        answer = _sent(case, traceId=trace_id, spanId=span_id, parentSpanId=span_id[::-1], links=[link])
        require_success(answer, f"a span with the id {trace_id}")


def ids_not_in_base64(case: Case) -> None:
    """Ids in base64 are not read."""
    require(_is_rejected(_sent(case, traceId="AAAAAAAAAAAAAAAAAAAAAQ==")), "a trace id in base64 was taken")
    require(_is_rejected(_sent(case, spanId="AAAAAAAAAAE=")), "a span id in base64 was taken")


def enums_as_integers(case: Case) -> None:
    """Enums are integers, and their names are refused."""
    require_success(_sent(case, kind=2, status={"code": 2}), "an enum as an integer")
    require(_is_rejected(_sent(case, kind="SPAN_KIND_SERVER")), "the name of a kind was taken")
    require(_is_rejected(_sent(case, status={"code": "STATUS_CODE_ERROR"})), "the name of a status was taken")


def enum_names_when_allowed(case: Case) -> None:
    """Where the operator allows enum names, they are taken with a warning."""
    _, wire = case.rig(MemorySink(), lenient_enums=True)
    answer = wire.send(_text(lambda span: span.update(kind="SPAN_KIND_SERVER")))
    require_success(answer, "the name of a kind")
    require((answer.rejected, bool(answer.message)) == (0, True), "there is no warning")


def unknown_keys(case: Case) -> None:
    """Unknown fields are ignored, whatever they hold."""
    for value in (1, "x", None, {"a": [1, {}]}, [[]]):
        require_success(_sent(case, newInAnotherVersion=value), f"an unknown field that holds {value!r}")


def lower_camel_case(case: Case) -> None:
    """Keys are lowerCamelCase; the same in snake_case is no more than an unknown field."""
    require_success(_sent(case, start_time_unix_nano="no number", trace_id=[7]), "a field in snake_case")


def long_integers(case: Case) -> None:
    """64-bit integers are decimal strings or numbers."""
    for start in ("1700000000000000000", 1_700_000_000_000_000_000):
        require_success(_sent(case, startTimeUnixNano=start, endTimeUnixNano=start), f"the time {start!r}")
    for value in ("-9223372036854775808", "9223372036854775807", 0, -7):
        attribute = {"key": "n", "value": {"intValue": value}}
        require_success(_sent(case, attributes=[attribute]), f"the attribute {value!r}")


def bytes_and_doubles(case: Case) -> None:
    """Bytes are base64, and doubles may be the strings NaN, Infinity and -Infinity."""
    for value in ({"bytesValue": "AAECAw=="}, {"doubleValue": 1.5}, {"doubleValue": 1e300}, {"doubleValue": 7}):
        require_success(_sent(case, attributes=[{"key": "v", "value": value}]), f"the attribute {value}")
    for text in ("NaN", "Infinity", "-Infinity", "0.5"):
        attribute = {"key": "v", "value": {"doubleValue": text}}
        require_success(_sent(case, attributes=[attribute]), f"the double {text!r}")


def null_is_the_default(case: Case) -> None:
    """Null stands for the default."""
    nothing = dict.fromkeys(("parentSpanId", "attributes", "events", "links", "status", "droppedLinksCount", "kind"))
    require_success(_sent(case, **nothing), "a span with nulls")
    require_success(case.connect().send(b'{"resourceSpans": null}'), "a request of null")


def broken_texts(case: Case) -> None:
    """Text that is no JSON, or no request, is 400: trailing text, other UTF, nesting without end."""
    wire = case.connect()
    for text in (b"", b"{", b"{}x", b"{} {}", b"[]", b"\xff{}", b'{"resourceSpans": 7}', b"[" * 100_000):
        require_code(wire.send(text), 400, f"the text {text[:20]!r}")


def ambiguous_texts(case: Case) -> None:
    """JSON that two readers may read differently is 400: keys that stand twice, NUL, halves of surrogate pairs."""
    wire = case.connect()
    named = _text(lambda span: span.update(name="NAME"))
    require_code(wire.send(b'{"resourceSpans": [], "resourceSpans": []}'), 400, "a key that stands twice")
    for escape in (rb"\u0000", rb"\ud800", rb"\udc00", rb"\ud800\ud800"):
        require_code(wire.send(named.replace(b"NAME", escape)), 400, f"a name of {escape.decode()}")


ITEMS = (
    Item("25", Level.MUST, JSON, ids_in_hex),
    Item("25", Level.MUST, JSON, ids_not_in_base64),
    Item("26", Level.MUST, JSON, enums_as_integers),
    Item("26", Level.OURS, JSON, enum_names_when_allowed),
    Item("27", Level.MUST, JSON, unknown_keys),
    Item("28", Level.MUST, JSON, lower_camel_case),
    Item("29", Level.MUST, JSON, long_integers),
    Item("30", Level.MUST, JSON, bytes_and_doubles),
    Item("31", Level.MUST, JSON, null_is_the_default),
    Item("31", Level.SHOULD, JSON, broken_texts),
    Item("31", Level.OURS, JSON, ambiguous_texts),
)
