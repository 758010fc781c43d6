"""Who may send to `serve`, and who may ask it: tokens apart, TLS on every listener."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from scenarios import scorer
from scenarios.stories import PATIENCE_S, RULES, Server, call, serving

pytestmark = pytest.mark.story


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "scoring.yaml").write_text(RULES, encoding="utf-8")
    (folder / "senders").write_text("send-1\nsend-2\n", encoding="utf-8")
    (folder / "askers").write_text("ask-1\nask-2\n", encoding="utf-8")
    (folder / "wrong").write_text("send-1\n", encoding="utf-8")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(folder / "server.key")
    issued.cert_chain_pems[0].write_to_path(folder / "server.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("ci@example.org").private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    options = ("--token-file", home / "senders", "--api-token-file", home / "askers")
    with serving(home, "--rules", home / "scoring.yaml", *options) as server:
        yield server


def sent(server: Server, run: str, token: str | None) -> None:
    headers = {"authorization": f"Bearer {token}"} if token else {}

    def exporter() -> OTLPSpanExporter:
        return OTLPSpanExporter(endpoint=f"http://{server.addresses['otlp-http']}/v1/traces", headers=headers)

    with scorer.services(exporter, 0, **{"test.suite.run.id": run}) as made:
        scorer.score(2, made=made)


def api(server: Server, token: str | None, path: str = "/api/v1/runs") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.get(server.url + path, headers=headers, trust_env=False, timeout=20).status_code


def test_tokens_of_senders_and_of_askers_are_apart(server: Server) -> None:
    assert [api(server, token) for token in (None, "send-1", "ask-1", "ask-2")] == [401, 401, 200, 200]
    assert [api(server, None, path) for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 401]
    sent(server, "not-a-sender", "ask-1")
    sent(server, "a-sender", "send-2")
    headers = {"Authorization": "Bearer ask-1"}
    found = httpx.get(f"{server.url}/api/v1/runs/a-sender?wait=30s", headers=headers, timeout=60).json()
    assert found["outcome"] == "passed"
    assert api(server, "ask-1", "/api/v1/runs/not-a-sender") == 404


def test_check_shows_the_token_of_its_file_or_of_its_environment(server: Server, home: Path) -> None:
    sent(server, "checked", "send-1")
    asked = ("check", home / "scoring.yaml", "--run", "checked", "--server", server.url, "--wait", "30s")
    by_file = call(*asked, "--token-file", home / "askers")
    assert by_file.returncode == 0, by_file.stderr
    by_environment = call(*asked, env={"SPANVERDICT_API_TOKEN": "ask-2"})
    assert by_environment.returncode == 0, by_environment.stderr
    for refused in (call(*asked), call(*asked, "--token-file", home / "wrong")):
        assert refused.returncode == 2
        assert "asks for an API token: name its file with --token-file" in refused.stderr
        assert "send-1" not in refused.stderr + refused.stdout
    listed = call("runs", "list", "--server", server.url, "--token-file", home / "askers")
    assert "checked" in listed.stdout, listed.stderr


@pytest.mark.parametrize("text", [None, "", " \n"], ids=["missing", "empty", "blank"])
def test_a_token_file_without_a_token_is_said(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "tokens"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    told = call("runs", "list", "--server", "http://127.0.0.1:1", "--token-file", path)
    assert told.returncode == 2
    assert f"the token file {path}" in told.stderr


def test_a_public_api_needs_a_token_a_client_certificate_or_consent(home: Path) -> None:
    refused = call("serve", "--store", home / "p.sqlite", "--otlp-grpc", "127.0.0.1:0", "--http", "0.0.0.0:0")
    assert refused.returncode == 2
    assert (
        "refusing to listen on 0.0.0.0:0 without authentication: set api_token_file or api_client_ca" in refused.stderr
    )
    with serving(home, "--http", "0.0.0.0:0", "--api-token-file", home / "askers") as server:
        assert server.addresses["http"].startswith("0.0.0.0:")


def test_all_listeners_speak_tls_and_the_api_can_ask_for_certificates(home: Path, tmp_path: Path) -> None:
    config = tmp_path / "serve.yaml"
    names = {"tls_certificate": "server.pem", "tls_key": "server.key", "api_client_ca": "ca.pem"}
    config.write_text("".join(f"{name}: {home / file}\n" for name, file in names.items()), encoding="utf-8")
    with serving(tmp_path, "--config", config) as server:
        for name in ("otlp-grpc", "otlp-http", "http"):
            assert _shakes_hands(server.addresses[name], home / "ca.pem"), name
        asked = ("runs", "list", "--server", f"https://{server.addresses['http']}")
        env = {"SSL_CERT_FILE": str(home / "ca.pem")}
        assert call(*asked, "--client-certificate", home / "client.pem", env=env).returncode == 4, "there are no runs"
        stranger = call(*asked, env=env)
        assert stranger.returncode == 5
        assert "cannot be reached" in stranger.stderr


def _shakes_hands(address: str, authority: Path) -> bool:
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((host, int(port)), timeout=PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        return connection.version() is not None
