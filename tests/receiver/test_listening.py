"""Where the receiver listens, and where it refuses to."""

from __future__ import annotations

import socket
import threading

import pytest

from receiver.sinks import MemorySink, trace_request
from spanverdict.receiver.addresses import Address, parse_address
from spanverdict.receiver.config import ReceiverConfig, check_config
from spanverdict.receiver.errors import (
    AddressInUse,
    BadAddress,
    BadConfiguration,
    CannotListen,
    PublicWithoutAuthentication,
)
from spanverdict.receiver.listen import Receiver

FREE = {"grpc_address": "127.0.0.1:0", "http_address": "127.0.0.1:0"}


@pytest.mark.parametrize(
    ("text", "address", "written"),
    [
        ("127.0.0.1:4317", Address("127.0.0.1", 4317), "127.0.0.1:4317"),
        (":4317", Address("127.0.0.1", 4317), "127.0.0.1:4317"),
        (" localhost:0 ", Address("127.0.0.1", 0), "127.0.0.1:0"),
        ("[::1]:4318", Address("::1", 4318), "[::1]:4318"),
        ("0.0.0.0:65535", Address("0.0.0.0", 65535), "0.0.0.0:65535"),
        ("[::]:1", Address("::", 1), "[::]:1"),
    ],
)
def test_an_address_is_a_host_and_a_port(text, address, written):
    assert parse_address(text) == address
    assert str(address) == written


@pytest.mark.parametrize(
    "text", ["", "4317", "127.0.0.1", "::1:4317", "host:", "h:-1", "h:65536", "h:٣", "[::1]", "no such host:1"]
)
def test_what_is_no_address_says_so(text):
    with pytest.raises(BadAddress, match="is no address"):
        parse_address(text)


def test_a_client_reaches_a_wildcard_address_over_loopback():
    assert str(Address("0.0.0.0", 1).reachable) == "127.0.0.1:1"
    assert str(Address("::", 1).reachable) == "[::1]:1"
    assert str(Address("10.0.0.1", 1).reachable) == "10.0.0.1:1"


@pytest.mark.parametrize("wire_name", ["grpc", "http-protobuf"])
def test_ipv6_is_served(receive, connect, wire_name):
    _, endpoints = receive(MemorySink(), grpc_address="[::1]:0", http_address="[::1]:0")
    assert endpoints.grpc.port != endpoints.http.port != 0
    assert connect(wire_name, endpoints).export(trace_request()).ok


@pytest.mark.parametrize("listener", ["grpc_address", "http_address"])
def test_a_port_in_use_is_one_clear_line_and_leaves_nothing_open(listener):
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        with pytest.raises(AddressInUse) as refused:
            Receiver(ReceiverConfig(**FREE | {listener: address}), MemorySink()).start()
    assert str(refused.value) == f"cannot listen on {address}: the address is in use"
    assert refused.value.address == address
    assert threading.active_count() == before


def test_two_receivers_never_share_a_port(receive):
    _, endpoints = receive(MemorySink())
    for name, taken in (("grpc_address", endpoints.grpc), ("http_address", endpoints.http)):
        with pytest.raises(AddressInUse):
            Receiver(ReceiverConfig(**FREE | {name: str(taken)}), MemorySink()).start()


def test_an_address_that_is_not_ours_cannot_be_listened_on():
    config = ReceiverConfig(grpc_address="192.0.2.1:0", http_address=None, allow_public=True)
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1:0: cannot assign requested address"):
        Receiver(config, MemorySink()).start()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
@pytest.mark.parametrize("listener", ["grpc_address", "http_address"])
def test_listening_publicly_needs_authentication(listener, address):
    with pytest.raises(PublicWithoutAuthentication, match=r"refusing to listen on .* without authentication"):
        Receiver(ReceiverConfig(**FREE | {listener: address}), MemorySink()).start()


@pytest.mark.parametrize("settings", [{"bearer_tokens": ("secret",)}, {"allow_public": True}])
def test_listening_publicly_works_with_a_token_or_when_told_to(receive, settings):
    _, endpoints = receive(MemorySink(), grpc_address="0.0.0.0:0", http_address="0.0.0.0:0", **settings)
    assert endpoints.grpc.host == endpoints.http.host == "0.0.0.0"


@pytest.mark.parametrize(("off", "wire_name"), [("grpc", "http-protobuf"), ("http", "grpc")])
def test_either_listener_can_be_turned_off(receive, connect, off, wire_name):
    _, endpoints = receive(MemorySink(), **{f"{off}_address": None})
    assert getattr(endpoints, off) is None
    assert connect(wire_name, endpoints).export(trace_request()).ok


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_message_bytes": 0}, "max_message_bytes must be positive, not 0"),
        ({"in_flight_bytes": 5, "max_message_bytes": 6}, "in_flight_bytes must not be less"),
        ({"tls_certificate": "cert.pem"}, "TLS needs both"),
        ({"tls_client_ca": "ca.pem"}, "a client CA needs TLS"),
        ({"bearer_tokens": ("good", " ")}, "a bearer token is empty"),
        ({"tls_certificate": "no.pem", "tls_key": "no.key"}, "cannot read"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(tmp_path, settings, message):
    in_tmp_path = {k: tmp_path / v if k.startswith("tls") else v for k, v in settings.items()}
    with pytest.raises(BadConfiguration, match=message):
        Receiver(ReceiverConfig(**FREE | in_tmp_path), MemorySink()).start()


def test_all_mistakes_are_told_at_once():
    with pytest.raises(BadConfiguration, match=r"body_timeout_s.*; a bearer token is empty"):
        check_config(ReceiverConfig(body_timeout_s=-1, bearer_tokens=("",)))


def test_tls_files_that_are_no_pem_are_a_clear_error(tmp_path):
    certificate = tmp_path / "certificate.pem"
    certificate.write_text("not a certificate")
    config = ReceiverConfig(**FREE, tls_certificate=certificate, tls_key=certificate)
    with pytest.raises(BadConfiguration, match="cannot use the TLS files"):
        Receiver(config, MemorySink()).start()


def test_a_token_is_in_no_representation_of_the_settings():
    assert "canary" not in repr(ReceiverConfig(bearer_tokens=("canary",)))


def test_stopping_before_starting_and_stopping_twice_are_harmless(receive):
    Receiver(ReceiverConfig(**FREE), MemorySink()).stop()
    receiver, _ = receive(MemorySink())
    receiver.stop()
    receiver.stop()
