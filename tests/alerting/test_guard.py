"""Spellings and tricks by which a webhook might reach what it must not: none passes."""

from __future__ import annotations

import ipaddress
import socket

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.hookserver import HookServer, Message
from spanverdict.alerting.attempt import attempt
from spanverdict.alerting.config import ReceiverSettings
from spanverdict.alerting.guard import AddressRefused, allowed_addresses, refusal
from spanverdict.alerting.transport import GuardedTransport, guarded_client

LOOPBACK_SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.127.127.127",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "0177.0.0x0.1",
    "00000177.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "0",
    "0.0.0.0",
    "00.00.00.00",
    "0x0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "127。0。0。1",
    "127.0.0.1",
    "①②⑦.0.0.1",
    "loc𝐚lhost",  # noqa: RUF001 - and the mathematical letter
    "user@127.0.0.1",
    "ops.example@127.0.0.1",
    "ops.example%00@127.0.0.1",
    "%31%32%37.0.0.1",
    "127.0.0.1%2f.ops.example",
    "127.0.0.1#.ops.example",
    "127.0.0.1?.ops.example",
    "127.0.0.1\\.ops.example",
    "127.0.0.1\t",
    "x" * 64 + ".ops.example",
    ".".join(["x" * 60] * 10),
    "..",
]
OTHER_ADDRESSES = [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fec0::1]",
    "[fc00::1]",
    "[ff02::1]",
    "[100::1]",
    "[2001:db8::1]",
    "[5f00::1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "100.64.0.1",
    "168.63.129.16",
    "198.18.0.1",
    "192.0.0.192",
    "192.88.99.1",
    "203.0.113.7",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
]


@pytest.fixture(scope="module")
def server():
    """Listens where a bypass would arrive."""
    with HookServer() as running:
        yield running


@pytest.mark.parametrize("host", [*LOOPBACK_SPELLINGS, *OTHER_ADDRESSES])
def test_no_spelling_of_a_forbidden_address_is_connected_to(server: HookServer, host: str, monkeypatch) -> None:
    """Spellings go through the real client and the system's own resolver; no socket may be opened."""
    opened: list[object] = []
    monkeypatch.setattr("httpcore.SyncBackend.connect_tcp", lambda *args, **_: opened.append(args))
    settings = ReceiverSettings("ops", f"http://{host}:{server.port}/hook", timeout_seconds=3)
    with guarded_client(settings) as client:
        result = attempt(client, settings, Message(), 0.0, 3.0)
    assert not result.delivered
    assert result.error.startswith(("refused: ", "cannot reach it: "))
    assert (opened, server.hooks) == ([], [])


def test_sixty_and_more_are_tried() -> None:
    assert len({*LOOPBACK_SPELLINGS, *OTHER_ADDRESSES}) >= 60


def test_the_server_is_reached_where_private_addresses_are_allowed(server: HookServer) -> None:
    """So that the tests above cannot pass because nobody listens."""
    with HookServer() as other, guarded_client(ReceiverSettings("ops", other.url, allow_private=True)) as client:
        assert client.post(other.url, content=b"{}").status_code == 200
        assert other.hooks


@pytest.mark.parametrize(
    ("address", "private", "public"),
    [
        ("8.8.8.8", "", ""),
        ("2606:4700::1111", "", ""),
        ("::ffff:8.8.8.8", "", ""),
        ("64:ff9b::808:808", "", ""),
        ("172.32.0.1", "", ""),
        ("100.128.0.1", "", ""),
        ("127.0.0.1", "", "loopback"),
        ("::1", "", "loopback"),
        ("10.1.2.3", "", "private"),
        ("fd12::1", "", "private"),
        ("100.100.0.1", "", "shared by carriers"),
        ("169.254.169.254", "link-local", "link-local"),
        ("fe80::1", "link-local", "link-local"),
        ("0.0.0.0", "unspecified", "unspecified"),
        ("::", "unspecified", "unspecified"),
        ("224.0.0.1", "multicast", "multicast"),
        ("2002:7f00:1::", "kept for protocols", "kept for protocols"),
        ("255.255.255.255", "reserved", "reserved"),
        ("::127.0.0.1", "reserved", "reserved"),
    ],
)
def test_what_allow_private_opens_and_what_nothing_opens(address: str, private: str, public: str) -> None:
    parsed = ipaddress.ip_address(address)
    assert (refusal(parsed, allow_private=True), refusal(parsed, allow_private=False)) == (private, public)


@given(st.ip_addresses())
def test_nothing_that_the_standard_library_calls_special_passes(address) -> None:
    """Another reading of the same registries; ours may be stricter."""
    if not refusal(address, allow_private=False):
        plain = getattr(address, "ipv4_mapped", None) or address
        translated = isinstance(plain, ipaddress.IPv6Address) and plain in ipaddress.IPv6Network("64:ff9b::/96")
        assert translated or (plain.is_global and not plain.is_multicast and not plain.is_reserved)


def test_one_forbidden_address_among_several_refuses_the_host() -> None:
    with pytest.raises(AddressRefused, match=r"^ops\.example is at a private address; allow_private would permit it$"):
        allowed_addresses("ops.example", 443, lambda *_: ["8.8.8.8", "10.0.0.1"], allow_private=False)
    with pytest.raises(AddressRefused, match=r"^ops\.example is at a link-local address$"):
        allowed_addresses("ops.example", 443, lambda *_: ["169.254.169.254"], allow_private=False)
    with pytest.raises(AddressRefused, match="has no address"):
        allowed_addresses("ops.example", 443, lambda *_: [], allow_private=False)


def test_a_name_that_changes_its_address_between_check_and_use_gains_nothing(monkeypatch) -> None:
    """The name is looked up once, and the address that was checked is the one connected to."""
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    connected: list[str] = []

    def connect(_: object, address: str, *__: object, **___: object) -> None:
        connected.append(address)
        raise socket.timeout("stop here")  # noqa: UP041 - any error of a socket

    monkeypatch.setattr("httpcore.SyncBackend.connect_tcp", connect)
    transport = GuardedTransport(allow_private=False, resolve=lambda *_: next(answers))
    with httpx.Client(transport=transport, trust_env=False) as client, pytest.raises(httpx.TransportError):
        client.post("http://rebind.example/hook")
    assert connected == ["8.8.8.8"]


HOSTS = ("hooks.example", "*.chat.example", "8.8.4.4", "[2001:4860:4860::8844]", "bücher.example")
NOT_LISTED = [
    "evil.example",
    "hooks.example.evil.example",
    "evilhooks.example",
    "evil.hooks.example",
    "chat.example",
    "evilchat.example",
    "x.chat.example.evil.example",
    "hooks.example@evil.example",
    "hooks.example:80@evil.example",
    "hooks.example%40evil.example",
    "hooks.example%2eevil.example",
    "evil.example%23.hooks.example@evil.example",
    "evil.example#hooks.example",
    "evil.example?hooks.example",
    "evil.example\\hooks.example",
    "hooks。example.evil.example",
    "hooks.examp1e",
    "hооks.example",  # noqa: RUF001 - two Cyrillic letters
    "hooks.example..",
    "bucher.example",
    "8.8.8.8",
    "134743044",
    "0x08080404",
    "[::ffff:8.8.4.4]",
    "*",
]
LISTED = [
    "hooks.example",
    "HOOKS.Example",
    "hooks.example.",
    "hooks。example",
    "a.chat.example",
    "a.b.chat.example",
    "8.8.4.4",
    "[2001:4860:4860::8844]",
    "bücher.example",
    "xn--bcher-kva.example",
]


@pytest.mark.parametrize(
    ("host", "listed"), [*((host, False) for host in NOT_LISTED), *((host, True) for host in LISTED)]
)
def test_only_hosts_on_the_list_are_connected_to(host: str, listed: bool, monkeypatch) -> None:
    """Whatever the settings let pass: the client itself looks at the host that it would connect to."""
    connected: list[object] = []

    def connect(_: object, address: str, *__: object, **___: object) -> None:
        connected.append(address)
        raise socket.timeout("stop here")  # noqa: UP041 - any error of a socket

    monkeypatch.setattr("httpcore.SyncBackend.connect_tcp", connect)
    settings = ReceiverSettings("ops", f"http://{host}/hook", hosts=HOSTS, timeout_seconds=3)
    transport = GuardedTransport(allow_private=False, hosts=HOSTS, resolve=lambda *_: ["8.8.8.8"])
    with httpx.Client(transport=transport, trust_env=False) as client:
        result = attempt(client, settings, Message(), 0.0, 3.0)
    assert not result.delivered
    assert bool(connected) is listed, result.error


def test_proxies_of_the_environment_are_not_used(server: HookServer, monkeypatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.port}")
    with guarded_client(ReceiverSettings("ops", "http://10.0.0.1/")) as client, pytest.raises(AddressRefused):
        client.post("http://10.0.0.1/")
    assert server.hooks == []


def test_credentials_of_the_environment_are_not_sent(tmp_path, monkeypatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login canary password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with HookServer() as other, guarded_client(ReceiverSettings("ops", other.url, allow_private=True)) as client:
        client.post(other.url, content=b"{}")
        assert "authorization" not in other.hooks[0].headers
