"""OTLP/HTTP on an HTTP/1.1 server of our own: bodies are read to where they stay, and each byte is counted."""

from __future__ import annotations

import socket
from functools import partial

from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.http1.connection import READ_BYTES
from spanverdict.receiver.http1.listener import Http1Connection
from spanverdict.receiver.http_calls import HttpCalls
from spanverdict.receiver.listener import Listener, Times
from spanverdict.receiver.server import Server
from spanverdict.receiver.tls import TlsIdentity


def open_http_server(
    calls: HttpCalls, bound: socket.socket, config: ReceiverConfig, identity: TlsIdentity | None = None
) -> Server:
    """Make a server on a bound socket; it is not started."""
    times = Times(config.head_timeout_s, config.body_timeout_s, config.idle_timeout_s)
    connect = partial(
        Http1Connection,
        open_calls=calls.of_client,
        refuse=calls.refuse_head,
        lease=calls.budget.lease,
        head_bytes=config.max_header_bytes,
    )
    listener = Listener(bound, connect, times, config.max_connections, READ_BYTES)
    return Server(listener, calls.end_all, None if identity is None else identity.context)
