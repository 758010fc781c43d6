"""Requests that hold a secret, a masker that counts what it looks at, and what a store keeps in the end."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from oddwriters import ODD, part
from spanverdict.masking.masker import Masker
from spanverdict.otlp import shallow_pb2 as shallow
from spanverdict.receiver.sink import Receipt
from spanverdict.storage.store import Store

CANARY: Final = "c4nary-0815"
WAIT_S: Final = 30
ATTRIBUTES_OF_A_SPAN: Final = 9


class Watched(Masker):
    """Counts what it is asked to look at."""

    looks = 0

    def masked(self, payload: bytes) -> bytes:
        self.looks += 1
        return super().masked(payload)


def secret(number: int, **more: object) -> bytes:
    """Return a request of one span whose only attribute gives a password away."""
    span = Span(trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"), name="ask", attributes=[_NOTE], **more)
    return TracesData(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])]).SerializeToString()


def with_attribute(payload: bytes, place: int, attribute: bytes) -> bytes:
    """Return a request with one more attribute in the span at a place, as it is written."""
    request = shallow.TracesData.FromString(payload)
    request.resource_spans[0].scope_spans[0].spans[place] += part(ATTRIBUTES_OF_A_SPAN, attribute)
    return request.SerializeToString()


def journaled(store: Store) -> bytes:
    """Return all payloads that are kept, one after the other."""
    return b"".join(batch.payload for batch in store.journal.read())


def done(*receipts: Future[Receipt]) -> list[int]:
    """Return how many spans of each request were accepted, once that is said."""
    return [receipt.result(WAIT_S).accepted for receipt in receipts]


def text(key: str, value: str) -> KeyValue:
    """Return an attribute."""
    return KeyValue(key=key, value=AnyValue(string_value=value))


_NOTE: Final = text("note", f"password={CANARY}")
HIDDEN: Final = {
    "a short text": _NOTE.SerializeToString(),
    "a text": text("note", f"the password={CANARY} is somewhere in here").SerializeToString(),
    "a long text": text("note", "so " * 20 + f"the password={CANARY}").SerializeToString(),
    "a very long text": text("note", "so " * 2000 + f"the password={CANARY}").SerializeToString(),
    "a text under a secret name": text("db.password", CANARY).SerializeToString(),
    "a number under a secret name": KeyValue(key="db.password", value=AnyValue(int_value=815_0815)).SerializeToString(),
    "an array": KeyValue(key="notes", value=AnyValue(array_value={"values": [_NOTE.value]})).SerializeToString(),
    **{f"a token, {how}": write(text("gitlab.token", CANARY)) for how, write in ODD.items()},
}
"""Attributes that have to be masked, as they are written."""
