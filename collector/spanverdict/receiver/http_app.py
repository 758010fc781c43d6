"""OTLP/HTTP as an ASGI application: protobuf and JSON, gzip, and a google.rpc.Status for whatever is refused."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.auth import BearerTokens
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.counters import Counters, Protocol, Signal
from spanverdict.receiver.errors import (
    BodyTimeout,
    HeadTooLarge,
    MethodNotAllowed,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnknownPath,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from spanverdict.receiver.inflate import GzipInflater, InflateLimits
from spanverdict.receiver.intake import Intake, Upload, commit_too_slow
from spanverdict.receiver.limits import ByteBudget, Lease
from spanverdict.receiver.replies import export_response, export_response_json
from spanverdict.receiver.sink import Receipt
from spanverdict.receiver.status import Refusal, refusal_of, status_json, status_message

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

_SIGNALS = {
    "/v1/traces": Signal.TRACES,
    "/v1/metrics": Signal.METRICS,
    "/v1/logs": Signal.LOGS,
    "/v1development/profiles": Signal.PROFILES,
}
_MEDIA_TYPES = {"application/x-protobuf": Protocol.HTTP_PROTOBUF, "application/json": Protocol.HTTP_JSON}
_CONTENT_TYPES = {protocol: media_type.encode() for media_type, protocol in _MEDIA_TYPES.items()}
_ENCODINGS = {"": False, "identity": False, "gzip": True, "x-gzip": True}
_CHARSETS = {"", "utf-8", "utf8", "us-ascii"}

_LOGGER = logging.getLogger(__name__)


class ClientGone(Exception):  # noqa: N818 - nobody is left to tell, so it is no error
    """The connection ended before the request did."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request before its body. `protocol` is what errors are written in; JSON where the client did not say."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    size: int
    address: str = ""
    """The host that the connection comes from."""

    @classmethod
    def of(cls, scope: Scope) -> Head:
        """Read an ASGI scope."""
        headers: Iterable[Header] = scope["headers"]
        size = sum(len(name) + len(value) + 4 for name, value in headers)
        return cls(scope["method"], scope["path"], dict(headers), size, (scope.get("client") or ("",))[0])

    def header(self, name: bytes) -> str:
        """A header's value as text; empty where it is missing."""
        return self.headers.get(name, b"").decode("latin-1").strip()

    @property
    def protocol(self) -> Protocol:
        """The encoding of the request, by its media type without parameters."""
        return _MEDIA_TYPES.get(self._media_type()[0], Protocol.HTTP_JSON)

    @property
    def content_length(self) -> int:
        """What the client announces; 0 where it does not."""
        length = self.header(b"content-length")
        return int(length) if length.isdecimal() else 0

    def check_framing(self) -> None:
        """Raise `Undecodable` for a body of two lengths, of which a proxy before us may have believed the other."""
        if b"transfer-encoding" in self.headers and b"content-length" in self.headers:
            raise Undecodable("a request has either a Content-Length or a Transfer-Encoding")

    def check_media_type(self) -> None:
        """Raise `UnsupportedMediaType` for anything but OTLP's two."""
        media_type, charset = self._media_type()
        if media_type not in _MEDIA_TYPES or (self.protocol is Protocol.HTTP_JSON and charset not in _CHARSETS):
            raise UnsupportedMediaType(self.header(b"content-type"))

    def is_compressed(self) -> bool:
        """Whether the body is gzip; raises `UnsupportedEncoding` for anything else that is not plain."""
        encoding = self.header(b"content-encoding")
        if encoding.lower() not in _ENCODINGS:
            raise UnsupportedEncoding(encoding)
        return _ENCODINGS[encoding.lower()]

    def _media_type(self) -> tuple[str, str]:
        media_type, *parameters = (part.strip() for part in self.header(b"content-type").split(";"))
        charsets = [p.partition("=")[2].strip('" ').lower() for p in parameters if p.lower().startswith("charset=")]
        return media_type.lower(), charsets[0] if charsets else ""


class HttpApp:
    """Answers every request of the OTLP/HTTP listener."""

    def __init__(
        self, intake: Intake, tokens: BearerTokens, budget: ByteBudget, counters: Counters, config: ReceiverConfig
    ) -> None:
        self._intake = intake
        self._tokens = tokens
        self._budget = budget
        self._counters = counters
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3)."""
        head = Head.of(scope)
        try:
            receipt = await self._serve(head, receive)
        except ClientGone:
            return
        except asyncio.CancelledError:
            await self._refuse(head, Unavailable("shutting down", self._config.retry_after_s), send)
        except Exception as error:  # noqa: BLE001 - every error becomes the client's status, and ours is logged
            await self._refuse(head, error, send)
            error.__traceback__ = None  # whoever keeps the error shall not keep the body
        else:
            await _respond(
                send, 200, _reply(head.protocol, receipt), [(b"content-type", _CONTENT_TYPES[head.protocol])]
            )

    async def _serve(self, head: Head, receive: Receive) -> Receipt:
        signal = self._admit(head)
        client = self._client(head)
        lease = self._budget.lease()
        try:
            body, as_sent = await self._body(head, lease, receive)
        except BaseException:
            lease.release()
            raise
        upload = Upload(signal, head.protocol, body, compressed=False, lease=lease, client=client, as_sent=as_sent)
        return await self._committed(upload)

    async def _committed(self, upload: Upload) -> Receipt:
        told: asyncio.Future[Receipt | Exception] = asyncio.get_running_loop().create_future()
        self._intake.take(upload, lambda outcome: None if told.done() else told.set_result(outcome))
        try:
            outcome = await asyncio.wait_for(told, self._config.commit_timeout_s)
        except TimeoutError:
            raise commit_too_slow(self._config) from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _client(self, head: Head) -> str:
        """Name who sends, where there is a limit to what one may."""
        if self._intake.rates.bytes_per_s is None:
            return ""
        client = self._tokens.client(head.headers.get(b"authorization"), head.address)
        self._intake.rates.admit(client)
        return client

    def _admit(self, head: Head) -> Signal:
        """Judge a request by its head alone; nothing of the body is read for one that fails here."""
        signal = _SIGNALS.get(head.path)
        if signal is None:
            raise UnknownPath(head.path)
        if head.method != "POST":
            raise MethodNotAllowed(head.method)
        self._tokens.check(head.headers.get(b"authorization"))
        if head.size > self._config.max_header_bytes:
            raise HeadTooLarge(self._config.max_header_bytes)
        head.check_framing()
        head.check_media_type()
        head.is_compressed()
        self._check_length(head.content_length)
        return signal

    def _check_length(self, length: int) -> None:
        if length > self._config.max_message_bytes:
            raise TooLarge(f"the body is longer than {self._config.max_message_bytes} bytes")

    async def _body(self, head: Head, lease: Lease, receive: Receive) -> tuple[bytes, bytes]:
        """Return a body, and the gzip that it was inflated from, if it was."""
        try:
            async with asyncio.timeout(self._config.body_timeout_s):
                collector, wire_bytes = await self._read(head, lease, receive)
        except TimeoutError:
            raise BodyTimeout(self._config.body_timeout_s) from None
        self._counters.received(head.protocol, wire_bytes)
        return collector.finish(), collector.as_sent()

    async def _read(self, head: Head, lease: Lease, receive: Receive) -> tuple[_PlainBody | _GzipBody, int]:
        collector = _GzipBody(self._inflater(lease), lease) if head.is_compressed() else _PlainBody(lease)
        wire_bytes = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            wire_bytes += len(chunk)
            self._check_length(wire_bytes)
            collector.feed(chunk)
            more = message.get("more_body", False)
        return collector, wire_bytes

    def _inflater(self, lease: Lease) -> GzipInflater:
        config = self._config
        limits = InflateLimits(config.max_message_bytes, config.inflate_ratio, config.inflate_floor_bytes)
        return GzipInflater(limits, lease)

    async def _refuse(self, head: Head, error: Exception, send: Send) -> None:
        refusal = refusal_of(error)
        self._counters.refused(head.protocol, refusal.reason)
        if refusal.reason == "internal":
            _LOGGER.error("an export request failed", exc_info=error)
        binary = head.protocol is Protocol.HTTP_PROTOBUF
        headers = [(b"content-type", _CONTENT_TYPES[head.protocol]), *_hints(error, refusal)]
        if self._rest_is_endless(head) or isinstance(error, BodyTimeout):
            headers.append((b"connection", b"close"))
        await _respond(send, refusal.http_status, status_message(refusal) if binary else status_json(refusal), headers)

    def _rest_is_endless(self, head: Head) -> bool:
        """Whether skipping the unread rest of the body costs more than a new connection."""
        chunked = b"transfer-encoding" in head.headers
        return chunked or head.content_length > self._config.max_message_bytes


class _PlainBody:
    """Collects an uncompressed body; one that comes in one piece is not copied."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._first = b""
        self._output = io.BytesIO()

    def feed(self, chunk: bytes) -> None:
        self._lease.grow(len(chunk))
        if self._output.tell():
            self._output.write(chunk)
        elif not self._first:
            self._first = chunk
        else:
            self._output.write(self._first)
            self._output.write(chunk)
            self._first = b""

    def finish(self) -> bytes:
        return self._first or self._output.getvalue()

    def as_sent(self) -> bytes:
        return b""


class _GzipBody:
    """Inflates a body while it arrives, and collects it as it was sent, too."""

    def __init__(self, inflater: GzipInflater, lease: Lease) -> None:
        self._inflater = inflater
        self._sent = _PlainBody(lease)

    def feed(self, chunk: bytes) -> None:
        self._sent.feed(chunk)
        self._inflater.feed(chunk)

    def finish(self) -> bytes:
        return self._inflater.finish()

    def as_sent(self) -> bytes:
        """Return the gzip, unless it has several members: of these nobody has looked into the heads of all."""
        return self._sent.finish() if self._inflater.members == 1 else b""


def _reply(protocol: Protocol, receipt: Receipt) -> bytes:
    return export_response_json(receipt) if protocol is Protocol.HTTP_JSON else export_response(receipt)


def _hints(error: Exception, refusal: Refusal) -> list[Header]:
    """Headers that tell the client what to do differently."""
    if refusal.retry_after_seconds is not None:
        return [(b"retry-after", str(refusal.retry_after_seconds).encode())]
    if isinstance(error, Unauthenticated):
        return [(b"www-authenticate", b'Bearer realm="spanverdict"')]
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", b"POST")]
    if isinstance(error, UnsupportedEncoding):
        return [(b"accept-encoding", b"gzip")]
    return []


async def _respond(send: Send, status: int, body: bytes, headers: list[Header]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
