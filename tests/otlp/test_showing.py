"""Whoever searches for secrets is shown all that is new, and also how protobuf writes what was written otherwise."""

from __future__ import annotations

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from bench.load import make_payload
from oddwriters import ODD, part
from spanverdict.otlp import shallow_pb2 as shallow
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.values import encode_attribute
from spanverdict.telemetry.pool import Value

TOKEN = KeyValue(key="gitlab.token", value=AnyValue(string_value="c4nary"))


def deep(levels: int) -> bytes:
    """Return an attribute of lists inside each other, more than protobuf reads in one go."""
    value: Value = 1
    for _ in range(levels):
        value = (value,)
    return encode_attribute("deep", value)


def shown(n_spans: int, *attributes: bytes) -> bytes:
    """Return all texts that are new in a request whose last span has these attributes, too."""
    request = shallow.TracesData.FromString(make_payload(n_spans, 10, 1))
    request.resource_spans[0].scope_spans[0].spans[n_spans - 1] += b"".join(part(9, item) for item in attributes)
    texts = list[bytes]()
    found = decode(request.SerializeToString(), new_pool(1000, show=lambda text: texts.append(bytes(text))))
    assert (len(found.table), found.rejected) == (n_spans, 0)
    return b"\0".join(texts)


@pytest.mark.parametrize("n_spans", [1, 300])
@pytest.mark.parametrize("how", ODD)
def test_what_was_written_oddly_is_shown_as_it_came_and_as_usual(how: str, n_spans: int) -> None:
    texts = shown(n_spans, ODD[how](TOKEN))
    assert ODD[how](TOKEN) in texts
    assert TOKEN.SerializeToString() in texts


@pytest.mark.parametrize("n_spans", [1, 300])
def test_it_is_shown_beside_what_protobuf_does_not_read_in_one_go(n_spans: int) -> None:
    texts = shown(n_spans, ODD["value first"](TOKEN), deep(60))
    assert TOKEN.SerializeToString() in texts


@pytest.mark.parametrize("n_spans", [1, 300])
def test_what_was_written_as_usual_is_shown_once(n_spans: int) -> None:
    assert shown(n_spans, TOKEN.SerializeToString()).count(TOKEN.SerializeToString()) == 1
