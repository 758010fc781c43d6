"""Items 42 to 44, and what our receiver promises beyond the specification."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import grpc
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from conformance.item import (
    ALL,
    GRPC,
    HTTP,
    HTTP_JSON,
    OWN,
    Item,
    Level,
    NotApplicable,
    require,
    require_code,
    require_success,
)
from conformance.lab import Case
from conformance.transport import GARBAGE
from receiver.sinks import HeldSink, MemorySink, trace_request
from receiver.wires import GRPC_METHODS, TIMEOUT_S, HttpWire, otlp_json
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.errors import PublicWithoutAuthentication
from spanverdict.receiver.listen import Receiver

KIB = 1024
MIB = 1024 * KIB


PROFILES = bytes.fromhex("0a0412021200")
"""One empty profile in its envelopes; older versions of the messages' package have none for it."""
PROFILES_JSON = b'{"resourceProfiles": [{"scopeProfiles": [{"profiles": [{}]}]}]}'


def _metrics() -> Message:
    request = ExportMetricsServiceRequest()
    for name in ("latency", "errors"):
        request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    return request


def _logs() -> Message:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")
    return request


def _other_signals(case: Case) -> dict[str, bytes]:
    """A request of each signal but traces, in the form of the case."""
    as_json = case.wire == HTTP_JSON
    requests = {"metrics": _metrics(), "logs": _logs()}
    bodies = {s: otlp_json(request) if as_json else request.SerializeToString() for s, request in requests.items()}
    return bodies | {"profiles": PROFILES_JSON if as_json else PROFILES}


def pings(case: Case) -> None:
    """A client that pings between calls, once a second, is not sent away."""
    options = [
        ("grpc.keepalive_time_ms", 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    lost = threading.Event()
    with case.lab.access.channel(case.lab.endpoints.grpc, options) as channel:
        call = channel.unary_unary(GRPC_METHODS["traces"])
        call(b"", timeout=TIMEOUT_S)
        channel.subscribe(lambda state: lost.set() if state is not grpc.ChannelConnectivity.READY else None)
        require(not lost.wait(4.5), "a client that pings was sent away")
        call(b"", timeout=TIMEOUT_S)


def silent_connections(case: Case) -> None:
    """A connection that never sends a request is closed."""
    _, endpoints = case.lab.rigged(case.stack, MemorySink(), {"head_timeout_s": 0.3})
    address = endpoints.grpc if case.is_grpc else endpoints.http
    assert address is not None
    with socket.create_connection((address.host, address.port), timeout=TIMEOUT_S) as connection:
        connection.sendall(b"PRI" if case.is_grpc else b"POST /v1")
        try:
            while connection.recv(KIB):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            require(holds=False, otherwise="it is open for ever")


def other_signals_end(case: Case) -> None:
    """Metrics, logs and profiles are taken, or their path is unknown; none hangs."""
    wire = case.connect()
    for signal, body in _other_signals(case).items():
        answer = wire.send(body, signal=signal)
        unknown = answer.code == case.either("UNIMPLEMENTED", 404)
        require(answer.ok or unknown, f"{signal} were answered with {answer.code}")
        require(unknown or not answer.fault, f"{signal} were answered with {answer.fault}")


def acknowledged_when_committed(case: Case) -> None:
    """The acknowledgement waits for the commit."""
    sink = HeldSink()
    _, wire = case.rig(sink)
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(wire.export, trace_request())
        sink.wait_for(1)
        early = answer.done()
        sink.release()
        require_success(answer.result())
    require(not early, "it was acknowledged before the commit")


def commits_that_take_too_long(case: Case) -> None:
    """A commit that takes too long is UNAVAILABLE or 503, and counts as in flight until it is over."""
    sink = HeldSink()
    receiver, wire = case.rig(sink, commit_timeout_s=0.2)
    answer = wire.export(trace_request())
    require_code(answer, case.either("UNAVAILABLE", 503))
    require(answer.retry_after_s, "there is no time to wait")
    require(receiver.budget.in_use > 0, "what is not committed does not count")
    sink.release()
    require(receiver.budget.in_use == 0, "what is committed still counts")


def other_signals_are_discarded(case: Case) -> None:
    """Metrics, logs and profiles are taken, counted and discarded, plain and compressed."""
    sink = MemorySink()
    receiver, wire = case.rig(sink)
    for zipped in (False, True):
        for signal, body in _other_signals(case).items():
            require_success(wire.send(body, signal=signal, zipped=zipped), signal)
    require(receiver.counters.snapshot()["discarded"] == {"logs": 2, "metrics": 4, "profiles": 2}, "counted wrong")
    require(not sink.payloads, "they went to the sink")


def other_signals_are_read(case: Case) -> None:
    """Malformed metrics, logs and profiles are refused."""
    _, wire = case.rig(MemorySink())
    bad = b'{"resourceMetrics": 3, "resourceLogs": 3, "resourceProfiles": 3}' if case.wire == HTTP_JSON else GARBAGE
    for signal in ("metrics", "logs", "profiles"):
        require_code(wire.send(bad, signal=signal), case.either("INVALID_ARGUMENT", 400), f"malformed {signal}")


def bytes_in_flight(case: Case) -> None:
    """Bytes in flight are bounded over all connections; what is over is asked for later."""
    sink = HeldSink()
    _, wire = case.rig(sink, in_flight_bytes=2 * MIB, max_message_bytes=2 * MIB, retry_after_s=3)
    with ThreadPoolExecutor(1) as client:
        first = client.submit(wire.export, trace_request(1, padding=MIB))
        sink.wait_for(1)
        refused = wire.export(trace_request(1, padding=MIB))
        sink.release()
        require_success(first.result())
    require_code(refused, case.either("UNAVAILABLE", 429))
    require(refused.retry_after_s == 3, f"the time to wait is {refused.retry_after_s}")


def one_client_too_fast(case: Case) -> None:
    """A client over its rate, where one is set, is told when to come back, and then served."""
    receiver, wire = case.rig(MemorySink(), client_bytes_per_s=10 * KIB)
    require_success(wire.export(trace_request(1, padding=60 * KIB)), "the first request")
    refused = wire.export(trace_request())
    require_code(refused, case.either("RESOURCE_EXHAUSTED", 429))
    require(refused.retry_after_s, "there is no time to wait")
    receiver.rates.bytes_per_s = None
    require_success(wire.export(trace_request()), "a request within the rate")


def streams(case: Case) -> None:
    """One connection has as many calls at a time as are set (128 by default); others wait or may be sent again."""
    require(ReceiverConfig().max_concurrent_streams == 128, "the default is another one")
    sink = HeldSink()
    _, wire = case.rig(sink, max_concurrent_streams=3)
    require_code(wire.send(GARBAGE, signal="logs"), "INVALID_ARGUMENT")  # from now on the client knows the limit
    with ThreadPoolExecutor(9) as clients:
        calls = {clients.submit(wire.export, trace_request()) for _ in range(9)}
        sink.wait_for(3)
        most, waiting = 0, calls
        while waiting:
            most = max(most, len(sink.held))
            sink.release()
            waiting = wait(calls, timeout=0.02).not_done
        codes = {call.result().code for call in calls}
    require(most == 3, f"{most} calls were served at a time")
    require(codes <= {"OK", "UNAVAILABLE"}, f"calls were answered with {codes}")


def long_heads(case: Case) -> None:
    """Headers over 16 KiB are refused."""
    require(ReceiverConfig().max_header_bytes == 16 * KIB, "the default is another one")
    _, wire = case.rig(MemorySink())
    answer = wire.send(b"", token="x" * 40 * KIB)
    require_code(answer, case.either("RESOURCE_EXHAUSTED", 431))


def only_gzip(case: Case) -> None:
    """Of the encodings of a body only gzip is taken, and it is named to who sends another."""
    _, wire = case.rig(MemorySink())
    assert isinstance(wire, HttpWire)
    for encoding in ("zstd", "deflate", "br", "gzip, gzip"):
        answer = wire.post(b"", content_encoding=encoding)
        require_code(answer, 415, f"Content-Encoding {encoding}")
        require(answer.headers.get("accept-encoding") == "gzip", "gzip is not named")


def tokens(case: Case) -> None:
    """With a token set, a missing or wrong one is refused, for good."""
    _, wire = case.rig(MemorySink(), bearer_tokens=("right",))
    for token in (None, "wrong"):
        answer = wire.send(b"", token=token)
        require_code(answer, case.either("UNAUTHENTICATED", 401))
        require(answer.retry_after_s is None, "it asks to send the request again")
    require_success(wire.export(trace_request(), token="right"))


def loopback_only(case: Case) -> None:
    """It does not listen beyond this machine without authentication, unless told to."""
    if not case.lab.ours:
        raise NotApplicable("its addresses were given")
    config = ReceiverConfig(
        grpc_address="0.0.0.0:0" if case.is_grpc else None, http_address=None if case.is_grpc else "0.0.0.0:0"
    )
    try:
        Receiver(config, MemorySink()).start()
    except PublicWithoutAuthentication:
        return
    require(holds=False, otherwise="it listens")


ITEMS = (
    Item("42", Level.SHOULD, (GRPC,), pings),
    Item("42", Level.SHOULD, ALL, silent_connections),
    Item("43", Level.SHOULD, ALL, other_signals_end),
    Item("44", Level.SHOULD, ALL, acknowledged_when_committed),
    Item("44", Level.OURS, ALL, commits_that_take_too_long),
    Item(OWN, Level.OURS, ALL, other_signals_are_discarded),
    Item(OWN, Level.OURS, ALL, other_signals_are_read),
    Item(OWN, Level.OURS, ALL, bytes_in_flight),
    Item(OWN, Level.OURS, ALL, one_client_too_fast),
    Item(OWN, Level.OURS, (GRPC,), streams),
    Item(OWN, Level.OURS, ALL, long_heads),
    Item(OWN, Level.OURS, HTTP, only_gzip),
    Item(OWN, Level.OURS, ALL, tokens),
    Item(OWN, Level.OURS, ALL, loopback_only),
)
