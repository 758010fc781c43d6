"""Every route of the API over a real socket: what it answers, and what it does not put up with."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanverdict.app.apiconnections import connection_class
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.web import api
from spanverdict.web.api import application
from spanverdict.web.backend import Asked, Declaration, Document, Unavailable, UnknownFlow
from spanverdict.web.server import WebServer


@dataclass(eq=False)
class Fake:
    """A service that remembers what it was asked."""

    declared: list[Declaration] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    pages: list[tuple[int, str | None]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    by: list[list[str]] = field(default_factory=list)
    waits: list[tuple[str, float]] = field(default_factory=list)
    known: dict[str, Document] = field(default_factory=dict)
    problem: str | None = None
    go: threading.Event = field(default_factory=threading.Event)

    def declare(self, declaration: Declaration) -> Document:
        self._check()
        if "unknown" in declaration.flows:
            raise UnknownFlow("there is no flow 'unknown'; the flows are scoring")
        self.declared.append(declaration)
        return {"id": declaration.id}

    def end(self, run_id: str) -> Document | None:
        self._check()
        self.ended.append(run_id)
        return self.known.get(run_id)

    def run(self, run_id: str) -> Document | None:
        self._check()
        return self.known.get(run_id)

    def runs(self, limit: int, before: str | None, asked: Asked) -> Document:
        self._check()
        if before == "nonsense":
            raise ValueError("'nonsense' is not where a page of runs ended")
        self.asked.append(asked)
        self.pages.append((limit, before))
        return {"runs": [], "next": None}

    def flaky(self, asked: Asked, by: Sequence[str]) -> Document:
        self._check()
        self.asked.append(asked)
        self.by.append(list(by))
        return {"rules": []}

    def settled(self, run_id: str, timeout_s: float) -> bool:
        self.waits.append((run_id, timeout_s))
        return self.go.wait(min(timeout_s, 20))

    def ready(self) -> str | None:
        return self.problem

    def metrics(self) -> str:
        return "spanverdict_runs 1\n"

    def _check(self) -> None:
        if self.problem is not None:
            raise Unavailable(self.problem)


@contextmanager
def serving(backend: Fake, connections: type[asyncio.Protocol] | None = None) -> Iterator[tuple[str, int]]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    name = listener.getsockname()
    server = WebServer(application(backend), listener, connections)
    server.start()
    yield name
    backend.go.set()
    server.stop()


@pytest.fixture(scope="module")
def fake() -> Fake:
    return Fake()


@pytest.fixture(scope="module")
def address(fake: Fake) -> Iterator[tuple[str, int]]:
    with serving(fake) as name:
        yield name


@pytest.fixture
def backend(fake: Fake) -> Fake:
    """The service behind the server, as new."""
    vars(fake).update(vars(Fake()))
    return fake


@pytest.fixture
def client(address: tuple[str, int], backend: Fake) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{address[1]}", trust_env=False, timeout=20) as client:
        yield client


def test_a_run_is_declared_with_all_that_is_said_of_it(client: httpx.Client, backend: Fake) -> None:
    said = {
        "id": "gh-1/a",
        "expected_requests": 5,
        "labels": {"branch": "main"},
        "flows": ["scoring"],
        "traces": ["AB" * 16],
    }
    answer = client.post("/api/v1/runs", json=said)
    assert (answer.status_code, answer.json()) == (201, {"id": "gh-1/a"})
    assert backend.declared == [Declaration("gh-1/a", 5, {"branch": "main"}, ("scoring",), ("ab" * 16,))]
    assert client.post("/api/v1/runs", json={"id": "r"}).status_code == 201
    assert backend.declared[1] == Declaration("r")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "body: Invalid JSON"),
        (b"nonsense", "body: Invalid JSON"),
        (b"[]", "body: "),
        (b"{}", "id: Field required"),
        (b'{"id": 7}', "id: "),
        (b'{"id": ""}', "id: "),
        (b'{"id": "no spaces"}', "id: "),
        (b'{"id": "line\\n"}', "id: "),
        (b'{"id": "x", "id2": 1}', "id2: "),
        (b'{"id": "%s"}' % (b"x" * 129), "id: "),
        (b'{"id": "r", "expected_requests": 0}', "expected_requests: "),
        (b'{"id": "r", "expected_requests": -1}', "expected_requests: "),
        (b'{"id": "r", "expected_requests": "5"}', "expected_requests: "),
        (b'{"id": "r", "expected_requests": 1.5}', "expected_requests: "),
        (b'{"id": "r", "expected_requests": 1000000000000000000000000}', "expected_requests: "),
        (b'{"id": "r", "labels": {"branch": 1}}', "labels.branch: "),
        (b'{"id": "r", "labels": []}', "labels: "),
        (b'{"id": "r", "flows": "scoring"}', "flows: "),
        (b'{"id": "r", "flows": ["unknown"]}', "there is no flow 'unknown'"),
        (b'{"id": "r", "traces": ["xyz"]}', "traces: a trace id has 32 hexadecimal digits"),
        (b'{"id": "r", "traces": ["' + "٣".encode() * 32 + b'"]}', "traces: "),
        (b'{"id": "r", "labels": {"x": "\\ud800"}}', ""),
        (b'{"id": "\xff"}', "body: "),
        (b"[" * 100_000, "body: "),
    ],
)
def test_a_body_that_cannot_be_right_is_refused_and_told_why(
    client: httpx.Client, backend: Fake, body: bytes, words: str
) -> None:
    answer = client.post("/api/v1/runs", content=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert backend.declared == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "id": st.from_regex(r"\A[A-Za-z0-9._:/-]{1,128}\Z") | json_values,
        "expected_requests": st.integers() | json_values,
        "labels": st.dictionaries(st.text(), st.text()) | json_values,
        "flows": st.lists(st.text()) | json_values,
        "traces": st.lists(st.from_regex(r"\A[0-9a-fA-F]{32}\Z")) | json_values,
        "more": json_values,
    },
)


@pytest.mark.filterwarnings("ignore:.*function-scoped fixture.*")
def test_no_body_whatever_makes_it_fail(client: httpx.Client) -> None:
    @settings(max_examples=150, database=None)
    @given(bodies)
    def hold(body: dict[str, object]) -> None:
        answer = client.post("/api/v1/runs", content=json.dumps(body))
        assert answer.status_code in (201, 400), answer.text
        if answer.status_code == 400:
            assert answer.json()["error"]

    hold()


def test_a_body_that_is_too_long_is_refused(client: httpx.Client, backend: Fake) -> None:
    answer = client.post("/api/v1/runs", content=b'{"id": "r", "labels": {"x": "' + b"x" * api.MAX_BODY + b'"}}')
    assert (answer.status_code, answer.json()) == (413, {"error": f"the body is longer than {api.MAX_BODY} bytes"})
    assert backend.declared == []
    assert client.get("/healthz").status_code == 200


def test_a_body_that_never_ends_coming_is_given_up(
    address: tuple[str, int], backend: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "BODY_S", 0.2)
    with socket.create_connection(address, timeout=10) as slow:
        slow.sendall(b"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_run_and_its_end(client: httpx.Client, backend: Fake) -> None:
    backend.known = {"gh/1:a": {"id": "gh/1:a"}, "end": {"id": "end"}}
    for path in ("/api/v1/runs/gh/1:a", "/api/v1/runs/gh%2F1%3Aa"):
        assert client.get(path).json() == {"id": "gh/1:a"}
    assert client.post("/api/v1/runs/gh%2F1%3Aa/end").json() == {"id": "gh/1:a"}
    assert client.get("/api/v1/runs/end").json() == {"id": "end"}
    assert backend.ended == ["gh/1:a"]
    assert backend.waits == []


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/runs/x"), ("POST", "/api/v1/runs/x/end")])
def test_an_unknown_run_is_not_found(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no such run"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api/v2/runs", 404),
        ("DELETE", "/api/v1/runs", 405),
        ("PUT", "/api/v1/runs/x", 405),
        ("GET", "/api/v1/runs/x/end", 404),
        ("POST", "/healthz", 405),
        ("POST", "/metrics", 405),
    ],
)
def test_what_is_not_there_or_not_done_that_way(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize(("asked", "waited"), [("30s", 30.0), ("1500ms", 1.5), ("9h", api.MAX_WAIT_S)])
def test_an_answer_is_held_until_there_is_a_verdict(
    client: httpx.Client, backend: Fake, asked: str, waited: float
) -> None:
    backend.known = {"r": {"id": "r"}}
    backend.go.set()
    assert client.get("/api/v1/runs/r", params={"wait": asked}).json() == {"id": "r"}
    assert backend.waits == [("r", waited)]


@pytest.mark.parametrize("wait", ["30", "soon", "-1s", ""])
def test_a_wait_needs_a_unit(client: httpx.Client, wait: str) -> None:
    answer = client.get("/api/v1/runs/r", params={"wait": wait})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("wait: ")


def test_a_head_that_never_ends_coming_is_given_up() -> None:
    limits = ReceiverConfig(head_timeout_s=0.2)
    with serving(Fake(), connection_class(limits)) as (host, port), socket.create_connection((host, port)) as slow:
        slow.settimeout(10)
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert slow.recv(100) == b""
        assert httpx.get(f"http://{host}:{port}/healthz").status_code == 200


def wait_for(count: int, waits: list[tuple[str, float]]) -> None:
    end = time.monotonic() + 20
    while len(waits) < count:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_those_who_wait_do_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """More may not wait than there is room for; everything else goes on."""
    monkeypatch.setattr(api, "MAX_WAITING", 5)
    backend = Fake(known={"r": {"id": "r"}})
    with serving(backend) as (_, port), ThreadPoolExecutor(5) as clients:
        url = f"http://127.0.0.1:{port}"
        answers = [clients.submit(httpx.get, f"{url}/api/v1/runs/r?wait=20s", timeout=30) for _ in range(5)]
        wait_for(5, backend.waits)
        assert httpx.get(f"{url}/healthz").status_code == 200
        refused = httpx.get(f"{url}/api/v1/runs/r?wait=20s")
        assert (refused.status_code, refused.json()) == (503, {"error": "too many clients wait already"})
        assert refused.headers["retry-after"] == "1"
        assert not any(answer.done() for answer in answers)
        backend.go.set()
        assert [answer.result().status_code for answer in answers] == [200] * 5


def test_runs_are_asked_for_by_what_they_are(client: httpx.Client, backend: Fake) -> None:
    query = "flow=scoring&label=branch=main&label=note=a=b&outcome=failed&since=2026-03-02T09:00:00Z"
    assert client.get(f"/api/v1/runs?{query}").status_code == 200
    asked = Asked("scoring", {"branch": "main", "note": "a=b"}, "failed", 1_772_442_000 * 10**9)
    assert client.get(f"/api/v1/flaky?{query}&by=branch&by=environment").json() == {"rules": []}
    assert backend.asked == [asked, asked]
    assert backend.by == [["branch", "environment"]]
    client.get("/api/v1/runs?since=7d")
    since = backend.asked[-1].since_unix_nano
    assert since is not None
    assert abs(time.time_ns() - 7 * 86_400 * 10**9 - since) < 60 * 10**9


@pytest.mark.parametrize("query", ["label=branch", "label==x", "since=tomorrow", "since=", "since=99999-01-01"])
def test_what_cannot_be_asked_for_is_refused(client: httpx.Client, query: str) -> None:
    for path in ("runs", "flaky"):
        answer = client.get(f"/api/v1/{path}?{query}")
        assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_pages_are_asked_for_with_sense(client: httpx.Client, backend: Fake) -> None:
    assert client.get("/api/v1/runs").json() == {"runs": [], "next": None}
    client.get("/api/v1/runs", params={"limit": "500", "before": "123.r"})
    assert backend.pages == [(50, None), (500, "123.r")]
    for limit in ("0", "501", "-1", "x", "1e3", "9" * 99, "٣"):
        assert client.get("/api/v1/runs", params={"limit": limit}).status_code == 400
    answer = client.get("/api/v1/runs", params={"before": "nonsense"})
    assert (answer.status_code, "nonsense" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/v1/runs"), ("GET", "/api/v1/runs"), ("GET", "/api/v1/runs/r"), ("POST", "/api/v1/runs/r/end")],
)
def test_a_store_that_is_in_trouble_is_a_503_that_says_so(
    client: httpx.Client, backend: Fake, method: str, path: str
) -> None:
    backend.problem = "the disk is full"
    answer = client.request(method, path, json={"id": "r"} if method == "POST" else None)
    assert (answer.status_code, answer.json()) == (503, {"error": "the disk is full"})
    assert client.get("/healthz").status_code == 200
    assert (client.get("/readyz").status_code, client.get("/readyz").text) == (503, "the disk is full\n")
    backend.problem = None
    assert (client.get("/readyz").status_code, client.get("/readyz").text) == (200, "ready\n")


def test_metrics_have_the_type_that_prometheus_asks_for(client: httpx.Client) -> None:
    answer = client.get("/metrics")
    assert answer.text == "spanverdict_runs 1\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_costs_nobody_anything(
    address: tuple[str, int], client: httpx.Client, request_bytes: bytes
) -> None:
    with socket.create_connection(address, timeout=10) as rude:
        rude.sendall(request_bytes)
        head = rude.recv(100)
    assert head == b"" or head.split()[1].startswith(b"4")
    assert client.get("/healthz").status_code == 200


def test_stopping_lets_a_request_finish() -> None:
    backend = Fake(known={"r": {"id": "r"}})
    with ThreadPoolExecutor(1) as clients:
        with serving(backend) as (_, port):
            answer = clients.submit(httpx.get, f"http://127.0.0.1:{port}/api/v1/runs/r?wait=20s", timeout=30)
            wait_for(1, backend.waits)
        assert answer.result().status_code == 200
