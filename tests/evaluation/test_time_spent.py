"""What the time of a run's requests was spent on, added up: exact, and honest about what was looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleruns import MS, call, events, flow_end, flow_of, judged, span, view, without
from spanverdict.checks.pathtimes import PathTimes, path_times
from spanverdict.evaluation.outcomes import StageShare, TimeSpent
from spanverdict.evaluation.timespent import shares_of, shares_of_each, time_spent

FLOW = flow_of("- {id: r, latency: request, expect: {max: '< 1s'}}")


def test_the_time_of_all_requests_is_added_up_by_stage_the_longest_first() -> None:
    """In each request scoring takes 40 ms of the 100 of ingest, and the notification comes 20 ms after their end."""
    spent = time_spent(view([*call("a"), *call("b", start=500)], FLOW))
    assert spent == TimeSpent(
        (
            StageShare("ingest", 120 * MS, 0.4),
            StageShare("score", 80 * MS, 80 / 300),
            StageShare("notify", 60 * MS, 0.2),
            StageShare("queue", 40 * MS, 40 / 300),
        ),
        2,
        2,
    )


def test_it_is_part_of_what_a_flow_comes_to_and_there_is_none_without_requests() -> None:
    spent = flow_end(events(call("a"), FLOW)).spent
    assert spent is not None
    assert sum(share.duration_ns for share in spent.shares) == 150 * MS
    assert flow_end(events([], FLOW)).spent is None
    assert flow_end(events([span("a", 1, "stray", 0, 5)], FLOW)).spent is None


def test_requests_without_beginning_or_end_are_left_out_and_that_is_said() -> None:
    rows = [*call("a"), *call("b", start=500)]
    rows[0]["end"] = 0
    spent = time_spent(view(rows, FLOW))
    assert spent is not None
    assert (spent.requests, spent.of_requests, spent.sampled) == (1, 2, False)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 100))
def test_of_many_requests_a_sample_is_taken_that_says_so(requests: int, most: int) -> None:
    rows = [row for n in range(requests) for row in call(f"{n + 1:032x}", start=1000 * n)]
    spent = time_spent(view(rows, FLOW), most)
    assert spent is not None
    assert spent.sampled == (3 * requests > most)
    assert spent.of_requests == requests
    assert spent.requests == requests if not spent.sampled else 1 <= spent.requests <= max(1, most // 3 + 1)
    assert [share.share for share in spent.shares] == [0.4, 40 / 150, 0.2, 20 / 150]


@settings(deadline=None, max_examples=25)
@given(st.randoms(use_true_random=False))
def test_the_sample_is_the_same_however_the_spans_came(random: Any) -> None:
    rows = [row for n in range(20) for row in call(f"{n + 1:032x}", start=1000 * n + n * n)]
    rows = [{**row, "end": row["end"] + row["id"] * index * 1000} for index, row in enumerate(rows)]
    before = time_spent(view(rows, FLOW), 12)
    random.shuffle(rows)
    assert time_spent(view([*rows, *rows[:7]], FLOW), 12) == before


@given(st.lists(st.lists(st.integers(0, 2**62 - 1), min_size=3, max_size=3), min_size=1, max_size=9))
def test_sums_are_exact_even_where_they_are_centuries(times: list[list[int]]) -> None:
    found = PathTimes(("a", "b", "c"), np.arange(len(times)), np.array(times, np.int64))
    assert found.totals() == [sum(column) for column in zip(*times, strict=True)]


def test_the_time_of_each_of_some_requests_is_that_of_it_alone() -> None:
    rows = [*call("a"), *call("b", start=500), *without(call("c", start=900), "in")]
    rows[3]["end"] += 7 * MS
    seen = view(rows, FLOW)
    found = shares_of_each(seen, [1, 0, 1])
    times = path_times(seen)
    assert found == {0: shares_of(times.only(0)), 1: shares_of(times.only(1))}
    assert found[0] != found[1]
    assert shares_of_each(seen, []) == {}


def test_every_failing_request_says_where_its_time_went_whatever_failed() -> None:
    """Only where time is the matter is that meant to be told beside its value."""
    rules = """
    - {id: slow, latency: request, expect: {max: '< 10ms'}}
    - {id: gaps, coverage: {stages: all}, expect: {ratio: '>= 99%'}}
    - {id: odd, output: {stage: score, value: span.score}, expect: {every: '0..1'}}
    """
    rows = [*call("a", score={"score": 7}), *without(call("b", start=500, score={"score": 0}), "notify")]
    found = judged(rows, flow_of(rules))
    names = {rule: [share.stage for share in found[rule].exhibits[0].stages] for rule in ("slow", "gaps", "odd")}
    assert names["slow"] == names["odd"] == ["ingest", "score", "notify", "queue"]
    assert names["gaps"] == ["ingest", "score"]
    assert {rule: found[rule].exhibits[0].about_time for rule in names} == {"slow": True, "gaps": False, "odd": False}
