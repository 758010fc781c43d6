"""OTLP/gRPC on grpc.aio, with raw bytes in and out.

The asynchronous server shares the HTTP server's event loop: next to a sink that answers after a group commit it carried
a third more requests a second than `grpc.server` with threads (100 spans a request), and a stalled client costs no
thread.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import grpc.aio

from spanverdict.receiver.addresses import Address, bind
from spanverdict.receiver.auth import BearerTokens
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.counters import Counters, Protocol, Signal
from spanverdict.receiver.errors import (
    AddressInUse,
    MissingMessage,
    Unauthenticated,
)
from spanverdict.receiver.inflate import GZIP_MAGIC
from spanverdict.receiver.intake import Intake, Upload
from spanverdict.receiver.limits import ByteBudget, Lease
from spanverdict.receiver.ratelimit import address_of
from spanverdict.receiver.replies import export_response
from spanverdict.receiver.slowreads import SlowReads
from spanverdict.receiver.status import Refusal, refusal_of, retry_info, status_message
from spanverdict.receiver.tls import TlsIdentity

_METHODS = {
    f"/opentelemetry.proto.collector.{service}/Export": signal
    for signal, service in (
        (Signal.TRACES, "trace.v1.TraceService"),
        (Signal.METRICS, "metrics.v1.MetricsService"),
        (Signal.LOGS, "logs.v1.LogsService"),
        (Signal.PROFILES, "profiles.v1development.ProfilesService"),
    )
}

_UNREAD_BYTES = 256 * 1024
"""What a call is counted as until its message has arrived, whose length gRPC tells only then.

So no more calls are open than fit the budget at this size. Messages that are slow to come are bounded by `SlowReads`,
and what arrives within half a second by the network. Each is then counted, and the surplus refused.
"""

_IDENTITY_AND_GZIP = 0b101

_CODES = {code.value[0]: code for code in grpc.StatusCode}

_LOGGER = logging.getLogger(__name__)

Behaviour = Callable[[Any, Any], Awaitable[bytes]]


class ExportServices(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc publishes no types
    """The four Export methods.

    They are served as calls that stream in their one message, which looks the same on the wire and leaves it to us
    when, and whether, the message is read: a caller without a token is turned away before.
    """

    def __init__(
        self, intake: Intake, tokens: BearerTokens, budget: ByteBudget, counters: Counters, config: ReceiverConfig
    ) -> None:
        self._intake = intake
        self._tokens = tokens
        self._budget = budget
        self._counters = counters
        self._config = config
        places = max(1, config.in_flight_bytes // config.max_message_bytes)
        self._reads = SlowReads(places, config.retry_after_s)
        # Made once: for every call grpc asks what kind of function serves it, which takes long for a partial one.
        self._exports = {signal: _handler(self._exporting(signal)) for signal in Signal}

    def service(self, handler_call_details: Any) -> Any:
        """Choose what answers a call, from its method and metadata alone."""
        signal = _METHODS.get(handler_call_details.method)
        if signal is None:
            return None
        try:
            self._tokens.check(_authorization(handler_call_details.invocation_metadata))
        except Unauthenticated as error:
            return _handler(partial(self._refuse, error))
        return self._exports[signal]

    def _exporting(self, signal: Signal) -> Behaviour:
        async def export(_messages: Any, context: Any) -> bytes:
            return await self._export(signal, context)

        return export

    async def _refuse(self, error: Exception, _messages: Any, context: Any) -> bytes:
        await _abort(self._refusal(error), context)
        return b""

    async def _export(self, signal: Signal, context: Any) -> bytes:
        try:
            return await self._answer(signal, context)
        except Exception as error:  # noqa: BLE001 - every error becomes the caller's status, and ours is logged
            refusal = self._refusal(error)
            # The library keeps what ends a call for some time, and with it, by way of the traceback, the message.
            error.__traceback__ = None
        await _abort(refusal, context)
        return b""

    async def _answer(self, signal: Signal, context: Any) -> bytes:
        client = self._client(context)
        lease = self._budget.lease(_UNREAD_BYTES)
        body = await self._received(lease, context)
        upload = Upload(signal, Protocol.GRPC, body, body.startswith(GZIP_MAGIC), lease, client)
        return export_response(await self._intake.take(upload))

    def _client(self, context: Any) -> str:
        """Name who calls, where there is a limit to what one may send."""
        if self._intake.rates.bytes_per_s is None:
            return ""
        client = self._tokens.client(_authorization(context.invocation_metadata()), address_of(context.peer()))
        self._intake.rates.admit(client)
        return client

    async def _received(self, lease: Lease, context: Any) -> bytes:
        try:
            body = await self._message(context)
            lease.resize(len(body))
        except BaseException:
            lease.release()
            raise
        self._counters.received(Protocol.GRPC, len(body))
        return body

    async def _message(self, context: Any) -> bytes:
        with self._reads.reading(self._config.body_timeout_s) as deadline:
            async with deadline:
                message = await context.read()
        if not isinstance(message, bytes):
            raise MissingMessage
        return message

    def _refusal(self, error: Exception) -> Refusal:
        refusal = refusal_of(error)
        self._counters.refused(Protocol.GRPC, refusal.reason)
        if refusal.reason == "internal":
            _LOGGER.error("an export call failed", exc_info=error)
        return refusal


async def _abort(refusal: Refusal, context: Any) -> None:
    await context.abort(_CODES[refusal.code], refusal.message, _trailers(refusal))


def server_options(config: ReceiverConfig) -> list[tuple[str, int]]:
    """The channel arguments of our server, each with its reason."""
    return [
        # A message longer than this ends with RESOURCE_EXHAUSTED and no RetryInfo, as the specification asks.
        ("grpc.max_receive_message_length", config.max_message_bytes),
        # We inflate ourselves, within the budget; the library would inflate every bomb up to the limit above.
        ("grpc.per_message_decompression", 0),
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_AND_GZIP),
        ("grpc.max_metadata_size", config.max_header_bytes),
        ("grpc.max_concurrent_streams", config.max_concurrent_streams),
        ("grpc.max_allowed_incoming_connections", config.max_connections),
        ("grpc.server_handshake_timeout_ms", round(config.head_timeout_s * 1000)),
        # Clients may ping once a second, also between calls, and are not sent away for it.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 1000),
        # Two receivers on one port would each see half of the spans.
        ("grpc.so_reuseport", 0),
    ]


def open_grpc_server(
    services: ExportServices, address: Address, config: ReceiverConfig, identity: TlsIdentity | None = None
) -> tuple[grpc.aio.Server, Address]:
    """Make a server that has its port but is not started; call it on the event loop that will run it.

    Raises:
        AddressInUse, CannotListen: the address is not to be had.
    """
    bind(address).close()  # for a clear error; the library only says that it failed, and logs at length
    server = grpc.aio.server(handlers=(services,), options=server_options(config))
    try:
        if identity is None:
            port = server.add_insecure_port(str(address))
        else:
            port = server.add_secure_port(str(address), _credentials(identity))
    except RuntimeError:
        raise AddressInUse(str(address)) from None
    return server, Address(address.host, port)


def _credentials(identity: TlsIdentity) -> grpc.ServerCredentials:
    """Credentials that ask for the identity with every handshake."""

    def current() -> Any:
        key, chain, authorities = identity.pem
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=authorities)

    return grpc.dynamic_ssl_server_credentials(
        current(), current, require_client_authentication=identity.files.client_ca is not None
    )


def _handler(behaviour: Behaviour) -> Any:
    return grpc.stream_unary_rpc_method_handler(behaviour)


def _authorization(metadata: Any) -> bytes | None:
    for key, value in metadata or ():
        if key == "authorization":
            return value if isinstance(value, bytes) else str(value).encode()
    return None


def _trailers(refusal: Refusal) -> tuple[tuple[str, bytes], ...]:
    """Details as gRPC's richer error model has them, and RetryInfo also where OpenTelemetry Python looks for it."""
    trailers = (("grpc-status-details-bin", status_message(refusal)),)
    retry = retry_info(refusal)
    return trailers if retry is None else (*trailers, ("google.rpc.retryinfo-bin", retry))
