"""Two runs compared: what differs is found, and what is chance or noise is not called a difference."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleruns import MS, Row, call, flow_of, span, view, without
from spanverdict.app.traceflow import plain_flow
from spanverdict.evaluation.rundiff import KINDS, DiffOptions, RunDiff, difference
from spanverdict.evaluation.runfacts import MOST_STAGES, MOST_VALUES, RunFacts, facts_of

FLOW = flow_of(
    """
    - {id: r, latency: request, expect: {p95: '< 1s'}}
    - {id: out, output: {stage: score, value: span.score}, expect: {every: '0..1'}}
    - {id: same, output: {stage: score, value: span.score}, expect: {mean: '0..1'}}
    """
)


def calls(count: int, first: int = 1, **more: Any) -> list[Row]:
    return [row for n in range(first, first + count) for row in call(f"{n:032x}", 1000 * n, **more)]


def facts(rows: Sequence[Row]) -> RunFacts:
    return facts_of(view(rows, FLOW), FLOW)


def diff(before: Sequence[Row], after: Sequence[Row], **options: Any) -> RunDiff:
    return difference(facts(before), facts(after), DiffOptions(**options))


def differing(found: RunDiff) -> dict[str, int]:
    return {kind: number for kind, number in found.counts.items() if number}


def stretched(rows: Sequence[Row], name: str, times: float) -> list[Row]:
    """Let the spans of one name take so many times as long."""
    return [
        row | {"end": row["start"] + round((row["end"] - row["start"]) * times)} if row["name"] == name else row
        for row in rows
    ]


def test_a_run_does_not_differ_from_itself_nor_from_one_at_another_time() -> None:
    rows = calls(20)
    later = [
        row | {"start": row["start"] + 10**12, "end": row["end"] + 10**12, "trace": row["trace"][1:]} for row in rows
    ]
    assert differing(diff(rows, rows)) == {}
    assert differing(diff(rows, later)) == {}
    assert set(diff(rows, rows).counts) == set(KINDS)


def test_a_new_and_a_missing_stage_are_told_with_their_requests() -> None:
    before = calls(10)
    extra = [span(f"{n:032x}", 9, "extra", 1000 * n + 75, 1000 * n + 80, parent=2) for n in range(1, 4)]
    after = [*without(before, "notify"), *extra]
    found = diff(before, after)
    assert [(one.name, one.requests, one.of) for one in found.new_stages] == [("extra", 3, 10)]
    assert [(one.name, one.requests, one.of) for one in found.missing_stages] == [("notify", 10, 10)]
    assert differing(found) == {"stages": 2}
    assert differing(diff(after, before)) == {"stages": 2}


def test_another_way_between_the_same_stages_is_told() -> None:
    before = calls(5)
    after = [row | {"parent": 2} if row["name"] == "notify" else row for row in before]
    found = diff(before, after)
    assert [one.name for one in found.new_ways] == ["score > notify (call)"]
    assert [one.name for one in found.missing_ways] == ["ingest > notify (call)"]


def test_a_link_is_another_way_than_a_call() -> None:
    before = calls(5)
    linked = [
        row | {"trace": "f" + row["trace"][1:], "parent": 0, "links": [{"trace": row["trace"], "id": 1}]}
        if row["name"] == "notify"
        else row
        for row in before
    ]
    found = diff(before, linked)
    assert [one.name for one in found.new_ways] == ["ingest > notify (link)"]
    assert [one.name for one in found.missing_ways] == ["ingest > notify (call)"]


def test_a_stage_that_comes_earlier_now_is_reordered() -> None:
    before = calls(10)
    after = [row | {"start": row["start"] - 100 * MS} if row["name"] == "notify" else row for row in before]
    (found,) = diff(before, after).reordered
    assert (found.first, found.second, found.before, found.after) == ("score", "notify", 1.0, 0.0)


def test_stages_that_run_beside_each_other_are_not_reordered() -> None:
    rows = calls(20)
    swapped = [
        row | {"start": row["start"] - 100 * MS} if row["name"] == "notify" and number % 2 else row
        for number, row in enumerate(rows)
    ]
    assert diff(swapped, [*reversed(swapped)]).reordered == ()
    assert diff(rows, swapped).reordered == ()


@pytest.mark.parametrize(
    ("count", "times", "differs"),
    [(200, 2, True), (200, 1.04, False), (200, 1.06, True), (200, 0.9, True), (1, 9, False)],
)
def test_a_change_has_to_be_larger_than_noise_and_seen_often_enough(count: int, times: float, differs: bool) -> None:
    """One request that took long says nothing of the median of all."""
    before = calls(count)
    found = diff(before, stretched(before, "score", times))
    score = {change.percentile: change for change in found.times if change.stage == "score"}
    assert score[50].differs is differs
    assert (score[50].before, score[50].after) == (40 * MS, round(40 * MS * times))
    assert not any(change.differs for change in found.times if change.stage != "score")


def test_noise_is_what_the_user_says() -> None:
    before = calls(200)
    after = stretched(before, "score", 1.04)
    assert differing(diff(before, after, noise=Fraction(1, 100)))["latency"] > 0
    assert "latency" not in differing(diff(before, after, noise=Fraction(4, 100)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([30, 300]))
def test_two_samples_of_the_same_system_do_not_differ(seed: int, count: int) -> None:
    """At 99 % of all comparisons together; times are skewed, and one in ten requests fails."""
    random = np.random.default_rng(seed)
    sides = []
    for _ in range(2):
        took = random.lognormal(0, 0.7, count)
        rows = [
            row for n in range(count) for row in stretched(
                call(f"{n + 1:032x}", 100_000 * n, status="error" if random.random() < 0.1 else "unset"), "score", took[n]
            )
        ]  # fmt: skip
        sides.append(rows)
    counts = differing(diff(*sides, level=0.99999))
    assert set(counts) <= {"order"}
    assert "latency" not in counts


def test_errors_and_coverage_differ_by_share() -> None:
    before = calls(200)
    failed = [row | {"status": 2} if row["name"] == "score" and n % 2 else row for n, row in enumerate(before)]
    lost = [row for n, row in enumerate(before) if row["name"] != "notify" or n % 2]
    assert differing(diff(before, lost)) == {"coverage": 1}
    found = [change for change in diff(before, failed).shares if change.differs]
    assert [(change.stage, change.what) for change in found] == [("score", "errors")]


def scored(values: Sequence[Any], first: int = 1) -> list[Row]:
    return [row for n, value in enumerate(values, first) for row in call(f"{n:032x}", 1000 * n, score={"score": value})]


def test_outputs_are_compared_by_the_name_of_the_request() -> None:
    found = diff(scored([0.5, 1, "a", True, 0.7]), scored([0.5, 1.0, "b", 1, 0.7, 0.8], first=1)[3:])
    (change,) = found.outputs
    assert (change.what, change.compared, change.changed) == ("score span.score", 4, 2)
    assert change.examples == (("r-3", '"a"', '"b"'), ("r-4", "true", "1"))
    assert (change.only_before, change.only_after) == (1, 1)


def carrying(**attributes: Any) -> list[Row]:
    return [
        row | {"attributes": {key: value(n) if callable(value) else value for key, value in attributes.items()}}
        if row["name"] == "score" else row
        for n, row in enumerate(calls(30))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"model": "v1"}, {"model": "v2"}, [("span.model", ('"v2"',), ('"v1"',), False, False)]),
        ({"model": "v1"}, {"model": "v1", "cache": True}, [("span.cache", ("true",), (), True, False)]),
        ({"model": "v1", "cache": True}, {"model": "v1"}, [("span.cache", (), ("true",), False, True)]),
        ({"id": lambda n: n}, {"id": lambda n: n + 99}, []),
        ({}, {"id": lambda n: n}, [("span.id", (), (), True, False)]),
        ({"id": lambda n: n}, {}, [("span.id", (), (), False, True)]),
        ({"thread.id": 1, "host.name": "a"}, {"thread.id": 2, "host.name": "b"}, []),
    ],
)
def test_attributes_that_appear_or_vanish_are_told_and_ids_are_not(
    before: dict[str, Any], after: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    found = diff(carrying(**before), carrying(**after)).attributes
    assert [(one.key, one.appeared, one.vanished, one.new, one.gone) for one in found] == expected
    assert all(one.stage == "score" for one in found)
    assert MOST_VALUES < 30


def test_without_rules_stages_are_services_and_names_of_spans() -> None:
    rows = [row | {"resource": {"service.name": "svc"}} for row in calls(3)]
    bare = facts_of(view(rows, plain_flow()), None)
    assert list(bare.stages) == ["svc in", "svc score", "svc notify"]
    assert bare.ways == {("svc in", "svc score", "call"): 3, ("svc in", "svc notify", "call"): 3}
    assert bare.durations.tolist() == [150 * MS] * 3
    nameless = facts_of(view(calls(1), plain_flow()), None)
    assert "(no service) in" in nameless.stages


def test_of_many_kinds_of_spans_the_most_frequent_are_looked_at() -> None:
    rare = [span("a", number + 10, f"rare-{number}", 10, 20, parent=1) for number in range(MOST_STAGES + 20)]
    found = facts_of(view([*calls(3), *call("a"), *rare], plain_flow()), None)
    assert len(found.stages) == MOST_STAGES
    assert {"(no service) in", "(no service) score", "(no service) notify"} <= set(found.stages)
