"""Other receivers of OTLP that the same load can be sent to: the OpenTelemetry Collector and Rotel.

For the Collector see `otelcollector.py`; Rotel comes from PyPI into an environment of its own, kept in the user's
cache folder.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.server import Server, watched
from otelcollector import NotHere, cache, collector

ROTEL: Final = "rotel"
START_S: Final = 20.0

_COLLECTOR: Final = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "{grpc}", max_recv_msg_size_mib: 64}}
      http: {{endpoint: "{http}"}}
exporters:
  nop: {{}}
  file: {{path: "{folder}/traces.pb", format: proto}}
  otlp_grpc/queued:
    endpoint: "{sink}"
    tls: {{insecure: true}}
    sending_queue: {{storage: file_storage, queue_size: 100000}}
extensions:
  file_storage: {{directory: "{folder}", fsync: true}}
service:
  extensions: [file_storage]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [{exporter}]}}}}
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another receiver and what it does with what it receives."""

    name: str
    does: str
    command: Callable[[Path, str, str], Sequence[str]]
    """From a folder and the addresses of gRPC and HTTP: how it is started."""

    def serving(self, folder: Path, _rules: Path | None = None) -> AbstractContextManager[Server]:
        """Run it on free ports."""
        return _running(self, folder)


@contextmanager
def _running(peer: Peer, folder: Path) -> Iterator[Server]:
    grpc, http = (f"127.0.0.1:{port}" for port in _free_ports(2))
    command = peer.command(folder, grpc, http)
    begun = time.perf_counter()
    with (folder / "peer.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            for address in (grpc, http):
                _await(address, process, folder / "peer.log")
            took = time.perf_counter() - begun
            with watched(Server(process, {"otlp-grpc": grpc, "otlp-http": http}, None, took)) as server:
                yield server
        finally:
            process.kill()
            process.wait()


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on just now; a peer cannot be handed a socket."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in taken]
    for listener in taken:
        listener.close()
    return ports


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


def _collector_command(exporter: str) -> Callable[[Path, str, str], Sequence[str]]:
    def command(folder: Path, grpc: str, http: str) -> Sequence[str]:
        config = folder / "collector.yaml"
        # Nobody listens at the sink: what is queued stays on disk, and forwarding costs nothing.
        (sink,) = _free_ports(1)
        text = _COLLECTOR.format(grpc=grpc, http=http, folder=folder, exporter=exporter, sink=f"127.0.0.1:{sink}")
        config.write_text(text)
        return [str(collector()), "--config", str(config)]

    return command


def _rotel_command(folder: Path, grpc: str, http: str) -> Sequence[str]:
    files = ["--pid-file", str(folder / "rotel.pid"), "--log-file", str(folder / "rotel.log")]
    listening = ["--otlp-grpc-endpoint", grpc, "--otlp-http-endpoint", http]
    return [str(rotel()), "start", "--exporter", "blackhole", *listening, *files]


PEERS: Final = {
    "otelcol": (
        Peer("otelcol/nop", "receives and drops", _collector_command("nop")),
        Peer("otelcol/file", "receives and writes a file, unflushed", _collector_command("file")),
        Peer("otelcol/queue", "receives into a queue on disk, flushed", _collector_command("otlp_grpc/queued")),
    ),
    "rotel": (Peer("rotel", "receives, batches and drops", _rotel_command),),
}
