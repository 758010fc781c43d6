"""OTLP/gRPC on an HTTP/2 server of our own, with raw bytes in and out.

The libraries for gRPC take most of what a request costs, and do not tell how much of a message they hold until all of
it is there. What this server answers are single requests, so little of HTTP/2 is needed, and each byte is counted.
"""

from __future__ import annotations

import socket

from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.grpc_calls import ExportCalls
from spanverdict.receiver.http2.connection import Limits
from spanverdict.receiver.http2.listener import ALPN, Http2Server, Times
from spanverdict.receiver.tls import TlsIdentity


class GrpcServer:
    """One listener from its start to its end. All methods belong to the event loop."""

    def __init__(self, server: Http2Server, calls: ExportCalls, identity: TlsIdentity | None) -> None:
        self._server = server
        self._calls = calls
        self._identity = identity

    async def start(self) -> None:
        """Accept connections from here on."""
        await self._server.start(None if self._identity is None else self._identity.context(ALPN))

    async def stop(self, grace_s: float) -> None:
        """Refuse connections, let calls end within `grace_s`, then tell those that are left to come again."""
        await self._server.stop(grace_s, self._calls.end_all)


def open_grpc_server(
    calls: ExportCalls, listener: socket.socket, config: ReceiverConfig, identity: TlsIdentity | None = None
) -> GrpcServer:
    """Make a server on a bound socket; it is not started."""
    limits = Limits(config.max_header_bytes, config.max_concurrent_streams)
    times = Times(config.head_timeout_s, config.body_timeout_s, config.idle_timeout_s)
    server = Http2Server(listener, calls.of_client, limits, times, config.max_connections)
    return GrpcServer(server, calls, identity)
