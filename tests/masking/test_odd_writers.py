"""What is to be masked is found in whatever order and at whatever length its parts were written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from oddwriters import ODD, part
from spanverdict.masking.masker import Masker
from spanverdict.masking.rules import MaskingRules

CANARY = "c4nary-77aa"
Write = Callable[[KeyValue], bytes]


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def listed(*items: str) -> AnyValue:
    return AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=item) for item in items]))


SECRETS = {
    "a text under the name of a token": text("gitlab.token", CANARY),
    "a list under the name of a token": KeyValue(key="x-auth", value=listed(CANARY)),
    "a pair inside another value": KeyValue(
        key="request", value=AnyValue(kvlist_value=KeyValueList(values=[text("x-auth", CANARY), text("a", "b")]))
    ),
    "the argument of an option": KeyValue(key="process.command_args", value=listed("curl", "-u", f"admin:{CANARY}")),
    "a text under a secret name": text("db.password", CANARY),
    "a text that gives it away": text("note", f"password={CANARY}"),
}
PLACES = ("span", "resource", "scope", "event", "link")


def payload(place: str, attribute: bytes) -> bytes:
    """Return a request that holds an attribute at a place."""
    event = part(3, attribute) if place == "event" else b""
    link = part(4, attribute) if place == "link" else b""
    span = Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="ask").SerializeToString()
    span += part(11, part(2, b"said") + event) + part(13, part(1, b"t" * 16) + part(2, b"l" * 8) + link)
    span += part(9, attribute) if place == "span" else b""
    scope = part(1, part(3, attribute)) if place == "scope" else b""
    resource = part(1, part(1, attribute)) if place == "resource" else b""
    return part(1, resource + part(2, scope + part(2, span)))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", SECRETS)
@pytest.mark.parametrize("write", ODD.values(), ids=ODD)
def test_a_secret_is_masked_however_its_parts_were_written(write: Write, what: str, place: str) -> None:
    before = payload(place, write(SECRETS[what]))
    assert TracesData.FromString(before) == TracesData.FromString(payload(place, SECRETS[what].SerializeToString()))
    assert CANARY.encode() in before
    assert CANARY.encode() not in Masker(MaskingRules()).masked(before)


@pytest.mark.parametrize("write", ODD.values(), ids=ODD)
def test_what_is_no_secret_stays_byte_for_byte(write: Write) -> None:
    before = payload("span", write(text("tokenizer", "author")))
    assert Masker(MaskingRules()).masked(before) is before


def test_of_what_may_hold_a_secret_and_cannot_be_read_nothing_is_left() -> None:
    broken = part(2, part(1, CANARY.encode())) + part(1, b"\xff.token")
    for sent in (payload("span", broken), payload("event", broken + b"\xff"), payload("resource", broken)):
        assert CANARY.encode() in sent
        assert CANARY.encode() not in Masker(MaskingRules()).masked(sent)


@pytest.mark.parametrize("write", ODD.values(), ids=ODD)
def test_without_the_masking_of_secrets_nothing_is_looked_at(write: Write) -> None:
    before = payload("span", write(SECRETS["a text under the name of a token"]))
    assert Masker(MaskingRules(secrets=False, values=("email",))).masked(before) is before
