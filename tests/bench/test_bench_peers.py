"""How ours is compared with others: round by round, by CPU a span, beside what a goal is of; never with one that acknowledged nothing."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import psutil
import pytest

from bench import bench_peers
from bench.bench_peers import OURS, cases, chosen, compared, goals_of, in_turns, show
from bench.loading import Case, Result
from bench.peers import PEERS, Place, see_that_it_forwarded
from bench.published import asked_of
from otelcollector import NotHere

NOTHING = Result(
    **{f.name: {"int": 1, "float": 1.0, "str": "exact", "bool": True}[str(f.type)] for f in fields(Result)}
)
COLLECTOR = PEERS["otelcol"]


def rounds(*cpu: float, rate: int = 100) -> list[Result]:
    kept = replace(NOTHING, spans_per_second=rate, slope_bytes_per_second=2000, refused=0)
    return [replace(kept, cpu_us_per_span=one) for one in cpu]


def refusing(results: list[Result]) -> list[Result]:
    return [replace(result, acknowledged=45, refused=15) for result in results]


def test_the_ratio_is_the_median_of_rounds_so_one_bad_round_does_not_count() -> None:
    document = compared(Case("grpc", 512), {OURS: rounds(2, 2, 20), "other": rounds(4, 5, 4, rate=50)})
    assert document["ours_to_peer"]["other"] == {
        "spans_per_cpu_second": {"median": 2.0, "least": 0.2, "most": 2.5, "rounds": [2.0, 2.5, 0.2]},
        "acknowledged_per_second": {"median": 2.0, "least": 2.0, "most": 2.0, "rounds": [2.0, 2.0, 2.0]},
    }


@pytest.mark.parametrize(
    ("case", "goals"),
    [
        (Case("grpc", 512), {"otelcol/forward": 1, "otelcol/queue": 1}),
        (Case("grpc", 1000, gzip=True), {"otelcol/forward": 2, "otelcol/queue": 1}),
        (Case("http", 512), {"otelcol/default": 3, "otelcol/queue": 1}),
        (Case("http", 512, gzip=True), {"otelcol/default": 3, "otelcol/queue": 1}),
        (Case("http", 100), {}),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_each_goal_stands_beside_what_its_published_figure_is_of(case: Case, goals: dict[str, float]) -> None:
    every = {peer.name: asked_of(case, peer.name) for peers in PEERS.values() for peer in peers}
    assert {name: asked.times for name, asked in every.items() if asked is not None} == goals


def test_ratios_that_nothing_is_asked_of_are_told_all_the_same() -> None:
    results = {OURS: rounds(2), **{peer.name: rounds(4) for peer in COLLECTOR}}
    case = Case("http", 512)
    measured = [(case, compared(case, results))]
    told = [goal.row() for goal in goals_of(measured, COLLECTOR)]
    assert told == [
        ("spans a CPU second, http/512, ours to otelcol/nop", "2 x", "no goal", ""),
        ("spans a CPU second, http/512, ours to otelcol/forward", "2 x", "no goal", ""),
        ("spans a CPU second, http/512, ours to otelcol/default", "2 x", ">= 3 x", "MISSED"),
        ("spans a CPU second, http/512, ours to otelcol/file", "2 x", "no goal", ""),
        ("spans a CPU second, http/512, ours to otelcol/queue", "2 x", ">= 1 x", "met"),
        ("rounds whose ledger is exact", "1", ">= 1", "met"),
        ("rounds in which ours was warm from their beginning", "1", ">= 1", "met"),
    ]


def test_a_round_in_which_ours_was_not_warm_yet_is_told_and_misses_a_goal() -> None:
    cold = replace(NOTHING, decoding="interpreted > compiled", steady=False)
    document = compared(Case("grpc", 512), {OURS: [cold]})
    *_, warm = goals_of([(Case("grpc", 512), document)], ())
    assert (warm.found, warm.wanted, warm.met) == (0, 1, False)


def test_a_case_is_printed_with_its_ratios_their_spread_and_their_goals(capsys: pytest.CaptureFixture[str]) -> None:
    forward, queue = (peer for peer in COLLECTOR if peer.name in {"otelcol/forward", "otelcol/queue"})
    results = {OURS: rounds(2, 4), forward.name: rounds(4, 4), queue.name: refusing(rounds(3, 4))}
    case = Case("http", 512)
    show(case, compared(case, results), (forward, queue))
    assert (
        capsys.readouterr().out
        == """
http/512         spans/s  CPU us/span  p50 ms  p99 ms  peak MiB  rss kB/s  ours : peer  lowest-highest  goal
spanverdict      100      3.00         1.0     1.0     1         2
otelcol/forward  100      4.00         1.0     1.0     1         2         1.50 x       1.00-2.00       none
otelcol/queue    100      3.50         1.0     1.0     1         2         1.25 x       1.00-1.50       >= 1 x (as durable)
ledger: exact; decoding: exact
otelcol/queue refused 30 of 120 spans
"""
    )


def test_a_mode_that_nobody_has_is_told_and_one_of_the_other_peer_is_left_out() -> None:
    with pytest.raises(NotHere, match="no mode forwards; it has nop, forward, default, file, queue"):
        chosen("otelcol", "forwards")
    with pytest.raises(NotHere, match="no mode queue; it has drop, forward"):
        chosen("rotel", "queue")
    assert [peer.name for peer in chosen("rotel", "drop,forward,queue")] == ["rotel/drop", "rotel/forward"]
    assert chosen("otelcol", None) == list(COLLECTOR)


def test_a_peer_that_forwarded_next_to_nothing_is_no_comparison() -> None:
    see_that_it_forwarded("otelcol/forward", spent_s=2.0, spent_behind_s=1.0)
    with pytest.raises(NotHere, match=r"next to nothing: it took 2[.]00 s of CPU, and what is behind it 0[.]10 s"):
        see_that_it_forwarded("otelcol/forward", spent_s=2.0, spent_behind_s=0.1)


def test_cases_are_written_as_sizes_and_attributes() -> None:
    found = [case.name for case in cases("1000x16,512", ["grpc", "http"], ["no", "yes"])]
    assert found[:4] == ["grpc/1000x16", "grpc/512", "grpc/1000x16/gzip", "grpc/512/gzip"]
    assert len(found) == 8


def test_everybody_gets_the_load_in_every_round_and_nobody_is_always_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measured(case: Case, _seconds: float, _folder: Path, start: object) -> Result:
        asked.append(start)
        return NOTHING

    monkeypatch.setattr(bench_peers, "measure", measured)
    found = in_turns(Case("grpc", 512), COLLECTOR[:2], 1.0, 3)
    assert {name: len(results) for name, results in found.items()} == {OURS: 3, "otelcol/nop": 3, "otelcol/forward": 3}
    assert asked[:3] == asked[5:2:-1] == asked[6:]


def test_everybody_is_warmed_up_for_as_long() -> None:
    (case,) = cases("512", ["http"], ["no"], 2.5)
    assert {"--warm-up=2.5", "--seconds=3"} <= set(case.options(3))


def test_a_peer_that_ends_in_the_middle_is_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*_: object) -> Result:
        raise psutil.NoSuchProcess(1)

    monkeypatch.setattr(bench_peers, "measure", measured)
    with pytest.raises(NotHere, match="spanverdict ended while it got grpc/512"):
        in_turns(Case("grpc", 512), (), 1.0, 1)


def test_a_collector_is_named_by_the_version_of_its_receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "otelcol"
    program.write_text("#!/bin/sh\necho '  module: go.opentelemetry.io/collector/receiver/otlpreceiver v9.8.7'\n")
    program.chmod(0o755)
    monkeypatch.setenv("OTELCOL", str(program))
    assert COLLECTOR[0].version() == "OpenTelemetry Collector 9.8.7"
    program.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(NotHere, match="ended with 3"):
        COLLECTOR[0].version()


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
