"""Items 13 to 24: what holds for OTLP/HTTP, and methods of gRPC that nobody knows."""

from __future__ import annotations

import gzip
import random
import socket
from collections.abc import Iterator

import grpc
from google.rpc.status_pb2 import Status

from conformance.item import (
    ALL,
    GRPC,
    HTTP,
    HTTP_PROTOBUF,
    Item,
    Level,
    NotApplicable,
    require,
    require_code,
    require_success,
)
from conformance.lab import Case
from conformance.transport import GARBAGE, MAY_BE_SENT_AGAIN, retry_after
from receiver.sinks import FaultySink, trace_request
from receiver.wires import HTTP_PATHS, JSON, PROTOBUF, Answer, GrpcWire, otlp_json

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
SETTINGS = 4
CHUNK = 64 * 1024


def _body(content_type: str) -> bytes:
    return otlp_json(trace_request()) if content_type == JSON else trace_request().SerializeToString()


def posted_to_v1_traces(case: Case) -> None:
    """Traces are posted to /v1/traces."""
    http = case.http()
    require_success(http.post(_body(http.content_type), HTTP_PATHS["traces"]))


def media_types_with_parameters(case: Case) -> None:
    """The media type is read in any case and with its parameters."""
    http = case.http()
    for parameters in ("", "; charset=utf-8", ';charset="UTF-8"', " ; Charset=Utf-8 ; v=1"):
        for media_type in (http.content_type, http.content_type.title()):
            spelled = media_type + parameters
            require_success(http.post(_body(http.content_type), content_type=spelled), f"Content-Type {spelled}")


def both_encodings_at_one_port(case: Case) -> None:
    """Protobuf and JSON share one port."""
    http = case.http()
    for content_type in (PROTOBUF, JSON):
        require_success(http.post(_body(content_type), content_type=content_type), content_type)


def _refusals(case: Case) -> Iterator[tuple[str, Answer]]:
    """All kinds of refusal that can be provoked from the outside, one after the other."""
    http = case.http()
    yield "a body that is no OTLP", http.send(GARBAGE)
    yield "an unknown path", http.post(b"", "/v1/nothing")
    yield "a wrong method", http.post(b"", method="PUT")
    yield "an unknown Content-Encoding", http.post(b"", content_encoding="unheard-of")
    yield "a body over the limit", http.send(bytes(case.limit + 1))


def same_content_type(case: Case) -> None:
    """The response is of the request's Content-Type, in success and error."""
    http = case.http()
    for what, answer in (("success", http.export(trace_request())), *_refusals(case)):
        found = answer.headers.get("content-type", "")
        require(found.partition(";")[0] == http.content_type, f"{what} is answered in {found or 'no type'}")


def a_response_message(case: Case) -> None:
    """Success is 200 with an Export response message."""
    answer = case.http().export(trace_request())
    require(answer.code == 200, f"success is {answer.code}")
    require(not answer.fault, f"success has {answer.fault}")


def status_bodies(case: Case) -> None:
    """The body of every 4xx is a google.rpc.Status in the request's encoding."""
    http = case.http()
    for what, answer in _refusals(case):
        require(isinstance(answer.code, int) and 400 <= answer.code < 500, f"{what} was answered with {answer.code}")
        require(not answer.fault, f"{what} was answered with {answer.fault}")
        require(answer.body, f"{what} was answered without a body")
        if http.content_type == PROTOBUF:
            Status.FromString(answer.body)


def status_bodies_of_faults(case: Case) -> None:
    """The body of a 500 is a google.rpc.Status, and says nothing about the inside."""
    _, http = case.rig(FaultySink(KeyError("secret")))
    answer = http.export(trace_request())
    require_code(answer, case.either("INTERNAL", 500))
    require(not answer.fault, f"it was answered with {answer.fault}")
    require(answer.message == "internal error", f"it says {answer.message!r}")
    require(answer.retry_after_s is None, "it asks to send the request again")


def status_messages(case: Case) -> None:
    """Every refusal says why."""
    for what, answer in _refusals(case):
        require(answer.message, f"{what} was refused without a message")


def undecodable_is_400(case: Case) -> None:
    """Data that cannot be decoded is 400."""
    http = case.http()
    for body in (GARBAGE, _body(http.content_type)[:-1]):
        require_code(http.send(body), 400, "a body that cannot be decoded")


def bad_request_details(case: Case) -> None:
    """A 400 carries a BadRequest that says what is wrong."""
    require(case.http().send(GARBAGE).details.get("BadRequest"), "the refusal has no BadRequest")


def too_long_is_413(case: Case) -> None:
    """A body is measured compressed, inflated and while it comes: over the limit it is 413."""
    http = case.http()
    noise = random.Random(1).randbytes(case.limit)  # longer compressed than plain
    require_code(http.post(bytes(case.limit + 1)), 413, "a body over the limit")
    require_code(http.post(gzip.compress(bytes(case.limit + 1)), content_encoding="gzip"), 413, "one that inflates")
    require_code(http.post(gzip.compress(noise, 0), content_encoding="gzip"), 413, "one that gzip made longer")
    chunks = (bytes(CHUNK) for _ in range(case.limit // CHUNK + 1))
    require_code(http.post(chunks), 413, "one of unannounced length")


def no_retry_of_refusals(case: Case) -> None:
    """Only 429, 502, 503 and 504 ask to send again, and none of them answers a wrong request."""
    for what, answer in _refusals(case):
        require(answer.code not in {200, *MAY_BE_SENT_AGAIN}, f"{what} was answered with {answer.code}")
        require("retry-after" not in answer.headers, f"{what} was answered with Retry-After")


def plain_responses(case: Case) -> None:
    """A response is compressed only for a client that asks for it."""
    http = case.http()
    for answer in (
        http.post(_body(http.content_type), accept_encoding="identity"),
        http.post(GARBAGE, accept_encoding="identity"),
    ):
        require("content-encoding" not in answer.headers, "a response is compressed unasked")


def unknown_encodings(case: Case) -> None:
    """An unknown Content-Encoding is 415."""
    http = case.http()
    for encoding in ("unheard-of", "gzip, unheard-of"):
        require_code(http.post(b"", content_encoding=encoding), 415, f"Content-Encoding {encoding}")


def unknown_media_types(case: Case) -> None:
    """An unknown Content-Type is 415."""
    http = case.http()
    for content_type in ("text/plain", "application/protobuf", "", "application/json2"):
        require_code(http.post(b"{}", content_type=content_type), 415, f"Content-Type {content_type!r}")


def wrong_methods(case: Case) -> None:
    """A wrong method is 405, and Allow names the right one."""
    http = case.http()
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = http.post(b"", method=method)
        require_code(answer, 405, method)
        require(answer.headers.get("allow") == "POST", f"{method} was answered without Allow: POST")


def unknown_paths(case: Case) -> None:
    """An unknown path is 404."""
    http = case.http()
    for path in ("/", "/v1/traces/", "/v2/traces", "/v1/Traces", "/v1/%2e%2e/etc", "/v1/traces%00"):
        require_code(http.post(b"", path), 404, path)


def unknown_methods_of_grpc(case: Case) -> None:
    """An unknown method is UNIMPLEMENTED."""
    wire = case.connect()
    assert isinstance(wire, GrpcWire)
    call = wire.channel.unary_unary("/opentelemetry.proto.collector.trace.v2.TraceService/Export")
    try:
        call(b"", timeout=10)
    except grpc.RpcError as refused:
        require(refused.code() is grpc.StatusCode.UNIMPLEMENTED, f"it was answered with {refused.code().name}")
    else:
        require(holds=False, otherwise="it was answered")


def connections_are_kept(case: Case) -> None:
    """One connection serves many requests, also after refusals."""
    http = case.http()
    connections = set()
    for path, body in (("/v1/traces", _body(http.content_type)), ("/v1/traces", GARBAGE), ("/nothing", b"x")) * 2:
        with http.client.stream("POST", path, content=body, headers={"content-type": http.content_type}) as response:
            connections.add(response.extensions["network_stream"].get_extra_info("client_addr"))
            response.read()
    require(len(connections) == 1, f"{len(connections)} connections were needed for 6 requests")


def http2(case: Case) -> None:
    """HTTP/2 is spoken without TLS, too."""
    address = case.lab.endpoints.http
    if address is None:
        raise NotApplicable("no address was given")
    if case.lab.access.over_tls:
        raise NotApplicable("it speaks TLS")
    with socket.create_connection((address.host, address.port), timeout=5) as connection:
        connection.sendall(PREFACE)
        frame = connection.recv(9)
    if len(frame) != 9 or frame[3] != SETTINGS:
        raise NotApplicable("not offered")


def cors_is_off(case: Case) -> None:
    """Pages of other origins may not send by default."""
    asked = case.http().post(b"", method="OPTIONS", origin="https://example.org", access_control_request_method="POST")
    require("access-control-allow-origin" not in asked.headers, "every page may send")


ITEMS = (
    Item("13", Level.MUST, HTTP, posted_to_v1_traces),
    Item("14", Level.MUST, HTTP, media_types_with_parameters),
    Item("14", Level.SHOULD, HTTP, both_encodings_at_one_port),
    Item("15", Level.MUST, HTTP, same_content_type),
    Item("16", Level.MUST, HTTP, a_response_message),
    Item("17", Level.MUST, HTTP, status_bodies),
    Item("17", Level.SHOULD, HTTP, status_messages),
    Item("18", Level.MUST, HTTP, undecodable_is_400),
    Item("18", Level.SHOULD, HTTP, bad_request_details),
    Item("19", Level.MUST, HTTP, too_long_is_413),
    Item("20", Level.MUST, HTTP, no_retry_of_refusals),
    Item("20", Level.MUST, ALL, status_bodies_of_faults),
    Item("21", Level.MAY, HTTP, retry_after),
    Item("22", Level.MAY, HTTP, plain_responses),
    Item("23", Level.SHOULD, HTTP, unknown_encodings),
    Item("23", Level.SHOULD, HTTP, unknown_media_types),
    Item("23", Level.SHOULD, HTTP, wrong_methods),
    Item("23", Level.SHOULD, HTTP, unknown_paths),
    Item("23", Level.SHOULD, (GRPC,), unknown_methods_of_grpc),
    Item("24", Level.SHOULD, HTTP, connections_are_kept),
    Item("24", Level.MAY, (HTTP_PROTOBUF,), http2),
    Item("24", Level.SHOULD, HTTP, cors_is_off),
)
