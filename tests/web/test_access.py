"""The API's guard over a real socket: who gets in, and that nothing is read of those who do not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from spanverdict.receiver.auth import BearerTokens
from spanverdict.web.access import Guard
from spanverdict.web.server import WebServer


async def _answer(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())} bytes")


@pytest.fixture(scope="module")
def tokens() -> BearerTokens:
    return BearerTokens(["first", "second"])


@pytest.fixture(scope="module")
def address(tokens: BearerTokens) -> Iterator[tuple[str, int]]:
    paths = ("/healthz", "/readyz", "/metrics", "/api/v1/runs")
    inner = Starlette(routes=[Route(path, _answer, methods=["GET", "POST"]) for path in paths])
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = WebServer(Guard(inner, tokens.admits), listener)
    name = listener.getsockname()
    server.start()
    yield name
    server.stop()


@pytest.fixture
def client(address: tuple[str, int]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{address[1]}", trust_env=False, timeout=20) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/metrics", "/api/v1/runs", "/nowhere", "//healthz", "/healthz/", "/api/%2e%2e/healthz"]
)
@pytest.mark.parametrize("header", [None, "Bearer", "Bearer firs", "Bearer first2", "Basic first", "first"])
def test_without_a_token_nothing_is_found_and_nothing_told(client: httpx.Client, path: str, header: str | None) -> None:
    answer = client.get(path, headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer.json()) == (401, {"error": "a valid API token is required"})
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("token", ["first", "second"])
def test_any_of_the_tokens_opens_all(client: httpx.Client, token: str) -> None:
    assert client.post("/api/v1/runs", content=b"abc", headers={"Authorization": f"Bearer {token}"}).text == "3 bytes"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_need_no_token(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


def test_a_refusal_comes_before_one_byte_of_the_body(address: tuple[str, int]) -> None:
    head = b"POST /api/v1/runs HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(head)
        assert client.makefile("rb").readline() == b"HTTP/1.1 401 Unauthorized\r\n"


def test_tokens_that_are_replaced_open_nothing_any_more(client: httpx.Client, tokens: BearerTokens) -> None:
    tokens.replace(["third"])
    try:
        codes = [
            client.get("/metrics", headers={"Authorization": f"Bearer {t}"}).status_code for t in ("first", "third")
        ]
    finally:
        tokens.replace(["first", "second"])
    assert codes == [401, 200]
