"""Where the time of stitched requests went, by stage: from spans and a flow, as rules and reports ask for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantables import table_of
from spanverdict.checks.pathtimes import PathTimes, critical_paths_of, path_times
from spanverdict.checks.runview import RunView
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.rulefiles.loader import load

FLOW = """
version: 1
flow: scoring
stages:
  - stage: ingest
    select: {service: gateway, kind: server}
  - stage: features
    select: {name: features}
  - stage: score
    select: {name: score}
  - stage: notify
    select: {service: ledger, kind: consumer}
rules:
  - id: whole
    latency: request
    expect: {p95: "< 1s"}
"""
GATEWAY, LEDGER = {"service.name": "gateway"}, {"service.name": "ledger"}
NAMES = ("ingest", "features", "score", "notify", "queue", "other")


def request(trace: str, at: int = 1000, **late: int) -> list[dict[str, Any]]:
    """A request of 200 ns whose notification is queued for 40; `late` makes a stage end later."""
    spans = [
        {"id": 1, "name": "POST /", "kind": "server", "start": at, "end": at + 110},
        {"id": 2, "parent": 1, "name": "features", "start": at + 10, "end": at + 30},
        {"id": 3, "parent": 2, "name": "redis", "start": at + 12, "end": at + 20},
        {"id": 4, "parent": 1, "name": "score", "start": at + 30, "end": at + 100 + late.get("score", 0)},
        {"id": 5, "parent": 1, "name": "send", "kind": "producer", "start": at + 100, "end": at + 105},
    ]
    taken = at + 145
    return [
        *({"trace": trace, "resource": GATEWAY, **span} for span in spans),
        {
            "trace": f"{trace}-ledger",
            "id": 6,
            "name": "process",
            "kind": "consumer",
            "resource": LEDGER,
            "start": taken,
            "end": taken + 55,
            "links": [{"trace": trace, "id": 5}],
        },
        {
            "trace": f"{trace}-ledger",
            "id": 7,
            "parent": 6,
            "name": "insert",
            "resource": LEDGER,
            "start": taken + 5,
            "end": taken + 50,
        },
    ]


def view(rows: list[dict[str, Any]], flow: str = FLOW) -> RunView:
    problems = Problems()
    read = load(flow, "flow.yaml", problems)
    assert read is not None, problems.sorted()
    return view_of(read, prepare(table_of(rows)), None)[0]


def spent(times: PathTimes) -> list[dict[str, int]]:
    return [{n: t for n, t in zip(times.names, row, strict=True) if t} for row in times.time.tolist()]


def test_time_counts_for_the_nearest_stage_above_and_waits_for_the_queue() -> None:
    """What no call chain connects to a stage, such as the insert's consumer to the gateway, stays apart."""
    times = path_times(view(request("a")))
    assert times.names == NAMES
    assert spent(times) == [{"ingest": 15, "features": 20, "score": 70, "queue": 40, "notify": 55}]
    assert times.whole().tolist() == [200]
    assert times.of("score").tolist() == [70]


def test_a_span_of_no_stage_with_none_above_counts_as_other() -> None:
    """A consumer that no stage names, on the way to the last stage."""
    rows = request("a")
    rows[5] = {**rows[5], "kind": "internal"}
    rows[6] = {**rows[6], "kind": "consumer"}
    assert spent(path_times(view(rows))) == [
        {"ingest": 15, "features": 20, "score": 70, "queue": 40, "other": 5, "notify": 45}
    ]


def test_without_its_last_stage_a_request_lasts_to_its_last_end() -> None:
    rows = request("a")[:5]
    assert spent(path_times(view(rows))) == [{"ingest": 20, "features": 20, "score": 70}]


def test_callers_are_no_part_of_the_way() -> None:
    """A load generator whose span stands above the ingest span, and ends after all else."""
    rows = [{**row, "parent": row.get("parent", 9)} for row in request("a")[:5]]
    caller = {"trace": "a", "id": 9, "name": "GET", "kind": "client", "start": 900, "end": 5000}
    assert path_times(view([*rows, caller])).whole().tolist() == [110]


def test_a_request_whose_first_stage_has_no_end_is_left_out() -> None:
    rows = request("a")
    rows[0] = {**rows[0], "end": 0}
    times = path_times(view([*rows, *request("b")]))
    assert times.request.tolist() == [1 if view([*rows, *request("b")]).trace_of(0) else 0]
    assert times.whole().tolist() == [200]


def test_no_spans_are_no_requests() -> None:
    times = path_times(view([]))
    assert len(times.request) == 0
    assert times.shares() == dict.fromkeys(NAMES, 0.0)


def test_spans_of_no_request_are_left_out() -> None:
    stray = {"trace": "z", "id": 1, "name": "score", "start": 5, "end": 50_000}
    assert path_times(view([stray])).whole().tolist() == []
    assert path_times(view([stray, *request("a")])).whole().tolist() == [200]


def test_aggregate_shares_weigh_requests_by_their_time() -> None:
    shares = path_times(view([*request("a"), *request("b", at=9000)])).shares()
    assert shares == pytest.approx(
        {"ingest": 0.075, "features": 0.1, "score": 0.35, "notify": 0.275, "queue": 0.2, "other": 0}
    )


def test_a_batch_consumer_is_on_the_path_of_each_of_its_messages() -> None:
    first, second = request("a"), request("b", at=1020)[:5]
    first[5]["links"].append({"trace": "b", "id": 5})
    times = path_times(view([*first, *second]))
    assert sorted(zip(times.of("queue").tolist(), times.whole().tolist(), strict=True)) == [(20, 180), (40, 200)]


def test_some_requests_alone_give_what_all_give_together() -> None:
    seen = view([*request("a"), *request("b", at=3000, score=5), *request("c", at=500)])
    together = path_times(seen)
    for number in range(3):
        alone = path_times(seen.part([number]))
        assert alone.request.tolist() == [0]
        assert alone.time.tolist() == [together.time[number].tolist()]


def test_sections_name_members_of_the_view() -> None:
    seen = view([*request("a"), *request("b", at=3000)])
    found = critical_paths_of(seen.part([1]))
    table, members = seen.part([1]).spans.table, found.sections.member
    names = [table.pool.string(number) for number in table.name[found.rows[members[members >= 0]]].tolist()]
    assert names == ["POST /", "features", "redis", "features", "score", "send", "process", "insert", "process"]


@settings(deadline=None, max_examples=50)
@given(st.randoms(use_true_random=False), st.integers(0, 2**40))
def test_neither_the_order_of_spans_nor_the_date_matters(random: Any, shift: int) -> None:
    rows = [*request("a"), *request("b", at=1300, score=7), *request("c", at=1100)]
    before = view(rows)
    moved = [{**row, "start": row["start"] + shift, "end": row["end"] + shift} for row in rows]
    random.shuffle(moved)
    after = view(moved)
    expected = dict(zip((before.request_name(n) for n in range(3)), path_times(before).time.tolist(), strict=True))
    found = dict(zip((after.request_name(n) for n in range(3)), path_times(after).time.tolist(), strict=True))
    assert found == expected


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 30), st.integers(0, 30)), max_size=8))
def test_the_shares_of_a_request_sum_to_its_latency(shape: list[tuple[int, int, int]]) -> None:
    """Whatever hangs below the gateway."""
    rows = [
        {"trace": "a", "id": 10 + n, "parent": 10 + min(p, n - 1) if n else 1, "start": 1000 + s, "duration": d}
        for n, (p, s, d) in enumerate(shape)
    ]
    seen = view([*request("a"), *rows])
    first, last = seen.stage("ingest"), seen.stage("notify")
    assert np.array_equal(path_times(seen).whole(), last.end - first.start)
