"""OTLP/gRPC on an HTTP/2 server of our own, with raw bytes in and out.

The libraries for gRPC take most of what a request costs, and do not tell how much of a message they hold until all of
it is there. What this server answers are single requests, so little of HTTP/2 is needed, and each byte is counted.
"""

from __future__ import annotations

import socket
from functools import partial

from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.grpc_calls import ExportCalls
from spanverdict.receiver.http2.connection import Limits
from spanverdict.receiver.http2.listener import ALPN, READ_BYTES, Http2Connection
from spanverdict.receiver.listener import Listener, Times
from spanverdict.receiver.server import Server
from spanverdict.receiver.tls import TlsIdentity


def open_grpc_server(
    calls: ExportCalls, bound: socket.socket, config: ReceiverConfig, identity: TlsIdentity | None = None
) -> Server:
    """Make a server on a bound socket; it is not started."""
    limits = Limits(config.max_header_bytes, config.max_concurrent_streams)
    times = Times(config.head_timeout_s, config.body_timeout_s, config.idle_timeout_s)
    connect = partial(Http2Connection, open_calls=calls.of_client, limits=limits)
    listener = Listener(bound, connect, times, config.max_connections, READ_BYTES)
    return Server(listener, calls.end_all, None if identity is None else partial(identity.context, ALPN))
