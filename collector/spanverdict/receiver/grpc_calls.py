"""OTLP's calls over gRPC: admitted by their heads, received within the budget, answered when they are committed."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.auth import BearerTokens
from spanverdict.receiver.callwatch import CallWatch, Watched
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.counters import Counters, Protocol, Signal
from spanverdict.receiver.errors import (
    BodyTimeout,
    DeadlineExceeded,
    HeadTooLarge,
    MethodNotAllowed,
    RequestRefused,
    Unavailable,
    UnknownMethod,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from spanverdict.receiver.grpc_message import IncomingMessage
from spanverdict.receiver.grpc_replies import HEAD, TRAILERS, http_head, message_of, refusal_head
from spanverdict.receiver.http2.heads import Head
from spanverdict.receiver.http2.streams import OpenCall, Stream
from spanverdict.receiver.inflate import GZIP_MAGIC
from spanverdict.receiver.intake import Intake, Upload, commit_too_slow
from spanverdict.receiver.limits import ByteBudget, Lease
from spanverdict.receiver.replies import export_response
from spanverdict.receiver.sink import Receipt
from spanverdict.receiver.status import Refusal, refusal_of

_METHODS: Final = {
    f"/opentelemetry.proto.collector.{service}/Export".encode(): signal
    for signal, service in (
        (Signal.TRACES, "trace.v1.TraceService"),
        (Signal.METRICS, "metrics.v1.MetricsService"),
        (Signal.LOGS, "logs.v1.LogsService"),
        (Signal.PROFILES, "profiles.v1development.ProfilesService"),
    )
}
_MEDIA_TYPE: Final = re.compile(rb"application/grpc(?:[+;].*)?")
_ENCODINGS: Final = frozenset((b"identity", b"gzip"))
_TIMEOUT: Final = re.compile(rb"(\d{1,8})([HMSmun])")
_SECONDS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

_CALL_BYTES: Final = 4096
"""What a call is counted as at least, as it takes memory also before its message comes."""

_LOGGER = logging.getLogger(__name__)


class ExportCalls:
    """The four Export methods."""

    def __init__(
        self, intake: Intake, tokens: BearerTokens, budget: ByteBudget, counters: Counters, config: ReceiverConfig
    ) -> None:
        self.intake = intake
        self.counters = counters
        self.config = config
        self.watch = CallWatch(max(1, config.in_flight_bytes // config.max_message_bytes), config.retry_after_s)
        self.late_message = BodyTimeout(config.body_timeout_s)
        self.late_answer = DeadlineExceeded()
        self.late_commit = commit_too_slow(config)
        self.tokens = tokens
        self.budget = budget

    def of_client(self, address: str) -> OpenCall:
        """Return what begins the calls of a connection from an address."""
        return _Client(self, address).open

    def end_all(self) -> None:
        """End the calls that wait; their clients are told to come again."""
        self.watch.end_all(Unavailable("shutting down", self.config.retry_after_s))

    def refusal(self, error: Exception) -> Refusal:
        """Translate what went wrong with a call, and count it."""
        refusal = refusal_of(error)
        self.counters.refused(Protocol.GRPC, refusal.reason)
        if refusal.reason == "internal":
            _LOGGER.error("an export call failed", exc_info=error)
        return refusal


@dataclass(frozen=True, slots=True)
class Asked:
    """What a head asks for that is in order."""

    signal: Signal
    is_gzip: bool
    deadline_s: float


class _Client:
    """Begins the calls of one connection. What a head asks for is found out once for calls that have the same."""

    def __init__(self, calls: ExportCalls, address: str) -> None:
        self._calls = calls
        self._address = address
        self._last: tuple[Head, Asked] | None = None

    def open(self, stream: Stream, head: Head) -> ExportCall:
        """Begin a call."""
        calls = self._calls
        call = ExportCall(calls, stream)
        try:
            asked = self._admit(head)
            client = calls.intake.rates.admit_caller(calls.tokens, head.fields.get(b"authorization"), self._address)
            call.begin(asked, client, calls.budget.lease(_CALL_BYTES))
        except Exception as error:  # noqa: BLE001 - every error becomes the caller's status, and ours is logged
            call.refuse(error)
        return call

    def _admit(self, head: Head) -> Asked:
        """Judge a call by its head alone; no message is read for one that fails here."""
        if self._last is not None and self._last[0] is head:
            self._calls.tokens.check(head.fields.get(b"authorization"))  # others may have been let in meanwhile
            return self._last[1]
        if head.is_too_long:
            raise HeadTooLarge(self._calls.config.max_header_bytes)
        if head.method != b"POST":
            raise MethodNotAllowed(head.method.decode("latin-1"))
        media_type = head.fields.get(b"content-type", b"")
        if not _MEDIA_TYPE.fullmatch(media_type):
            raise UnsupportedMediaType(media_type.decode("latin-1"))
        signal = _METHODS.get(head.path)
        if signal is None:
            raise UnknownMethod(head.path.decode(errors="replace"))
        self._calls.tokens.check(head.fields.get(b"authorization"))
        encoding = head.fields.get(b"grpc-encoding", b"identity")
        if encoding not in _ENCODINGS:
            raise UnsupportedEncoding(encoding.decode("latin-1"), "grpc-encoding")
        asked = Asked(signal, encoding == b"gzip", _timeout(head.fields.get(b"grpc-timeout")))
        self._last = head, asked
        return asked


class ExportCall(Watched):
    """One call, from its head to its answer."""

    __slots__ = (
        "_calls",
        "_client",
        "_deadline",
        "_gzip",
        "_is_answered",
        "_lease",
        "_message",
        "_signal",
        "_stream",
    )

    _signal: Signal
    _message: IncomingMessage

    def __init__(self, calls: ExportCalls, stream: Stream) -> None:
        super().__init__()
        self._calls = calls
        self._stream = stream
        self._client = ""
        self._gzip = False
        self._deadline = math.inf
        """Seconds that the caller gives us."""
        self._lease: Lease | None = None
        """Until the message is handed over, with it."""
        self._is_answered = False

    def begin(self, asked: Asked, client: str, lease: Lease) -> None:
        """Wait for the message."""
        calls, config = self._calls, self._calls.config
        self._signal, self._gzip, self._deadline = asked.signal, asked.is_gzip, asked.deadline_s
        self._client, self._lease = client, lease
        self._message = IncomingMessage(config.max_message_bytes, lease)
        if config.body_timeout_s <= self._deadline:
            calls.watch.add(self, config.body_timeout_s, calls.late_message)
        else:
            calls.watch.add(self, self._deadline, calls.late_answer)

    def feed(self, pieces: Sequence[memoryview]) -> None:
        """Take some pieces of the message."""
        if self._is_answered:
            return
        try:
            self._message.feed(pieces)
        except Exception as error:  # noqa: BLE001 - every error becomes the caller's status, and ours is logged
            self.refuse(error)

    def end(self) -> None:
        """Hand the message over."""
        if self._is_answered:
            return
        self.is_reading = False
        try:
            body = self._body()
        except Exception as error:  # noqa: BLE001 - likewise
            self.refuse(error)
            return
        lease, self._lease = self._lease, None
        assert lease is not None
        self._wait()
        compressed = self._message.is_compressed or body.startswith(GZIP_MAGIC)
        self._calls.intake.take(Upload(self._signal, Protocol.GRPC, body, compressed, lease, self._client), self._told)

    def cancel(self) -> bool:
        """Let go of a call that nobody waits for, unless it is on its way to the sink."""
        self._calls.watch.remove(self)
        if not (self.is_reading or self._is_answered):
            return True
        self._is_answered = True
        self._release()
        return False

    def refuse(self, error: Exception) -> None:
        """Answer with a status."""
        if self._is_answered:
            return
        self._is_answered = True
        self._calls.watch.remove(self)
        self._release()
        refusal = self._calls.refusal(error)
        is_grpc = not isinstance(error, MethodNotAllowed | UnsupportedMediaType)
        self._stream.answer_head(refusal_head(refusal) if is_grpc else http_head(refusal.http_status))

    def _body(self) -> bytes:
        body = self._message.body()
        if self._message.is_compressed and not self._gzip:
            raise Undecodable("the message is compressed, and the call does not say how")
        self._calls.counters.received(Protocol.GRPC, len(body))
        return body

    def _wait(self) -> None:
        """Wait for the commit, which has its time, and the caller's."""
        calls = self._calls
        late_at = asyncio.get_running_loop().time() + calls.config.commit_timeout_s
        self.due, self.late = self.begun + self._deadline, calls.late_answer
        if late_at < self.due:
            self.due, self.late = late_at, calls.late_commit

    def _told(self, outcome: Receipt | Exception) -> None:
        """Tell the client what became of its message."""
        if isinstance(outcome, Receipt):
            self._accept(outcome)
        else:
            self.refuse(outcome)
            outcome.__traceback__ = None  # whoever keeps the error shall not keep the message

    def _accept(self, receipt: Receipt) -> None:
        if self._is_answered:
            return
        self._is_answered = True
        self._calls.watch.remove(self)
        self._stream.answer(HEAD, message_of(export_response(receipt)), TRAILERS)
        if not self._stream.is_gone:  # the client has no room for so short an answer
            self._calls.watch.add(self, self._calls.config.body_timeout_s, self._calls.late_message)

    def give_up(self, reason: RequestRefused) -> None:
        """End the call; it may be one whose answer the client does not take."""
        self._calls.watch.remove(self)
        if self._is_answered:
            self._stream.give_up()
        else:
            self.refuse(reason)

    def _release(self) -> None:
        if self._lease is not None:
            self._lease.release()
            self._lease = None
            del self._message  # or what has come would stay until cycles are looked for, and be counted no more


def _timeout(text: bytes | None) -> float:
    """Read a `grpc-timeout`; what is none is no limit.

    >>> _timeout(b"100m")
    0.1
    """
    found = _TIMEOUT.fullmatch(text) if text else None
    return int(found[1]) * _SECONDS[found[2]] if found else math.inf
