"""What tests of a server under attack share: other clients, who must not notice, and the memory of all its processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import grpc
import httpx
import psutil

from receiver.sinks import trace_request
from scenarios.stories import Server

EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MIB: Final = 1 << 20
HEADERS: Final = {"Content-Type": "application/x-protobuf"}
PAUSE_S: Final = 0.05


@dataclass(eq=False)
class Others:
    """Clients that send a small request over gRPC and HTTP all along, and how long each acknowledgement took."""

    server: Server
    took: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def being_served(self) -> Iterator[None]:
        clients = [threading.Thread(target=way) for way in (self._grpc, self._http)]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            self._over.set()
            for client in clients:
                client.join()

    @property
    def p99(self) -> float:
        """Of all acknowledgements, in seconds."""
        return sorted(self.took)[len(self.took) * 99 // 100]

    def _grpc(self) -> None:
        with grpc.insecure_channel(self.server.addresses["otlp-grpc"]) as channel:
            export = channel.unary_unary(EXPORT)

            def send(body: bytes) -> str:
                try:
                    export(body, timeout=60)
                except grpc.RpcError as error:
                    return str(error)
                return ""

            self._send_all(send)

    def _http(self) -> None:
        url = f"http://{self.server.addresses['otlp-http']}/v1/traces"
        with httpx.Client(trust_env=False, timeout=60, headers=HEADERS) as client:

            def send(body: bytes) -> str:
                answer = client.post(url, content=body)
                return "" if answer.is_success else answer.text

            self._send_all(send)

    def _send_all(self, send: Callable[[bytes], str]) -> None:
        body = trace_request().SerializeToString()
        while not self._over.wait(PAUSE_S):
            begun = time.monotonic()
            refusal = send(body)
            if refusal:
                self.refused.append(refusal)
            else:
                self.took.append(time.monotonic() - begun)


@dataclass(eq=False)
class Watched:
    """How much more memory a server, and what it started, took at most than when this began."""

    process: psutil.Process
    before: int
    """Resident bytes."""
    peak: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @staticmethod
    @contextmanager
    def from_now(server: Server, before: int | None = None) -> Iterator[Watched]:
        """Watch for as long as the block lasts; a server that ends meanwhile takes none any more."""
        process = psutil.Process(server.process.pid)
        watched = Watched(process, _resident(process) if before is None else before)
        thread = threading.Thread(target=watched._watch)
        thread.start()
        try:
            yield watched
        finally:
            watched._over.set()
            thread.join()

    @property
    def growth(self) -> int:
        """In MiB."""
        return (self.peak - self.before) // MIB

    def cpu_s(self) -> float:
        """Return the CPU time that the server, without what it started, took so far, in seconds."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            self.peak = max(self.peak, _resident(self.process))


def _resident(process: psutil.Process) -> int:
    found = 0
    try:
        for one in (process, *process.children(recursive=True)):
            found += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return found
