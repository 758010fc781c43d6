"""Who may send: tokens, TLS and client certificates, judged before the body is read."""

from __future__ import annotations

import socket
import ssl
import threading

import grpc
import httpx
import pytest
import trustme
from google.rpc.status_pb2 import Status

from receiver.sinks import MemorySink, trace_request
from receiver.wires import JSON, PROTOBUF
from spanverdict.receiver import auth
from spanverdict.receiver.auth import BearerTokens
from spanverdict.receiver.errors import Unauthenticated

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
WRONG_TOKENS = [None, "wrong", "secre", "secret2", "", "secret;"]


def refused(answer):
    return answer.code in ("UNAUTHENTICATED", 401)


@pytest.fixture
def guarded(receive):
    sink = MemorySink()
    return sink, *receive(sink, bearer_tokens=("secret", "next"))


@pytest.mark.parametrize("token", ["secret", "next"])
def test_any_of_several_tokens_admits(guarded, connect, wire_name, token):
    assert connect(wire_name, guarded[2]).export(trace_request(), token=token).ok


def test_a_wrong_or_missing_token_is_refused_and_counted(guarded, connect, wire_name):
    sink, receiver, endpoints = guarded
    wire = connect(wire_name, endpoints)
    assert all(refused(wire.export(trace_request(), token=token)) for token in WRONG_TOKENS)
    assert sink.payloads == []
    counts = receiver.counters.snapshot()
    assert [reasons["unauthenticated"] for reasons in counts["refused"].values()] == [len(WRONG_TOKENS)]
    assert counts["requests"] == {}  # not one body was read


@pytest.mark.parametrize("header", [b"secret", b"Basic secret", b"Bearer", b"Bearer secret secret", b"", None])
def test_only_the_bearer_scheme_with_the_whole_token_counts(header):
    with pytest.raises(Unauthenticated):
        BearerTokens(["secret"]).check(header)


@pytest.mark.parametrize("token", ["first", "last", "nothing", ""])
def test_whatever_is_shown_is_compared_with_every_token_as_digests_of_one_length(monkeypatch, token):
    """So the time it takes tells nothing of how close it came."""
    compared = []
    monkeypatch.setattr(auth.hmac, "compare_digest", lambda one, other: compared.append((one, other)) or one == other)
    BearerTokens(["first", "middle", "last"]).admits(f"Bearer {token}".encode())
    assert len(compared) == 3
    assert {len(part) for pair in compared for part in pair} == {32}
    assert not any(text.encode() in part for text in ("first", "last") for pair in compared for part in pair)


def test_the_scheme_is_case_insensitive_and_without_tokens_everybody_may_send():
    BearerTokens(["secret"]).check(b"bEARER secret")
    BearerTokens([]).check(None)


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_the_other_signals_are_guarded_too(guarded, connect, wire_name, signal):
    assert refused(connect(wire_name, guarded[2]).send(b"", signal=signal))


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_over_http_the_refusal_comes_before_one_byte_of_the_body(guarded, content_type):
    address = guarded[2].http
    head = f"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((address.host, address.port), timeout=10) as client:
        client.sendall(head.encode())
        answer = client.makefile("rb")
        assert answer.readline() == b"HTTP/1.1 401 Unauthorized\r\n"
        headers = dict(line.rstrip().split(b": ", 1) for line in iter(answer.readline, b"\r\n"))
        assert headers[b"www-authenticate"].startswith(b"Bearer")
        body = answer.read(int(headers[b"content-length"]))
        assert b"token" in (body if content_type == JSON else Status.FromString(body).message.encode())


def test_over_grpc_the_refusal_comes_before_the_message(guarded):
    never = threading.Event()

    def messages():
        never.wait(10)
        yield b""

    with grpc.insecure_channel(str(guarded[2].grpc)) as channel:
        call = channel.stream_unary(EXPORT).future(messages(), timeout=5)
        assert call.code() is grpc.StatusCode.UNAUTHENTICATED
        assert not never.is_set()
        never.set()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return {"tls_certificate": folder / "server.pem", "tls_key": folder / "server.key"}, folder / "ca.pem"


def clients(authority, certificate=None):
    """Options of a gRPC and an HTTP client that trust the authority and show a certificate."""
    key = certificate.private_key_pem.bytes() if certificate else None
    chain = certificate.cert_chain_pems[0].bytes() if certificate else None
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if certificate:
        certificate.configure_cert(context)
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), key, chain)
    return {
        "grpc": {"credentials": credentials},
        "http-protobuf": {"verify": context},
        "http-json": {"verify": context},
    }


def test_tls_is_served_on_both_listeners(receive, connect, authority, tls, wire_name):
    _, endpoints = receive(MemorySink(), **tls[0])
    assert connect(wire_name, endpoints, **clients(authority)[wire_name]).export(trace_request(), zipped=True).ok


def test_a_plain_client_gets_nowhere_with_tls(receive, connect, tls):
    sink = MemorySink()
    _, endpoints = receive(sink, **tls[0])
    assert connect("grpc", endpoints).export(trace_request()).code == "UNAVAILABLE"
    with pytest.raises(httpx.TransportError):
        connect("http-protobuf", endpoints).export(trace_request())
    assert sink.payloads == []


def test_mutual_tls_admits_the_authoritys_clients(receive, connect, authority, tls, wire_name):
    _, endpoints = receive(MemorySink(), **tls[0], tls_client_ca=tls[1])
    options = clients(authority, authority.issue_cert("client@example.org"))[wire_name]
    assert connect(wire_name, endpoints, **options).export(trace_request()).ok


@pytest.mark.parametrize("foreign", [False, True], ids=["no certificate", "another authority's"])
def test_mutual_tls_refuses_everybody_else(receive, connect, authority, tls, foreign):
    sink = MemorySink()
    _, endpoints = receive(sink, **tls[0], tls_client_ca=tls[1])
    options = clients(authority, trustme.CA().issue_cert("client@example.org") if foreign else None)
    assert connect("grpc", endpoints, **options["grpc"]).export(trace_request()).code == "UNAVAILABLE"
    with pytest.raises(httpx.TransportError):
        connect("http-protobuf", endpoints, **options["http-protobuf"]).export(trace_request())
    assert sink.payloads == []
