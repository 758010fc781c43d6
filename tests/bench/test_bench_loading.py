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
from bench.run import BENCHES, HERE, PEERS, Bench, run, summed_up
from bench.server import Server


@pytest.mark.story
@pytest.mark.parametrize(
    "case",
    [
        Case("grpc", 100, rate=2000, spans_per_run=500, warm_up=1),
        Case("http", 20, gzip=True, attributes=16, rate=2000, spans_per_run=500, warm_up=1),
    ],
    ids=lambda case: case.protocol,
)
def test_a_short_load_is_stored_and_judged_exactly(case: Case, tmp_path: Path) -> None:
    result = measure(case, 1.0, tmp_path, rules=bench_rates.RULES_HERE)
    assert (result.ledger, result.refused) == ("exact", 0)
    assert result.acknowledged == pytest.approx(4000, abs=case.size)
    assert (result.decoding, result.steady) == ("none", True)
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


def test_the_sum_names_every_goal_and_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    told = [{"what": "rate", "found": 5, "wanted": 4}, {"what": "beside", "found": 2, "wanted": None, "unit": "x"}]
    fine = {"took_s": 2, "goals": told}
    assert not summed_up({"one": fine})
    assert summed_up(
        {"one": fine, "two": {"took_s": 1, "goals": [{"what": "cost", "found": 5, "wanted": 4, "at_most": True}]}}
    )
    summed_up({"one": fine, "three": {"took_s": 1, "goals": [], "failed": 7}})
    said = capsys.readouterr().out
    assert (
        "== goals, after 3 s: 1 of 2 met\nrate    5    >= 4     met\nbeside  2 x  no goal\ncost    5    <= 4     MISSED\n"
        in said
    )
    assert said.endswith("bench_three.py FAILED: it ended with 7\n")


def test_a_benchmark_that_fails_does_not_end_the_others() -> None:
    found = run(Bench("nowhere"), quick=True)
    assert (found["failed"], found["goals"]) == (2, [])


@pytest.mark.parametrize("bench", [*BENCHES, PEERS], ids=lambda bench: bench.name)
def test_every_benchmark_of_the_list_takes_its_options(bench: Any) -> None:
    options = {word for quick in (False, True) for word in bench.command(quick=quick)[2:] if word.startswith("--")}
    command = [sys.executable, str(HERE / f"bench_{bench.name}.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {"--json", "--check", *options} <= set(done.stdout.replace(",", " ").split())
