"""A whole run in one trace, larger than any that a person would look at: received, judged, within bounds."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import psutil
import pytest

from scenarios.large_trace import batches, flow_of
from scenarios.stories import Server, serving, wait_until

pytestmark = pytest.mark.story

MIB = 1 << 20


def resident(server: Server) -> int:
    process = psutil.Process(server.process.pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


@pytest.mark.parametrize(
    ("n_spans", "most_mib", "most_s"),
    [(100_000, 60, 60), pytest.param(1_000_000, 286, 300, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_one_trace_is_received_and_judged_whole(tmp_path: Path, n_spans: int, most_mib: int, most_s: int) -> None:
    (tmp_path / "large.yaml").write_text(flow_of(n_spans), encoding="utf-8")
    with serving(tmp_path, "--rules", tmp_path / "large.yaml") as server, httpx.Client(timeout=60) as client:
        before, most = resident(server), 0

        def is_judged() -> bool:
            nonlocal most
            most = max(most, resident(server) - before)
            return bool(server.get("/api/v1/runs/large").json()["state"] == "judged")

        url = f"http://{server.addresses['otlp-http']}/v1/traces"
        for payload in batches(n_spans):
            client.post(url, content=payload, headers={"Content-Type": "application/x-protobuf"}).raise_for_status()
            most = max(most, resident(server) - before)
        begun = time.monotonic()
        server.end("large")
        wait_until(is_judged, "verdict", most_s)
        found = server.verdict("large")
        took, most = time.monotonic() - begun, max(most, resident(server) - before)
    verdict = found["verdict"]
    print(f"{n_spans} spans: verdict after {took:.1f} s, {most / MIB:.0f} MiB more")
    assert (verdict["outcome"], verdict["complete"]) == ("passed", True), verdict
    assert (verdict["run"]["spans"], verdict["run"]["traces"]) == (n_spans, 1)
    assert took < most_s
    assert most < most_mib * MIB
