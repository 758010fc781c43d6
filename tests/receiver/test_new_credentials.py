"""Tokens and certificates that are replaced while the receiver listens."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc
import httpx
import pytest
import trustme

from receiver.sinks import MemorySink, trace_request
from receiver.wires import Answer
from spanverdict.receiver.errors import BadConfiguration
from spanverdict.receiver.tls import TlsFiles, TlsIdentity


def issue(authority: trustme.CA, folder: Path) -> TlsFiles:
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(folder / "server.key")
    issued.cert_chain_pems[0].write_to_path(folder / "server.pem")
    return TlsFiles(folder / "server.pem", folder / "server.key")


def trusting(authority: trustme.CA, client: trustme.LeafCert | None = None):
    """Options of clients that trust an authority, by wire."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    key = client.private_key_pem.bytes() if client else None
    chain = client.cert_chain_pems[0].bytes() if client else None
    if client:
        client.configure_cert(context)
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), key, chain)
    return {"grpc": {"credentials": credentials}, "http-protobuf": {"verify": context}}


def works(connect, name, endpoints, options) -> bool:
    try:
        answer: Answer = connect(name, endpoints, **options[name]).export(trace_request())
    except httpx.TransportError:
        return False
    assert answer.ok or answer.code == "UNAVAILABLE"
    return answer.ok


def test_other_tokens_admit_from_the_next_request_on_also_on_open_connections(receive, connect, wire_name):
    receiver, endpoints = receive(MemorySink(), bearer_tokens=("old", "both"))
    wire = connect(wire_name, endpoints)
    assert wire.export(trace_request(), token="old").ok
    receiver.admit(("new", "both"))
    assert wire.export(trace_request(), token="old").code in ("UNAUTHENTICATED", 401)
    assert all(wire.export(trace_request(), token=token).ok for token in ("new", "both"))


@pytest.mark.parametrize("name", ["grpc", "http-protobuf"])
def test_new_connections_meet_the_new_certificate_and_open_ones_go_on(receive, connect, tmp_path, name):
    first, second = trustme.CA(), trustme.CA()
    files = issue(first, tmp_path)
    receiver, endpoints = receive(MemorySink(), tls_certificate=files.certificate, tls_key=files.key)
    before = connect(name, endpoints, **trusting(first)[name])
    assert before.export(trace_request()).ok
    receiver.show(TlsIdentity.load(issue(second, tmp_path)))
    assert before.export(trace_request()).ok
    assert works(connect, name, endpoints, trusting(second))
    assert not works(connect, name, endpoints, trusting(first))


@pytest.mark.parametrize("name", ["grpc", "http-protobuf"])
def test_clients_of_an_authority_that_was_replaced_stay_outside(receive, connect, tmp_path, name):
    server, first, second = trustme.CA(), trustme.CA(), trustme.CA()
    files = issue(server, tmp_path)
    authorities = tmp_path / "clients.pem"
    first.cert_pem.write_to_path(authorities)
    receiver, endpoints = receive(
        MemorySink(), tls_certificate=files.certificate, tls_key=files.key, tls_client_ca=authorities
    )
    one, other = (trusting(server, authority.issue_cert("client@example.org")) for authority in (first, second))
    assert (works(connect, name, endpoints, one), works(connect, name, endpoints, other)) == (True, False)
    second.cert_pem.write_to_path(authorities)
    receiver.show(TlsIdentity.load(TlsFiles(files.certificate, files.key, authorities)))
    assert (works(connect, name, endpoints, one), works(connect, name, endpoints, other)) == (False, True)
    assert not works(connect, name, endpoints, trusting(server))


def test_files_that_do_not_fit_each_other_are_refused_before_anything_changes(tmp_path):
    files = issue(trustme.CA(), tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    foreign = issue(trustme.CA(), other)
    with pytest.raises(BadConfiguration, match="cannot use the TLS files"):
        TlsIdentity.load(TlsFiles(files.certificate, foreign.key))
