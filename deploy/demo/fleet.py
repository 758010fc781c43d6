"""The demo's processes: started, awaited, stopped in order, and never left behind."""

from __future__ import annotations

import select
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).parent
READY_SECONDS = 30.0
STOP_SECONDS = 20.0
SHARED = frozenset({"features", "ledger"})
"""Services that, as in a shared environment, were not started for this run and do not know its ID."""
GRPC_SERVICES = frozenset({"gateway", "ledger"})
"""These export over OTLP/gRPC, the others over OTLP/HTTP, where both are offered."""


class DemoError(Exception):
    """The demo itself could not do its work; the message is one line for people."""


class Fleet:
    """The running services. Leaving the context ends all of them, whatever happened."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._running.values():
            process.kill()
            _close(process)

    def start(self, service: str, *arguments: str) -> None:
        """Start a service; it is not ready yet."""
        self._running[service] = subprocess.Popen(
            [sys.executable, str(HERE / f"{service}.py"), *arguments],
            env=environment_of(service, self._environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ready(self, service: str) -> str:
        """Wait until a service is ready and return what it said: the base URL of one with HTTP, seen healthy."""
        word = _first_line(service, self._running[service])
        if word.startswith("http"):
            _check_health(service, word)
        return word

    def stop(self) -> None:
        """Ask all services to finish what they hold, and wait; a `DemoError` when one does not end well."""
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for service, process in self._running.items():
            _await_end(service, process, deadline)
            _close(process)
        self._running.clear()


def environment_of(service: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a service starts with: where it exports to, and what it knows of the run."""
    own = dict(environment)
    protocol, endpoint = (
        ("grpc", "SPANVERDICT_ENDPOINT_GRPC")
        if service in GRPC_SERVICES
        else ("http/protobuf", "SPANVERDICT_ENDPOINT_HTTP")
    )
    if endpoint in environment:
        own |= {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": environment[endpoint]}
    own["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
    own["NO_PROXY"] = own["no_proxy"] = ",".join(filter(None, [environment.get("NO_PROXY"), "127.0.0.1", "localhost"]))
    if service in SHARED:
        own["OTEL_RESOURCE_ATTRIBUTES"] = without_run(environment.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    return own


def without_run(resource_attributes: str) -> str:
    """Return OTEL_RESOURCE_ATTRIBUTES without what names the run.

    >>> without_run("test.suite.run.id=r1,deployment.environment.name=test")
    'deployment.environment.name=test'
    """
    kept = [pair for pair in resource_attributes.split(",") if not pair.strip().startswith(("test.", "cicd."))]
    return ",".join(kept)


def _first_line(service: str, process: subprocess.Popen[bytes]) -> str:
    if process.stdout is None:
        raise DemoError(f"service {service} has no standard output")
    readable, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
    if not readable:
        raise DemoError(f"service {service} was not ready within {READY_SECONDS:.0f} s")
    line = process.stdout.readline().decode().strip()
    if not line:
        raise DemoError(f"service {service} ended before it was ready (exit code {process.wait()})")
    return line


def _check_health(service: str, url: str) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/healthz", timeout=READY_SECONDS):
            pass
    except (urllib.error.URLError, TimeoutError) as error:
        raise DemoError(f"service {service} at {url} is not healthy: {error}") from error


def _await_end(service: str, process: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        code = process.wait(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"service {service} did not stop within {STOP_SECONDS:.0f} s") from error
    if code:
        raise DemoError(f"service {service} ended with exit code {code}")


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.wait()
