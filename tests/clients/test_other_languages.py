"""The real SDKs of other languages, and the real Collector, send to a real server: every span arrives, whole."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients.toolchains import ASKED, CLIENTS, Client, made
from demo_runs import ROOT
from otelcollector import NotHere, collector
from scenarios.stories import Server, free_address, serving, wait_until

pytestmark = [pytest.mark.story, pytest.mark.timeout(1200 if ASKED else 120)]

REQUESTS = 250
"""Two spans each, so that the SDKs' batches of 100 spans do not come out even."""

RULES = """\
version: 1
flow: clients
stages:
  - stage: request
    select: '{ name = "request" && kind = server && resource.service.name = "gateway" && span.number >= 0 }'
  - stage: predict
    select: '{ name = "predict" && span.score = 0.5 && event:name = "features read" && event.age_s = 12 }'
rules:
  - id: every-request
    coverage: {stages: all}
    expect: {ratio: "== 100%"}
  - id: arrays
    count: '{ name = "predict" && span.names = "b" }'
    expect: {count: "== 250"}
  - id: links
    count: '{ name = "predict" && link:spanID != nil }'
    expect: {count: "== 250"}
  - id: parents
    count: '{ name = "request" } > { name = "predict" }'
    expect: {count: "== 250"}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("clients")
    (home / "clients.yaml").write_text(RULES, encoding="utf-8")
    with serving(home, "--rules", str(home / "clients.yaml")) as server:
        yield server


def ready(client: Client) -> tuple[str, ...]:
    try:
        return made(client)
    except NotHere as why:
        if ASKED:
            raise
        pytest.skip(str(why))


def send(command: tuple[str, ...], address: str, *arguments: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    whole = [*command, address, *arguments]
    done = subprocess.run(whole, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


def assert_whole(server: Server, run: str) -> None:
    found = server.verdict(run)
    outcomes = {rule["id"]: (rule["outcome"], rule["message"]) for rule in found["verdict"]["rules"]}
    assert {outcome for outcome, _ in outcomes.values()} == {"passed"}, outcomes
    assert (found["outcome"], found["verdict"]["run"]["spans"]) == ("passed", 2 * REQUESTS)


WAYS = [
    pytest.param(client, protocol, compression, id=f"{client.language}-{protocol}-{compression}")
    for client in CLIENTS
    for protocol in client.protocols
    for compression in ("plain", "gzip")
]


@pytest.mark.parametrize(("client", "protocol", "compression"), WAYS)
def test_every_span_of_another_languages_sdk_arrives_whole(
    server: Server, client: Client, protocol: str, compression: str
) -> None:
    run = f"{client.language}-{protocol}-{compression}"
    command = ready(client)
    assert server.declare(run, expected_requests=REQUESTS).status_code == 201
    address = server.addresses["otlp-grpc" if protocol == "grpc" else "otlp-http"]
    send(command, address, protocol, compression, str(REQUESTS), run)
    assert_whole(server, run)


EXPORTERS = {
    "otlp_grpc": 'otlp_grpc/spanverdict: {{endpoint: "{grpc}", compression: {compression}, tls: {{insecure: true}}}}',
    "otlp_http": 'otlp_http/spanverdict: {{endpoint: "http://{http}", compression: {compression}}}',
    "otlp_http-json": 'otlp_http/spanverdict: {{endpoint: "http://{http}", compression: {compression}, encoding: json}}',
}
CONFIG = """
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "{listen}"}}}}}}}}
exporters: {{{exporter}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [{name}/spanverdict]}}}}
"""


@contextmanager
def collecting(config: Path, folder: Path, address: str, **environ: str) -> Iterator[None]:
    """Run the Collector until the block ends; it then sends what it holds."""
    try:
        program = collector(build=ASKED)
    except NotHere as why:
        if ASKED:
            raise
        pytest.skip(str(why))
    log = folder / "collector.log"
    with log.open("wb") as written:
        command = [str(program), "--config", str(config)]
        process = subprocess.Popen(command, stdout=written, stderr=written, env={**os.environ, **environ})
        try:
            wait_until(lambda: process.poll() is not None or b"Everything is ready" in log.read_bytes(), "collector")
            assert process.poll() is None, log.read_text()
            yield
            process.terminate()
            assert process.wait(30) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


def through(server: Server, config: Path, folder: Path, listen: str, run: str, **environ: str) -> None:
    """Send a run with the Go client through a Collector."""
    command = ready(CLIENTS[0])
    assert server.declare(run, expected_requests=REQUESTS).status_code == 201
    with collecting(config, folder, listen, **environ):
        send(command, listen, "grpc", "plain", str(REQUESTS), run)
    assert_whole(server, run)


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("name", EXPORTERS)
def test_every_span_arrives_through_the_collectors_exporters(
    server: Server, tmp_path: Path, name: str, compression: str
) -> None:
    listen, addresses = free_address(), server.addresses
    exporter = EXPORTERS[name].format(grpc=addresses["otlp-grpc"], http=addresses["otlp-http"], compression=compression)
    config = tmp_path / "collector.yaml"
    config.write_text(CONFIG.format(listen=listen, exporter=exporter, name=name.partition("-")[0]), encoding="utf-8")
    through(server, config, tmp_path, listen, f"collector-{name}-{compression}")


def test_our_collector_file_tees_every_span_to_the_server(server: Server, tmp_path: Path) -> None:
    listen, other = free_address(), free_address()
    config = tmp_path / "otel-collector.yaml"
    shutil.copy(ROOT / "deploy" / "otel-collector.yaml", config)
    text = config.read_text(encoding="utf-8").replace("0.0.0.0:4317", listen).replace("0.0.0.0:4318", other)
    config.write_text(text, encoding="utf-8")
    quiet = {"SPANVERDICT_OTLP_GRPC": server.addresses["otlp-grpc"]}
    through(server, config, tmp_path, listen, "collector-tee", **quiet)
