"""Receivers that ask for TLS, a certificate or a token are judged as any other, once one is let in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from conformance.catalogue import ITEMS
from conformance.lab import OWN_LIMIT, OwnLab
from conformance.run import main
from receiver.sinks import MemorySink
from spanverdict.receiver.listen import Endpoints

TOKEN = "let-me-in-please"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guarded")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    authority.issue_cert("tests@example.org").private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    elsewhere = trustme.CA().issue_cert("receiver.example.org")
    elsewhere.private_key_and_cert_chain_pem.write_to_path(folder / "elsewhere.pem")
    return folder


@pytest.fixture
def guarded(folder: Path) -> Iterator[object]:
    with ExitStack() as stack:

        def start(server: str, **settings: object) -> Endpoints:
            pem = folder / server
            limits = {"max_message_bytes": OWN_LIMIT, "tls_certificate": pem, "tls_key": pem}
            return OwnLab().rigged(stack, MemorySink(), limits | settings)[1]

        yield start


def judged(endpoints: Endpoints, *options: object) -> int:
    asked = ("--target", endpoints.grpc, "--target-http", endpoints.http, "--limit", OWN_LIMIT, *options)
    return main([str(part) for part in asked])


def test_a_receiver_with_tls_client_certificates_and_tokens_is_judged_item_by_item(
    guarded, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    endpoints = guarded("server.pem", bearer_tokens=(TOKEN,), tls_client_ca=folder / "ca.pem")
    assert judged(endpoints, "--ca", folder / "ca.pem", "--cert", folder / "client.pem") == 0
    told = capsys.readouterr()
    assert " 0 fail (0 of a MUST)" in told.out
    assert int(told.out.rpartition("\n\n")[2].split()[0]) > 110, told.out
    assert TOKEN not in told.out + told.err


def test_a_certificate_that_nobody_knows_is_believed_when_told_to(
    guarded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("conformance.run.ITEMS", ITEMS[:6])
    endpoints = guarded("elsewhere.pem")
    assert judged(endpoints, "--insecure") == 0
    assert " 0 fail" in capsys.readouterr().out


def test_who_is_not_let_in_is_told_why_and_judges_nothing(
    guarded, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    endpoints = guarded("server.pem", bearer_tokens=(TOKEN,))
    authority = ("--ca", folder / "ca.pem")

    def told(*options: object) -> str:
        assert judged(endpoints, *options) == 2
        return capsys.readouterr().err

    assert "it asks for a token: TOKEN=" in told(*authority)
    monkeypatch.setenv("TOKEN", "another")
    assert "it refuses this token" in told(*authority)
    assert "cannot judge it" in told()
    assert "cannot judge it" in told("--ca", folder / "elsewhere.pem")
    assert "No such file" in told("--ca", folder / "nothing.pem")
