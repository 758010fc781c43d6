"""More runs, traces and spans than there is memory for: bounded, counted, and nothing judged on a part of its spans."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from app.followed import MS, MemoryArchive, flow, ingest, record, requests, score
from spantables import new_pool, table_of
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.recollection import Recalled
from spanverdict.storage.records import RunState
from spanverdict.telemetry.spantable import SpanTable

SCORING = flow()


def docket_of(archive: MemoryArchive | None = None, **limits) -> Docket:
    return Docket(DocketConfig(flows=(SCORING,), **limits), archive or MemoryArchive(), stopwatch=lambda: 0.0)


def many(start: int, count: int, *, tagged: bool = True) -> SpanTable:
    """A request a run, or a lone span of no run."""
    numbers = range(start, start + count)
    rows = [ingest(n, f"run-{n}" if tagged else None) for n in numbers]
    return table_of([*rows, *(score(n) for n in numbers if tagged)], new_pool())


def judge_all(docket: Docket, now: float) -> int:
    docket.noted(docket.unnoted())
    count = 0
    for run, _ in docket.due(now):
        docket.judged(run, run.last_batch, run.revision + 1)
        count += 1
    return count


def test_of_more_runs_than_are_known_at_a_time_those_with_a_verdict_go_the_quiet_ones_first() -> None:
    docket = docket_of(max_runs=400)
    for number in range(40):
        docket.take_in((number + 1,), many(number * 20, 20), float(number))
        if number % 10 < 9:
            judge_all(docket, number + 8.0)
        docket.tidy(float(number))
        assert len(docket.runs) <= 400
    assert docket.turned_away == 0
    assert docket.let_go > 400
    waiting = {run.id for run in docket.runs.values() if run.fresh}
    assert waiting >= {f"run-{n}" for n in range(39 * 20, 40 * 20)}
    assert {f"run-{n}" for n in range(38 * 20, 39 * 20)} <= set(docket.runs)
    assert "run-0" not in docket.runs


def test_runs_that_were_only_declared_go_when_there_are_many_and_are_known_again_when_they_come() -> None:
    archive = MemoryArchive()
    docket = docket_of(archive, max_runs=100)
    for number in range(76):
        declared = record(f"run-{number}", expected_requests=1)
        archive.known[declared.id] = Recalled(declared, 0, ())
        docket.hear(declared, (), 1.0)
        next(docket.due(2.0), None)
    docket.take_in((1,), many(0, 1), 2.0)
    docket.tidy(3.0)
    assert set(docket.runs) == {"run-0"}
    docket.take_in((2,), many(1, 1), 4.0)
    assert docket.runs["run-1"].expected == 1


def test_runs_beyond_the_limit_are_counted_and_never_judged(caplog: pytest.LogCaptureFixture) -> None:
    docket = docket_of(max_runs=50)
    docket.take_in((1,), many(0, 80), 1.0)
    assert (len(docket.runs), docket.turned_away) == (50, 30)
    assert "there are more than 50 runs" in caplog.text
    assert judge_all(docket, 20.0) == 50
    docket.take_in((2,), many(0, 1), 21.0)
    assert docket.turned_away == 30 + ("run-0" not in docket.runs), "those that are known go on"


def test_judged_runs_make_room_and_are_read_again_when_more_comes() -> None:
    archive = MemoryArchive()
    docket = docket_of(archive, keep_bytes=200_000)
    for number in range(40):
        now = float(number * 10)
        archive.journal[number + 1] = many(number * 10, 10)
        docket.take_in((number + 1,), archive.journal[number + 1], now)
        judge_all(docket, now + 8)
        docket.tidy(now + 8)
        assert docket.nbytes <= 200_000 + 40_000
    assert docket.let_go > 250
    assert len(docket.runs) < 150
    state = record("run-0", first_batch=1, last_batch=1, judged_through=1, state=RunState.JUDGED)
    archive.known["run-0"] = Recalled(state, 1, ())
    docket.take_in((41,), table_of([score(0) | {"id": 7, "start": 1_020 * MS}]), 500.0)
    docket.take_in((42,), requests(100_000, run="run-0"), 500.0)
    found = []
    for run, _ in docket.due(520.0):
        evidence = docket.evidence(run)
        assert evidence is not None
        found.append((run.id, len(evidence.run.spans.table)))
    assert found == [("run-0", 5)], "what came first, what came late, and what came now"


def test_traces_of_no_run_are_let_go_the_quiet_ones_first() -> None:
    docket = docket_of(keep_bytes=300_000)
    for number in range(30):
        docket.take_in((number + 1,), many(number * 100, 100, tagged=False), float(number))
        docket.tidy(float(number))
    assert docket.nbytes <= 300_000 + 200_000
    assert docket.forgotten_untagged > 2000
    assert docket.untagged + docket.forgotten_untagged == 3000
    docket.take_in((99,), requests(2950, run="late"), 30.0)
    assert judge_all(docket, 50.0) == 1


def test_spans_that_all_wait_for_a_verdict_are_never_let_go() -> None:
    docket = docket_of(keep_bytes=10_000)
    docket.take_in((1,), many(0, 200), 1.0)
    for now in (2.0, 3.0, 4.0):
        docket.tidy(now)
    assert not docket.has_room()
    assert judge_all(docket, 20.0) == 200
    docket.tidy(21.0)
    assert docket.has_room()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_million_run_ids_take_no_more_memory_than_the_limits_say() -> None:
    docket = docket_of()
    gc.collect()
    before, worst = resident(), 0
    for number in range(1000):
        now = float(number)
        docket.take_in((number + 1,), many(number * 1000, 1000), now)
        judge_all(docket, now)
        docket.tidy(now)
        worst = max(worst, resident() - before)
    assert docket.let_go > 900_000
    assert docket.turned_away == 0
    print(f"{worst >> 20} MiB more")
    assert worst < 200 << 20
