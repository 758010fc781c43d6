"""What stories are told with: the real command line, real servers, and clients of them."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest import mock

import httpx
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace.export import SpanExporter

from scenarios import scorer
from spanverdict.cli import main

PROGRAM: Final = str(Path(sys.executable).with_name("spanverdict"))
SCORER: Final = (sys.executable, str(Path(__file__).with_name("scorer.py")))
PATIENCE_S: Final = 30.0

RULES: Final = """\
version: 1
flow: scoring
stages:
  - stage: ingest
    select: {service: gateway, kind: server}
  - stage: score
    select: {service: scorer, name: predict}
request: {starts_at: ingest, ends_at: ingest, key: span.request.id}
complete: {idle: 1s, at_most: 3s}
rules:
  - id: fast
    latency: request
    expect: {max: "< 200ms"}
    tags: [speed]
  - id: whole
    coverage: {stages: all}
    expect: {ratio: ">= 99%"}
    severity: critical
  - id: range
    output: {stage: score, value: span.score}
    expect: {every: "0..1"}
"""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """A shell's environment, without what this machine or its CI says."""
    foreign = ("OTEL_", "SPANVERDICT_", "GITHUB_", "BAGGAGE", "TRACEPARENT", "CI", "COLUMNS", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    compiled = str(Path(tempfile.gettempdir()) / "spanverdict-tests-bytecode")
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **kept, "NO_COLOR": "1", "PYTHONFAULTHANDLER": "1", "PYTHONPYCACHEPREFIX": compiled, **(more or {}),
    }  # fmt: skip


@dataclass(frozen=True)
class Told:
    """How a command ended and what it said."""

    returncode: int
    stdout: str
    stderr: str


def call(
    *arguments: str | Path, given: bytes = b"", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Told:
    """Run `spanverdict` to its end, as a process. No traceback is ever shown, whatever happens."""
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)],
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
        env=environment(env),
        cwd=cwd,
    )
    return _checked(Told(done.returncode, done.stdout.decode(), done.stderr.decode()))


def tell(
    *arguments: str | Path, given: bytes = b"", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Told:
    """Do the same in this process, which saves loading everything again; what it starts are processes still."""
    stdin = io.TextIOWrapper(io.BytesIO(given))
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, environment(env), clear=True))
        stack.enter_context(mock.patch.object(sys, "argv", ["spanverdict", *map(str, arguments)]))
        for name, stream in (("stdin", stdin), ("stdout", out), ("stderr", err)):
            stack.enter_context(mock.patch.object(sys, name, stream))
        if cwd is not None:
            stack.enter_context(contextlib.chdir(cwd))
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return _checked(Told(int(code or 0), texts[0], texts[1]))


def _checked(told: Told) -> Told:
    assert "Traceback" not in told.stdout + told.stderr, told.stderr
    return told


def run(rules: Path, *options: str | Path, command: tuple[str, ...] = SCORER, **settings: Any) -> Told:
    """Run `spanverdict run --rules RULES … -- command`."""
    return tell("run", "--rules", rules, *options, "--", *command, **settings)


def wait_until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Return what the condition gives once it is something."""
    end = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < end, f"no {what} within {patience_s:g} s"
        time.sleep(0.01)
    return found


def free_address() -> str:
    """An address of this machine that nobody listens on just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def read_all(terminal: int) -> str:
    """Return all that is written to a pseudo-terminal until nobody holds its other end."""
    shown = b""
    try:
        while data := os.read(terminal, 4096):
            shown += data
    except OSError:
        pass  # on Linux, the end of a terminal
    os.close(terminal)
    return shown.decode()


def ports() -> tuple[str, ...]:
    """The options that put every listener of `serve` on a free port."""
    return tuple(part for name in ("otlp-grpc", "otlp-http", "http") for part in (f"--{name}", "127.0.0.1:0"))


@dataclass(eq=False)
class Server:
    """A `spanverdict serve` that listens, and its API."""

    process: subprocess.Popen[bytes]
    addresses: dict[str, str]
    log: Path
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    @property
    def url(self) -> str:
        return f"http://{self.addresses['http']}"

    def get(self, path: str, **params: str) -> httpx.Response:
        return self._client.get(path, params=params)

    def declare(self, run: str, **more: Any) -> httpx.Response:
        return self._client.post("/api/v1/runs", json={"id": run, **more})

    def end(self, run: str) -> httpx.Response:
        return self._client.post(f"/api/v1/runs/{run}/end")

    def verdict(self, run: str, times: int = 1) -> dict[str, Any]:
        """Wait for the verdict on a run, half a minute so many times."""
        for _ in range(times):
            answer = self.get(f"/api/v1/runs/{run}", wait="30s")
            assert answer.status_code == 200, answer.text
            found = answer.json()
            if found["state"] in ("judged", "unjudged"):
                return dict(found)
        raise AssertionError(found)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in self.get("/metrics").text.splitlines() if line.startswith(f"spanverdict_{name}")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(part in line for part in wanted))

    def exporter(self, protocol: str) -> Callable[[], SpanExporter]:
        if protocol == "grpc":
            return lambda: GrpcExporter(endpoint=f"http://{self.addresses['otlp-grpc']}", insecure=True)
        return lambda: HttpExporter(endpoint=f"http://{self.addresses['otlp-http']}/v1/traces")

    def play(self, run: str | None, requests: int, *, protocol: str = "http", first: int = 0, **faults: int) -> None:
        """Let a gateway and a scorer send requests of a run; all are acknowledged when it returns."""
        tags = {"test.suite.run.id": run} if run else {}
        with scorer.services(self.exporter(protocol), first, **tags) as made:
            scorer.score(requests, made=made, **faults)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # faulthandler then writes where its threads are
            self.process.wait(PATIENCE_S)
            raise AssertionError(f"it does not end:\n{self.said()}") from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self._client.close()
        if self.process.poll() is None:
            self.kill()


def start(folder: Path, *options: str | Path, env: Mapping[str, str] | None = None) -> Server:
    """Start `spanverdict serve` with a store in a folder; it listens when this returns."""
    ready, log = folder / "ready", folder / "serve.log"
    ready.unlink(missing_ok=True)
    command = [PROGRAM, "serve", *ports(), "--store", str(folder / "store.sqlite"), "--ready-file", str(ready)]
    with log.open("ab") as written:
        process = subprocess.Popen([*command, *map(str, options)], stderr=written, env=environment(env))

    def listening() -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        return ready.exists()

    wait_until(listening, "ready file")
    lines = ready.read_text(encoding="utf-8").splitlines()
    return Server(process, dict(line.split(" ", 1) for line in lines), log)


@contextmanager
def serving(folder: Path, *options: str | Path, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Serve for as long as the block lasts."""
    server = start(folder, *options, env=env)
    try:
        yield server
    finally:
        server.close()
        assert "Traceback" not in server.said(), server.said()


EXPECTED: Final = Path(__file__).parent / "expected"
UPDATING: Final = bool(os.environ.get("UPDATE_EXPECTED")) and os.environ.get("CI") != "true"


def as_expected(name: str, text: str) -> None:
    """Compare with what is kept; `UPDATE_EXPECTED=1 pytest tests/scenarios` keeps it anew."""
    path = EXPECTED / name
    if UPDATING:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
