"""`serve` with more load than it takes: refused so that clients come again, memory flat, nothing acknowledged lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
import psutil
import pytest

from receiver.sinks import trace_request
from scenarios.stories import Server, serving, wait_until
from spanverdict.storage.store import Store

pytestmark = pytest.mark.story

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MIB = 1 << 20
SPANS = 1000
AT_ONCE = 48
BODY = trace_request(SPANS, padding=MIB // 2).SerializeToString()
"""Some 0.6 MiB, so 48 at once are about twice what may be in flight."""


@dataclass
class Load:
    """Keeps requests in flight until told to stop; every one is marked, and known by its mark when acknowledged."""

    server: Server
    codes: Counter[str] = field(default_factory=Counter)
    acknowledged: list[bytes] = field(default_factory=list)
    unhinted: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def grpc(self, sender: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self.server.addresses["otlp-grpc"], options) as channel:
            call = channel.unary_unary(EXPORT)
            for number in range(10**9):
                if self.over.is_set():
                    return
                mark = _mark(sender, number)
                try:
                    call(BODY + _marked(mark), timeout=30)
                except grpc.RpcError as error:
                    self.codes[error.code().name] += 1
                    self.unhinted += "google.rpc.retryinfo-bin" not in dict(error.trailing_metadata() or ())
                    self.over.wait(0.05)
                else:
                    self._took(mark)

    def http(self, sender: int) -> None:
        headers = {"Content-Type": "application/x-protobuf"}
        with httpx.Client(trust_env=False, timeout=30, headers=headers) as client:
            for number in range(10**9):
                if self.over.is_set():
                    return
                mark = _mark(sender, number)
                answer = client.post(
                    f"http://{self.server.addresses['otlp-http']}/v1/traces", content=BODY + _marked(mark)
                )
                if answer.status_code == 200:
                    self._took(mark)
                    continue
                self.codes[str(answer.status_code)] += 1
                self.unhinted += "retry-after" not in answer.headers
                self.over.wait(0.05)

    def _took(self, mark: bytes) -> None:
        self.codes["taken"] += 1
        self.acknowledged.append(mark)


def _mark(sender: int, number: int) -> bytes:
    return b"mark-%04d-%08d;" % (sender, number)


def _marked(mark: bytes) -> bytes:
    return trace_request(name=mark.decode()).SerializeToString()


def _resident(server: Server) -> int:
    process = psutil.Process(server.process.pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


def _under_load(folder: Path, seconds: float) -> str:
    """Return what was measured."""
    config = folder / "serve.yaml"
    config.write_text("in_flight: 16MiB\nmax_message: 4MiB\nwindow: 64MiB\n", encoding="utf-8")
    with serving(folder, "--config", config) as server:
        load = Load(server)
        ways = [(load.grpc, load.http)[number % 2] for number in range(AT_ONCE)]
        senders = [threading.Thread(target=way, args=(number,)) for number, way in enumerate(ways)]
        for sender in senders:
            sender.start()
        wait_until(lambda: load.codes["taken"] > AT_ONCE, "request that is taken")
        warm, worst = _resident(server), 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            worst = max(worst, _resident(server) - warm)
            load.over.wait(0.05)
        load.over.set()
        for sender in senders:
            sender.join()
        begun = time.monotonic()
        wait_until(lambda: server.metric("in_flight_bytes") == 0 == server.metric("judge_backlog_bytes"), "rest")
        assert httpx.post(f"http://{server.addresses['otlp-http']}/v1/traces", json={}, trust_env=False).is_success
        recovered = time.monotonic() - begun
        assert server.stop() == 0
    assert set(load.codes) <= {"taken", "UNAVAILABLE", "429"}, load.codes
    assert sum(load.codes.values()) > load.codes["taken"], "it was not too much"
    assert load.unhinted == 0
    assert recovered < 5
    assert worst < 256_000_000
    with Store.open(folder / "store.sqlite") as store:
        kept = Counter(batch.payload[-200:].split(b"mark-")[-1].split(b";")[0] for batch in store.journal.read())
    lost = [mark for mark in load.acknowledged if kept[mark.removeprefix(b"mark-").removesuffix(b";")] != 1]
    assert lost == []
    return f"{dict(load.codes)}, {worst // MIB} MiB more, recovered in {recovered:.1f} s"


def test_five_seconds_of_more_than_it_takes_cost_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    assert _under_load(tmp_path, 5)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_minute_of_more_than_it_takes_costs_nothing_that_was_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = _under_load(tmp_path, 60)
    with capsys.disabled():
        print(told)
