"""The wire: names kept, certificates checked, and an end to every exchange."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import httpcore
import httpx
import pytest

from alerting.hookserver import HookServer, Message, answer, drip, flood
from spanverdict.alerting.attempt import attempt, judge
from spanverdict.alerting.config import ReceiverSettings
from spanverdict.alerting.transport import Deadline, GuardedTransport, guarded_client

NAME = "hooks.example"


def client_for(tls: ssl.SSLContext | None = None) -> httpx.Client:
    transport = GuardedTransport(allow_private=True, resolve=lambda *_: ["127.0.0.1"], tls=tls)
    return httpx.Client(transport=transport, trust_env=False, timeout=5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", f"/CN={NAME}"]
    command += ["-addext", f"subjectAltName=DNS:{NAME}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def test_tls_and_host_keep_the_name_while_the_address_is_pinned(certificate: Path) -> None:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    names: list[str | None] = []
    server_side.sni_callback = lambda _, name, __: names.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    with HookServer(tls=server_side) as server:
        with client_for(trusting) as client:
            assert client.post(f"https://{NAME}:{server.port}/hook", content=b"{}").status_code == 200
        assert names == [NAME]
        assert server.hooks[0].headers["host"] == f"{NAME}:{server.port}"
        with client_for(trusting) as client, pytest.raises(httpx.TransportError, match="Hostname mismatch"):
            client.post(f"https://other.example:{server.port}/hook")
        with client_for() as client, pytest.raises(httpx.TransportError, match="CERTIFICATE_VERIFY_FAILED"):
            client.post(f"https://{NAME}:{server.port}/hook")
        assert len(server.hooks) == 1


def test_the_next_address_is_tried_when_the_first_does_not_answer() -> None:
    with HookServer() as server:
        transport = GuardedTransport(allow_private=True, resolve=lambda *_: ["127.99.99.99", "127.0.0.1"])
        with httpx.Client(transport=transport, trust_env=False) as client:
            assert client.post(f"http://{NAME}:{server.port}/hook").status_code == 200


def send(server: HookServer, timeout: float = 5.0):
    settings = ReceiverSettings("ops", server.url, allow_private=True)
    with guarded_client(settings) as client:
        began = time.monotonic()
        return attempt(client, settings, Message(), time.time(), timeout), time.monotonic() - began


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b""], ids=["in a header", "in the status line"])
def test_an_answer_that_drips_does_not_last_beyond_the_time(head: bytes) -> None:
    """Each byte comes well within the time-out, all of them would take 100 s."""
    with HookServer(drip(0.02, 200, head)) as server:
        result, seconds = send(server, timeout=0.4)
    assert (result.delivered, result.error) == (False, "no answer within 0.4 s")
    assert 0.3 < seconds < 2


def test_a_body_that_drips_is_cut_and_the_status_counts() -> None:
    with HookServer(drip(0.02, 200, b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n")) as server:
        result, seconds = send(server, timeout=0.4)
    assert result.delivered
    assert seconds < 2


def test_a_huge_answer_is_not_read() -> None:
    megabytes: list[int] = []
    with HookServer(flood(300, megabytes)) as server:
        result, _ = send(server)
    assert result.delivered
    assert len(megabytes) < 50, "more than the buffers of the system was taken"


def test_a_receiver_that_does_not_listen_is_a_failed_attempt() -> None:
    with HookServer() as server:
        pass
    result, _ = send(server)
    assert (result.delivered, result.final) == (False, False)
    assert "Connection refused" in result.error
    assert "canary" not in result.error


@pytest.mark.parametrize(
    "bytes_sent", [b"", b"HTTP/1.1 2", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n"]
)
def test_an_answer_that_is_not_http_is_a_failed_attempt(bytes_sent: bytes) -> None:
    def nonsense(handler) -> None:
        handler.wfile.write(bytes_sent)
        handler.close_connection = True

    with HookServer(nonsense) as server:
        result, _ = send(server)
    assert (result.delivered, result.final) == (False, False)
    assert result.error.startswith("cannot reach it: ")


def test_a_name_that_is_not_looked_up_in_time_ends_the_attempt() -> None:
    """The system's resolver knows no time-out."""
    asked, release = threading.Event(), threading.Event()

    def hang(*_: object) -> list[str]:
        asked.set()
        release.wait(30)
        return ["127.0.0.1"]

    with HookServer() as server:
        settings = ReceiverSettings("ops", f"http://{NAME}:{server.port}/hook")
        transport = GuardedTransport(allow_private=True, resolve=hang)
        with httpx.Client(transport=transport, trust_env=False) as client:
            began = time.monotonic()
            result = attempt(client, settings, Message(), time.time(), 0.2)
        assert time.monotonic() - began < 5
        release.set()
        assert (asked.is_set(), server.hooks) == (True, [])
    assert (result.delivered, result.final, result.error) == (False, False, "no answer within 0.2 s")


def test_a_name_that_does_not_exist_is_a_failed_attempt() -> None:
    def unknown(*_: object) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    settings = ReceiverSettings("ops", f"http://{NAME}/hook")
    transport = GuardedTransport(allow_private=True, resolve=unknown)
    with httpx.Client(transport=transport, trust_env=False) as client:
        result = attempt(client, settings, Message(), time.time(), 5)
    assert result.error.startswith("cannot reach it: ")
    assert "Name or service not known" in result.error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_not_followed(status: int) -> None:
    with HookServer() as server:
        server.script = [answer(status, Location=f"http://127.0.0.1:{server.port}/stolen")]
        result, _ = send(server)
        assert (result.delivered, result.error) == (False, f"answered {status}")
        assert [hook.path for hook in server.hooks] == ["/hook?token=canary-in-url"]


@pytest.mark.parametrize(
    ("status", "retry_after", "delivered", "final", "wait"),
    [
        (200, "", True, False, 0),
        (299, "5", True, False, 0),
        (410, "5", False, True, 0),
        (400, "5", False, False, 0),
        (404, "", False, False, 0),
        (500, "5", False, False, 0),
        (429, "7", False, False, 7),
        (502, "7", False, False, 7),
        (503, " 7 ", False, False, 7),
        (504, "7", False, False, 7),
        (503, "Fri, 01 Jan 2100 00:00:30 GMT", False, False, 30),
        (503, "Fri, 31 Dec 2099 00:00:00 GMT", False, False, 0),
        (503, "999999999", False, False, 36_000),
        (503, "9" * 400, False, False, 0),
        (503, "-5", False, False, 0),
        (503, "soon", False, False, 0),
        (503, "٣", False, False, 0),
    ],
)
def test_what_an_answer_means(status: int, retry_after: str, delivered: bool, final: bool, wait: float) -> None:
    result = judge(status, retry_after, now_seconds=4_102_444_800.0)
    assert (result.delivered, result.final, result.retry_after_seconds) == (delivered, final, wait)


def test_a_deadline_shortens_every_wait_and_then_ends_it() -> None:
    now = [0.0]
    deadline = Deadline(10, clock=lambda: now[0])
    assert (deadline.within(3), deadline.within(None)) == (3, 10)
    now[0] = 8
    assert deadline.within(3) == 2
    now[0] = 10
    with pytest.raises(httpcore.ReadTimeout):
        deadline.within(3)
    assert Deadline(None).within(3) == 3
