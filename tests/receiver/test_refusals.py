"""What a refusal tells besides what the specification asks for; that is judged in tests/conformance."""

from __future__ import annotations

import pytest

from receiver.sinks import FaultySink, MemorySink, trace_request
from receiver.wires import JSON, PROTOBUF


def test_our_own_faults_are_logged_with_their_reason_and_not_told(receive, connect, wire_name, caplog):
    _, endpoints = receive(FaultySink(KeyError("secret")))
    answer = connect(wire_name, endpoints).export(trace_request())
    assert "secret" not in answer.message
    assert "secret" in caplog.text


@pytest.fixture(params=["http-protobuf", "http-json"])
def http(request, receive, connect):
    _, endpoints = receive(MemorySink())
    return connect(request.param, endpoints)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json; charset=latin-1"])
def test_a_client_of_whom_nobody_knows_what_it_reads_is_answered_in_json(http, content_type):
    answer = http.post(b"{}", content_type=content_type)
    assert (answer.code, answer.headers["content-type"]) == (415, JSON)


def test_the_charset_of_protobuf_does_not_matter(http):
    body = trace_request().SerializeToString()
    assert http.post(body, content_type=f"{PROTOBUF}; charset=latin-1").ok
