"""What the OTLP specification asks of a server, item by item, over each form of OTLP that it applies to.

The numbers are those of the project's list of requirements: transport 1 to 24, what a client sees of the JSON mapping
25 to 31 (the rest is the decoder's), operations 42 to 44.
"""

from __future__ import annotations

import gzip
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from receiver.sinks import AnsweringSink, FaultySink, HeldSink, MemorySink, trace_request
from receiver.wires import JSON, otlp_json
from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.errors import Overloaded, Unavailable
from spanverdict.receiver.listen import Receiver
from spanverdict.receiver.sink import Receipt

LIMIT = 200_000

GRPC_OR_HTTP = {"grpc": 0, "http-protobuf": 1, "http-json": 1}


def expected(wire_name, grpc_code, http_status):
    return (grpc_code, http_status)[GRPC_OR_HTTP[wire_name]]


@pytest.fixture(scope="module")
def shared():
    """One receiver for all tests that need nothing special of it."""
    sink = MemorySink()
    config = ReceiverConfig(grpc_address="127.0.0.1:0", http_address="127.0.0.1:0", max_message_bytes=LIMIT)
    receiver = Receiver(config, sink)
    endpoints = receiver.start()
    yield sink, endpoints
    receiver.stop()


@pytest.fixture
def sink(shared):
    shared[0].clear()
    return shared[0]


@pytest.fixture
def endpoints(shared):
    return shared[1]


@pytest.fixture
def wire(endpoints, connect, wire_name):
    return connect(wire_name, endpoints)


@pytest.fixture(params=["http-protobuf", "http-json"])
def http(request, endpoints, connect):
    return connect(request.param, endpoints)


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_01_plain_and_gzip_requests_are_accepted(wire, sink, zipped):
    assert wire.export(trace_request(3), zipped=zipped).ok
    assert sink.names == ["predict"] * 3


def test_02_the_default_ports_are_those_of_otlp_on_loopback():
    config = ReceiverConfig()
    assert (config.grpc_address, config.http_address) == ("127.0.0.1:4317", "127.0.0.1:4318")


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_03_a_request_over_the_limit_is_refused_for_good(wire, wire_name, sink, zipped):
    answer = wire.export(trace_request(1, padding=LIMIT), zipped=zipped)
    assert answer.code == expected(wire_name, "RESOURCE_EXHAUSTED", 413)
    assert answer.retry_after_s is None
    assert sink.names == []


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_03_a_request_of_exactly_the_limit_is_accepted(endpoints, connect, sink, zipped):
    empty = len(trace_request(1, padding=LIMIT // 2).SerializeToString()) - LIMIT // 2
    body = trace_request(1, padding=LIMIT - empty).SerializeToString()
    assert len(body) == LIMIT
    for name in ("grpc", "http-protobuf"):
        assert connect(name, endpoints).send(body, zipped=zipped).ok
    assert len(sink.names) == 2


def test_04_a_long_error_message_is_cut_so_that_the_response_stays_small(receive, connect, wire_name):
    _, endpoints = receive(AnsweringSink(Receipt(1, 1, "no " * 5_000_000)))
    answer = connect(wire_name, endpoints).export(trace_request())
    assert answer.rejected == 1
    assert 0 < len(answer.body) < 4 * 1024 * 1024


def test_05_calls_on_one_connection_are_served_at_the_same_time(receive, connect, wire_name):
    sink = HeldSink()
    _, endpoints = receive(sink)
    wire = connect(wire_name, endpoints)
    with ThreadPoolExecutor(20) as clients:
        answers = [clients.submit(wire.export, trace_request()) for _ in range(20)]
        sink.wait_for(20)  # none is answered yet, so all twenty are being served
        sink.release()
        assert all(answer.result().ok for answer in answers)


def test_06_full_success_leaves_partial_success_unset(wire, wire_name):
    answer = wire.export(trace_request())
    assert answer.ok
    assert answer.rejected is None
    assert answer.body == (b"{}" if wire_name == "http-json" else b"")


@pytest.mark.parametrize("envelopes", [0, 2])
def test_07_a_request_without_spans_succeeds(wire, envelopes):
    request = ExportTraceServiceRequest()
    for _ in range(envelopes):
        request.resource_spans.add().scope_spans.add()
    answer = wire.export(request)
    assert answer.ok
    assert answer.rejected is None


def test_08_partial_success_counts_exactly_the_rejected_spans(wire, sink):
    request = trace_request(5)
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[1].trace_id = bytes(16)
    spans[3].span_id = bytes(8)
    answer = wire.export(request)
    assert answer.ok
    assert answer.rejected == 2
    assert answer.message
    assert len(sink.names) == 3


def test_09_a_warning_on_full_acceptance_is_a_message_with_nothing_rejected(receive, connect, wire_name):
    _, endpoints = receive(AnsweringSink(Receipt(1, 0, "attributes were cut")))
    answer = connect(wire_name, endpoints).export(trace_request())
    assert answer.ok
    assert (answer.rejected, answer.message) == (0, "attributes were cut")


@pytest.mark.parametrize("late", [False, True], ids=["at once", "through the future"])
def test_10_and_18_bad_data_is_an_invalid_argument_with_a_bad_request_detail(receive, connect, wire_name, late):
    _, endpoints = receive(FaultySink(Undecodable("the resource is cut short"), late=late))
    answer = connect(wire_name, endpoints).export(trace_request())
    assert answer.code == expected(wire_name, "INVALID_ARGUMENT", 400)
    assert answer.message == "the resource is cut short"
    assert len(answer.details["BadRequest"]) == 1
    assert answer.retry_after_s is None


def test_10_and_18_what_is_not_otlp_at_all_is_refused(wire, wire_name):
    answer = wire.send(b"\xff\xff\xff")
    assert answer.code == expected(wire_name, "INVALID_ARGUMENT", 400)
    assert answer.message


@pytest.mark.parametrize("late", [False, True], ids=["at once", "through the future"])
def test_10_what_cannot_be_committed_now_may_be_sent_again(receive, connect, wire_name, late):
    _, endpoints = receive(FaultySink(Unavailable("the disk is full", 2.5), late=late))
    wire = connect(wire_name, endpoints)
    answer = wire.export(trace_request())
    assert answer.code == expected(wire_name, "UNAVAILABLE", 503)
    assert answer.message == "the disk is full"
    assert answer.details["RetryInfo"] == 2.5
    assert wire.export(trace_request()).ok


@pytest.mark.parametrize("late", [False, True], ids=["at once", "through the future"])
def test_12_and_21_overload_says_when_to_come_back(receive, connect, wire_name, late):
    _, endpoints = receive(FaultySink(Overloaded(1.5), late=late))
    answer = connect(wire_name, endpoints).export(trace_request())
    assert answer.code == expected(wire_name, "UNAVAILABLE", 429)
    assert answer.details["RetryInfo"] == 1.5
    if wire_name != "grpc":
        assert answer.headers["retry-after"] == "2"  # whole seconds, never too few


@pytest.mark.parametrize("parameters", ["", "; charset=utf-8", ';charset="UTF-8"', " ; Charset=Utf-8 ; v=1"])
@pytest.mark.parametrize("upper", [False, True])
def test_14_media_types_are_read_with_their_parameters_in_any_case(http, parameters, upper):
    media_type = http.content_type.title() if upper else http.content_type
    body = otlp_json(trace_request()) if http.content_type == JSON else trace_request().SerializeToString()
    assert http.post(body, content_type=media_type + parameters).ok


def test_14_both_encodings_share_one_port(endpoints, connect, sink):
    assert connect("http-protobuf", endpoints).export(trace_request(name="binary")).ok
    assert connect("http-json", endpoints).export(trace_request(name="text")).ok
    assert sink.names == ["binary", "text"]


def test_15_the_response_is_of_the_requests_content_type(http):
    for answer in (http.export(trace_request()), http.send(b"\xff"), http.send(bytes(LIMIT + 1))):
        assert answer.headers["content-type"] == http.content_type


def test_17_every_refusal_carries_a_status_in_the_requests_encoding(http):
    refused = [
        http.send(b"\xff"),
        http.send(bytes(LIMIT + 1)),
        http.post(b"", "/v1/nothing"),
        http.post(b"", method="PUT"),
        http.post(b"", content_encoding="zstd"),
    ]
    assert [answer.code for answer in refused] == [400, 413, 404, 405, 415]
    for answer in refused:
        assert answer.headers["content-type"] == http.content_type
        status = json.loads(answer.body) if http.content_type == JSON else Status.FromString(answer.body)
        assert (status["message"] if isinstance(status, dict) else status.message) == answer.message != ""


def test_19_a_body_is_measured_compressed_and_inflated(http):
    noise = random.Random(1).randbytes(LIMIT)  # longer compressed than plain
    for body in (bytes(LIMIT + 1), gzip.compress(bytes(LIMIT + 1)), gzip.compress(noise)):
        zipped = {"content_encoding": "gzip"} if body.startswith(b"\x1f\x8b") else {}
        assert http.post(body, **zipped).code == 413


def test_19_a_body_of_unannounced_length_is_measured_while_it_comes(http):
    chunks = (bytes(10_000) for _ in range(LIMIT // 10_000 + 1))
    assert http.post(chunks).code == 413


def test_20_our_own_faults_are_not_retryable_and_say_nothing_about_themselves(receive, connect, wire_name, caplog):
    _, endpoints = receive(FaultySink(KeyError("secret")))
    answer = connect(wire_name, endpoints).export(trace_request())
    assert answer.code == expected(wire_name, "INTERNAL", 500)
    assert answer.message == "internal error"
    assert "secret" in caplog.text  # it is logged, with its traceback


def test_23_an_unknown_content_encoding_is_415_and_the_known_one_is_named(http):
    for encoding in ("zstd", "deflate", "br", "gzip, gzip"):
        answer = http.post(b"", content_encoding=encoding)
        assert answer.code == 415
        assert answer.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/protobuf", "", "application/json; charset=latin-1", "application/json2"]
)
def test_23_an_unknown_content_type_is_415(http, content_type):
    answer = http.post(b"{}", content_type=content_type)
    assert answer.code == 415
    assert answer.headers["content-type"] == JSON


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_23_a_wrong_method_is_405_and_the_right_one_is_named(http, method):
    answer = http.post(b"", method=method)
    assert answer.code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/", "/v1/traces/", "/v2/traces", "/v1/Traces", "/v1/%2e%2e/etc", "/v1/traces%00"])
def test_23_an_unknown_path_is_404(http, path):
    assert http.post(b"", path).code == 404


def test_23_an_unknown_grpc_method_is_unimplemented(endpoints, connect):
    call = connect("grpc", endpoints).channel.unary_unary("/opentelemetry.proto.collector.trace.v2.TraceService/Export")
    with pytest.raises(grpc.RpcError) as refused:
        call(b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_24_one_connection_serves_many_requests_also_after_refusals(http):
    connections = set()
    for path, body in (("/v1/traces", b"{}"), ("/v1/traces", b"\xff"), ("/nothing", bytes(LIMIT)), ("/v1/logs", b"")):
        headers = {"content-type": http.content_type}
        with http.client.stream("POST", path, content=body, headers=headers) as response:
            connections.add(response.extensions["network_stream"].get_extra_info("client_addr"))
            response.read()
    assert len(connections) == 1


def test_24_cors_is_off(http):
    answer = http.post(b"", method="OPTIONS", origin="https://example.org", access_control_request_method="POST")
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_42_clients_may_ping_between_calls(endpoints):
    options = [
        ("grpc.keepalive_time_ms", 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    lost = threading.Event()
    with grpc.insecure_channel(str(endpoints.grpc), options) as channel:
        call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        assert call(b"") == b""
        channel.subscribe(lambda state: lost.set() if state is not grpc.ChannelConnectivity.READY else None)
        assert not lost.wait(4.5), "a client that pings was sent away"
        assert call(b"") == b""


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_43_metrics_and_logs_are_accepted_counted_and_discarded(receive, connect, wire_name, zipped):
    sink = MemorySink()
    receiver, endpoints = receive(sink)
    wire = connect(wire_name, endpoints)
    metrics = ExportMetricsServiceRequest()
    for name in ("latency", "errors"):
        metrics.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")
    for signal, request in (("metrics", metrics), ("logs", logs)):
        answer = wire.export(request, signal=signal, zipped=zipped)
        assert answer.ok
        assert answer.rejected is None
    assert receiver.counters.snapshot()["discarded"] == {"logs": 1, "metrics": 2}
    assert sink.payloads == []


def test_25_ids_in_json_are_hex_in_either_case_and_nothing_else(endpoints, connect, sink):
    http = connect("http-json", endpoints)
    text = otlp_json(trace_request()).decode()
    trace_id = "0" * 31 + "1"
    for accepted in ("a" * 32, "A" * 32, "aB" * 16):
        assert http.send(text.replace(trace_id, accepted).encode()).rejected is None
    base64_id = http.send(text.replace(trace_id, "AAAAAAAAAAAAAAAAAAAAAQ==").encode())
    assert base64_id.code == 400 or base64_id.rejected == 1
    assert len(sink.names) == 3


def test_26_enum_names_in_json_are_refused_and_where_allowed_warned_of(receive, endpoints, connect):
    text = otlp_json(trace_request()).replace(b'"kind": 2', b'"kind": "SPAN_KIND_SERVER"')
    strict = connect("http-json", endpoints).send(text)
    assert strict.code == 400 or strict.rejected == 1
    _, lenient = receive(MemorySink(), lenient_enums=True)
    answer = connect("http-json", lenient).send(text)
    assert answer.ok
    assert answer.rejected == 0
    assert answer.message


def test_27_unknown_fields_are_ignored(endpoints, connect, sink):
    text = otlp_json(trace_request()).replace(b'"name"', b'"newInAnotherVersion": {"a": [1]}, "name"')
    assert connect("http-json", endpoints).send(text).body == b"{}"
    body = trace_request().SerializeToString() + b"\xfa\x7f\x01x"
    assert all(connect(name, endpoints).send(body).body == b"" for name in ("grpc", "http-protobuf"))
    assert len(sink.names) == 3


@pytest.mark.parametrize("text", [b"", b"{", b"{}x", b"[]", b"\xff{}", b'{"resourceSpans": 7}', b"[" * 100_000])
def test_31_text_that_is_no_request_is_refused(endpoints, connect, text):
    assert connect("http-json", endpoints).send(text).code == 400


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_43_malformed_metrics_and_logs_are_refused(wire, wire_name, signal):
    body = b'{"resourceMetrics": 3, "resourceLogs": 3}' if wire_name == "http-json" else b"\xff"
    assert wire.send(body, signal=signal).code == expected(wire_name, "INVALID_ARGUMENT", 400)


def test_44_the_acknowledgement_waits_for_the_commit(receive, connect, wire_name):
    sink = HeldSink()
    _, endpoints = receive(sink)
    wire = connect(wire_name, endpoints)
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(wire.export, trace_request())
        sink.wait_for(1)
        assert not answer.done()
        sink.release()
        assert answer.result().ok


def test_44_a_commit_that_takes_too_long_is_unavailable_and_still_counts_in_flight(receive, connect, wire_name):
    sink = HeldSink()
    receiver, endpoints = receive(sink, commit_timeout_s=0.2)
    answer = connect(wire_name, endpoints).export(trace_request())
    assert answer.code == expected(wire_name, "UNAVAILABLE", 503)
    assert answer.retry_after_s
    assert receiver.budget.in_use > 0
    sink.release()
    assert receiver.budget.in_use == 0
