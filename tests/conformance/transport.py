"""Items 1 to 12: what holds for every form of OTLP."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from conformance.item import ALL, GRPC, Item, Level, NotApplicable, require, require_code, require_success
from conformance.lab import Case
from receiver.sinks import AnsweringSink, FaultySink, HeldSink, trace_request
from receiver.wires import otlp_json
from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.errors import Overloaded, Unavailable
from spanverdict.receiver.listen import Endpoints
from spanverdict.receiver.sink import Receipt

MAY_BE_SENT_AGAIN = {
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNAVAILABLE",
    "DATA_LOSS",
    429,
    502,
    503,
    504,
}
GARBAGE = b"\xff\xff\xff"
RESPONSE_LIMIT = 4 * 1024 * 1024


def plain_and_gzip(case: Case) -> None:
    """Requests are taken plain and compressed with gzip."""
    wire = case.connect()
    for zipped in (False, True):
        require_success(wire.export(trace_request(3), zipped=zipped), "a gzip request" if zipped else "a plain request")
    require(case.kept() in (None, ["predict"] * 6), "not all spans were kept")


def default_ports(case: Case) -> None:
    """Without settings, gRPC is at port 4317 and HTTP at 4318."""
    if not case.lab.ours:
        raise NotApplicable("its addresses were given")
    config = ReceiverConfig()
    require(config.grpc_address == "127.0.0.1:4317", f"gRPC is at {config.grpc_address}")
    require(config.http_address == "127.0.0.1:4318", f"HTTP is at {config.http_address}")


def one_port(case: Case) -> None:
    """One port serves both gRPC and HTTP."""
    grpc = case.lab.endpoints.grpc
    if grpc is None:
        raise NotApplicable("no address was given")
    wire = case.lab.access.http_wire(Endpoints(None, grpc))
    case.stack.callback(wire.close)
    try:
        shared = wire.export(trace_request()).ok
    except Exception:  # noqa: BLE001 - whatever a gRPC server does to HTTP/1.1
        shared = False
    if not shared:
        raise NotApplicable("not offered")


def over_the_limit(case: Case) -> None:
    """A request over the size limit, plain or when inflated, is refused and never asked for again."""
    wire = case.connect()
    for zipped in (False, True):
        what = f"a request of more than {case.limit} bytes{', compressed' if zipped else ''}"
        answer = wire.export(trace_request(1, padding=case.limit), zipped=zipped)
        require_code(answer, case.either("RESOURCE_EXHAUSTED", 413), what)
        require(answer.retry_after_s is None, f"the refusal of {what} asks to send it again")
    require(not case.kept(), "a span of a refused request was kept")


def exactly_the_limit(case: Case) -> None:
    """A request of exactly the limit that is set is taken, plain and compressed."""
    body = _of_size(case.limit, as_json=case.wire == "http-json")
    wire = case.connect()
    for zipped in (False, True):
        what = f"a request of {case.limit} bytes{', compressed' if zipped else ''}"
        require_success(wire.send(body, zipped=zipped), what)


def _of_size(size: int, *, as_json: bool) -> bytes:
    """A request of exactly so many bytes, of text that hardly gets shorter, so that nobody takes it for a bomb."""
    noise = random.Random(1).randbytes(size // 2).hex() + "0"

    def request(length: int) -> bytes:
        message = trace_request()
        attributes = message.resource_spans[0].scope_spans[0].spans[0].attributes
        attributes.add(key="padding").value.string_value = noise[:length]
        return otlp_json(message) if as_json else message.SerializeToString()

    body = request(size - len(request(size // 2)) + size // 2)
    assert len(body) == size
    return body


def short_responses(case: Case) -> None:
    """A long error message is cut so that the response stays below 4 MiB."""
    _, wire = case.rig(AnsweringSink(Receipt(1, 1, "no " * 5_000_000)))
    answer = wire.export(trace_request())
    require(answer.rejected == 1, "the response lost its count")
    require(0 < len(answer.body) < RESPONSE_LIMIT, f"the response has {len(answer.body)} bytes")


def calls_side_by_side(case: Case) -> None:
    """Calls of one client are served at the same time, none waits for another's commit."""
    wire = case.connect()
    with ThreadPoolExecutor(20) as clients:
        for answer in clients.map(lambda _: wire.export(trace_request()), range(40)):
            require_success(answer, "one of 40 requests")
        if not case.lab.ours:
            return
        sink = HeldSink()
        _, held = case.rig(sink)
        answers = [clients.submit(held.export, trace_request()) for _ in range(20)]
        sink.wait_for(20)  # none is answered yet, so all twenty are being served
        sink.release()
        for late in answers:
            require_success(late.result(), "one of 20 requests")


def full_success(case: Case) -> None:
    """Full success is an Export response without partial_success."""
    answer = case.connect().export(trace_request())
    require_success(answer)
    require(answer.rejected is None, "partial_success is set")


def nothing_to_take(case: Case) -> None:
    """A request without spans succeeds, also with empty envelopes."""
    wire = case.connect()
    for envelopes in (0, 2):
        request = ExportTraceServiceRequest()
        for _ in range(envelopes):
            request.resource_spans.add().scope_spans.add()
        require_success(wire.export(request), f"a request with {envelopes} empty envelopes")


def _partly_bad(case: Case) -> ExportTraceServiceRequest:
    request = trace_request(5)
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[1].trace_id = bytes(16)
    spans[3].span_id = bytes(8)
    return request


def partial_success(case: Case) -> None:
    """A request of which spans are rejected succeeds in part, with their exact number."""
    answer = case.connect().export(_partly_bad(case))
    if answer.ok and not answer.rejected:
        raise NotApplicable("it takes spans with ids of zeros, so there is nothing to reject")
    require(answer.ok, f"the whole request was refused with {answer.code}")
    require(answer.rejected == 2, f"rejected_spans is {answer.rejected}, not 2")


def reasons_of_rejection(case: Case) -> None:
    """A partial success says why."""
    answer = case.connect().export(_partly_bad(case))
    if not answer.rejected:
        raise NotApplicable("nothing was rejected")
    require(answer.message, "error_message is empty")


def warnings(case: Case) -> None:
    """A warning on full acceptance is a message with nothing rejected."""
    _, wire = case.rig(AnsweringSink(Receipt(1, 0, "attributes were cut")))
    answer = wire.export(trace_request())
    require_success(answer)
    require((answer.rejected, answer.message) == (0, "attributes were cut"), "the warning is lost")


def bad_data(case: Case) -> None:
    """What is no OTLP is INVALID_ARGUMENT or 400."""
    require_code(case.connect().send(GARBAGE), case.either("INVALID_ARGUMENT", 400), "a body that is no OTLP")


def bad_data_in_detail(case: Case) -> None:
    """Bad data is described by a BadRequest."""
    answer = case.connect().send(GARBAGE)
    require(answer.details.get("BadRequest"), "the refusal has no BadRequest")


def bad_data_found_late(case: Case) -> None:
    """Bad data is refused for good also when it is found while it is committed."""
    for late in (False, True):
        _, wire = case.rig(FaultySink(Undecodable("the resource is cut short"), late=late))
        answer = wire.export(trace_request())
        require_code(answer, case.either("INVALID_ARGUMENT", 400))
        require(answer.message == "the resource is cut short", f"it says {answer.message!r}")
        require(answer.retry_after_s is None, "it asks to send bad data again")


def unavailable(case: Case) -> None:
    """What cannot be committed now is UNAVAILABLE or 503, with a time to wait, and is taken when sent again."""
    for late in (False, True):
        _, wire = case.rig(FaultySink(Unavailable("the disk is full", 2.5), late=late))
        answer = wire.export(trace_request())
        require_code(answer, case.either("UNAVAILABLE", 503))
        require(answer.details.get("RetryInfo") == 2.5, "there is no RetryInfo")
        require_success(wire.export(trace_request()), "the same request, sent again,")


def never_asked_for_again(case: Case) -> None:
    """Bad data never gets a code after which clients send it again."""
    wire = case.connect()
    for body in (GARBAGE, b"{]"):
        answer = wire.send(body)
        require(not answer.ok, "a body that is no OTLP was taken")
        require(answer.code not in MAY_BE_SENT_AGAIN, f"{answer.code} asks clients to send it again")
        require(answer.retry_after_s is None, f"{answer.code} comes with a time to wait")


def overload(case: Case) -> None:
    """Overload is UNAVAILABLE or 429, with a RetryInfo."""
    for late in (False, True):
        _, wire = case.rig(FaultySink(Overloaded(1.5), late=late))
        answer = wire.export(trace_request())
        require_code(answer, case.either("UNAVAILABLE", 429))
        require(answer.details.get("RetryInfo") == 1.5, "there is no RetryInfo")


def retry_after(case: Case) -> None:
    """429 and 503 come with Retry-After in whole seconds, never too few."""
    _, wire = case.rig(FaultySink(Overloaded(1.5), Unavailable("the disk is full", 0.2)))
    for status, hint in ((429, "2"), (503, "1")):
        answer = wire.export(trace_request())
        require_code(answer, status)
        require(answer.headers.get("retry-after") == hint, f"Retry-After is {answer.headers.get('retry-after')}")


ITEMS = (
    Item("1", Level.MUST, ALL, plain_and_gzip),
    Item("2", Level.SHOULD, ALL, default_ports),
    Item("2", Level.MAY, (GRPC,), one_port),
    Item("3", Level.MUST, ALL, over_the_limit),
    Item("3", Level.SHOULD, ALL, exactly_the_limit),
    Item("4", Level.MUST, ALL, short_responses),
    Item("5", Level.SHOULD, ALL, calls_side_by_side),
    Item("6", Level.MUST, ALL, full_success),
    Item("7", Level.SHOULD, ALL, nothing_to_take),
    Item("8", Level.MUST, ALL, partial_success),
    Item("8", Level.SHOULD, ALL, reasons_of_rejection),
    Item("9", Level.MAY, ALL, warnings),
    Item("10", Level.SHOULD, ALL, unavailable),
    Item("10", Level.SHOULD, ALL, bad_data),
    Item("10", Level.SHOULD, ALL, bad_data_found_late),
    Item("10", Level.MAY, ALL, bad_data_in_detail),
    Item("11", Level.MUST, ALL, never_asked_for_again),
    Item("12", Level.SHOULD, ALL, overload),
)
