"""`serve` and those who would use up its memory: a new run for every request, bombs; nobody else notices."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from busymachine import a_second
from scenarios import runflood
from scenarios.crowd import MIB, Others, Watched
from scenarios.stories import serving, wait_until
from spanverdict.app.docketconfig import MAX_OPEN_RUNS
from spanverdict.storage.store import Store

pytestmark = pytest.mark.story

MOST_MIB = 300_000_000 // MIB
MOST_S_A_RUN = 0.012
"""Of CPU, other clients and all else included: half of that on a quiet machine, so 10,000 runs a minute."""
ATTACKERS = Path(__file__).with_name("attackers.py")


def attack(*arguments: object) -> Any:
    """Let attackers do something; they are a process of their own, so that they cost others nothing but by the server."""
    command = [sys.executable, str(ATTACKERS), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def runs_in(folder: Path, state: str) -> int:
    """Count runs in the store, at no cost to the server."""
    with Store.read_only(folder / "store.sqlite") as store:
        return store.runs.by_state()[state]


@pytest.mark.parametrize(
    ("n_runs", "per_request", "judged"),
    [
        (100_000, 1000, 300),
        pytest.param(1_000_000, 1000, 2000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
        pytest.param(1_000_000, 10_000, 2000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
def test_a_flood_of_run_ids_takes_little_memory_and_others_are_served(
    tmp_path: Path, n_runs: int, per_request: int, judged: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """While they come, while they are judged, while it stops, and while it starts again with what was left."""
    (tmp_path / "flood.yaml").write_text(runflood.RULES, encoding="utf-8")
    options = ("--rules", tmp_path / "flood.yaml")
    told = []
    with serving(tmp_path, *options) as server, Watched.from_now(server) as memory:
        others = Others(server)
        with others.being_served():
            begun = time.monotonic()
            codes = attack("flood", server.addresses["otlp-http"], n_runs, per_request)
            told.append(f"{codes} in {time.monotonic() - begun:.0f} s, {memory.growth} MiB more")
            begun, busy = time.monotonic(), memory.cpu_s()
            first = runs_in(tmp_path, "judged")
            wait_until(lambda: runs_in(tmp_path, "judged") >= first + judged, "verdicts", 600)
            each = (memory.cpu_s() - busy) / judged
            told.append(f"{judged / (time.monotonic() - begun):.0f} runs a second judged, {memory.growth} MiB more")
            told.append(f"{each * 1e3:.1f} ms of CPU a run")
        assert set(codes) == {"200", "429"}
        waiting = server.metric("runs{", state="fresh")
        assert waiting <= MAX_OPEN_RUNS + 10
        begun = time.monotonic()
        assert server.stop() == 0
        told.append(f"stopped in {time.monotonic() - begun:.1f} s, {memory.growth} MiB more; p99 {others.p99:.3f} s")
        assert "a restart takes them up" in server.said()
    assert memory.growth < MOST_MIB, told
    assert each < MOST_S_A_RUN, told
    assert others.refused == []
    assert others.p99 < a_second(), told
    with serving(tmp_path, *options) as server, Watched.from_now(server, memory.before) as again:
        others = Others(server)
        with others.being_served():
            wait_until(lambda: server.metric("verdicts_total") > 0, "verdicts", 120)
            acknowledged = codes["200"] * per_request
            known = runs_in(tmp_path, "open") + runs_in(tmp_path, "judged")
            assert known == acknowledged, "each that was acknowledged is known"
        assert server.stop() == 0
    told.append(f"started again: {again.growth} MiB more, p99 {others.p99:.3f} s")
    with capsys.disabled():
        print("; ".join(told))
    assert again.growth < MOST_MIB, told
    assert others.refused == []
    assert others.p99 < a_second(), told


@pytest.mark.parametrize("n_members", [1, 64], ids=["one member", "many members"])
def test_64_bombs_at_once_take_little_memory_and_others_are_served(
    tmp_path: Path, n_members: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three times, of which the quickest counts: whatever else the machine does costs others time, too."""
    p99s = []
    with serving(tmp_path) as server, Watched.from_now(server) as memory:
        addresses = server.addresses
        for _ in range(3):
            others = Others(server)
            with others.being_served():
                wait_until(lambda others=others: len(others.took) > 2, "acknowledgements")
                assert attack("throw", addresses["otlp-grpc"], addresses["otlp-http"], n_members) == {"False": 64}
            assert others.refused == []
            p99s.append(others.p99)
        refused = server.metric("requests_refused_total", reason="too_large")
    with capsys.disabled():
        print(f"{memory.growth} MiB more, p99 {sorted(p99s)} s")
    assert refused == 3 * 64
    assert memory.growth < MOST_MIB
    assert min(p99s) < a_second()
