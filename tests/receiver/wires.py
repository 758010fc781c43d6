"""The three forms of OTLP behind one face, so that one test holds for all of them."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanverdict.receiver.listen import Endpoints

GRPC_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "profiles": "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
}
HTTP_PATHS = {
    "traces": "/v1/traces",
    "metrics": "/v1/metrics",
    "logs": "/v1/logs",
    "profiles": "/v1development/profiles",
}
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
TIMEOUT_S = 30


@dataclass
class Answer:
    """What a client is told. `code` is gRPC's name or HTTP's number; `details` are by type name."""

    code: str | int
    body: bytes = b""
    rejected: int | None = None
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    """Why the body is not what OTLP has there; empty where it is."""

    @property
    def ok(self) -> bool:
        return self.code in ("OK", 200)

    @property
    def retry_after_s(self) -> float | None:
        """gRPC's RetryInfo or HTTP's Retry-After."""
        if "RetryInfo" in self.details:
            return self.details["RetryInfo"]
        return float(self.headers["retry-after"]) if "retry-after" in self.headers else None


def otlp_json(message: Message) -> bytes:
    """OTLP/JSON as an SDK writes it: ids in hex, enums as numbers."""
    return json.dumps(_with_hex_ids(MessageToDict(message, use_integers_for_enums=True))).encode()


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    return {k: base64.b64decode(v).hex() if k in ids else _with_hex_ids(v) for k, v in value.items()}


class GrpcWire:
    """OTLP/gRPC without an SDK: bytes in, bytes out."""

    name = "grpc"

    def __init__(self, endpoints: Endpoints, credentials: grpc.ChannelCredentials | None = None) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        target = str(endpoints.grpc)
        self.channel = (
            grpc.insecure_channel(target, options)
            if credentials is None
            else grpc.secure_channel(target, credentials, options)
        )

    def method(self, signal: str = "traces") -> grpc.UnaryUnaryMultiCallable:
        return self.channel.unary_unary(GRPC_METHODS[signal])

    def send(self, body: bytes, *, signal: str = "traces", zipped: bool = False, token: str | None = None) -> Answer:
        metadata = (("authorization", f"Bearer {token}"),) if token else None
        compression = grpc.Compression.Gzip if zipped else None
        call = self.method(signal)
        try:
            return _accepted("OK", call(body, timeout=TIMEOUT_S, metadata=metadata, compression=compression))
        except grpc.RpcError as error:
            return _grpc_answer(error)

    def export(self, request: Message, **options: Any) -> Answer:
        return self.send(request.SerializeToString(), **options)

    def close(self) -> None:
        self.channel.close()


class HttpWire:
    """OTLP/HTTP without an SDK, in one of its two encodings."""

    def __init__(self, endpoints: Endpoints, content_type: str = PROTOBUF, **client: Any) -> None:
        self.name = "http-json" if content_type == JSON else "http-protobuf"
        scheme = "https" if "verify" in client else "http"
        self.content_type = content_type
        # Without TLS there is nothing to verify, and reading all authorities takes longer than most tests.
        options = {"verify": False} | client
        self.client = httpx.Client(base_url=f"{scheme}://{endpoints.http}", timeout=TIMEOUT_S, **options)

    def send(self, body: bytes, *, signal: str = "traces", zipped: bool = False, token: str | None = None) -> Answer:
        headers = {"content-encoding": "gzip"} if zipped else {}
        headers |= {"authorization": f"Bearer {token}"} if token else {}
        return self.post(gzip.compress(body) if zipped else body, HTTP_PATHS[signal], **headers)

    def export(self, request: Message, **options: Any) -> Answer:
        body = otlp_json(request) if self.content_type == JSON else request.SerializeToString()
        return self.send(body, **options)

    def post(self, body: Any, path: str = "/v1/traces", method: str = "POST", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.client.request(method, path, content=body, headers={"content-type": self.content_type} | named)
        answer = _understood(response)
        answer.headers = dict(response.headers)
        return answer

    def close(self) -> None:
        self.client.close()


def _understood(response: httpx.Response) -> Answer:
    """Read an answer by its own media type; one that is not OTLP's is an answer with a fault."""
    media_type = response.headers.get("content-type", "").partition(";")[0]
    try:
        if response.status_code != 200:
            return _refused(response, media_type)
        read = _accepted_json if media_type == JSON else _accepted
        return read(200, response.content)
    except (ValueError, DecodeError, KeyError, TypeError, AttributeError):
        said = f"a body of {len(response.content)} bytes of {media_type or 'no type'}"
        return Answer(response.status_code, response.content, fault=f"{said} that is no OTLP message")


def _accepted(code: str | int, body: bytes) -> Answer:
    response = ExportTraceServiceResponse.FromString(body)
    if not response.HasField("partial_success"):
        return Answer(code, body)
    return Answer(code, body, response.partial_success.rejected_spans, response.partial_success.error_message)


def _accepted_json(code: str | int, body: bytes) -> Answer:
    partial = json.loads(body).get("partialSuccess")
    if partial is None:
        return Answer(code, body)
    return Answer(code, body, int(partial.get("rejectedSpans", 0)), partial.get("errorMessage", ""))


def _grpc_answer(error: grpc.RpcError) -> Answer:
    trailers = dict(error.trailing_metadata() or ())
    answer = Answer(error.code().name, message=error.details() or "", headers={k: str(v) for k, v in trailers.items()})
    if "grpc-status-details-bin" in trailers:
        status = Status.FromString(trailers["grpc-status-details-bin"])
        if (status.code, status.message) != (error.code().value[0], error.details()):
            answer.fault = "the status in the details is another one than the call's"
        answer.details = _binary_details(status)
    return answer


def _refused(response: httpx.Response, media_type: str) -> Answer:
    if media_type == PROTOBUF:
        status = Status.FromString(response.content)
        return Answer(response.status_code, response.content, message=status.message, details=_binary_details(status))
    status_json = response.json()
    details = {}
    for detail in status_json.get("details", ()):
        kind = detail["@type"].rpartition(".")[2]
        details[kind] = float(detail["retryDelay"][:-1]) if kind == "RetryInfo" else detail.get("fieldViolations", [])
    message = status_json.get("message", "")
    return Answer(response.status_code, response.content, message=message, details=details)


def _binary_details(status: Status) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for packed in status.details:
        retry, bad = RetryInfo(), BadRequest()
        if packed.Unpack(retry):
            details["RetryInfo"] = retry.retry_delay.ToNanoseconds() / 1e9
        elif packed.Unpack(bad):
            details["BadRequest"] = list(bad.field_violations)
    return details
