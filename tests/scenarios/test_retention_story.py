"""Retention in `serve`: the store stays within its bytes while spans come, and what went is never judged by the rest."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from receiver.sinks import trace_request
from scenarios.stories import RULES, Server, call, serving, wait_until
from spanverdict.storage.store import Store

pytestmark = pytest.mark.story

MIB = 1 << 20
LIMIT = 16 * MIB


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    (folder / "scoring.yaml").write_text(RULES, encoding="utf-8")
    (folder / "serve.yaml").write_text(
        f"rules: [{folder}/scoring.yaml]\nretention: {{age: 7d, bytes: 16MiB}}\n", encoding="utf-8"
    )
    return folder


def send(server: Server, name: str, size: int, run: str | None = None) -> int:
    """Send one span with a long name; return the status."""
    request = trace_request(name=name + random.Random(name).randbytes(size // 2).hex())
    if run is not None:
        tag = request.resource_spans[0].resource.attributes.add(key="test.suite.run.id")
        tag.value.string_value = run
    return httpx.post(
        f"http://{server.addresses['otlp-http']}/v1/traces",
        content=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
        trust_env=False,
        timeout=30,
    ).status_code


def test_the_store_stays_within_its_bytes_while_spans_come_as_fast_as_they_can(tmp_path: Path) -> None:
    (tmp_path / "serve.yaml").write_text("retention: {bytes: 16MiB}\n", encoding="utf-8")
    with serving(tmp_path, "--config", tmp_path / "serve.yaml") as server, ThreadPoolExecutor(4) as clients:
        sent = [clients.submit(send, server, f"s{number}", MIB // 2) for number in range(120)]
        most = 0
        with Store.read_only(tmp_path / "store.sqlite") as store:
            while not all(answer.done() for answer in sent):
                most = max(most, store.retention.used_bytes())
        codes = Counter(answer.result() for answer in sent)
        assert set(codes) == {200, 503}
        assert most <= LIMIT
        assert codes[200] * MIB // 2 > LIMIT // 2, "most of it is used"


def test_one_run_that_fills_the_store_is_held_and_more_refused_until_it_is_judged(tmp_path: Path) -> None:
    config = tmp_path / "serve.yaml"
    config.write_text("retention: {bytes: 16MiB}\n", encoding="utf-8")
    with serving(tmp_path, "--config", config) as server:
        server.declare("large", expected_requests=5)
        codes = Counter[int]()

        def is_full() -> bool:
            codes[send(server, f"s{codes.total()}", MIB, "large")] += 1
            return "the store is full" in server.get("/readyz").text

        wait_until(is_full, "word that the store is full")
        assert set(codes) == {200, 503}
        assert server.get("/readyz").status_code == 503
        assert server.metric("retention_deleted_total", kind="batches") == 0
        assert server.metric("requests_refused_total", reason="unavailable") > 0
        server.end("large")
        server.verdict("large")
        assert "the store is full" in server.said()


def test_what_was_deleted_makes_no_verdict(home: Path) -> None:
    with serving(home, "--config", home / "serve.yaml") as server:
        server.play("first", 2)
        assert server.verdict("first")["outcome"] == "passed"
        assert server.stop() == 0
    with Store.open(home / "store.sqlite") as store:
        store.journal.delete_before(store.journal.bounds().last + 1)
    again = call("check", home / "scoring.yaml", "--run", "first", "--store", home / "store.sqlite")
    assert again.returncode == 4
    assert "run first cannot be judged again: spans of it were deleted" in again.stderr
    with serving(home, "--config", home / "serve.yaml") as server:
        server.play("first", 1, first=5000, slow=1)
        wait_until(lambda: server.get("/api/v1/runs/first").json()["problem"], "word of what is missing")
        found = server.get("/api/v1/runs/first").json()
        assert (found["outcome"], found["revision"]) == ("passed", 1)
        assert "deleted by retention; its verdict stays as it was" in found["problem"]
        assert server.verdict("first")["revision"] == 1
