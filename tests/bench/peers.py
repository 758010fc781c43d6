"""Other receivers of OTLP that the same load can be sent to: the OpenTelemetry Collector and Rotel.

The Collector is looked for on PATH (`otelcol`, `otelcol-contrib`) or in `OTELCOL`, else built where Go is on the
machine; Rotel comes from PyPI into an environment of its own. What is made is kept in the user's cache folder.
"""

from __future__ import annotations

import os
import shutil
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

COLLECTOR_VERSION: Final = "v0.161.0"
PROVIDER_VERSION: Final = "v1.67.0"
"""The newest modules that all belong together when this was written."""
ROTEL: Final = "rotel"
START_S: Final = 20.0

_BUILDER: Final = "go.opentelemetry.io/collector/cmd/builder"
_CORE: Final = "go.opentelemetry.io/collector"
_CONTRIB: Final = "github.com/open-telemetry/opentelemetry-collector-contrib"
_MODULES: Final = {
    "receivers": [f"{_CORE}/receiver/otlpreceiver"],
    "exporters": [
        f"{_CORE}/exporter/nopexporter",
        f"{_CORE}/exporter/otlpexporter",
        f"{_CONTRIB}/exporter/fileexporter",
    ],
    "extensions": [f"{_CONTRIB}/extension/storage/filestorage"],
}
_PROVIDERS: Final = tuple(f"{_CORE}/confmap/provider/{name}provider" for name in ("env", "file", "yaml"))

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


class NotHere(Exception):  # noqa: N818 - not an error of this program
    """A peer is not on this machine and cannot be made; says why."""


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


def cache() -> Path:
    """Return the folder where built peers are kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "spanverdict-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def collector() -> Path:
    """Return the Collector's program: given, found, or built with Go.

    Raises:
        NotHere: there is neither the program nor Go, or it cannot be built.
    """
    named = [os.environ.get("OTELCOL", ""), "otelcol", "otelcol-contrib"]
    found = next((program for name in named if name and (program := shutil.which(name))), None)
    built = cache() / f"otelcol-{COLLECTOR_VERSION}" / "otelcol"
    if found is None and not built.exists():
        _build_collector(built)
    return Path(found) if found else built


def _build_collector(program: Path) -> None:
    if shutil.which("go") is None:
        raise NotHere("no otelcol on PATH, and no Go to build one")
    folder = program.parent
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "builder.yaml"
    recipe.write_text(_recipe(folder))
    print(f"building the Collector {COLLECTOR_VERSION} in {folder}", file=sys.stderr, flush=True)
    environ = {**os.environ, "GOBIN": str(folder)}
    install = ["go", "install", f"{_BUILDER}@{COLLECTOR_VERSION}"]
    for command in (install, [str(folder / "builder"), "--config", str(recipe)]):
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotHere(f"the Collector cannot be built:\n{done.stderr[-2000:]}")


def _recipe(folder: Path) -> str:
    lines = [f"dist: {{name: otelcol, output_path: {folder}}}"]
    for group, modules in _MODULES.items():
        lines += [f"{group}:", *(f"  - gomod: {module} {COLLECTOR_VERSION}" for module in modules)]
    lines += ["providers:", *(f"  - gomod: {module} {PROVIDER_VERSION}" for module in _PROVIDERS)]
    return "\n".join(lines) + "\n"


def rotel() -> Path:
    """Return Rotel's program, from PyPI.

    Raises:
        NotHere: it cannot be installed here.
    """
    home = cache() / ROTEL
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
