"""Sinks that stand where the application's would, and requests to send to them."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanverdict.otlp.decode import decode, new_pool
from spanverdict.receiver.sink import Receipt

WAIT_S = 10


class MemorySink:
    """Decodes for real and keeps everything; the commit is instant."""

    def __init__(self) -> None:
        self._pool = new_pool()
        self._lock = threading.Lock()
        self.payloads: list[bytes] = []
        self.as_sent: list[bytes] = []
        self.names: list[str] = []

    def clear(self) -> None:
        self.payloads.clear()
        self.names.clear()

    def submit(self, payload: bytes, as_sent: bytes = b"") -> Future[Receipt]:
        self.as_sent.append(as_sent)
        future: Future[Receipt] = Future()
        future.set_result(self.keep(payload))
        return future

    def keep(self, payload: bytes) -> Receipt:
        with self._lock:
            decoded = decode(payload, self._pool)
            self.payloads.append(payload)
            names = self._pool.strings.items_by_id
            self.names += [names[number].decode() for number in decoded.table.name.tolist()]
        return Receipt(len(decoded.table), decoded.rejected, "; ".join(decoded.problems))


class HeldSink(MemorySink):
    """Commits when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._arrived = threading.Condition()
        self.held: list[tuple[bytes, Future[Receipt]]] = []

    def submit(self, payload: bytes, as_sent: bytes = b"") -> Future[Receipt]:
        future: Future[Receipt] = Future()
        with self._arrived:
            self.held.append((payload, future))
            self._arrived.notify_all()
        return future

    def wait_for(self, count: int) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.held) >= count, WAIT_S), f"{len(self.held)} of {count} came"

    def release(self) -> None:
        with self._arrived:
            held, self.held = self.held, []
        for payload, future in held:
            future.set_result(self.keep(payload))


class FaultySink(MemorySink):
    """Raises the given errors one after the other, at once or through the future, and works from then on."""

    def __init__(self, *errors: Exception, late: bool = False) -> None:
        super().__init__()
        self._errors = list(errors)
        self._late = late
        self.attempts = 0

    def submit(self, payload: bytes, as_sent: bytes = b"") -> Future[Receipt]:
        self.attempts += 1
        if not self._errors:
            return super().submit(payload, as_sent)
        error = self._errors.pop(0)
        if not self._late:
            raise error
        future: Future[Receipt] = Future()
        future.set_exception(error)
        return future


class AnsweringSink:
    """Gives every request the same receipt."""

    def __init__(self, receipt: Receipt) -> None:
        self._receipt = receipt

    def submit(self, payload: bytes, as_sent: bytes = b"") -> Future[Receipt]:
        future: Future[Receipt] = Future()
        future.set_result(self._receipt)
        return future


def trace_request(spans: int = 1, padding: int = 0, name: str = "predict") -> ExportTraceServiceRequest:
    """A valid request; `padding` bytes of attribute value are added to the first span."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(1, spans + 1):
        span = scope.spans.add(name=name, kind=2, start_time_unix_nano=number, end_time_unix_nano=number + 1)
        span.trace_id = number.to_bytes(16, "big")
        span.span_id = number.to_bytes(8, "big")
    if padding:
        scope.spans[0].attributes.add(key="padding").value.bytes_value = bytes(padding)
    return request
