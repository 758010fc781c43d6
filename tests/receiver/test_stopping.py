"""Stopping: what is in flight is acknowledged, what is new is refused, and it ends in time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from receiver.sinks import HeldSink, MemorySink, trace_request


def _stop(receiver, grace_s):
    stopping = threading.Thread(target=receiver.stop, args=(grace_s,))
    stopping.start()
    return stopping


def refused(wire) -> bool:
    """Whether a new connection gets nowhere."""
    try:
        return wire.send(b"", signal="logs").code in ("UNAVAILABLE", "CANCELLED", 503)
    except httpx.TransportError:
        return True


def test_requests_in_flight_are_acknowledged_and_new_ones_refused(receive, connect, wire_name):
    sink = HeldSink()
    receiver, endpoints = receive(sink)
    with ThreadPoolExecutor(10) as clients:
        wire = connect(wire_name, endpoints)
        answers = [clients.submit(wire.export, trace_request()) for _ in range(10)]
        sink.wait_for(10)
        stopping = _stop(receiver, grace_s=10)
        deadline = time.monotonic() + 5
        while not refused(connect(wire_name, endpoints)):
            assert time.monotonic() < deadline
        assert stopping.is_alive()
        sink.release()
        assert all(answer.result().ok for answer in answers)
        stopping.join(5)
        assert not stopping.is_alive()
    assert receiver.budget.in_use == 0


def test_a_sink_that_never_answers_does_not_keep_the_receiver_from_ending(receive, connect, wire_name):
    sink = HeldSink()
    receiver, endpoints = receive(sink)
    wire = connect(wire_name, endpoints)
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(wire.export, trace_request())
        sink.wait_for(1)
        start = time.monotonic()
        receiver.stop(grace_s=1)
        assert time.monotonic() - start < 5
        assert answer.result().code in ("CANCELLED", "UNAVAILABLE", 503)  # all of them mean: send it again
    sink.release()  # late, and harmless
    assert receiver.budget.in_use == 0


def test_nothing_is_left_behind(receive, connect):
    threads = threading.active_count()
    for _ in range(3):
        receiver, endpoints = receive(MemorySink())
        for name in ("grpc", "http-protobuf"):
            wire = connect(name, endpoints)
            assert wire.export(trace_request()).ok
            wire.close()
        receiver.stop(grace_s=5)
        assert receiver._thread is not None
        assert not receiver._thread.is_alive()
    deadline = time.monotonic() + 5
    while threading.active_count() > threads + 1:  # grpc keeps one thread of its own for the process
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.01)


def test_a_stopped_receivers_ports_are_free_again(receive):
    receiver, endpoints = receive(MemorySink())
    receiver.stop()
    again, same = receive(MemorySink(), grpc_address=str(endpoints.grpc), http_address=str(endpoints.http))
    assert same == endpoints
    again.stop()


def test_a_receiver_is_a_context_that_ends(receive):
    from spanverdict.receiver.config import ReceiverConfig
    from spanverdict.receiver.listen import Receiver

    config = ReceiverConfig(grpc_address="127.0.0.1:0", http_address="127.0.0.1:0")
    with Receiver(config, MemorySink()) as receiver:
        assert receiver._thread.is_alive()
    assert not receiver._thread.is_alive()
    with pytest.raises(RuntimeError):
        receiver._loop.run_until_complete(None)
