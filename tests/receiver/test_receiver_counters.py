"""What operators see, and what a command that never listens pays."""

from __future__ import annotations

import json
import subprocess
import sys

from receiver.sinks import MemorySink, trace_request

LIGHT = "config sink errors listen status counters limits auth addresses"


def test_everything_that_happened_is_counted_by_protocol_and_reason(receive, connect):
    receiver, endpoints = receive(MemorySink(), max_message_bytes=50_000)
    partly = trace_request(3)
    partly.resource_spans[0].scope_spans[0].spans[0].trace_id = b""
    grpc, http = connect("grpc", endpoints), connect("http-protobuf", endpoints)
    for wire in (grpc, http):
        assert wire.export(trace_request(2)).ok
        assert wire.export(partly).rejected == 1
        assert not wire.send(b"\xff").ok
    assert http.send(bytes(50_001)).code == 413
    sent = sum(map(len, (trace_request(2).SerializeToString(), partly.SerializeToString(), b"\xff")))
    assert receiver.counters.snapshot() == {
        "requests": {"grpc": 3, "http/protobuf": 3},
        "wire_bytes": {"grpc": sent, "http/protobuf": sent},
        "spans_accepted": {"grpc": 4, "http/protobuf": 4},
        "spans_rejected": {"grpc": 1, "http/protobuf": 1},
        "discarded": {},
        "refused": {"grpc": {"undecodable": 1}, "http/protobuf": {"too_large": 1, "undecodable": 1}},
    }


def test_a_snapshot_is_plain_data_and_stays_as_it_was_taken(receive, connect):
    receiver, endpoints = receive(MemorySink())
    before = receiver.counters.snapshot()
    assert connect("grpc", endpoints).export(trace_request()).ok
    assert before["requests"] == {}
    after = receiver.counters.snapshot()
    assert json.loads(json.dumps(after)) == after
    assert {type(key) for key in after["requests"]} == {str}


def test_the_settings_and_the_receiver_itself_load_no_server():
    """`lint` and `check` import these and must start at once."""
    program = f"import sys, spanverdict.receiver.{', spanverdict.receiver.'.join(LIGHT.split())}\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"grpc", "uvicorn", "numpy", "google.protobuf", "opentelemetry"} & set(loaded)
