"""A load on a real server, as the benchmarks put it, only shorter; and what is said of its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from bench import bench_rates, bench_sustained
from bench.ledger import Ledger
from bench.loading import Case, measure
from bench.run import BENCHES, HERE, PEERS
from bench.server import Server


@pytest.mark.story
@pytest.mark.parametrize(
    "case",
    [
        Case("grpc", 100, rate=2000, spans_per_run=500),
        Case("http", 20, gzip=True, attributes=16, rate=2000, spans_per_run=500),
    ],
    ids=lambda case: case.protocol,
)
def test_a_short_load_is_stored_and_judged_exactly(case: Case, tmp_path: Path) -> None:
    result = measure(case, 1.0, tmp_path, rules=bench_rates.RULES_HERE)
    assert (result.ledger, result.refused) == ("exact", 0)
    assert result.acknowledged == pytest.approx(4000, abs=case.size)
    assert 0 < result.p50_ms <= result.p99_ms
    ledger = Ledger.read(tmp_path / "ledger.npz")
    verdicts = bench_sustained.verdicts_of(case, ledger, tmp_path / "store.sqlite")
    assert verdicts.whole == verdicts.runs == -(-result.acknowledged // 500)


def server_with(*samples: tuple[float, int]) -> Server:
    process = cast("Any", type("Process", (), {"pid": os.getpid()})())
    server = Server(process, {}, None, 0.1)
    server.memory.extend(samples)
    return server


def test_memory_grows_by_its_straight_line_since_a_time() -> None:
    server = server_with((0.0, 5000), *((at / 10, 1000 + 20 * at) for at in range(10, 40)))
    assert server.slope(since=1.0) == pytest.approx(200)
    assert server.peak_rss == 5000


def test_too_few_samples_have_no_slope() -> None:
    assert server_with((0.0, 1), (1.0, 100)).slope(0.0) == 0.0


@pytest.mark.parametrize("bench", [*BENCHES, PEERS], ids=lambda bench: bench.name)
def test_every_benchmark_of_the_list_takes_its_options(bench: Any) -> None:
    options = {word for quick in (False, True) for word in bench.command(quick=quick)[2:] if word.startswith("--")}
    command = [sys.executable, str(HERE / f"bench_{bench.name}.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {"--json", "--check", *options} <= set(done.stdout.replace(",", " ").split())
