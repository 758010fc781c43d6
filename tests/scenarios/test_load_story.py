"""Under load `serve` decodes in a process of its own: whatever becomes of that process, the ledger is exact."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from bench.ledger import stored_span_ids
from bench.load import Load
from scenarios.stories import Server, serving, wait_until

pytestmark = pytest.mark.story

SPANS = 512
HEADERS = {"Content-Type": "application/x-protobuf"}


@dataclass(eq=False)
class Clients:
    """Send different requests until told to stop, or the server is gone, and remember which were acknowledged."""

    url: str
    load: Load = field(default_factory=lambda: Load.build(SPANS, 6, 1, run_id="load"))
    acknowledged: list[int] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going(self) -> Iterator[None]:
        with ThreadPoolExecutor(6) as clients:
            for _ in range(6):
                clients.submit(self._send_all)
            try:
                yield
            finally:
                self._stopping.set()

    def _send_all(self) -> None:
        with httpx.Client(timeout=30, trust_env=False) as client, suppress(httpx.TransportError):
            while not self._stopping.is_set():
                number = next(self._numbers)
                payload = self.load.payload(number)
                if client.post(self.url, content=payload, headers=HEADERS).status_code == 200:
                    self.acknowledged.append(number)

    def wait_for_more(self, requests: int) -> None:
        wanted = len(self.acknowledged) + requests
        wait_until(lambda: len(self.acknowledged) >= wanted, "acknowledgements")

    def span_ids(self) -> list[int]:
        return sorted(n for number in self.acknowledged for n in self.load.span_ids(number).tolist())


def decoding_process(server: Server) -> psutil.Process:
    """Wait until there is one."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        found[:] = psutil.Process(server.process.pid).children()
        return bool(found)

    wait_until(is_there, "decoding process")
    return found[0]


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_nothing_acknowledged_is_lost_or_doubled_when_it_is_killed_and_a_stop_finishes_all(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        clients = Clients(f"http://{server.addresses['otlp-http']}/v1/traces")
        with clients.going():
            for _ in range(2):
                process = decoding_process(server)
                clients.wait_for_more(20)
                process.kill()
                wait_until(lambda gone=process: is_gone(gone), "end of the process")
            process = decoding_process(server)
            clients.wait_for_more(20)
            assert server.metric("spans_accepted_total") > 0
            assert server.stop() == 0
        assert is_gone(process)
        assert "another one takes over" in server.said()
    assert sorted(stored_span_ids(tmp_path / "store.sqlite").tolist()) == clients.span_ids()


def test_when_the_server_is_killed_its_process_ends_and_a_restart_has_everything(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        clients = Clients(f"http://{server.addresses['otlp-http']}/v1/traces")
        with clients.going():
            process = decoding_process(server)
            clients.wait_for_more(20)
            server.kill()
        wait_until(lambda: is_gone(process), "end of the process")
    with serving(tmp_path) as server:
        server.end("load")
        found = server.verdict("load")
    assert set(clients.span_ids()) <= set(stored_span_ids(tmp_path / "store.sqlite").tolist())
    assert found["verdict"]["run"]["spans"] >= len(clients.acknowledged) * SPANS
