"""How ours is compared with others: round by round, by CPU a span, and never with one that acknowledged nothing."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from bench import bench_peers
from bench.bench_peers import OURS, cases, compared, goal_of, goals_of, in_turns
from bench.loading import Case, Result
from bench.peers import PEERS, Place
from otelcollector import NotHere

NOTHING = Result(**{f.name: {"int": 1, "float": 1.0, "str": "exact"}[str(f.type)] for f in fields(Result)})
COLLECTOR = PEERS["otelcol"]


def rounds(*cpu: float, rate: int = 100) -> list[Result]:
    return [replace(NOTHING, cpu_us_per_span=one, spans_per_second=rate) for one in cpu]


def test_the_ratio_is_the_median_of_rounds_so_one_bad_round_does_not_count() -> None:
    document = compared(Case("grpc", 512), {OURS: rounds(2, 2, 20), "other": rounds(4, 5, 4, rate=50)})
    assert document["ours_to_peer"]["other"] == {"spans_per_cpu_second": 2.0, "acknowledged_per_second": 2.0}


@pytest.mark.parametrize(
    ("case", "goal"),
    [
        (Case("grpc", 512), 1),
        (Case("grpc", 512, gzip=True), 2),
        (Case("http", 512), 3),
        (Case("http", 9, gzip=True), 3),
    ],
)
def test_more_is_asked_where_the_collector_is_slower(case: Case, goal: float) -> None:
    assert goal_of(case) == goal


def test_goals_are_of_large_requests_to_what_forwards_and_to_what_is_durable() -> None:
    results = {OURS: rounds(2), **{peer.name: rounds(4) for peer in COLLECTOR}}
    measured = [(case, compared(case, results)) for case in (Case("grpc", 512), Case("grpc", 100))]
    found = [(goal.what, goal.found, goal.wanted) for goal in goals_of(measured, COLLECTOR)]
    assert found == [
        ("spans a CPU second, grpc/512, ours to otelcol/forward", 2.0, 1.0),
        ("spans a CPU second, grpc/512, ours to otelcol/queue", 2.0, 1.0),
        ("rounds whose ledger is exact", 2, 2),
    ]


def test_cases_are_written_as_sizes_and_attributes() -> None:
    found = [case.name for case in cases("1000x16,512", ["grpc", "http"], ["no", "yes"])]
    assert found[:4] == ["grpc/1000x16", "grpc/512", "grpc/1000x16/gzip", "grpc/512/gzip"]
    assert len(found) == 8


def test_everybody_gets_the_load_in_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measured(case: Case, _seconds: float, _folder: Path, start: object) -> Result:
        asked.append(start)
        return NOTHING

    monkeypatch.setattr(bench_peers, "measure", measured)
    found = in_turns(Case("grpc", 512), COLLECTOR[:2], 1.0, 3)
    assert {name: len(results) for name, results in found.items()} == {OURS: 3, "otelcol/nop": 3, "otelcol/forward": 3}
    assert asked[:3] == asked[3:6] == asked[6:]


def test_a_peer_that_acknowledges_nothing_is_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_peers, "measure", lambda *_: replace(NOTHING, acknowledged=0))
    with pytest.raises(NotHere, match="acknowledged nothing of grpc/512"):
        in_turns(Case("grpc", 512), (), 1.0, 1)


@pytest.mark.parametrize(("gzip", "compression"), [(False, "none"), (True, "gzip")])
def test_what_is_forwarded_goes_as_it_came(
    gzip: bool, compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTELCOL", "/bin/true")
    forward = next(peer for peer in COLLECTOR if peer.name == "otelcol/forward")
    command = forward.command(Place(tmp_path, "a:1", "b:2", "c:3"), Case("http", 512, gzip=gzip))
    text = Path(command[-1]).read_text()
    assert "exporters: [otlp_http/forward]" in text
    assert f'"http://c:3"\n    compression: {compression}\n' in text


def test_by_default_the_collector_chooses_how_it_compresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTELCOL", "/bin/true")
    default = next(peer for peer in COLLECTOR if peer.name == "otelcol/default")
    command = default.command(Place(tmp_path, "a:1", "b:2", "c:3"), Case("http", 512))
    text = Path(command[-1]).read_text()
    assert "exporters: [otlp_http/default]" in text
    assert 'otlp_http/default:\n    endpoint: "http://c:3"\n    sending_queue' in text
