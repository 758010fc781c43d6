"""Other receivers of OTLP that the same load can be sent to: the OpenTelemetry Collector and Rotel.

For the Collector see `otelcollector.py`; Rotel comes from PyPI into an environment of its own, kept in the user's
cache folder. What is forwarded goes to a second process of the same program that drops it, whose CPU is not counted,
over the protocol that it came by, compressed as it came; in the mode *default*, as the Collector's exporters do
unless they are told otherwise: compressed.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.loading import Case
from bench.server import Server, watched
from otelcollector import NotHere, cache, collector

ROTEL: Final = "rotel"
START_S: Final = 20.0
LEAST_BEHIND: Final = 0.1
"""Whoever is forwarded to takes so much of what the forwarder takes, or more: it decodes all of it once more."""
_NOBODY: Final = "127.0.0.1:1"
"""In what is not used of a configuration."""

_COLLECTOR: Final = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "{grpc}", max_recv_msg_size_mib: 64}}
      http: {{endpoint: "{http}"}}
exporters:
  nop: {{}}
  file: {{path: "{folder}/traces.pb", format: proto}}
  otlp_grpc/forward:
    endpoint: "{sink}"
    tls: {{insecure: true}}
    compression: {compression}
    sending_queue: {{queue_size: 64, block_on_overflow: true}}
  otlp_http/forward:
    endpoint: "http://{sink}"
    compression: {compression}
    sending_queue: {{queue_size: 64, block_on_overflow: true}}
  otlp_grpc/default:
    endpoint: "{sink}"
    tls: {{insecure: true}}
    sending_queue: {{queue_size: 64, block_on_overflow: true}}
  otlp_http/default:
    endpoint: "http://{sink}"
    sending_queue: {{queue_size: 64, block_on_overflow: true}}
  otlp_grpc/queue:
    endpoint: "{nobody}"
    tls: {{insecure: true}}
    sending_queue: {{storage: file_storage, queue_size: 1000000}}
extensions:
  file_storage: {{directory: "{folder}", fsync: true}}
service:
  extensions: [{extension}]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [{exporter}]}}}}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program works: its folder, and the addresses of its listeners."""

    folder: Path
    grpc: str
    http: str
    sink: str = ""
    """Where it sends to, over the protocol of the case."""


Command = Callable[[Place, Case], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another receiver and what it does with what it receives."""

    name: str
    does: str
    command: Command
    """How it is started."""
    version: Callable[[], str]
    """Says which program it is; raises `NotHere`."""
    sink: Command | None = None
    """How what it forwards to is started."""
    durable: bool = False
    """Whether a request is on disk, flushed, before it is acknowledged, as with ours."""

    def serving(self, case: Case) -> Callable[[Path, Path], AbstractContextManager[Server]]:
        """Return what runs it on free ports, set up for a case, in a folder."""
        return lambda folder, _rules: _running(self, case, folder)


@contextmanager
def _running(peer: Peer, case: Case, folder: Path) -> Iterator[Server]:
    if peer.sink is None:
        (nobody,) = _free_addresses(1)
        with _started(peer.command, case, Place(folder, *_free_addresses(2), nobody)) as server:
            yield server
        return
    behind = folder / "sink"
    behind.mkdir()
    with (
        _started(peer.sink, case, Place(behind, *_free_addresses(2))) as sink,
        _started(
            peer.command, case, Place(folder, *_free_addresses(2), sink.addresses[f"otlp-{case.protocol}"])
        ) as server,
    ):
        begun = sum(server.cpu_seconds()), sum(sink.cpu_seconds())
        yield server
        see_that_it_forwarded(peer.name, sum(server.cpu_seconds()) - begun[0], sum(sink.cpu_seconds()) - begun[1])


def see_that_it_forwarded(name: str, spent_s: float, spent_behind_s: float) -> None:
    """Hold what a peer took against what the process took that it forwards to.

    Raises:
        NotHere: next to nothing came there, so what was measured is not what is said of it.
    """
    if spent_behind_s < LEAST_BEHIND * spent_s:
        raise NotHere(
            f"{name} forwarded next to nothing: it took {spent_s:.2f} s of CPU, and what is behind it {spent_behind_s:.2f} s"
        )


@contextmanager
def _started(command: Command, case: Case, place: Place) -> Iterator[Server]:
    words, log = command(place, case), place.folder / "peer.log"
    begun = time.perf_counter()
    with log.open("wb") as said:
        process = subprocess.Popen(words, stdout=said, stderr=said)
        try:
            for address in (place.grpc, place.http):
                _await(address, process, log)
            took = time.perf_counter() - begun
            with watched(Server(process, {"otlp-grpc": place.grpc, "otlp-http": place.http}, None, took)) as server:
                yield server
        finally:
            process.kill()
            process.wait()


def _free_addresses(count: int) -> list[str]:
    """Return addresses that nobody listens on just now; a peer cannot be handed a socket."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{listener.getsockname()[1]}" for listener in taken]
    for listener in taken:
        listener.close()
    return addresses


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    host, _, port = address.rpartition(":")
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise NotHere(f"it does not start:\n{log.read_text(errors='replace')[-2000:]}") from None
            time.sleep(0.02)
        else:
            return


def rotel() -> Path:
    """Return Rotel's program, from PyPI.

    Raises:
        NotHere: it cannot be installed here.
    """
    home = cache(ROTEL)
    found = sorted(home.glob("lib/python3*/site-packages/rotel/rotel-agent"))
    if not found:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        command = [str(home / "bin/python"), "-m", "pip", "install", "--quiet", ROTEL]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = sorted(home.glob("lib/python3*/site-packages/rotel/rotel-agent"))
        if not found:
            raise NotHere(f"Rotel cannot be installed:\n{done.stderr[-2000:]}")
        found[0].chmod(0o755)
    return found[0]


def _collector(exporter: str) -> Command:
    def command(place: Place, case: Case) -> Sequence[str]:
        config = place.folder / "collector.yaml"
        text = _COLLECTOR.format(
            grpc=place.grpc,
            http=place.http,
            folder=place.folder,
            sink=place.sink or _NOBODY,
            nobody=place.sink or _NOBODY,
            compression="gzip" if case.gzip else "none",
            exporter=exporter.format(protocol=case.protocol),
            extension="file_storage" if exporter.endswith("queue") else "",
        )
        config.write_text(text)
        return [str(collector()), "--config", str(config)]

    return command


def _rotel(exporter: str) -> Command:
    def command(place: Place, case: Case) -> Sequence[str]:
        files = ["--pid-file", str(place.folder / "rotel.pid"), "--log-file", str(place.folder / "rotel.log")]
        listening = ["--otlp-grpc-endpoint", place.grpc, "--otlp-http-endpoint", place.http]
        sending = [
            *("--otlp-exporter-endpoint", f"http://{place.sink}", "--otlp-exporter-protocol", case.protocol),
            *("--otlp-exporter-compression", "gzip" if case.gzip else "none"),
        ]
        more = sending if exporter == "otlp" else []
        return [str(rotel()), "start", "--exporter", exporter, *listening, *more, *files]

    return command


def _collector_version() -> str:
    """Return the version of the receiver: a distribution's own says nothing of what it is built from."""
    said = _said(collector(), "components")
    found = re.search(r"receiver/otlpreceiver v(\S+)", said)
    return (
        f"OpenTelemetry Collector {found[1]}"
        if found
        else f"OpenTelemetry Collector of an unknown version ({collector()})"
    )


def _rotel_version() -> str:
    return _said(rotel(), "--version").strip().replace("rotel", "Rotel", 1)


def _said(program: Path, word: str) -> str:
    done = subprocess.run([str(program), word], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHere(f"{program} {word} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


_nop: Final = _collector("nop")
_drop: Final = _rotel("blackhole")


def _otelcol(mode: str, does: str, exporter: str, sink: Command | None = None, *, durable: bool = False) -> Peer:
    return Peer(f"otelcol/{mode}", does, _collector(exporter), _collector_version, sink, durable)


PEERS: Final = {
    "otelcol": (
        _otelcol("nop", "receives and drops", "nop"),
        _otelcol("forward", "receives and forwards as it came", "otlp_{protocol}/forward", _nop),
        _otelcol(
            "default",
            "receives and forwards, compressed, as exporters do by default",
            "otlp_{protocol}/default",
            _nop,
        ),
        _otelcol("file", "receives and writes a file, unflushed", "file"),
        # Nobody listens where it would send to: what is queued stays on disk, and forwarding costs nothing.
        _otelcol("queue", "receives into a queue on disk, flushed", "otlp_grpc/queue", durable=True),
    ),
    "rotel": (
        Peer("rotel/drop", "receives, batches and drops", _drop, _rotel_version),
        Peer("rotel/forward", "receives, batches and forwards as it came", _rotel("otlp"), _rotel_version, _drop),
    ),
}
OURS_DOES: Final = "receives, flushes to disk, decodes to columns, counts stages, follows runs"
