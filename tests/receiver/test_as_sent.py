"""Whoever keeps requests gets the gzip that they came as, too."""

from __future__ import annotations

import gzip
import io

import pytest

from bench.ledger import ACKNOWLEDGED
from bench.sender import CONNECT
from receiver.sinks import MemorySink, trace_request

KIB = 1024


def test_what_comes_as_gzip_is_handed_on_as_it_came_too(receive, connect, wire_name):
    sink = MemorySink()
    _, endpoints = receive(sink)
    wire = connect(wire_name, endpoints)
    assert wire.export(trace_request(padding=100 * KIB), zipped=True).ok
    (payload,), (as_sent,) = sink.payloads, sink.as_sent
    assert len(payload) > 100 * KIB
    if wire_name == "http-json":
        assert as_sent == b"", "what was sent is not what it says in protobuf"
    else:
        assert gzip.decompress(as_sent) == payload


def test_what_comes_plain_is_handed_on_once(receive, connect, wire_name):
    sink = MemorySink()
    _, endpoints = receive(sink)
    assert connect(wire_name, endpoints).export(trace_request(padding=100 * KIB)).ok
    assert sink.as_sent == [b""]


def test_gzip_that_is_larger_than_what_is_in_it_is_of_no_use(receive, connect, wire_name):
    sink = MemorySink()
    _, endpoints = receive(sink)
    wire = connect(wire_name, endpoints)
    if wire.name != "http-protobuf":
        return
    body = trace_request().SerializeToString()
    assert wire.post(gzip.compress(body, 0), content_encoding="gzip").ok
    assert (sink.payloads, sink.as_sent) == ([body], [b""])


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_of_several_members_only_what_they_hold_is_handed_on(receive, protocol):
    sink, second = MemorySink(), io.BytesIO()
    _, endpoints = receive(sink)
    body = trace_request(padding=100 * KIB).SerializeToString()
    with gzip.GzipFile("mila@example.org", "wb", fileobj=second) as packed:
        packed.write(body[50 * KIB :])
    sent = gzip.compress(body[: 50 * KIB]) + second.getvalue()
    assert b"mila@example.org" in sent
    with CONNECT[protocol](str(getattr(endpoints, protocol)), True) as send:
        assert send(sent) == ACKNOWLEDGED
    assert (sink.payloads, sink.as_sent) == ([body], [b""]), "nobody looks into the head of the second one"


def test_gzip_with_a_name_in_its_head_is_not_kept_as_it_came(receive, connect):
    sink = MemorySink()
    _, endpoints = receive(sink)
    body, sent = trace_request(padding=100 * KIB).SerializeToString(), io.BytesIO()
    with gzip.GzipFile("mila@example.org", "wb", fileobj=sent) as packed:
        packed.write(body)
    assert connect("http-protobuf", endpoints).post(sent.getvalue(), content_encoding="gzip").ok
    assert b"mila@example.org" in sent.getvalue()
    assert (sink.payloads, sink.as_sent) == ([body], [b""]), "nobody would look there for what has to be masked"
