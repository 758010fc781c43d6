"""OTLP's requests over HTTP: admitted by their heads, received within the budget, answered when they are committed."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.auth import BearerTokens
from spanverdict.receiver.callwatch import CallWatch, Watched
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.counters import Counters, Protocol, Signal
from spanverdict.receiver.errors import (
    BodyTimeout,
    HeadTooLarge,
    MethodNotAllowed,
    RequestRefused,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnknownPath,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from spanverdict.receiver.http1.connection import Answer, OpenCall
from spanverdict.receiver.http1.heads import Head, Malformed, TooLong
from spanverdict.receiver.incoming import IncomingBytes
from spanverdict.receiver.inflate import GzipInflater, InflateLimits
from spanverdict.receiver.intake import Intake, Upload, commit_too_slow
from spanverdict.receiver.limits import ByteBudget, Lease
from spanverdict.receiver.replies import export_response, export_response_json
from spanverdict.receiver.sink import Receipt
from spanverdict.receiver.status import Refusal, refusal_of, status_json, status_message

_SIGNALS: Final = {
    b"/v1/traces": Signal.TRACES,
    b"/v1/metrics": Signal.METRICS,
    b"/v1/logs": Signal.LOGS,
    b"/v1development/profiles": Signal.PROFILES,
}
_MEDIA_TYPES: Final = {b"application/x-protobuf": Protocol.HTTP_PROTOBUF, b"application/json": Protocol.HTTP_JSON}
_CONTENT_TYPES: Final = {
    protocol: b"content-type: %b\r\n" % media_type for media_type, protocol in _MEDIA_TYPES.items()
}
_ENCODINGS: Final = {b"": False, b"identity": False, b"gzip": True, b"x-gzip": True}
_CHARSETS: Final = frozenset((b"", b"utf-8", b"utf8", b"us-ascii"))
_CHARSET: Final = re.compile(rb'charset=["\s]*([^"\s]*)["\s]*', re.IGNORECASE)
_SLOW_AT_ONCE: Final = 1 << 30
"""How many bodies may be slow, whatever their number: what they hold is bounded."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a head asks for that is in order."""

    signal: Signal
    is_gzip: bool


class HttpCalls:
    """The requests of all connections."""

    def __init__(
        self, intake: Intake, tokens: BearerTokens, budget: ByteBudget, counters: Counters, config: ReceiverConfig
    ) -> None:
        self.intake = intake
        self.tokens = tokens
        self.budget = budget
        self.counters = counters
        self.config = config
        self.watch = CallWatch(_SLOW_AT_ONCE, config.retry_after_s, slow_bytes=budget.capacity // 2)
        self.late_body = BodyTimeout(config.body_timeout_s)
        self.late_commit = commit_too_slow(config)

    def of_client(self, address: str) -> OpenCall:
        """Return what begins the calls of a connection from an address."""
        return _Client(self, address).open

    def end_all(self) -> None:
        """End the calls that wait; their clients are told to come again."""
        self.watch.end_all(Unavailable("shutting down", self.config.retry_after_s))

    def refuse_head(self, answer: Answer, fault: Malformed | TooLong) -> None:
        """Answer what is no request; in JSON, since nobody knows what the client reads."""
        long = isinstance(fault, TooLong)
        self.refuse(
            answer, Protocol.HTTP_JSON, HeadTooLarge(self.config.max_header_bytes) if long else Undecodable(str(fault))
        )

    def refuse(self, answer: Answer, protocol: Protocol, error: Exception, *, closes: bool = False) -> None:
        """Answer with a google.rpc.Status, and count it."""
        refusal = refusal_of(error)
        self.counters.refused(protocol, refusal.reason)
        if refusal.reason == "internal":
            _LOGGER.error("an export request failed", exc_info=error)
        fields = _CONTENT_TYPES[protocol] + _hint(error, refusal)
        body = status_json(refusal) if protocol is Protocol.HTTP_JSON else status_message(refusal)
        answer(refusal.http_status, fields, body, closes=closes)


class _Client:
    """Begins the calls of one connection. What a head asks for is found out once for requests that have the same."""

    def __init__(self, calls: HttpCalls, address: str) -> None:
        self._calls = calls
        self._address = address
        self._last: tuple[Head, Asked, Protocol] | None = None

    def open(self, answer: Answer, head: Head, length: int) -> HttpCall:
        """Begin a call."""
        if self._last is not None and self._last[0] is head:
            asked, protocol = self._last[1:]
        else:
            asked, protocol = None, _protocol_of(head)
        calls = self._calls
        call = HttpCall(calls, answer, protocol)
        try:
            asked = self._admit(head, asked)
            self._last = head, asked, protocol
            self._check_length(length)
            client = calls.intake.rates.admit_caller(calls.tokens, head.fields.get(b"authorization"), self._address)
            call.begin(asked, client, None if head.is_chunked else length)
        except Exception as error:  # noqa: BLE001 - every error becomes the client's status, and ours is logged
            call.refuse(error, closes=length > calls.config.max_message_bytes)
        return call

    def _admit(self, head: Head, known: Asked | None) -> Asked:
        """Judge a request by its head alone; nothing of the body is read for one that fails here."""
        signal = known.signal if known is not None else _SIGNALS.get(head.path)
        if signal is None:
            raise UnknownPath(head.path.decode(errors="replace"))
        if head.method != b"POST":
            raise MethodNotAllowed(head.method.decode())
        self._calls.tokens.check(head.fields.get(b"authorization"))
        return known or Asked(signal, _is_gzip(head))

    def _check_length(self, length: int) -> None:
        if length > self._calls.config.max_message_bytes:
            raise too_long(self._calls.config)


class HttpCall(Watched):
    """One request, from its head to its answer."""

    __slots__ = (
        "_answer",
        "_asked",
        "_calls",
        "_client",
        "_content",
        "_inflater",
        "_is_over",
        "_lease",
        "_protocol",
    )

    _asked: Asked

    def __init__(self, calls: HttpCalls, answer: Answer, protocol: Protocol) -> None:
        super().__init__()
        self._calls = calls
        self._answer = answer
        self._protocol = protocol
        self._client = ""
        self._lease: Lease | None = None
        """Until the body is handed over, with it."""
        self._content: IncomingBytes | None = None
        """The body as it is sent."""
        self._inflater: GzipInflater | None = None
        self._is_over = False
        """Answered, or of no use to anybody."""

    @property
    def held(self) -> int:
        """Bytes that are leased for what has come."""
        return self._lease.size if self._lease is not None else 0

    def begin(self, asked: Asked, client: str, length: int | None) -> None:
        """Wait for a body of a length, or one that comes in chunks."""
        config = self._calls.config
        self._asked, self._client = asked, client
        self._lease = lease = self._calls.budget.lease()
        most = config.max_message_bytes if length is None else length
        self._content = IncomingBytes(most, lease, is_exact=length is not None)
        if asked.is_gzip:
            limits = InflateLimits(config.max_message_bytes, config.inflate_ratio, config.inflate_floor_bytes)
            self._inflater = GzipInflater(limits, lease)
        self._calls.watch.add(self, config.body_timeout_s, self._calls.late_body)

    def room(self, most: int) -> memoryview | None:
        """Lend memory for what comes next of a body that stays as it is."""
        if self._content is None or self._inflater is not None:
            return None
        try:
            return self._content.room(most)
        except Exception as error:  # noqa: BLE001 - as above
            self.refuse(error)
            return None

    def took(self, count: int) -> None:
        """Take note of bytes that were put where there was room."""
        if self._content is not None:
            self._content.took(count)

    def feed(self, pieces: Sequence[memoryview]) -> None:
        """Take some pieces of the body."""
        if self._content is None:
            return
        try:
            if sum(map(len, pieces)) > self._content.missing:
                raise too_long(self._calls.config)  # noqa: TRY301 - answered as all other errors are
            self._content.add(pieces)
            if self._inflater is not None:
                for piece in pieces:
                    self._inflater.feed(piece)
        except Exception as error:  # noqa: BLE001 - as above
            self.refuse(error)

    def end(self) -> None:
        """Hand the body over."""
        if self._is_over or self._content is None:
            return
        self.is_reading = False
        self._calls.counters.received(self._protocol, self._content.received)
        try:
            body, as_sent = self._content.whole(), b""
            if self._inflater is not None:
                # Of several members nobody has looked into the heads of all.
                body, as_sent = self._inflater.finish(), body if self._inflater.members == 1 else b""
        except Exception as error:  # noqa: BLE001 - as above
            self.refuse(error)
            return
        self.due = asyncio.get_running_loop().time() + self._calls.config.commit_timeout_s
        self.late = self._calls.late_commit
        lease, self._lease, self._content, self._inflater = self._lease, None, None, None
        assert lease is not None
        upload = Upload(self._asked.signal, self._protocol, body, False, lease, self._client, as_sent)
        self._calls.intake.take(upload, self._told)

    def cancel(self) -> None:
        """Let go of a request that nobody waits for."""
        self._close()

    def refuse(self, error: Exception, *, closes: bool = False) -> None:
        """Answer with a status."""
        if not self._is_over:
            self._close()
            self._calls.refuse(self._answer, self._protocol, error, closes=closes)

    def give_up(self, reason: RequestRefused) -> None:
        """Wait no longer."""
        self.refuse(reason, closes=self.is_reading)

    def _told(self, outcome: Receipt | Exception) -> None:
        """Tell the client what became of its request."""
        if isinstance(outcome, Exception):
            self.refuse(outcome)
            outcome.__traceback__ = None  # whoever keeps the error shall not keep the body
        elif not self._is_over:
            self._close()
            is_json = self._protocol is Protocol.HTTP_JSON
            body = export_response_json(outcome) if is_json else export_response(outcome)
            self._answer(200, _CONTENT_TYPES[self._protocol], body)

    def _close(self) -> None:
        """Let go of everything that is ours."""
        self._is_over = True
        self._calls.watch.remove(self)
        lease, self._lease, self._content, self._inflater = self._lease, None, None, None
        if lease is not None:
            lease.release()


def too_long(config: ReceiverConfig) -> TooLarge:
    """Return what a client is told whose body is too long."""
    return TooLarge(f"the body is longer than {config.max_message_bytes} bytes")


def _media_type(fields: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    r"""Return a media type and its charset, if it has one.

    >>> _media_type({b"content-type": b"Application/JSON; charset=\"UTF-8\""})
    (b'application/json', b'utf-8')
    """
    media_type, *parameters = fields.get(b"content-type", b"").split(b";")
    charsets = [found[1].lower() for found in map(_CHARSET.match, map(bytes.strip, parameters)) if found]
    return media_type.strip().lower(), charsets[0] if charsets else b""


def _protocol_of(head: Head) -> Protocol:
    """Return what the client reads: what it sends, and JSON where it did not say."""
    return _MEDIA_TYPES.get(_media_type(head.fields)[0], Protocol.HTTP_JSON)


def _is_gzip(head: Head) -> bool:
    """Whether the body is gzip; raises what is wrong with its type or encoding."""
    media_type, charset = _media_type(head.fields)
    protocol = _MEDIA_TYPES.get(media_type)
    if protocol is None or (protocol is Protocol.HTTP_JSON and charset not in _CHARSETS):
        raise UnsupportedMediaType(head.fields.get(b"content-type", b"").decode("latin-1"))
    encoding = head.fields.get(b"content-encoding", b"")
    is_gzip = _ENCODINGS.get(encoding.lower())
    if is_gzip is None:
        raise UnsupportedEncoding(encoding.decode("latin-1"))
    return is_gzip


def _hint(error: Exception, refusal: Refusal) -> bytes:
    """Return a header that tells the client what to do differently."""
    if refusal.retry_after_seconds is not None:
        return b"retry-after: %d\r\n" % refusal.retry_after_seconds
    if isinstance(error, Unauthenticated):
        return b'www-authenticate: Bearer realm="spanverdict"\r\n'
    if isinstance(error, MethodNotAllowed):
        return b"allow: POST\r\n"
    if isinstance(error, UnsupportedEncoding):
        return b"accept-encoding: gzip\r\n"
    return b""
