"""The receiver as one thing: both servers on one event loop in one thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from spanverdict.receiver.addresses import Address, bind, parse_address
from spanverdict.receiver.auth import BearerTokens
from spanverdict.receiver.config import ReceiverConfig, check_config
from spanverdict.receiver.counters import Counters
from spanverdict.receiver.errors import PublicWithoutAuthentication
from spanverdict.receiver.limits import ByteBudget
from spanverdict.receiver.ratelimit import RateLimiter
from spanverdict.receiver.sink import Sink
from spanverdict.receiver.tls import TlsIdentity

if TYPE_CHECKING:
    from spanverdict.receiver.intake import Intake
    from spanverdict.receiver.server import Server


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses that were really taken; None for a listener that is turned off."""

    grpc: Address | None
    http: Address | None


@dataclass(slots=True)
class _Servers:
    """What runs on the event loop."""

    grpc: Server | None = None
    http: Server | None = None

    async def start(self) -> None:
        if self.grpc is not None:
            await self.grpc.start()
        if self.http is not None:
            await self.http.start()

    async def stop(self, grace_s: float) -> None:
        stopping = [server.stop(grace_s) for server in (self.grpc, self.http) if server is not None]
        await asyncio.gather(*stopping)


class Receiver:
    """Receives OTLP over gRPC and HTTP and hands trace requests to a sink, until it is stopped. Starts once."""

    def __init__(self, config: ReceiverConfig, sink: Sink) -> None:
        self.config = config
        self.counters = Counters()
        self.budget = ByteBudget(config.in_flight_bytes, config.retry_after_s)
        self.rates = RateLimiter(config.client_bytes_per_s)
        self._tokens = BearerTokens(config.bearer_tokens)
        self._identity: TlsIdentity | None = None
        self._sink = sink
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_asked: asyncio.Event | None = None
        self._grace_s = 0.0

    def start(self) -> Endpoints:
        """Listen, and return once clients can connect.

        Raises:
            BadConfiguration: the settings contradict each other, are unsafe, or a TLS file is not usable.
            AddressInUse, CannotListen: an address is not to be had. Nothing is left open.
        """
        check_config(self.config)
        self._identity = TlsIdentity.load(self.config.tls) if self.config.tls is not None else None
        wanted = Endpoints(*(self._wanted(text) for text in (self.config.grpc_address, self.config.http_address)))
        started: concurrent.futures.Future[Endpoints] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(wanted, started), name="receiver", daemon=True)
        self._thread.start()
        try:
            return started.result()
        except BaseException:
            self._thread.join()
            raise

    def stop(self, grace_s: float = 10.0) -> None:
        """Refuse new requests, give those in flight `grace_s` seconds to be acknowledged, end. More than once is fine.

        Call it from any thread but the receiver's own. The sink must go on resolving until this returns.
        """
        thread, loop, stop_asked = self._thread, self._loop, self._stop_asked
        if thread is None or loop is None or stop_asked is None:
            return
        self._grace_s = grace_s
        if thread.is_alive():
            loop.call_soon_threadsafe(stop_asked.set)
        thread.join()

    def admit(self, tokens: Sequence[str]) -> None:
        """Ask for one of these bearer tokens from now on; for none if there are none."""
        self._tokens.replace(tokens)

    def show(self, identity: TlsIdentity) -> None:
        """Meet new connections with another certificate and other authorities, where TLS is spoken."""
        if self._identity is not None:
            self._identity.adopt(identity)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.stop()

    def _wanted(self, text: str | None) -> Address | None:
        if text is None:
            return None
        address = parse_address(text)
        config = self.config
        authenticated = bool(config.bearer_tokens) or config.tls_client_ca is not None
        if not (address.is_loopback or authenticated or config.allow_public):
            raise PublicWithoutAuthentication(str(address))
        return address

    def _run(self, wanted: Endpoints, started: concurrent.futures.Future[Endpoints]) -> None:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve(wanted, started))

    async def _serve(self, wanted: Endpoints, started: concurrent.futures.Future[Endpoints]) -> None:
        self._loop, self._stop_asked = asyncio.get_running_loop(), asyncio.Event()
        servers = _Servers()
        with concurrent.futures.ThreadPoolExecutor(self.config.worker_threads, "receiver-worker") as workers:
            try:
                endpoints = self._open(wanted, servers, workers)
                await servers.start()
            except BaseException as error:  # noqa: BLE001 - handed to whoever called start()
                await servers.stop(0)
                started.set_exception(error)
                return
            started.set_result(endpoints)
            await self._stop_asked.wait()
            await servers.stop(self._grace_s)

    def _open(self, wanted: Endpoints, servers: _Servers, workers: concurrent.futures.Executor) -> Endpoints:
        from spanverdict.receiver.intake import Intake  # noqa: PLC0415 - what a receiver needs is loaded when it starts

        intake = Intake(self._sink, self.config, self.counters, workers, self.rates)
        http = self._open_http(wanted.http, servers, intake) if wanted.http else None
        grpc = self._open_grpc(wanted.grpc, servers, intake) if wanted.grpc else None
        return Endpoints(grpc, http)

    def _open_grpc(self, address: Address, servers: _Servers, intake: Intake) -> Address:
        from spanverdict.receiver.grpc_calls import ExportCalls  # noqa: PLC0415 - not needed by an HTTP-only receiver
        from spanverdict.receiver.grpc_server import open_grpc_server  # noqa: PLC0415 - likewise

        calls = ExportCalls(intake, self._tokens, self.budget, self.counters, self.config)
        listener = bind(address)
        servers.grpc = open_grpc_server(calls, listener, self.config, self._identity)
        return Address(address.host, port_of(listener))

    def _open_http(self, address: Address, servers: _Servers, intake: Intake) -> Address:
        from spanverdict.receiver.http_calls import HttpCalls  # noqa: PLC0415 - not needed by a gRPC-only receiver
        from spanverdict.receiver.http_server import open_http_server  # noqa: PLC0415 - likewise

        calls = HttpCalls(intake, self._tokens, self.budget, self.counters, self.config)
        listener = bind(address)
        servers.http = open_http_server(calls, listener, self.config, self._identity)
        return Address(address.host, port_of(listener))


def port_of(listener: socket.socket) -> int:
    """The port that a bound socket has."""
    port: int = listener.getsockname()[1]
    return port


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not find_spec("uvloop"):
        return None
    import uvloop  # noqa: PLC0415 - an optional dependency

    return uvloop.new_event_loop
