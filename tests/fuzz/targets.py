"""What is fuzzed: each target takes bytes and raises only for a fault of ours.

The same targets are driven by mutated examples (a few thousand in every test run) and by atheris, which follows the coverage
of our Python (in the soak).
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from unittest import mock

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from bench.load import make_payload
from fuzz.roomtargets import ROOMS, room_examples
from fuzz.wiretargets import WIRE_EXAMPLES, WIRES
from otlp.messages import expected_rows, is_acceptable, table_row, table_rows
from spanverdict.diagnostics.diagnostic import LINE_BREAK, Problems
from spanverdict.diagnostics.render import render_all
from spanverdict.masking.masker import Masker
from spanverdict.masking.rules import MaskingRules
from spanverdict.otlp import decode as decoding
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.json import json_to_protobuf
from spanverdict.otlp.limiting import AttributeLimits, Cuts, cut
from spanverdict.otlp.values import MAX_DEPTH
from spanverdict.rulefiles.loader import load
from spanverdict.selectors import SelectorError, parse

Target = Callable[[bytes], None]
GROUP = 300
"""Spans around a fuzzed one: so many are scanned together."""
NEVER = 1 << 40
CASES = Path(__file__).parents[1] / "rulefiles" / "cases"


def decoder(data: bytes) -> None:
    """Our decoding accepts what full protobuf decoding accepts, and says the same of it."""
    try:
        message = TracesData.FromString(data)
    except DecodeError:
        message = None
    try:
        found = decode(data, new_pool())
    except Undecodable:
        assert message is None, "refused, and protobuf reads it"
        return
    rows = table_rows(found.table)
    if message is not None and not _is_deep(message.SerializeToString()):
        assert rows == expected_rows(message)
        spans = [span for part in message.resource_spans for scope in part.scope_spans for span in scope.spans]
        assert found.rejected == sum(not is_acceptable(span) for span in spans)


def scanner(data: bytes) -> None:
    """A span among hundreds that are scanned together is read as protobuf reads it."""
    ours, theirs = _outcome(_among_others(data), decoding.MANY), _outcome(_among_others(data), NEVER)
    assert ours == theirs


def json_reader(data: bytes) -> None:
    """OTLP/JSON is refused in words, or read as protobuf's own JSON reader reads it."""
    try:
        payload = json_to_protobuf(data).payload
    except Undecodable:
        return
    read = decode(payload, new_pool())
    try:
        wanted = ParseDict(_with_base64_ids(json.loads(data)), TracesData(), ignore_unknown_fields=True)
    except (ParseError, ValueError, RecursionError):
        return  # its reader wants less than OTLP allows: other field names, lenient numbers
    assert table_rows(read.table) == expected_rows(wanted)


def rule_file(data: bytes) -> None:
    """A rule file is read, or refused with diagnostics that have a place in it."""
    text = data.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    problems = Problems()
    flow = load(text, "f.yaml", problems)
    found = problems.sorted()
    assert (flow is None) == problems.fatal
    lines = LINE_BREAK.split(text.removeprefix("\ufeff"))
    for place in (diagnostic.position for diagnostic in found):
        assert 1 <= place.line <= len(lines), place
        assert 1 <= place.column <= len(lines[place.line - 1]) + 1, place
    render_all(found)


def selector(data: bytes) -> None:
    """A selector is refused at a place in words, or prints and reads back as itself."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        made = parse(text)
    except SelectorError as error:
        refusal = error
    else:
        assert parse(str(made)) == made
        return
    assert 0 <= refusal.offset <= len(text)
    assert refusal.message


def masker(data: bytes) -> None:
    """Masking never fails, and leaves what can be decoded decodable, span for span."""
    masked = MASKER.masked(data)
    try:
        before = decode(data, new_pool())
    except Undecodable:
        return
    after = decode(masked, new_pool())
    assert (len(after.table), after.rejected) == (len(before.table), before.rejected)


def limiter(data: bytes) -> None:
    """Cutting never fails, costs no span, and leaves nothing to be cut."""
    kept, cuts = cut(data, LIMITS)
    assert bool(cuts) == (kept is not data)
    assert cut(kept, LIMITS) == (kept, Cuts())
    try:
        before = decode(data, new_pool())
    except Undecodable:
        return
    after = decode(kept, new_pool())
    assert len(after.table) >= len(before.table)
    assert len(after.table) + after.rejected == len(before.table) + before.rejected


TARGETS: Mapping[str, Target] = {
    target.__name__: target for target in (decoder, scanner, json_reader, rule_file, selector, masker, limiter, *WIRES)
} | ROOMS
MASKER = Masker(MaskingRules())
LIMITS = AttributeLimits(count=5, value_bytes=130)


def examples(name: str) -> list[bytes]:
    """Return what fuzzing a target starts from."""
    if name in WIRE_EXAMPLES:
        return WIRE_EXAMPLES[name]
    if name in ROOMS:
        return room_examples(name)
    payloads = [make_payload(spans, 12, seed=seed) for spans, seed in ((1, 1), (3, 2), (5, 3))]
    if name == "rule_file":
        return [path.read_bytes() for path in sorted(CASES.glob("*.yaml"))]
    if name == "selector":
        return [
            b'{ resource.service.name = "scorer" && span:name =~ "a.*" } >> { duration > 5ms }',
            b"{ span.a = 1 || .b != nil } | by(span.c) | count() > 2",
        ]
    if name == "json_reader":
        return [EXAMPLE_JSON]
    if name == "scanner":
        return [_spans_of(payload)[0] for payload in payloads]
    if name == "limiter":
        return [*payloads, _with_long_values(payloads[0])]
    return payloads


def _with_long_values(payload: bytes) -> bytes:
    message = TracesData.FromString(payload)
    (span,) = message.resource_spans[0].scope_spans[0].spans
    span.attributes.add(key="prompt", value={"string_value": "é" * 200})
    span.events.add(name="e").attributes.add(key="stack", value={"bytes_value": bytes(200)})
    return message.SerializeToString()


EXAMPLE_JSON = json.dumps(
    {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]},
                "scopeSpans": [
                    {
                        "scope": {"name": "lib", "version": "1"},
                        "spans": [
                            {
                                "traceId": "5b8efff798038103d269b633813fc60c",
                                "spanId": "eee19b7ec3c1b174",
                                "kind": 2,
                                "name": "n",
                                "startTimeUnixNano": "1544712660000000000",
                                "endTimeUnixNano": 1544712661000000000,
                                "attributes": [{"key": "k", "value": {"intValue": "7"}}],
                                "status": {"code": 1},
                            }
                        ],
                    }
                ],
            }
        ]
    }
).encode()


def mutations(name: str, seed: int, count: int) -> Iterator[bytes]:
    """Yield examples with a few bytes changed."""
    rng = random.Random(seed)
    bases = examples(name)
    for _ in range(count):
        data = bytearray(rng.choice(bases))
        for _ in range(rng.randrange(1, 5)):
            _mutate(data, rng)
        yield bytes(data)


def _mutate(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    match rng.randrange(6):
        case 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        case 1:
            data[at:at] = rng.randbytes(rng.randrange(1, 4))
        case 2:
            del data[at : at + rng.randrange(1, 9)]
        case 3 if at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        case 4:
            data[at:at] = data[at : at + rng.randrange(1, 40)]
        case _:
            data[at:at] = rng.choice(
                (b"\x00", b"\xff\xff\xff\xff\x0f", b"null", b"1e999", b"-1", b'"', b"{", b"[[", b"\\u0000")
            )


def _among_others(span: bytes) -> bytes:
    spans = list(_others())
    spans[GROUP // 3] = span
    spans[-1] = span
    return _field(1, _field(2, b"".join(_field(2, one) for one in spans)))


@cache
def _others() -> tuple[bytes, ...]:
    return tuple(_spans_of(make_payload(GROUP, 3, seed=4)))


def _spans_of(payload: bytes) -> list[bytes]:
    message = TracesData.FromString(payload)
    return [
        span.SerializeToString()
        for part in message.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    ]


def _outcome(payload: bytes, many: int) -> object:
    with mock.patch.object(decoding, "MANY", many):
        try:
            found = decode(payload, new_pool())
        except Undecodable as error:
            return str(error)
    # A fault moves what follows, too; all rows of hundreds of spans would cost most of the time.
    near = range(GROUP // 3 - 1, GROUP // 3 + 2)
    shown = [table_row(found.table, row) for row in (0, *near, len(found.table) - 1) if row < len(found.table)]
    spans = (
        found.table.span_id.tolist(),
        found.table.start_time_unix_nano.tolist(),
        found.table.parent_span_id.tolist(),
    )
    return shown, spans, found.rejected, found.problems


def _varint(number: int) -> bytes:
    head = b""
    while number >= 0x80:
        head += bytes([number & 0x7F | 0x80])
        number >>= 7
    return head + bytes([number])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _is_deep(data: bytes) -> bool:
    """Tell whether values may be nested deeper than we read them, which protobuf allows."""
    return data.count(b"\x2a") + data.count(b"\x32") > MAX_DEPTH


def _with_base64_ids(value: object) -> object:
    if isinstance(value, list):
        return [_with_base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        key: base64.b64encode(bytes.fromhex(item)).decode()
        if key in ids and isinstance(item, str)
        else _with_base64_ids(item)
        for key, item in value.items()
    }
