"""The wire under the webhook client: one connection an attempt, to a checked address, within a time."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from spanverdict.alerting.config import ReceiverSettings
from spanverdict.alerting.guard import (
    AddressRefused,
    Resolver,
    allowed_addresses,
    check_host,
    lookup_within,
    system_resolver,
)


class GuardedTransport(httpx.BaseTransport):
    """Sends one request over a connection of its own.

    The host is looked up once, every address is checked and one of those is connected to; TLS and
    the Host header keep the name. Redirects and proxies are not its business. The read time-out of
    a request is the time for the whole exchange, however slowly its bytes drip.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        hosts: Sequence[str] = (),
        resolve: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._hosts = tuple(hosts)
        self._resolve = resolve
        self._tls = tls

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the answer with its body still on the wire."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        check_host(request.url.raw_host.decode("ascii"), self._hosts)
        deadline = Deadline(request.extensions.get("timeout", {}).get("read"))
        backend = _GuardedBackend(self._allow_private, self._resolve, deadline)
        connection = httpcore.HTTPConnection(url.origin, ssl_context=self._context(url), network_backend=backend)
        try:
            with _translated(request):
                answer = connection.handle_request(
                    httpcore.Request(request.method, url, headers=request.headers.raw, content=request.stream)
                )
        except BaseException:
            connection.close()
            raise
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(connection, answer, request))

    def _context(self, url: httpcore.URL) -> ssl.SSLContext | None:
        if url.scheme == b"https" and self._tls is None:
            self._tls = httpx.create_ssl_context()
        return self._tls


class Deadline:
    """The moment by which an exchange must be over; None gives it all the time there is."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds

    def within(self, timeout: float | None) -> float | None:
        """Return the time-out or what is left, whichever is shorter.

        Raises:
            httpcore.ReadTimeout: nothing is left.
        """
        if self._end is None:
            return timeout
        left = self._end - self._clock()
        if left <= 0:
            raise httpcore.ReadTimeout("the time for the whole exchange is over")
        return left if timeout is None else min(left, timeout)


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, allow_private: bool, resolve: Resolver, deadline: Deadline) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        error: Exception = httpcore.ConnectError(f"{host} has no address")
        resolve = lookup_within(self._resolve, self._deadline.within(timeout))
        for address in allowed_addresses(host, port, resolve, allow_private=self._allow_private):
            try:
                stream = self._sockets.connect_tcp(
                    address, port, self._deadline.within(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
            else:
                return _TimedStream(stream, self._deadline)
        raise error


class _TimedStream(httpcore.NetworkStream):
    """A stream whose every operation ends by the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.within(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.within(timeout))
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Body(httpx.SyncByteStream):
    """The body of an answer; closing it ends the connection."""

    def __init__(self, connection: httpcore.HTTPConnection, answer: httpcore.Response, request: httpx.Request) -> None:
        self._connection = connection
        self._answer = answer
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        with _translated(self._request):
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _translated(request: httpx.Request) -> Iterator[None]:
    """Let errors of the wire come out as those of the client."""
    try:
        yield
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise httpx.TimeoutException(str(error), request=request) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise httpx.TransportError(str(error), request=request) from error


def guarded_client(settings: ReceiverSettings) -> httpx.Client:
    """Make the client for a receiver: guarded, without redirects, proxies or credentials from the environment.

    `AddressRefused` comes out of it where an address must not be reached.
    """
    return httpx.Client(
        transport=GuardedTransport(allow_private=settings.allow_private, hosts=settings.hosts),
        timeout=settings.timeout_seconds,
        follow_redirects=False,
        trust_env=False,
    )


__all__ = ["AddressRefused", "Deadline", "GuardedTransport", "guarded_client"]
