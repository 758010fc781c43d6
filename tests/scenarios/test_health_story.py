"""`healthcheck`, as containers run it: it finds the server by what that wrote or is told, with TLS and without."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trustme

from scenarios.stories import call, serving, tell

pytestmark = pytest.mark.story


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    authority = trustme.CA()
    issued = authority.issue_cert("spanverdict.example")
    issued.private_key_pem.write_to_path(folder / "server.key")
    issued.cert_chain_pems[0].write_to_path(folder / "server.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("probe@example.org").private_key_and_cert_chain_pem.write_to_path(folder / "probe.pem")
    trustme.CA().issue_cert("x@example.org").private_key_and_cert_chain_pem.write_to_path(folder / "stranger.pem")
    return folder


def test_a_server_is_found_by_its_ready_file_by_the_environment_and_by_an_option(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        ready = str(tmp_path / "ready")
        address = server.addresses["http"]
        by_environment = call("healthcheck", env={"SPANVERDICT_READY_FILE": ready})
        assert (by_environment.returncode, by_environment.stdout) == (0, "ok\n"), by_environment.stderr
        assert tell("healthcheck", "--ready", "--ready-file", ready).stdout == "ready\n"
        assert tell("healthcheck", "--http", address).returncode == 0
        assert tell("healthcheck", env={"SPANVERDICT_HTTP": address}).returncode == 0
    gone = tell("healthcheck", "--http", address)
    assert gone.returncode == 1
    assert gone.stderr.startswith(f"spanverdict: {address}/healthz: ")
    assert len(gone.stderr.splitlines()) == 1


def test_tls_is_spoken_where_the_server_does_whoever_its_certificate_names(tmp_path: Path, keys: Path) -> None:
    options = f"tls_certificate: {keys / 'server.pem'}\ntls_key: {keys / 'server.key'}\n"
    config = tmp_path / "serve.yaml"
    config.write_text(options, encoding="utf-8")
    with serving(tmp_path, "--config", config) as server:
        address = server.addresses["http"]
        assert tell("healthcheck", "--ready-file", tmp_path / "ready").returncode == 0
        assert tell("healthcheck", "--config", config, "--http", address).returncode == 0
        assert tell("healthcheck", "--http", address).returncode == 1, "nothing says that it speaks TLS"


def test_where_the_api_asks_for_a_certificate_one_is_shown(tmp_path: Path, keys: Path) -> None:
    names = {"tls_certificate": "server.pem", "tls_key": "server.key", "api_client_ca": "ca.pem"}
    config = tmp_path / "serve.yaml"
    config.write_text("".join(f"{name}: {keys / file}\n" for name, file in names.items()), encoding="utf-8")
    with serving(tmp_path, "--config", config):
        asked = ("healthcheck", "--ready-file", tmp_path / "ready")
        assert tell(*asked, "--config", config).returncode == 0, "the server's own will do"
        assert tell(*asked, "--client-certificate", keys / "probe.pem").returncode == 0
        for refused in (tell(*asked), tell(*asked, "--client-certificate", keys / "stranger.pem")):
            assert refused.returncode == 1
            assert "/healthz: " in refused.stderr


def test_a_server_that_never_answers_is_not_waited_for_long() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        done = tell("healthcheck", "--http", address, "--timeout", "100ms")
    assert (done.returncode, done.stderr) == (1, f"spanverdict: {address}/healthz: timed out\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--config", "/nowhere.yaml"), "cannot read the configuration /nowhere.yaml"),
        (("--http", "8080"), "'8080' is no address"),
        (("--http", "127.0.0.1:1", "--ready-file", "/nowhere"), "127.0.0.1:1/healthz: "),
    ],
)
def test_trouble_of_any_kind_is_exit_code_1_since_docker_reserves_2(options: tuple[str, ...], words: str) -> None:
    done = tell("healthcheck", *options)
    assert done.returncode == 1
    assert words in done.stderr
